//! What is found out before an expression runs.

use guardian_expr::{Bindings, Env, EnvBuilder, ErrorKind, HostFunction, Type, Value};
use serde_json::json;

fn env() -> EnvBuilder {
    let schema = json!({
        "type": "object",
        "properties": {
            "amount": {"type": "number"},
            "count": {"type": "integer"},
            "stage": {"enum": ["won", "lost"]},
            "owner": {"$ref": "#/$defs/person"},
            "note": {"type": ["string", "null"]},
            "tags": {"type": "array", "items": {"type": "string"}},
            "extra": {"type": "object", "additionalProperties": {"type": "integer"}},
            "any": true
        },
        "required": ["amount"],
        "$defs": {"person": {"type": "object", "properties": {"name": {"type": "string"}, "boss": {"$ref": "#/$defs/person"}}}}
    });
    Env::builder().schema("deal", &schema).unwrap().variable("now", Type::Timestamp)
}

#[test]
fn types_are_deduced() {
    let env = env().build().unwrap();
    for (source, wanted) in [
        ("deal.amount", "double"),
        ("deal.amount * 3", "double"),
        ("deal.count + 1", "int"),
        ("deal.tags.filter(t, t.size() > 1)", "list(string)"),
        ("deal.tags.map(t, t.size())", "list(int)"),
        ("deal.extra.transformMap(k, v, v > 1)", "map(string, bool)"),
        ("deal.owner.boss.boss.name", "string"),
        ("deal.?note", "optional_type(wrapper(string))"),
        ("deal.any.what.ever + 1", "int"),
        ("[1, 'a']", "list(dyn)"),
        ("now - duration('1h') > now", "bool"),
        ("deal.tags.first()", "optional_type(string)"),
        ("cel.bind(x, [1], x[0])", "int"),
    ] {
        assert_eq!(env.check(source).unwrap().to_string(), wanted, "{source}");
    }
}

#[test]
fn faults_are_found_at_save_time() {
    let env = env().build().unwrap();
    for (source, message, hint) in [
        ("dael.amount > 1", "unknown variable `dael`", Some("did you mean `deal`?")),
        ("deal.amuont > 1", "`deal` has no field `amuont`", Some("did you mean `amount`?")),
        ("deal.owner.nmae == 'x'", "`deal.owner` has no field `nmae`", Some("did you mean `name`?")),
        ("deal.stage > 5", "`>` is not defined for `string` and `int`", None),
        ("deal.stage == 5", "`==` is not defined for `string` and `int`", None),
        ("deal.stage && true", "a term of `&&` is a `bool`, not a `string`", None),
        ("deal.tags.all(t, t > 1)", "`>` is not defined for `string` and `int`", None),
        (
            "deal.count.size()",
            "`int.size()` is not defined",
            Some("it is called as `size(string)`, `size(bytes)`, `size(list(A))`, `size(map(A, B))`"),
        ),
        ("deal.amount ? 1 : 2", "a condition is a `bool`, not a `double`", None),
        ("deal.count in deal.tags", "`in` is not defined for `int` and `list(string)`", None),
    ] {
        let error = env.compile(source).unwrap_err();
        assert_eq!(error.faults()[0].message, message, "{source}");
        assert_eq!(error.faults()[0].hint.as_deref(), hint, "{source}");
    }
    let error = env.compile("deal.a1 == 1 && deal.a2 == 2").unwrap_err();
    assert_eq!(error.faults().len(), 2);
}

#[test]
fn numbers_of_the_schema_are_doubles_whatever_json_says() {
    let env = env().build().unwrap();
    for event in [json!({"deal": {"amount": 2, "count": 3.0}}), json!({"deal": {"amount": 2.0, "count": 3}})]
    {
        for (source, wanted) in [
            ("deal.amount * 3", "6.0"),
            ("deal.amount / 4", "0.5"),
            ("deal.count / 2", "1"),
            ("[deal.count].map(c, c % 2)", "[1]"),
            ("deal.amount + deal['amount']", "4.0"),
        ] {
            let program = env.compile(source).unwrap();
            assert_eq!(program.evaluate(&event).unwrap().to_string(), wanted, "{source}");
        }
    }
}

