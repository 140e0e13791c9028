//! The PROXY protocol, as proxies write it and as attackers do.

use guardian_ipaccess::{Parsed, ProxyError, ProxyHeader};
use proptest::prelude::*;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn block(version: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[version, family], &length, body].concat()
}

fn client(bytes: &[u8]) -> Option<String> {
    match ProxyHeader::parse(bytes).unwrap() {
        Parsed::Whole { header, .. } => header.client().map(|client| client.to_string()),
        Parsed::Partial => panic!("cut off"),
    }
}

#[test]
fn the_lines_of_the_text_are_read() {
    assert_eq!(
        client(b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n").unwrap(),
        "255.255.255.255:65535"
    );
    assert_eq!(client(b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\nGET").unwrap(), "[2001:db8::1]:1");
    assert_eq!(client(b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n").unwrap(), "192.0.2.7:1");
    assert_eq!(client(b"PROXY UNKNOWN\r\n"), None);
    assert_eq!(client(b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"), None);
}

#[test]
fn lines_that_break_the_rules_are_refused() {
    let wrong = [
        "PROXY TCP4 192.0.2.1 2001:db8::1 1 2\r\n",
        "PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
        "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
        "PROXY TCP4\t192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
        "PROXY \r\n",
    ];
    for line in wrong {
        assert!(matches!(ProxyHeader::parse(line.as_bytes()), Err(ProxyError::Line { .. })), "{line:?}");
    }
    assert_eq!(ProxyHeader::parse(b"GET / HTTP/1.1\r\n"), Err(ProxyError::NotAHeader));
    let endless = [b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat();
    assert_eq!(ProxyHeader::parse(&endless), Err(ProxyError::TooLong { max: 107 }));
    // A lone line feed ends no line.
    assert_eq!(ProxyHeader::parse(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n"), Ok(Parsed::Partial));
}

#[test]
fn blocks_are_read_and_their_length_is_what_they_say() {
    let v4 = [192, 0, 2, 7, 198, 51, 100, 1, 0xc8, 0x22, 0x01, 0xbb];
    let mut bytes = block(0x21, 0x11, &v4);
    let len = bytes.len();
    bytes.extend(b"\x16\x03\x01");
    assert_eq!(client(&bytes).unwrap(), "192.0.2.7:51234");
    assert!(matches!(ProxyHeader::parse(&bytes), Ok(Parsed::Whole { len: read, .. }) if read == len));
    // A health check speaks for itself, whatever the addresses say.
    assert_eq!(client(&block(0x20, 0x11, &v4)), None);
    assert_eq!(client(&block(0x20, 0x00, &[])), None);
    assert_eq!(client(&block(0x21, 0x31, &[0; 216])), None);
    // An authority (type 2) behind the addresses.
    let named = [&v4[..], &[2, 0, 3], b"abc"].concat();
    assert_eq!(client(&block(0x21, 0x11, &named)).unwrap(), "192.0.2.7:51234");
}

#[test]
fn blocks_that_break_the_rules_are_refused() {
    let v4 = [192, 0, 2, 7, 198, 51, 100, 1, 0xc8, 0x22, 0x01, 0xbb];
    let wrong = [
        block(0x11, 0x11, &v4),
        block(0x22, 0x11, &v4),
        block(0x21, 0x11, &v4[..11]),
        block(0x21, 0x21, &v4),
        block(0x21, 0x41, &v4),
        block(0x21, 0x31, &[0; 215]),
        block(0x21, 0x11, &[&v4[..], &[2, 0, 9, 1]].concat()),
        block(0x21, 0x11, &[&v4[..], &[2]].concat()),
        block(0x21, 0x11, &[&v4[..], &[3, 0, 4, 0, 0, 0, 0]].concat()),
        block(0x21, 0x11, &[&v4[..], &[3, 0, 3, 0, 0, 0]].concat()),
    ];
    for bytes in wrong {
        assert!(matches!(ProxyHeader::parse(&bytes), Err(ProxyError::Block { .. })), "{bytes:02x?}");
    }
    let long = block(0x21, 0x11, &[0; 5000]);
    assert_eq!(ProxyHeader::parse(&long), Err(ProxyError::TooLong { max: ProxyHeader::MAX_BYTES }));
    assert_eq!(ProxyHeader::parse(&long[..20]), Err(ProxyError::TooLong { max: ProxyHeader::MAX_BYTES }));
}

proptest! {
    #[test]
    fn every_beginning_of_a_header_asks_for_more(port in 1_u16.., cut in 0_usize..60) {
        let line = format!("PROXY TCP4 192.0.2.1 198.51.100.2 {port} 443\r\n").into_bytes();
        let short = &line[..cut.min(line.len() - 1)];
        prop_assert_eq!(ProxyHeader::parse(short), Ok(Parsed::Partial));
        let v6: Vec<u8> = (0..36).collect();
        let bytes = block(0x21, 0x21, &v6);
        prop_assert_eq!(ProxyHeader::parse(&bytes[..cut.min(bytes.len() - 1)]), Ok(Parsed::Partial));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300), version in any::<bool>()) {
        let head: &[u8] = if version { SIGNATURE } else { b"PROXY " };
        let bytes = [head, &bytes].concat();
        if let Ok(Parsed::Whole { len, .. }) = ProxyHeader::parse(&bytes) {
            prop_assert!(len <= bytes.len());
        }
    }
}
