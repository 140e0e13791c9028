//! A line of an access log: an entry writes a line that reads back as the same entry.
#![no_main]

use guardian_examples::access_log::{Entry, Lines};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Entry::parse(bytes) {
        Ok(entry) => {
            let line = entry.to_string();
            assert_eq!(Entry::parse(line.as_bytes()).as_ref(), Ok(&entry));
            let _ = (entry.path(), entry.agent());
        }
        Err(error) => assert!(error.to_string().chars().count() < 2000),
    }
    // The same bytes as a log, which may be gzip.
    if let Ok(mut lines) = Lines::of("fuzz", std::io::Cursor::new(bytes.to_vec())) {
        for _ in 0..1000 {
            let Ok(Some((_, line))) = lines.next_line() else {
                break;
            };
            let _ = Entry::parse(line);
        }
    }
});
