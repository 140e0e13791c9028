//! Laws of the walk, for arbitrary chains and arbitrary bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use guardian_http::{AddrSource, ClientAddr, ForwardHeader, TrustedProxies, WalkEnd};
use proptest::prelude::*;

use ForwardHeader::{Forwarded, XForwardedFor};

/// An address that is not trusted, an address that is.
fn outsider() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 2]>().prop_map(|[c, d]| Ipv4Addr::new(203, 0, c, d).into()),
        any::<u64>().prop_map(|n| Ipv6Addr::from((0x2001_0db8_0007 << 80) | u128::from(n)).into()),
    ]
}

fn proxy() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 2]>().prop_map(|[c, d]| Ipv4Addr::new(10, 0, c, d).into()),
        any::<u64>().prop_map(|n| Ipv6Addr::from((0x2001_0db8_00ff << 80) | u128::from(n)).into()),
    ]
}

fn by_net(header: ForwardHeader) -> TrustedProxies {
    TrustedProxies::parse(header, ["10.0.0.0/8", "2001:db8:ff::/48"]).unwrap()
}

/// How a proxy may spell an address, chosen by `style`.
fn spell(header: ForwardHeader, address: IpAddr, style: u8) -> String {
    match (header, address, style % 4) {
        (XForwardedFor, IpAddr::V4(v4), 0) => format!("{v4}:{style}"),
        (XForwardedFor, IpAddr::V4(v4), 1) => format!("::ffff:{v4}"),
        (XForwardedFor, IpAddr::V4(v4), _) => v4.to_string(),
        (XForwardedFor, IpAddr::V6(v6), 0) => format!("[{v6}]:{style}"),
        (XForwardedFor, IpAddr::V6(v6), 1) => format!("[{v6}]"),
        (XForwardedFor, IpAddr::V6(v6), _) => v6.to_string(),
        (_, IpAddr::V4(v4), 0) => format!("proto=https;for=\"{v4}:_{style}\""),
        (_, IpAddr::V4(v4), 1) => format!("FOR={v4};host=\"a,\\\"b;for=6.6.6.6\""),
        (_, IpAddr::V4(v4), _) => format!("for={v4}"),
        (_, IpAddr::V6(v6), 0) => format!("by=_me;for=\"[{v6}]:{style}\""),
        (_, IpAddr::V6(v6), 1) => format!("for=\"\\[{v6}\\]\";by=\"\\\\\""),
        (_, IpAddr::V6(v6), _) => format!("for=\"[{v6}]\""),
    }
}

fn header() -> impl Strategy<Value = ForwardHeader> {
    prop_oneof![Just(Forwarded), Just(XForwardedFor)]
}

/// Bytes in which the delicate ones are frequent.
fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
    let delicate = prop::sample::select(b"\",;=\\ \t:[]()%_.0123456789abcdeffor".to_vec());
    let fragment = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..8),
        prop::collection::vec(delicate, 0..16),
        prop::sample::select(vec![
            &b"for=6.6.6.6"[..],
            b"for=\"",
            b"for=\"[2001:db8:666::1]\"",
            b"6.6.6.6",
            b", ",
            b"\\\"",
            b"=\"",
            b";for=",
        ])
        .prop_map(<[u8]>::to_vec),
    ];
    prop::collection::vec(fragment, 0..12).prop_map(|parts| parts.concat())
}

/// The client as the first proxy saw it, and the proxies that appended to the chain, nearest last.
type Path = (IpAddr, Vec<(IpAddr, u8, bool)>, u8);

fn path() -> impl Strategy<Value = Path> {
    (outsider(), prop::collection::vec((proxy(), any::<u8>(), any::<bool>()), 0..6), any::<u8>())
}

