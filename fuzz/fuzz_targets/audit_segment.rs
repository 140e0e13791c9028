//! A folder of the audit log's segment store in which bytes were altered: it is opened and read, or refused; never a panic, a
//! hang or memory without bound.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use guardian_audit::store::{AuditStore, Batch, SegmentStore};
use guardian_audit::testkit::Sample;
use guardian_audit::{Dimension, Plan};
use guardian_core::{Scope, TenantId};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input {
    /// Which file, where in it, and what is put there.
    patches: Vec<(u8, u16, u8)>,
    cut: Option<(u8, u16)>,
}

struct Honest {
    files: Vec<(String, Vec<u8>)>,
    plans: Vec<Plan>,
    scope: Scope,
}

fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("guardian-audit-fuzz-{}", std::process::id()))
}

/// The store of files answers before it returns.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("the store waits for something"),
    }
}

static HONEST: LazyLock<Honest> = LazyLock::new(|| {
    let (folder, scope) = (folder(), Scope::system(TenantId::new("acme").expect("an id")));
    let _ = fs::remove_dir_all(&folder);
    let store = SegmentStore::open(&folder).expect("a store");
    let mut sample = Sample::new(1);
    for sealed in [true, false] {
        let drafts = sample.drafts(40).expect("drafts");
        ready(store.append(&[Batch::new(&scope, &drafts)], Sample::start())).expect("appended");
        if sealed {
            store.seal().expect("sealed");
        }
    }
    drop(store);
    let files = fs::read_dir(&folder).expect("a folder").map(|entry| {
        let entry = entry.expect("an entry");
        (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).expect("a file"))
    });
    let files = files.filter(|(name, _)| name != "lock").collect();
    let plans = ["", "renewal", "\"annual renewal\"", "ren*", "-country:US", "occurred:2025-01-02", "ip:10.0.0.0/8"];
    let plans = plans.map(|text| Plan::compile(&text.parse().expect("a query"), &|_, _| None)).into();
    Honest { files, plans, scope }
});

fuzz_target!(|input: Input| {
    let Honest { files, plans, scope } = &*HONEST;
    let folder = folder();
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    for (index, (name, bytes)) in files.iter().enumerate() {
        let mut bytes = bytes.clone();
        for (file, at, value) in &input.patches {
            if usize::from(*file) % files.len() == index && !bytes.is_empty() {
                let at = usize::from(*at) % bytes.len();
                bytes[at] = *value;
            }
        }
        if let Some((file, length)) = input.cut
            && usize::from(file) % files.len() == index
        {
            bytes.truncate(usize::from(length));
        }
        fs::write(folder.join(name), bytes).expect("a file");
    }
    let Ok(store) = SegmentStore::open(&folder) else { return };
    for plan in plans {
        let _ = ready(store.search(scope, plan, None, 20));
        let _ = ready(store.count(scope, plan, None));
    }
    let _ = ready(store.records(scope, 0, 100));
    let _ = ready(store.facets(scope, &Plan::All, Dimension::Actor, 5));
    let _ = store.seal();
    while store.maintain().is_ok_and(|step| step != guardian_audit::store::Maintenance::Idle) {}
});
