//! What an evaluation may cost, and what it is said to cost before.

use std::sync::atomic::AtomicBool;

use guardian_core::{Clock, ManualClock};

use guardian_expr::{Budget, Env, ErrorKind, Limits, Sizes};
use serde_json::json;

fn kind(source: &str, budget: Budget<'_>) -> ErrorKind {
    let program = Env::new().compile(source).unwrap();
    let event = json!({"l": (0..30).collect::<Vec<_>>(), "s": "x".repeat(1000)});
    let outcome = program.run(&event, budget);
    assert!(outcome.cost <= budget.cost + budget.cost / 100, "{source} overran to {}", outcome.cost);
    outcome.value.unwrap_err().kind()
}

const BOMB: &str = "l.all(a, l.all(b, l.all(c, l.all(d, l.all(e, true)))))";

#[test]
fn loops_end_with_the_budget() {
    assert_eq!(kind(BOMB, Budget::default()), ErrorKind::BudgetExceeded);
    assert_eq!(kind(BOMB, Budget::default().with_cost(7)), ErrorKind::BudgetExceeded);
    // A limit is not absorbed by what absorbs errors.
    assert_eq!(
        kind(
            &format!("true || {BOMB} || true").replace("true || l", "false || l"),
            Budget::default().with_cost(100)
        ),
        ErrorKind::BudgetExceeded
    );
    assert_eq!(
        kind("l.exists(x, l.all(y, l.all(z, l.all(w, true))) && false)", Budget::default().with_cost(1000)),
        ErrorKind::BudgetExceeded
    );
}

#[test]
fn what_is_built_is_bounded() {
    let doubling = |levels: usize| {
        let mut source = "s".to_owned();
        for level in 0..levels {
            source = format!("cel.bind(v{level}, {source}, v{level} + v{level})");
        }
        source
    };
    assert_eq!(kind(&doubling(40), Budget::default()), ErrorKind::MemoryExceeded);
    assert_eq!(kind(&doubling(40), Budget::default().with_memory(u64::MAX)), ErrorKind::BudgetExceeded);
    let lists = "l.map(a, l.map(b, l.map(c, [a, b, c])))";
    assert_eq!(kind(lists, Budget::default().with_memory(100_000)), ErrorKind::MemoryExceeded);
    for source in ["lists.range(9223372036854775807)", "s.replace('', s).replace('', s).replace('', s)"] {
        assert!(kind(source, Budget::default()).is_limit(), "{source}");
    }
    // Values do not nest beyond what can be dropped with little stack, even in a chain that does not nest.
    let deep = format!("optional.of(1){}", ".optMap(x, [x])".repeat(2000));
    assert_eq!(kind(&deep, Budget::default()), ErrorKind::MemoryExceeded);
}

/// What takes long costs much: these go through few elements and few bytes.
#[cfg(feature = "regex")]
#[test]
fn patterns_cost_what_they_take() {
    let searches = |pattern: &str, budget: u64| {
        let source = format!("l.exists(x, s.matches({pattern}))");
        let program = Env::new().compile(&source).unwrap();
        let event = json!({"l": (0..30).collect::<Vec<_>>(), "s": "x".repeat(1000)});
        let outcome = program.run(&event, Budget::default().with_cost(budget));
        assert!(outcome.cost <= program.estimate(Sizes::at_most(1000, 30, 1)).max);
        outcome.value.map(guardian_expr::Value::into_owned)
    };
    // A thousand places may be active at each byte.
    assert_eq!(searches("'(x?){1000}[0-9]'", 1_000_000).unwrap_err().kind(), ErrorKind::BudgetExceeded);
    // A pattern that is made is compiled again and again; a constant one is not.
    assert_eq!(searches("'^[a-z]+[0-9]$' + string(x)", 5_000).unwrap_err().kind(), ErrorKind::BudgetExceeded);
    assert_eq!(searches("'^[a-z]+[0-9]$'", 50_000), Ok(guardian_expr::Value::Bool(false)));
    // One that is too large to compile is refused, and that costs too.
    let kind = searches("'(\\\\w+){99}' + string(x)", 1_000_000).unwrap_err().kind();
    assert_eq!(kind, ErrorKind::BudgetExceeded);
    assert_eq!(searches("'(\\\\w+){99}'", 1_000_000).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn deadlines_and_cancellation_stop() {
    let flag = AtomicBool::new(true);
    let clock = ManualClock::new();
    assert_eq!(kind(BOMB, Budget::default().with_cancellation(&flag)), ErrorKind::Cancelled);
    assert_eq!(
        kind(BOMB, Budget::default().with_deadline(&clock, clock.monotonic())),
        ErrorKind::DeadlineExceeded
    );
}

#[test]
fn the_same_costs_the_same() {
    let program = Env::new().compile("l.filter(x, x > 3).map(x, string(x)).join(',') + s").unwrap();
    let event = json!({"l": (0..30).collect::<Vec<_>>(), "s": "x".repeat(1000)});
    let costs: Vec<u64> = (0..3).map(|_| program.run(&event, Budget::default()).cost).collect();
    assert!(costs.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn an_estimate_bounds_the_cost() {
    let event = json!({"l": (0..30).collect::<Vec<_>>(), "s": "x".repeat(1000), "n": [["a", "b"], ["c"]], "m": {"a": "b"}});
    let sizes = Sizes::at_most(1000, 30, 3);
    for source in [
        "true",
        "l.all(x, x >= 0)",
        "l.exists(x, x == 29) && s.contains('y')",
        "l.map(x, l.map(y, x * y))",
        "s + s + s == s",
        "l == l && n == n && m == m",
        "l.sortBy(x, -x).reverse().slice(1, 3)",
        "n.map(x, x.join('-')).sort()",
        "'%s %s %d'.format([l, n, 5])",
        "l.filter(x, x > 3, ).size() > 1 ? s.upperAscii() : 'none'".replace(", )", ")").as_str(),
        "cel.bind(x, l + l, x.exists_one(y, y == 3))",
        "m.transformMap(k, v, v + k)",
        "5 in l || 'a' in m || s in n.flatten()",
        "optional.of(l).optMap(x, x.size()).orValue(0)",
        "sets.contains(l, [1, 2, 3]) && s.replace('x', 'yy').size() == 2000",
        "base64.encode(bytes(s)).size() > 0",
    ] {
        let program = Env::new().compile(source).unwrap();
        let outcome = program.run(&event, Budget::default());
        assert!(outcome.value.is_ok(), "{source}: {:?}", outcome.value);
        let estimate = program.estimate(sizes);
        assert!(
            estimate.min <= outcome.cost && outcome.cost <= estimate.max,
            "{source}: {} in {estimate:?}",
            outcome.cost
        );
        assert!(estimate.max < u64::MAX, "{source}: {estimate:?} says nothing");
    }
    let program = Env::new().compile(BOMB).unwrap();
    assert!(program.estimate(sizes).max > 20_000_000);
}

#[test]
fn sources_are_bounded() {
    let small = Env::builder().limits(Limits::default().with_max_bytes(10)).build().unwrap();
    assert!(small.parse("1 + 1").is_ok());
    assert_eq!(
        small.parse("1 + 1 + 1 + 1").unwrap_err().to_string(),
        "the expression has 13 bytes, more than the 10 that are allowed"
    );
}
