//! What people who write conditions get: the formatter, explanations, lints, tables, the builder's form.

use guardian_expr::{Env, LintKind, TestTable};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

#[test]
fn formatting_keeps_the_meaning_and_ends() {
    let env = Env::new();
    for (source, wanted) in [
        ("a&&(b||c)", "a && (b || c)"),
        ("((a)+b)+c", "(a + b) + c"),
        ("a-(b-c)", "a - (b - c)"),
        ("(a-b)-c", "a - b - c"),
        ("-(1)", "-(1)"),
        ("-(1).foo()", "-(1.foo())"),
        ("- -1", "--1"),
        ("!(!a)", "!!a"),
        ("!(a==b)", "!(a == b)"),
        ("(a?b:c)?d:(e?f:g)", "(a ? b : c) ? d : e ? f : g"),
        ("a.`b-c`.d['e'][?0].?f", "a.`b-c`.d[\"e\"][?0].?f"),
        ("{'a':1,?b:c}", "{\"a\": 1, ?b: c}"),
        ("x.exists_one( i , i>1 )", "x.exists_one(i, i > 1)"),
        ("cel.bind(x,1,x)", "cel.bind(x, 1, x)"),
        ("has( a.b )", "has(a.b)"),
        ("a in [1,2u,3.0,b'x',null]", "a in [1, 2u, 3.0, b\"x\", null]"),
        ("a // one\n && b // two", "// one\n// two\na && b"),
        ("(a < b) == (c > d)", "a < b == (c > d)"),
    ] {
        let ast = env.parse(source).unwrap();
        let text = ast.format();
        assert_eq!(text, *wanted);
        let again = env.parse(&text).unwrap();
        assert!(again == ast, "{source} became another expression: {text}");
        assert_eq!(again.format(), text);
    }
    let long = ["deal.amount > 1000"; 10].join(" && ");
    assert_eq!(env.parse(&long).unwrap().format().lines().count(), 10);
}

#[test]
fn an_explanation_shows_every_part() {
    let program = Env::new().compile("a.b > 1 && (c ? d : 1 / 0 == 1)").unwrap();
    let shown = program.explain(&json!({"a": {"b": 5}, "c": false})).to_string();
    for line in
        ["a.b > 1  →  true", "    a.b  →  5", "d  →  not evaluated", "1 / 0  →  failed: division by zero"]
    {
        assert!(shown.contains(line), "{line:?} is not in\n{shown}");
    }
}

#[test]
fn lints_find_what_was_not_meant() {
    let env = Env::new();
    for (source, kind) in [
        ("a > 5 && a < 3", LintKind::NeverTrue),
        ("a > 5 && 3 > a", LintKind::NeverTrue),
        ("a == 1 && a == 2", LintKind::NeverTrue),
        ("a == 'x' && b && a == 'y'", LintKind::NeverTrue),
        ("a > 5 && a <= 5", LintKind::NeverTrue),
        ("a > 5 || a <= 5", LintKind::AlwaysTrue),
        ("a != 1 || a != 2", LintKind::AlwaysTrue),
        ("a && a", LintKind::Duplicate),
        ("a && b && !a", LintKind::NeverTrue),
        ("a || !a", LintKind::AlwaysTrue),
        ("a == a", LintKind::Suspicious),
        ("a == true", LintKind::Suspicious),
        ("size(a) >= 0", LintKind::AlwaysTrue),
        ("size(a) < 0", LintKind::NeverTrue),
        ("1 < 2", LintKind::AlwaysTrue),
        ("a in []", LintKind::NeverTrue),
        ("a || true", LintKind::AlwaysTrue),
        ("a.lowerAscii() == 'ABC'", LintKind::NeverTrue),
    ] {
        let lints = env.compile(source).unwrap().lint();
        assert!(lints.iter().any(|lint| lint.kind == kind), "{source}: {lints:?}");
    }
    for source in [
        "a > 3 && a < 5",
        "a >= 5 && a <= 5",
        "a < 3 || a > 5",
        "a == 1 || a == 2",
        "a && b",
        "size(a) > 0",
        "a == 1 && a == 1.0",
    ] {
        let lints = env.compile(source).unwrap().lint();
        assert!(lints.is_empty(), "{source}: {lints:?}");
    }
}

#[test]
fn tables_report_cases_and_branches() {
    let table: TestTable = serde_json::from_value(json!({"cases": [
        {"name": "won", "input": {"deal": {"amount": 5000, "stage": "won"}}, "expected": true},
        {"name": "wrong", "input": {"deal": {"amount": 5, "stage": "won"}}, "expected": true},
        {"name": "fails", "input": {}, "fails": true}
    ]}))
    .unwrap();
    let report = Env::new().compile("deal.amount > 1000 && deal.stage == 'won'").unwrap().test(&table);
    let passed: Vec<bool> = report.cases.iter().map(|case| case.passed).collect();
    assert_eq!(passed, [true, false, true]);
    let stage = report
        .branches
        .iter()
        .find(|branch| branch.text.contains("stage") && !branch.text.contains("&&"))
        .unwrap();
    assert!(stage.was_true && !stage.was_false);
    assert!(report.coverage() > 0.7 && report.coverage() < 1.0);
}

