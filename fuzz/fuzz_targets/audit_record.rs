//! The canonical bytes of an event: what is read is exactly what would be written.
#![no_main]

use guardian_audit::canonical;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(event) = canonical::decode(bytes) {
        assert_eq!(canonical::encode(&event).expect("an event that was read"), bytes);
    }
    if let Ok((event, risk, sealed)) = canonical::decode_body(bytes) {
        assert_eq!(canonical::encode_body(&event, &risk, &sealed).expect("a body that was read"), bytes);
    }
});
