//! Conditions of evalexpr mean the same here.

use evalexpr::{ContextWithMutableVariables, HashMapContext};
use guardian_expr::{Bindings, Env, Value};
use proptest::prelude::*;

/// Conditions in the part of evalexpr that has a meaning here.
fn condition() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        Just("a".to_owned()),
        Just("b".to_owned()),
        (0..9_i64).prop_map(|value| value.to_string())
    ];
    let number = number.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), prop::sample::select(vec!["+", "-", "*", "/", "%"]), inner.clone())
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            inner.clone().prop_map(|a| format!("-{a}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("min({a}, {b})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("if({a} > {b}, {a}, {b} + 1)")),
        ]
    });
    let test = prop_oneof![
        (number.clone(), prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]), number)
            .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        prop::sample::select(vec![
            "s == \"x\"",
            "contains((\"x\", \"y\"), s)",
            "len(s) > 0",
            "t",
            "str::trim(s) != \"x\""
        ])
        .prop_map(str::to_owned),
    ];
    test.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), prop::sample::select(vec!["&&", "||"]), inner.clone())
                .prop_map(|(a, op, b)| format!("({a}) {op} ({b})")),
            inner.prop_map(|a| format!("!({a})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn an_imported_condition_has_the_same_value(text in condition(), a in -5..5_i64, b in -5..5_i64, s in "[xyz ]{0,2}", t: bool) {
        let mut context = HashMapContext::new();
        context.set_value("a".into(), a.into()).unwrap();
        context.set_value("b".into(), b.into()).unwrap();
        context.set_value("s".into(), s.clone().into()).unwrap();
        context.set_value("t".into(), t.into()).unwrap();
        // Where evalexpr has no value, this language may have one: `&&` and `||` absorb errors.
        if let Ok(wanted) = evalexpr::eval_boolean_with_context(&text, &context) {
            let env = Env::new();
            let imported = env.from_evalexpr(&text).unwrap();
            let bindings = Bindings::new().with("a", a).with("b", b).with("s", s).with("t", t);
            let program = env.compile(&imported).unwrap();
            prop_assert_eq!(program.evaluate(&bindings), Ok(Value::Bool(wanted)), "{} as {}", text, imported);
        }
    }
}

#[test]
fn what_has_no_meaning_is_refused() {
    let env = Env::new();
    for text in ["a = 5", "a; b", "2 ^ 3", "shell(\"x\")", "", "a b", "math::sin(1)", "()"] {
        let imported = env.from_evalexpr(text);
        assert!(imported.is_err(), "{text}: {imported:?}");
    }
    for text in [&"(".repeat(100_000), &"!".repeat(100_000), &"1+".repeat(100_000), &"x".repeat(100_000)] {
        assert!(env.from_evalexpr(text).is_err());
    }
    let nested = format!("{}1{}", "min(1, ".repeat(100), ")".repeat(100));
    assert!(env.from_evalexpr(&nested).is_ok());
}