/// What the service receives when the client sent `lines`: every proxy appends what it saw, to the last line or
/// in a line of its own. Gives the lines and how many proxies there were, the peer among them.
fn send(
    header: ForwardHeader,
    mut lines: Vec<Vec<u8>>,
    (client, proxies, style): &Path,
    own_line: bool,
) -> (Vec<Vec<u8>>, u8) {
    let mut append = |text: String, own_line: bool| match lines.last_mut() {
        Some(line) if !own_line => {
            line.extend_from_slice(b", ");
            line.extend_from_slice(text.as_bytes());
        }
        _ => lines.push(text.into_bytes()),
    };
    append(spell(header, *client, *style), own_line);
    for (address, style, own_line) in proxies {
        append(spell(header, *address, *style), *own_line);
    }
    (lines, u8::try_from(proxies.len() + 1).unwrap())
}

fn resolve(peer: IpAddr, lines: &[Vec<u8>], proxies: &TrustedProxies) -> ClientAddr {
    ClientAddr::resolve_lines(peer, lines.iter().map(Vec::as_slice), proxies)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// Whatever the client sends, the answer is what it would be had the client sent nothing.
    #[test]
    fn the_client_has_no_say(
        header in header(), path in path(), peer in proxy(), own_line in any::<bool>(),
        sent in prop::collection::vec(hostile_bytes(), 0..4),
    ) {
        let (lines, count) = send(header, sent, &path, own_line);
        let (honest, _) = send(header, Vec::new(), &path, own_line);
        for proxies in [by_net(header), TrustedProxies::hops(header, count)] {
            let found = resolve(peer, &lines, &proxies);
            prop_assert_eq!(found.addr(), path.0);
            prop_assert_eq!(found.source(), AddrSource::Header(header));
            prop_assert_eq!(found.end(), WalkEnd::Found);
            prop_assert_eq!(found, resolve(peer, &honest, &proxies));
        }
    }

    /// A client without a proxy is itself, whatever it sends.
    #[test]
    fn a_direct_client_is_the_peer(
        header in header(), peer in outsider(), sent in prop::collection::vec(hostile_bytes(), 0..4),
    ) {
        let found = resolve(peer, &sent, &by_net(header));
        prop_assert_eq!((found.addr(), found.end()), (peer, WalkEnd::PeerIsClient));
        prop_assert_eq!(resolve(peer, &sent, &TrustedProxies::none()).addr(), peer);
    }

    /// Arbitrary bytes from a trusted peer neither panic nor give an answer that is out of place: everything
    /// passed over was trusted.
    #[test]
    fn arbitrary_bytes_are_survived(
        header in header(), peer in proxy(), count in any::<u8>(),
        lines in prop::collection::vec(hostile_bytes(), 0..6),
    ) {
        let found = resolve(peer, &lines, &by_net(header));
        match found.end() {
            WalkEnd::Found => prop_assert!(!by_net(header).trusts(found.addr())),
            WalkEnd::AllTrusted | WalkEnd::Stopped(_) => prop_assert!(by_net(header).trusts(found.addr())),
            end => prop_assert!(false, "{end:?}"),
        }
        let _ = resolve(peer, &lines, &TrustedProxies::hops(header, count));
    }

    /// Every element of a chain is read as it was meant.
    #[test]
    fn chains_are_read_back(
        header in header(), path in path(), peer in outsider(), own_line in any::<bool>(),
    ) {
        let (lines, count) = send(header, Vec::new(), &path, own_line);
        let chain: Vec<IpAddr> = std::iter::once(path.0).chain(path.1.iter().map(|proxy| proxy.0)).collect();
        for (hops, address) in (1..=count).zip(chain.iter().rev()) {
            let found = resolve(peer, &lines, &TrustedProxies::hops(header, hops));
            prop_assert_eq!((found.addr(), found.end()), (*address, WalkEnd::Found));
        }
        let beyond = resolve(peer, &lines, &TrustedProxies::hops(header, count + 1));
        prop_assert_eq!(Some(&beyond.addr()), chain.last());
        prop_assert_eq!(beyond.end(), WalkEnd::TooShort);
    }
}
