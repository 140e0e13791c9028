//! Laws of the vocabulary.

use std::collections::HashSet;
use std::time::Duration;

use guardian_core::{Clock, Cursor, IdSource, ManualClock, SeededIds, SystemIds, TenantId};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_tenant_id_that_parses_has_only_safe_characters(text in "\\PC{0,70}") {
        match TenantId::new(&text) {
            Ok(id) => prop_assert!(
                !id.as_str().is_empty()
                    && id.as_str().len() <= TenantId::MAX_LEN
                    && id.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b))
            ),
            Err(error) => prop_assert!(error.to_string().starts_with("invalid tenant id `")),
        }
    }

    #[test]
    fn a_cursor_survives_its_text(bytes in proptest::collection::vec(any::<u8>(), 0..Cursor::MAX_LEN)) {
        let cursor = Cursor::from_bytes(&bytes);
        prop_assert_eq!(&cursor.to_string().parse::<Cursor>().unwrap(), &cursor);
        prop_assert_eq!(cursor.as_bytes(), &bytes[..]);
    }

    #[test]
    fn a_cursor_has_one_spelling(text in "[0-9a-fA-F]{0,20}|\\PC{0,10}") {
        if let Ok(cursor) = text.parse::<Cursor>() {
            prop_assert_eq!(cursor.to_string(), text);
        }
    }
}

#[test]
fn ids_are_unique_and_ordered_even_when_the_clock_goes_back() {
    let clock = ManualClock::new();
    let earlier = clock.now();
    clock.advance(Duration::from_secs(5));
    let later = clock.now();
    for ids in [&SystemIds::new() as &dyn IdSource, &SeededIds::new(3)] {
        // More than one millisecond's counter holds, so that the borrowing is exercised.
        let made: Vec<_> =
            (0..20_000).map(|i| ids.next_id(if i % 3 == 0 { earlier } else { later })).collect();
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(made.iter().collect::<HashSet<_>>().len(), made.len());
    }
}

#[test]
fn deserialising_checks_what_parsing_checks() {
    assert!(serde_json::from_str::<TenantId>("\"acme\"").is_ok());
    let error = serde_json::from_str::<TenantId>("\"a{b}\"").unwrap_err();
    assert!(error.to_string().contains("invalid tenant id `a{b}`"), "{error}");
}

#[test]
fn a_hostile_id_is_shown_shortened_and_escaped() {
    let error = TenantId::new(format!("\u{1b}[2J{}", "x".repeat(10_000))).unwrap_err().to_string();
    assert!(error.len() < 300 && !error.contains('\u{1b}'), "{error}");
}
