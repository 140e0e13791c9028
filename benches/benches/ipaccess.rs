//! Rules about addresses beside the trees and lists that people use for them.
//!
//! - `lookup_100k_v4` and `_v6`: a hundred thousand random networks, of whose addresses half of the questions are, each of half a million
//!   once a turn; the peer is the tree of `prefix-trie`, asked for the longest match. Ours answers with the effect and the rule, the peer
//!   with a number.
//! - `ten_rules`: ten networks, as most tenants have; the peer is a list of `ipnet`, sorted by prefix and read to the first match.
//! - `country_decision`: from an address to its country and the rule about it, on a MaxMind City database whose path is in
//!   `GUARDIAN_MAXMIND_CITY`; the peer reads the whole record, as its documentation shows. Without the path it is left out.
//! - `rebuild`: a hundred thousand rules are changed for others ten times while two threads look up. The slowest look-up is told
//!   of those in which nobody took the thread off its processor, for there are more threads than processors.
//!
//! In the others both take turns of some milliseconds and go first by turns. `median_of_turns` is the median of the ratios of neighbouring turns. Before
//! that, both are asked everything once and have to say the same.
#![expect(
    clippy::expect_used,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark that cannot run stops, and reports on standard output"
)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};

use guardian_core::{Actor, Clock, Scope, SystemClock, TenantId, Timestamp};
use guardian_ipaccess::{
    AccessPolicy, AccessRequest, CompiledPolicy, Confirm, DatabaseKind, Defaults, Door, Effect, IpAccess,
    MaxMind, MemoryStore, Rule, RuleId, Target,
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;

const RULES: usize = 100_000;
const QUESTIONS: usize = 16_384;
/// Of a hundred thousand rules: so many that nearly each is asked about, as clients are more than rules.
const QUESTIONS_OF_MANY: usize = 1 << 19;
const TURNS: usize = 301;

fn main() {
    // Only a build is asked for.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    for (case, peer, bar) in [
        ("lookup_100k_v4", "prefix_trie", "0.20"),
        ("lookup_100k_v6", "prefix_trie", "0.35"),
        ("ten_rules", "ipnet_list", "0.40"),
        ("country_decision", "maxminddb_city", "0.25"),
    ] {
        println!("bar ipaccess/{case} vs {peer} {bar}");
    }
    let mut random = Random::new();
    v4(&mut random);
    v6(&mut random);
    ten(&mut random);
    rebuild(&mut random);
    if let Some(path) = std::env::var_os("GUARDIAN_MAXMIND_CITY") {
        country(&std::fs::read(path).expect("a readable database"));
    }
}

fn v4(random: &mut Random) {
    let nets: Vec<Ipv4Net> = (0..RULES)
        .map(|_| Ipv4Net::new(random.v4(), 16 + random.below(17)).expect("a prefix of at most 32").trunc())
        .collect();
    let compiled = compiled(nets.iter().copied().map(IpNet::V4));
    let tree: PrefixMap<Ipv4Net, RuleId> = first_of(&compiled, &nets, IpNet::V4);
    let asked: Vec<Ipv4Addr> = (0..QUESTIONS_OF_MANY)
        .map(|place| {
            let net = nets[random.place(RULES)];
            if place % 2 == 0 { random.v4() } else { within_v4(random, net) }
        })
        .collect();
    let host = |addr: &Ipv4Addr| Ipv4Net::new(*addr, 32).expect("32 is a prefix");
    compare(
        "lookup_100k_v4",
        "prefix_trie",
        &asked,
        |addr| compiled.decide(&AccessRequest::new((*addr).into(), NOW)).rule(),
        |addr| tree.get_lpm(&host(addr)).map(|(_, id)| *id),
    );
    println!("measure ipaccess/lookup_100k_v4 bytes_a_rule {:.1} B", per_rule(&compiled));
}

fn v6(random: &mut Random) {
    let nets: Vec<Ipv6Net> = (0..RULES)
        .map(|_| Ipv6Net::new(random.v6(), 32 + random.below(97)).expect("a prefix of at most 128").trunc())
        .collect();
    let compiled = compiled(nets.iter().copied().map(IpNet::V6));
    let tree: PrefixMap<Ipv6Net, RuleId> = first_of(&compiled, &nets, IpNet::V6);
    let asked: Vec<Ipv6Addr> = (0..QUESTIONS_OF_MANY)
        .map(|place| {
            let net = nets[random.place(RULES)];
            if place % 2 == 0 { random.v6() } else { within_v6(random, net) }
        })
        .collect();
    let host = |addr: &Ipv6Addr| Ipv6Net::new(*addr, 128).expect("128 is a prefix");
    compare(
        "lookup_100k_v6",
        "prefix_trie",
        &asked,
        |addr| compiled.decide(&AccessRequest::new((*addr).into(), NOW)).rule(),
        |addr| tree.get_lpm(&host(addr)).map(|(_, id)| *id),
    );
    println!("measure ipaccess/lookup_100k_v6 bytes_a_rule {:.1} B", per_rule(&compiled));
}

