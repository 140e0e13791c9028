//! Tenant ids and cursors: what parses keeps its spelling, and bytes survive as a cursor.
#![no_main]

use guardian_core::{Cursor, TenantId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        match TenantId::new(text) {
            Ok(id) => {
                assert_eq!(id.as_str(), text);
                assert_eq!(id.to_string().parse().as_ref(), Ok(&id));
                assert!((1..=TenantId::MAX_LEN).contains(&text.len()) && text.is_ascii());
                assert_eq!(TenantId::new(text).map(|again| again.digest()), Ok(id.digest()));
            }
            Err(error) => assert!(error.to_string().chars().count() < 2000),
        }
        match text.parse::<Cursor>() {
            Ok(cursor) => assert_eq!(cursor.to_string(), text),
            Err(error) => assert!(error.to_string().chars().count() < 2000),
        }
    }
    if bytes.len() <= Cursor::MAX_LEN {
        let cursor = Cursor::from_bytes(bytes);
        let again: Cursor = cursor.to_string().parse().expect("a cursor reads back");
        assert_eq!(again.as_bytes(), bytes);
    }
});
