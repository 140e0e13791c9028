//! The lines of a forwarding header field: no line makes the search fail, and the client is the peer or an address
//! that stands in a line.
#![no_main]

use std::net::{IpAddr, Ipv6Addr};

use arbitrary::Arbitrary;
use guardian_http::{AddrSource, ClientAddr, ForwardHeader, TrustedProxies, WalkEnd};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    peer: [u8; 16],
    mapped: bool,
    forwarded: bool,
    trust: Trust,
    lines: Vec<Vec<Piece>>,
}

/// What lines are made of, as bytes alone would hardly ever spell an address.
#[derive(Arbitrary, Debug)]
enum Piece {
    V4([u8; 4]),
    V6([u8; 16]),
    For,
    Proto,
    Quote,
    Open,
    Close,
    Port(u16),
    Comma,
    Semicolon,
    Backslash,
    Space,
    Unknown,
    Raw(Vec<u8>),
}

impl Piece {
    fn write(&self, line: &mut Vec<u8>) {
        match self {
            Self::V4(bytes) => line.extend(IpAddr::from(*bytes).to_string().bytes()),
            Self::V6(bytes) => line.extend(IpAddr::from(*bytes).to_string().bytes()),
            Self::Port(port) => line.extend(format!(":{port}").bytes()),
            Self::For => line.extend(b"for="),
            Self::Proto => line.extend(b"proto=https"),
            Self::Quote => line.push(b'"'),
            Self::Open => line.push(b'['),
            Self::Close => line.push(b']'),
            Self::Comma => line.push(b','),
            Self::Semicolon => line.push(b';'),
            Self::Backslash => line.push(b'\\'),
            Self::Space => line.push(b' '),
            Self::Unknown => line.extend(b"unknown"),
            Self::Raw(bytes) => line.extend(bytes),
        }
    }
}

#[derive(Arbitrary, Debug)]
enum Trust {
    Nobody,
    Loopback,
    Private,
    Everybody,
    Hops(u8),
}

fuzz_target!(|input: Input| {
    let [a, b, c, d, ..] = input.peer;
    let peer = match input.mapped {
        true => IpAddr::from([a, b, c, d]),
        false => IpAddr::V6(Ipv6Addr::from(input.peer)),
    };
    let header = match input.forwarded {
        true => ForwardHeader::Forwarded,
        false => ForwardHeader::XForwardedFor,
    };
    let proxies = match input.trust {
        Trust::Nobody => TrustedProxies::none(),
        Trust::Loopback => TrustedProxies::loopback(header),
        Trust::Private => TrustedProxies::private(header),
        Trust::Everybody => TrustedProxies::parse(header, ["0.0.0.0/0", "::/0"]).expect("networks"),
        Trust::Hops(count) => TrustedProxies::hops(header, count),
    };
    let lines: Vec<Vec<u8>> = input
        .lines
        .iter()
        .map(|pieces| {
            let mut line = Vec::new();
            pieces.iter().for_each(|piece| piece.write(&mut line));
            line
        })
        .collect();
    let lines = || lines.iter().map(Vec::as_slice);
    let client = ClientAddr::resolve_lines(peer, lines(), &proxies);
    assert_eq!(client.addr(), client.addr().to_canonical());
    match client.source() {
        AddrSource::Peer => assert_eq!(client.addr(), peer.to_canonical()),
        _ => assert!(stands_in(client.addr(), lines()), "{client:?}"),
    }
    if matches!(client.end(), WalkEnd::PeerIsClient) {
        assert_eq!(client.source(), AddrSource::Peer);
    }
});

/// Whether some piece of a line spells the address. Pieces are what is between characters that no address has, and
/// what is left of them without a port.
fn stands_in<'a>(address: IpAddr, lines: impl Iterator<Item = &'a [u8]>) -> bool {
    // A quoted field may escape any character, which is still the same text.
    let texts = lines.map(|line| String::from_utf8_lossy(line).replace('\\', ""));
    let spells = |piece: &str| {
        let without_port = piece.rsplit_once(':').map_or(piece, |(host, _)| host);
        [piece, without_port].into_iter().any(|text| {
            text.parse::<IpAddr>()
                .is_ok_and(|ip| ip.to_canonical() == address)
        })
    };
    texts.into_iter().any(|text| {
        text.split(|c: char| !(c.is_ascii_hexdigit() || c == '.' || c == ':'))
            .any(spells)
            || text
                .split(|c: char| !(c.is_ascii_hexdigit() || c == '.'))
                .any(spells)
    })
}
