//! Laws, on generated expressions.

use guardian_expr::{Budget, Env, ErrorKind, Sizes};
use proptest::prelude::*;
use serde_json::Value as Json;

use crate::generate::{Expr, Kind, Random, event, expression, plain, schema};

fn made(seed: u64, wild: bool) -> (Expr, Json) {
    let mut random = Random::new(seed);
    let kind = [Kind::Int, Kind::Double, Kind::Bool, Kind::Text, Kind::Ints][random.place(5)];
    let depth = u32::try_from(random.below(5)).unwrap() + 1;
    let expr = expression(&mut random, kind, depth, &mut Vec::new(), wild);
    (expr, event(&mut random))
}

fn typed() -> Env {
    Env::builder().schema("e", &schema()).unwrap().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn formatting_gives_an_equal_tree_and_ends(seed: u64) {
        let env = Env::new();
        let (expr, _) = made(seed, true);
        let ast = env.parse(&expr.text()).unwrap();
        let text = ast.format();
        let again = env.parse(&text).unwrap();
        prop_assert!(again == ast, "{}", text);
        prop_assert_eq!(again.format(), text);
    }

    #[test]
    fn the_machine_does_what_a_plain_evaluator_does(seed: u64) {
        let (expr, event) = made(seed, true);
        let wanted = plain(&expr, &event, &mut Vec::new()).map(|value| value.show());
        let program = Env::new().compile_unchecked(&expr.text()).unwrap();
        let outcome = program.run(&event, Budget::default());
        if outcome.value.as_ref().is_err_and(|error| error.kind().is_limit()) {
            return Ok(());
        }
        let found = outcome.value.ok().map(|value| value.to_string());
        prop_assert_eq!(&found, &wanted, "{}", expr.text());
        // Nor does it matter that every part is traced.
        let explained = program.explain(&event).value.ok().map(|value| value.to_string());
        prop_assert_eq!(explained, wanted, "{}", expr.text());
    }

    #[test]
    fn what_is_well_typed_meets_no_type_error(seed: u64) {
        let (expr, event) = made(seed, false);
        let program = match typed().compile(&expr.text()) {
            Ok(program) => program,
            Err(error) => return Err(TestCaseError::fail(format!("{}: {error}", expr.text()))),
        };
        if let Err(error) = program.evaluate(&event) {
            let type_error = matches!(
                error.kind(),
                ErrorKind::NoSuchOverload | ErrorKind::NoSuchVariable | ErrorKind::NoSuchFunction
            );
            prop_assert!(!type_error, "{}: {}", expr.text(), error);
        }
    }

    #[test]
    fn no_evaluation_costs_more_than_was_estimated(seed: u64) {
        let (expr, event) = made(seed, true);
        let program = Env::new().compile_unchecked(&expr.text()).unwrap();
        let outcome = program.run(&event, Budget::default());
        let estimate = program.estimate(Sizes::at_most(16, 16, 2));
        prop_assert!(outcome.cost <= estimate.max, "{} of {:?}: {}", outcome.cost, estimate, expr.text());
        if outcome.value.is_ok() {
            prop_assert!(estimate.min <= outcome.cost, "{} of {:?}: {}", outcome.cost, estimate, expr.text());
        }
    }

    #[test]
    fn no_text_makes_anything_panic(text in "[-+*/%!&|=<>?:.,()\\[\\]{}'\"`\\\\ a-c0-9ux\n]{0,40}") {
        let env = Env::new();
        if let Ok(ast) = env.parse(&text) {
            let formatted = ast.format();
            let again = env.parse(&formatted);
            prop_assert!(again.is_ok_and(|again| again == ast), "{}", formatted);
        }
    }
}
