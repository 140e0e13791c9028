//! PROXY headers: any bytes are read or refused, and a header that was read does not change by what follows it.
#![no_main]

use guardian_ipaccess::{Parsed, ProxyHeader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (version, rest) = input;
    let head: &[u8] = match version % 3 {
        0 => b"PROXY TCP4 ",
        1 => b"\r\n\r\n\0\r\nQUIT\n\x21",
        _ => b"",
    };
    let bytes = [head, rest].concat();
    if let Ok(Parsed::Whole { header, len }) = ProxyHeader::parse(&bytes) {
        assert!(len <= bytes.len());
        assert_eq!(ProxyHeader::parse(&bytes[..len]), Ok(Parsed::Whole { header, len }));
    }
});