#[test]
fn references_are_listed() {
    let program = Env::new()
        .compile("deal.items.all(i, i.qty > limits.min) && has(deal.owner.name) && math.abs(x) > 1")
        .unwrap();
    let references = program.references();
    let paths: Vec<&str> = references.paths.iter().map(String::as_str).collect();
    assert_eq!(paths, ["deal.items", "deal.owner.name", "limits.min", "x"]);
    let functions: Vec<&str> = references.functions.iter().map(String::as_str).collect();
    assert_eq!(functions, ["all", "math.abs"]);
}

fn value() -> impl Strategy<Value = Json> {
    prop_oneof![
        any::<i64>().prop_map(Json::from),
        any::<bool>().prop_map(Json::from),
        "[ -~äß\"\\\\]{0,6}".prop_map(Json::from),
        (-1e6..1e6_f64).prop_map(Json::from),
        Just(Json::Null),
    ]
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![Just("a".to_owned()), Just("deal.amount".to_owned()), Just("x.b-c.for".to_owned())]
}

fn rule() -> impl Strategy<Value = Json> {
    let plain = prop::sample::select(vec!["=", "!=", "<", "<=", ">", ">="]);
    let text = prop::sample::select(vec![
        "contains",
        "beginsWith",
        "endsWith",
        "doesNotContain",
        "doesNotBeginWith",
        "doesNotEndWith",
    ]);
    prop_oneof![
        (field(), plain.clone(), value())
            .prop_filter("null has its own operator", |(_, operator, value)| !value.is_null() || !matches!(*operator, "=" | "!="))
            .prop_map(|(field, operator, value)| json!({"field": field, "operator": operator, "value": value})),
        (field(), plain, field()).prop_map(|(field, operator, value)| json!({"field": field, "operator": operator, "value": value, "valueSource": "field"})),
        (field(), text, value()).prop_map(|(field, operator, value)| json!({"field": field, "operator": operator, "value": value})),
        (field(), prop::sample::select(vec!["null", "notNull"])).prop_map(|(field, operator)| json!({"field": field, "operator": operator, "value": null})),
        (field(), prop::sample::select(vec!["in", "notIn"]), prop::collection::vec(value(), 0..4))
            .prop_map(|(field, operator, value)| json!({"field": field, "operator": operator, "value": value})),
        (field(), prop::sample::select(vec!["between", "notBetween"]), value(), value())
            .prop_map(|(field, operator, low, high)| json!({"field": field, "operator": operator, "value": [low, high]})),
        (field(), prop::sample::select(vec!["between", "notBetween"]), field(), field()).prop_map(
            |(field, operator, low, high)| {
                json!({"field": field, "operator": operator, "value": [low, high], "valueSource": "field"})
            }
        ),
        Just(json!({"field": "", "operator": "expression", "value": "size(a) > 1 ? b : c"})),
    ]
}

fn group() -> impl Strategy<Value = Json> {
    let leaf = (prop::sample::select(vec!["and", "or"]), prop::collection::vec(rule(), 0..4))
        .prop_map(|(combinator, rules)| json!({"combinator": combinator, "rules": rules}));
    leaf.prop_recursive(4, 30, 4, |inner| {
        (
            prop::sample::select(vec!["and", "or"]),
            prop::collection::vec(prop_oneof![rule(), inner], 0..4),
            any::<bool>(),
        )
            .prop_map(|(combinator, rules, not)| {
                let mut group = json!({"combinator": combinator, "rules": rules});
                if not {
                    group["not"] = json!(true);
                }
                group
            })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn rules_become_conditions_and_come_back(group in group()) {
        let env = Env::new();
        let text = env.from_rules(&group).unwrap();
        let back = env.parse(&text).unwrap().to_rules();
        prop_assert_eq!(&back, &group, "{}", text);
    }
}

#[test]
fn every_condition_has_rules() {
    let env = Env::new();
    for source in [
        "a > 1 && b.c in [1, 2] || !(d == null)",
        "size(a) > 1",
        "a ? b : c",
        "true",
        "!true",
        "!!a",
        "a && true",
        "(a > 1 && b) && true",
        "a <= b && b <= c",
        "1 <= b && b <= 3",
        "!(a in b)",
        "'x'",
        "[1].all(x, x > 1)",
    ] {
        let ast = env.parse(source).unwrap();
        let text = env.from_rules(&ast.to_rules()).unwrap();
        assert_eq!(text, ast.format(), "{source}: {}", ast.to_rules());
    }
    for faulty in [
        json!(5),
        json!({"rules": 5}),
        json!({"combinator": "xor", "rules": []}),
        json!({"rules": [{"field": "a b", "operator": "=", "value": 1}]}),
        json!({"rules": [{"field": "a", "operator": "~", "value": 1}]}),
        json!({"rules": [{"field": "a", "operator": "in", "value": 1}]}),
    ] {
        assert!(env.from_rules(&faulty).is_err(), "{faulty}");
    }
}