fn ten(random: &mut Random) {
    let mut nets: Vec<Ipv4Net> = (0..10)
        .map(|_| Ipv4Net::new(random.v4(), 8 + random.below(17)).expect("a prefix of at most 32").trunc())
        .collect();
    nets.dedup();
    let compiled = compiled(nets.iter().copied().map(IpNet::V4));
    let mut list: Vec<(IpNet, RuleId)> =
        compiled.policy().rules().iter().zip(&nets).map(|(rule, net)| (IpNet::V4(*net), rule.id)).collect();
    list.sort_by_key(|(net, id)| (std::cmp::Reverse(net.prefix_len()), *id));
    let asked: Vec<IpAddr> = (0..QUESTIONS)
        .map(|place| {
            let net = nets[random.place(nets.len())];
            if place % 2 == 0 { random.v4() } else { within_v4(random, net) }.into()
        })
        .collect();
    compare(
        "ten_rules",
        "ipnet_list",
        &asked,
        |addr| compiled.decide(&AccessRequest::new(*addr, NOW)).rule(),
        |addr| list.iter().find(|(net, _)| net.contains(addr)).map(|(_, id)| *id),
    );
}

/// No look-up waits for a policy that is being made ready, swapped or freed.
fn rebuild(random: &mut Random) {
    const CHANGES: usize = 10;
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let access = IpAccess::new(MemoryStore::new());
    let tenant = TenantId::new("acme").expect("a tenant");
    let scope = Scope::new(tenant, Actor::user("ann").expect("an actor"));
    let door = runtime.block_on(access.door(&scope)).expect("a door");
    let policies: Vec<AccessPolicy> = (0..CHANGES)
        .map(|_| {
            let nets = (0..RULES).map(|_| IpNet::from(IpAddr::V4(random.v4())));
            compiled(nets.collect::<Vec<_>>().into_iter()).policy().clone()
        })
        .collect();
    let asked: Vec<IpAddr> = (0..QUESTIONS).map(|_| random.v4().into()).collect();
    let done = AtomicBool::new(false);
    let (slowest, asks, made) = std::thread::scope(|threads| {
        let readers: Vec<_> = (0..2).map(|_| threads.spawn(|| look_until(&done, &door, &asked))).collect();
        let clock = SystemClock::new();
        let start = clock.monotonic();
        for policy in policies {
            let author = AccessRequest::new(Ipv4Addr::LOCALHOST.into(), NOW);
            let change = access.change(&scope, &author, Confirm::Meant, |old| {
                *old = policy;
                Ok(())
            });
            runtime.block_on(change).expect("a change");
        }
        let made = clock.monotonic().since(start).as_secs_f64() * 1e3 / CHANGES as f64;
        done.store(true, Ordering::Relaxed);
        let looks = readers.into_iter().map(|reader| reader.join().expect("a reader"));
        let (slowest, asks) = looks.fold((0.0_f64, 0), |sum, look| (sum.0.max(look.0), sum.1 + look.1));
        (slowest, asks, made)
    });
    println!("measure ipaccess/rebuild slowest_lookup {slowest:.1} us");
    println!("measure ipaccess/rebuild lookups_meanwhile {asks} lookups");
    println!("measure ipaccess/rebuild change_of_100k {made:.1} ms");
}

/// The slowest of the look-ups that nobody interrupted, in microseconds, and how many look-ups there were.
fn look_until(done: &AtomicBool, door: &Door, asked: &[IpAddr]) -> (f64, u64) {
    let clock = SystemClock::new();
    let (mut slowest, mut asks, mut interrupted) = (0.0_f64, 0, interruptions());
    for addr in asked.iter().cycle() {
        if done.load(Ordering::Relaxed) {
            break;
        }
        let start = clock.monotonic();
        let _ = black_box(door.decide(&AccessRequest::new(*black_box(addr), NOW)));
        let took = clock.monotonic().since(start).as_secs_f64() * 1e6;
        asks += 1;
        if took > slowest {
            let by_now = interruptions();
            if by_now == interrupted {
                slowest = took;
            }
            interrupted = by_now;
        }
    }
    (slowest, asks)
}

/// How often this thread was taken off its processor; always 0 where the system does not tell.
fn interruptions() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let counted = status.lines().filter_map(|line| line.split_once("ctxt_switches:"));
    counted.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum()
}

