//! No lines make the reader of casbin's policies fail, however its model compares; what it makes can be compiled or says why not.
#![no_main]

use guardian_core::{Clock, ManualClock};
use guardian_rbac::import::{CasbinModel, FieldMatch};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &str)| {
    let (choice, text) = input;
    let ways = [
        FieldMatch::Equal,
        FieldMatch::KeyMatch,
        FieldMatch::KeyMatch2,
        FieldMatch::Regex,
        FieldMatch::Glob,
        FieldMatch::Ip,
    ];
    let way = |shift: u16| ways[usize::from(choice >> shift) % ways.len()];
    let mut model = CasbinModel::default()
        .with_deny(choice & 1 == 1)
        .comparing(way(1), way(3), way(5))
        .naming(way(7), way(9), way(11))
        .with_actions(["read", "GET"]);
    if choice & 2 == 2 {
        model = model.with_domains();
    }
    if choice & 4 == 4 {
        model = model.with_objects_by_domain();
    }
    if let Ok(imported) = model.read(text, ManualClock::new().now())
        && let Err(error) = imported.compile()
    {
        assert!(!error.to_string().is_empty());
    }
});