#[test]
fn functions_of_the_host_have_overloads_and_a_cost() {
    let env = Env::builder()
        .function(HostFunction::new("twice(int) -> int", |values| match values {
            [Value::Int(value)] => Ok(Value::Int(value * 2)),
            _ => panic!("called with other types"),
        }))
        .function(
            HostFunction::new("twice(string) -> string", |values| {
                Ok(Value::from(values[0].as_str().unwrap_or_default().repeat(2)))
            })
            .cost(500),
        )
        .function(HostFunction::new("list(int).total() -> int", |values| match values {
            [Value::List(list)] => Ok(Value::Int(
                list.iter().map(|item| if let Value::Int(item) = item { item } else { 0 }).sum(),
            )),
            _ => panic!("called with other types"),
        }))
        .build()
        .unwrap();
    let none = Bindings::new();
    assert_eq!(env.compile("twice(21)").unwrap().evaluate(&none).unwrap(), Value::Int(42));
    assert_eq!(env.check("twice('a')").unwrap(), Type::String);
    let program = env.compile("twice('ab')").unwrap();
    let outcome = program.run(&none, guardian_expr::Budget::default());
    assert_eq!(outcome.value.unwrap(), Value::from("abab"));
    assert!(outcome.cost >= 500);
    assert_eq!(env.compile("[1, 2].total() + 1").unwrap().evaluate(&none).unwrap(), Value::Int(4));
    assert!(env.compile("twice(1.5)").is_err());
    let unchecked = env.compile_unchecked("twice(1.5)").unwrap();
    assert_eq!(unchecked.evaluate(&none).unwrap_err().kind(), ErrorKind::NoSuchOverload);
    assert!(Env::builder().function(HostFunction::new("no signature", |_| Ok(Value::Null))).build().is_err());
}

#[test]
fn faulty_schemas_are_refused() {
    for schema in [
        json!(5),
        json!({"type": "strnig"}),
        json!({"properties": 5, "type": "object"}),
        json!({"$ref": "http://elsewhere"}),
    ] {
        assert!(Env::builder().schema("deal", &schema).is_err(), "{schema}");
    }
    let endless = json!({"$ref": "#"});
    assert!(Env::builder().schema("deal", &endless).is_ok());
    let bomb = json!({"properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}, "c": {"$ref": "#"}}});
    assert!(Env::builder().schema("deal", &bomb).is_ok());
}

#[test]
fn types_read_as_they_are_shown() {
    for text in [
        "int",
        "list(map(string, double))",
        "optional_type(wrapper(bool))",
        "net.IP",
        "type(dyn)",
        "tuple(int, A)",
    ] {
        assert_eq!(text.parse::<Type>().unwrap().to_string(), text);
    }
    assert!("list(".parse::<Type>().is_err() && "".parse::<Type>().is_err());
    assert!(format!("{}int{}", "list(".repeat(5000), ")".repeat(5000)).parse::<Type>().is_err());
}

#[test]
fn many_names_and_branching_types_take_no_time() {
    // Looking for each name from the first one on would take quadratic time.
    let many = |each: &dyn Fn(usize) -> String, between: &str| {
        (0..40_000).map(each).collect::<Vec<_>>().join(between)
    };
    let env =
        Env::builder().limits(guardian_expr::Limits::default().with_max_bytes(8 << 20)).build().unwrap();
    let variables = many(&|at| format!("v{at} == v{}", at / 2), " || ");
    assert_eq!(env.compile(&variables).unwrap().references().variables.len(), 40_000);
    let block = format!("cel.block([{}], cel.index(39999))", many(&|at| format!("b{at}"), ", "));
    assert!(env.compile(&block).is_ok());
    // Maps whose keys are maps: comparing their types would branch at each level, and take time without end.
    let chain = |name: &str, inner: &str| {
        let opens: String = (1..60)
            .map(|at| format!("cel.bind({name}{at}, {{{name}{}: {name}{}}}, ", at - 1, at - 1))
            .collect();
        format!("cel.bind({name}0, {{1: 1}}, {opens}{inner}{})", ")".repeat(59))
    };
    let source = chain("a", &chain("b", "[a59, b59]"));
    assert!(env.compile_unchecked(&source).is_ok());
    assert!(env.compile(&source).is_err());
}