fn country(bytes: &[u8]) {
    let geography = MaxMind::new();
    geography.load(DatabaseKind::Country, bytes.to_vec()).expect("a database of cities");
    let reader = maxminddb::Reader::from_source(bytes.to_vec()).expect("a database");
    let compiled = CompiledPolicy::new(
        AccessPolicy::parse("deny country US\nallow country GB\nallow country SE", Defaults::open())
            .expect("a policy"),
    );
    let known = reader.networks(maxminddb::WithinOptions::default()).expect("networks");
    let known: Vec<IpAddr> = known.filter_map(|found| Some(found.ok()?.network().ok()?.ip())).collect();
    let asked: Vec<IpAddr> = (0..QUESTIONS).map(|place| known[place % known.len()]).collect();
    compare(
        "country_decision",
        "maxminddb_city",
        &asked,
        |addr| compiled.decide_in(&AccessRequest::new(*addr, NOW), &geography).denies(),
        |addr| {
            let found = reader
                .lookup(*addr)
                .ok()
                .and_then(|found| found.decode::<maxminddb::geoip2::City<'_>>().ok()?);
            found.is_some_and(|city| city.country.iso_code == Some("US"))
        },
    );
}

fn compiled(nets: impl Iterator<Item = IpNet>) -> CompiledPolicy {
    let mut policy = AccessPolicy::new(Defaults::open());
    for net in nets {
        policy.add(Rule::new(Effect::Deny, Target::Network(net))).expect("room for a rule");
    }
    CompiledPolicy::new(policy)
}

/// The tree with the rule of each network; of equal networks the first.
fn first_of<P: prefix_trie::Prefix + Copy>(
    compiled: &CompiledPolicy,
    nets: &[P],
    _: impl Fn(P) -> IpNet,
) -> PrefixMap<P, RuleId> {
    let mut tree = PrefixMap::new();
    for (rule, net) in compiled.policy().rules().iter().zip(nets) {
        if tree.get(net).is_none() {
            tree.insert(*net, rule.id);
        }
    }
    tree
}

fn per_rule(compiled: &CompiledPolicy) -> f64 {
    compiled.index_bytes() as f64 / compiled.policy().rules().len() as f64
}

fn compare<K, A: PartialEq + std::fmt::Debug>(
    case: &str,
    peer: &str,
    asked: &[K],
    ours: impl Fn(&K) -> A,
    theirs: impl Fn(&K) -> A,
) {
    for question in asked {
        assert_eq!(ours(question), theirs(question), "{case}: not the same answer");
    }
    let clock = SystemClock::new();
    let turn = |answer: &dyn Fn()| {
        let start = clock.monotonic();
        answer();
        clock.monotonic().since(start).as_secs_f64() * 1e9 / asked.len() as f64
    };
    let our_turn = || asked.iter().for_each(|question| drop(black_box(ours(black_box(question)))));
    let their_turn = || asked.iter().for_each(|question| drop(black_box(theirs(black_box(question)))));
    let (mut own, mut other, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..TURNS {
        let (mine, yours) = if round % 2 == 0 {
            let mine = turn(&our_turn);
            (mine, turn(&their_turn))
        } else {
            let yours = turn(&their_turn);
            (turn(&our_turn), yours)
        };
        own.push(mine);
        other.push(yours);
        ratios.push(mine / yours);
    }
    println!("measure ipaccess/{case} guardian {:.1} ns", median(own));
    println!("measure ipaccess/{case} {peer} {:.1} ns", median(other));
    println!("measure ipaccess/{case} median_of_turns {:.3} ratio", median(ratios));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn within_v4(random: &mut Random, net: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(net.network()) | (u32::from(random.v4()) & u32::from(net.hostmask())))
}

fn within_v6(random: &mut Random, net: Ipv6Net) -> Ipv6Addr {
    Ipv6Addr::from(u128::from(net.network()) | (u128::from(random.v6()) & u128::from(net.hostmask())))
}

/// The same numbers in every run.
struct Random(u64);

impl Random {
    fn new() -> Self {
        Self(1)
    }

    fn next(&mut self) -> u64 {
        // xorshift64 (Marsaglia: "Xorshift RNGs", 2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn v4(&mut self) -> Ipv4Addr {
        Ipv4Addr::from((self.next() >> 32) as u32)
    }

    /// Of `2000::/3`, where addresses are given out.
    fn v6(&mut self) -> Ipv6Addr {
        let bits = u128::from(self.next()) << 64 | u128::from(self.next());
        Ipv6Addr::from(bits >> 3 | 1 << 125)
    }

    fn below(&mut self, bound: u64) -> u8 {
        u8::try_from((self.next() >> 32) % bound).unwrap_or(0)
    }

    fn place(&mut self, count: usize) -> usize {
        usize::try_from(self.next() >> 32).unwrap_or(0) % count
    }
}
