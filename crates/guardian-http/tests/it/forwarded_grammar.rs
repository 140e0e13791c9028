//! `Forwarded` read forwards, by the grammar of RFC 7239 sections 4 and 6, against the crate's reading backwards.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use guardian_http::{ClientAddr, ForwardHeader, StopReason, TrustedProxies, WalkEnd};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// The elements of a line from left to right: for each the address of its `for`, or none. `None` when any part of
/// the line breaks the grammar.
fn read_forwards(line: &[u8]) -> Option<Vec<Option<IpAddr>>> {
    let mut rest = line;
    let mut elements = Vec::new();
    loop {
        let (mut seen, mut address) = (false, None);
        loop {
            rest = trim(rest);
            if !matches!(rest.first(), None | Some(b',' | b';')) {
                let name = take_token(&mut rest)?;
                rest = rest.strip_prefix(b"=")?;
                let value = match rest.first() {
                    Some(b'"') => take_quoted(&mut rest)?,
                    _ => take_token(&mut rest)?,
                };
                if name.eq_ignore_ascii_case(b"for") {
                    if seen {
                        return None;
                    }
                    (seen, address) = (true, node(&value));
                }
                rest = trim(rest);
            }
            match rest.split_first() {
                Some((b';', after)) => rest = after,
                Some((b',', after)) => {
                    rest = after;
                    elements.push(address);
                    break;
                }
                Some(_) => return None,
                None => {
                    elements.push(address);
                    return Some(elements);
                }
            }
        }
    }
}

fn trim(mut rest: &[u8]) -> &[u8] {
    while let Some((b' ' | b'\t', after)) = rest.split_first() {
        rest = after;
    }
    rest
}

fn take_token(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let delimiters = b"\"(),/:;<=>?@[\\]{}";
    let is_token = |byte: &u8| byte.is_ascii_graphic() && !delimiters.contains(byte);
    let token: Vec<u8> = rest.iter().copied().take_while(is_token).collect();
    *rest = rest.split_at(token.len()).1;
    (!token.is_empty()).then_some(token)
}

fn take_quoted(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let mut bytes = rest.iter().copied().enumerate().skip(1);
    let (mut raw, mut meant) = (Vec::new(), Vec::new());
    loop {
        let (at, byte) = bytes.next()?;
        match byte {
            b'"' => {
                *rest = rest.split_at(at + 1).1;
                std::str::from_utf8(&raw).ok()?;
                return Some(meant);
            }
            b'\\' => {
                let (_, escaped) = bytes.next()?;
                if escaped != b'\t' && escaped < b' ' || escaped == 0x7f {
                    return None;
                }
                raw.extend([byte, escaped]);
                meant.push(escaped);
            }
            b'\t' | b' '..=b'~' | 0x80.. => {
                raw.push(byte);
                meant.push(byte);
            }
            _ => return None,
        }
    }
}

fn node(value: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(value).ok()?;
    let (name, port) = match (text.strip_prefix('['), text.rsplit_once(':')) {
        (Some(_), _) => text.split_at_checked(text.find(']')? + 1)?,
        (None, Some((name, _))) => text.split_at_checked(name.len())?,
        (None, None) => (text, ""),
    };
    let word = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    let port_ok = match port.split_at_checked(1) {
        None => port.is_empty(),
        Some((":", digits)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.len() <= 5 && digits.parse::<u32>().is_ok_and(|port| port <= 65_535)
        }
        Some((":", hidden)) => hidden.starts_with('_') && hidden.len() > 1 && word(hidden),
        Some(_) => false,
    };
    let address = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(v6) => v6.parse::<Ipv6Addr>().ok()?.into(),
        None => name.parse::<Ipv4Addr>().ok()?.into(),
    };
    port_ok.then_some(IpAddr::to_canonical(&address))
}

/// Fragments that are nearly a field, so that many of the lines are one.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let fragments: Vec<&[u8]> = vec![
        b"for=",
        b"For=",
        b"by=",
        b"x=",
        b"10.0.0.1",
        b"203.0.113.7",
        b"\"",
        b"\"203.0.113.7\"",
        b"\"[2001:db8::1]\"",
        b"\"[2001:db8::1]:80\"",
        b"\"[::ffff:1.2.3.4]:_p\"",
        b"\"1.2.3.4:99999\"",
        b",",
        b", ",
        b" ,\t",
        b";",
        b"; ",
        b"\\",
        b"\\\"",
        b"\"a,b;for=6.6.6.6\"",
        b"\"\\\"\"",
        b"\"\\\\\"",
        b"\"\xc3\xa9\"",
        b"\"\xc3\"",
        b"_hidden",
        b"unknown",
        b"=",
        b" ",
        b"\t",
        b"\"\\1.2.3.4\"",
        b"\x01",
        b"\x7f",
        b"(",
        b"for=1.2.3.4",
        b"for=10.0.0.1, ",
    ];
    let addresses: Vec<&[u8]> =
        vec![b"10.0.0.1", b"\"203.0.113.7:80\"", b"\"[2001:db8::1]\"", b"\"[::ffff:1.2.3.4]:_p\""];
    let value =
        prop_oneof![3 => prop::sample::select(addresses), 1 => prop::sample::select(fragments.clone())];
    let names: Vec<&[u8]> = vec![b"for=", b"FOR=", b"for=", b"by="];
    let after: Vec<&[u8]> = vec![b",", b", ", b"\t,", b";by=_x, ", b";"];
    let pair = (prop::sample::select(names), value, prop::sample::select(after))
        .prop_map(|(name, value, after)| [name, value, after].concat());
    let loose = prop::sample::select(fragments).prop_map(<[u8]>::to_vec);
    // The last pair has no separator after it, so that the line does not end in an empty element.
    (prop::collection::vec(prop_oneof![9 => pair, 1 => loose], 0..5), prop::bool::weighted(0.8)).prop_map(
        |(mut parts, ended)| {
            if ended {
                parts.push(b"for=203.0.113.7".to_vec());
            }
            parts.concat()
        },
    )
}

#[test]
fn both_directions_agree() {
    let everybody = TrustedProxies::parse(ForwardHeader::Forwarded, ["0.0.0.0/0", "::/0"]).unwrap();
    let peer: IpAddr = [192, 0, 2, 1].into();
    let (valid, whole) = (Cell::new(0), Cell::new(0));
    let cases = 20_000;
    let mut runner =
        TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) });
    runner
        .run(&line(), |line| {
            let found = ClientAddr::resolve_lines(peer, [line.as_slice()], &everybody);
            let forwards = read_forwards(&line);
            if let Some(elements) = &forwards {
                valid.set(valid.get() + 1);
                // From the right, every address up to the first element without one.
                let known: Vec<_> = elements.iter().rev().map_while(|address| *address).collect();
                let end = if known.len() == elements.len() {
                    WalkEnd::AllTrusted
                } else {
                    WalkEnd::Stopped(StopReason::NotAnAddress)
                };
                prop_assert_eq!((found.addr(), found.end()), (*known.last().unwrap_or(&peer), end));
            }
            if found.end() == WalkEnd::AllTrusted {
                whole.set(whole.get() + 1);
                prop_assert!(forwards.is_some(), "read backwards only");
            }
            Ok(())
        })
        .unwrap();
    // The comparison is worth something only if the lines are valid often enough, and broken often enough.
    assert!(valid.get() > cases / 10 && valid.get() < cases * 9 / 10, "{} of {cases} valid", valid.get());
    assert!(whole.get() > cases / 10, "{} of {cases} read to the end", whole.get());
}
