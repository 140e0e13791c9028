//! What expressions mean, by example.

use guardian_expr::{Bindings, Env, ErrorKind, Value};
use serde_json::json;

fn value(source: &str) -> String {
    let program = Env::new().compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
    program.evaluate(&json!({})).unwrap_or_else(|error| panic!("{source}: {error}")).to_string()
}

fn fails(source: &str) -> ErrorKind {
    let program = Env::new().compile_unchecked(source).unwrap_or_else(|error| panic!("{source}: {error}"));
    match program.evaluate(&json!({})) {
        Ok(value) => panic!("{source} is {value}"),
        Err(error) => error.kind(),
    }
}

fn all(table: &[(&str, &str)]) {
    for (source, wanted) in table {
        assert_eq!(value(source), *wanted, "{source}");
    }
}

#[test]
fn operators() {
    all(&[
        ("1 + 2 * 3 - 4 / 2", "5"),
        ("7 % 3", "1"),
        ("-7 / 2", "-3"),
        ("(1 + 2) * 3", "9"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("1 == 1.0 && 1u == 1 && 2u > 1.5", "true"),
        ("'a' < 'b' && b'a' < b'b' && false < true", "true"),
        ("[1, 2] + [3] == [1, 2, 3]", "true"),
        ("'a' + 'b' + 'c'", "\"abc\""),
        ("b'a' + b'b'", "b\"ab\""),
        ("true ? 1 : false ? 2 : 3", "1"),
        ("!true || !!true", "true"),
        ("2 in [1, 2] && 'a' in {'a': 1} && !(3 in [1, 2.5])", "true"),
        ("{'a': {'b': [1, 2]}}.a.b[1]", "2"),
        ("0x1F + 1", "32"),
        ("r'\\d' + '\\u00e9\\x41\\101'", "\"\\\\déAA\""),
        ("'''a\nb'''", "\"a\\nb\""),
        ("9007199254740993 == 9007199254740992", "false"),
    ]);
}

#[test]
fn numbers_of_all_types_are_on_one_line() {
    all(&[
        ("9007199254740993 == 9007199254740992.0", "false"),
        ("9007199254740993 > 9007199254740992.0 && 9007199254740993u > 9007199254740992.0", "true"),
        ("9007199254740992.0 == 9007199254740992 && 9007199254740992.0 == 9007199254740992u", "true"),
        ("9223372036854775806 < 9223372036854775808.0", "true"),
        ("9223372036854775808u == 9223372036854775808.0", "true"),
        ("-9223372036854775808 == -9223372036854775808.0", "true"),
        ("-9223372036854775807 > -9223372036854775808.0", "true"),
        ("-9223372036854775808 > -9.3e18 && 18446744073709551615u < 1.9e19", "true"),
        ("1 > 0.5 && 1 < 1.5 && -1 > -1.5 && -1 < -0.5 && 0u > -0.5 && 1u < 1.5", "true"),
        // What the conformance tests ask for: the greatest numbers count as the doubles that are above them by one.
        ("9223372036854775807 == 9223372036854775808.0", "true"),
        ("9223372036854775807 < 9223372036854775808.0", "false"),
        ("18446744073709551615u == 18446744073709551616.0", "true"),
        // Looked for in a list of constants, each number is found as by `==`.
        ("[9007199254740993].exists(x, x in [9007199254740992.0])", "false"),
        ("[9007199254740992.0].exists(x, x in [9007199254740993, 9007199254740992])", "true"),
        ("[9007199254740992.0].exists(x, x in [9007199254740993, 9007199254740991])", "false"),
        ("[9223372036854775808.0].all(x, x in [9223372036854775807])", "true"),
        ("[9223372036854775807].all(x, x in [9223372036854775808.0])", "true"),
        ("[9223372036854775808u].all(x, x in [9223372036854775808.0])", "true"),
        ("[0.0 / 0.0].exists(x, x in [0, 0.0 / 0.0])", "false"),
    ]);
    assert_eq!(fails("[0.0][9007199254740992.0]"), ErrorKind::IndexOutOfRange);
}

#[test]
fn errors_are_absorbed_where_a_term_decides() {
    all(&[
        ("false && 1 / 0 > 0", "false"),
        ("1 / 0 > 0 && false", "false"),
        ("1 / 0 > 0 || true", "true"),
        ("[1, 0].exists(x, 1 / x > 0)", "true"),
        ("![0, 1].all(x, 1 / x > 1)", "true"),
        ("true ? 1 : 1 / 0", "1"),
        ("cel.bind(x, 1 / 0, false && x > 0)", "false"),
        ("cel.bind(x, 1, cel.block([2, x + cel.index(0)], cel.index(1)))", "3"),
        ("optional.of(1).orValue(1 / 0)", "1"),
        ("[1].all(x, (1 / 0 > 0 || x == 1) && (false || true))", "true"),
    ]);
    assert_eq!(fails("1 / 0 > 0 && true"), ErrorKind::DivideByZero);
    assert_eq!(fails("[0, 1].all(x, 1 / x > 0)"), ErrorKind::DivideByZero);
    assert_eq!(fails("1 && true"), ErrorKind::NoSuchOverload);
    assert_eq!(fails("[1, 0].map(x, 1 / x)"), ErrorKind::DivideByZero);
    assert_eq!(fails("nothing > 1"), ErrorKind::NoSuchVariable);
    assert_eq!(fails("{'a': 1}.b"), ErrorKind::NoSuchKey);
    assert_eq!(fails("[1][1]"), ErrorKind::IndexOutOfRange);
    assert_eq!(fails("unknown(1)"), ErrorKind::NoSuchFunction);
    assert_eq!(fails("9223372036854775807 + 1"), ErrorKind::Overflow);
}

#[test]
fn macros() {
    all(&[
        ("[1, 2, 3].filter(x, x > 1).map(x, x * 2)", "[4, 6]"),
        ("[1, 2, 3].map(x, x > 1, x * 2)", "[4, 6]"),
        ("[1, 2].exists_one(x, x > 1)", "true"),
        ("{'a': 1, 'b': 2}.filter(k, k != 'a')", "[\"b\"]"),
        ("[3, 4].transformList(i, v, i + v)", "[3, 5]"),
        ("{'a': 1}.transformMap(k, v, v + 1)", "{\"a\": 2}"),
        ("['x', 'y'].transformMapEntry(i, v, {v: i})", "{\"x\": 0, \"y\": 1}"),
        ("[3, 1, 2].sortBy(x, -x)", "[3, 2, 1]"),
        ("has({'a': 1}.a) && !has({'a': 1}.b)", "true"),
        ("cel.bind(x, 2, cel.bind(y, x + 1, x * y))", "6"),
        ("[[1], [2, 3]].map(l, l.map(x, x + size(l)))", "[[2], [4, 5]]"),
        ("[1, 2].all(x, [1, 2].exists(x, x == 2))", "true"),
        ("optional.of(2).optMap(x, x + 1).value()", "3"),
        ("optional.none().optMap(x, x + 1).hasValue()", "false"),
        ("{'a': {'b': 1}}.?a.?b.orValue(0) + {}.?a.?b.orValue(5)", "6"),
        ("[?optional.of(1), ?optional.none(), 2]", "[1, 2]"),
        ("{?'a': optional.none(), 'b': 1}", "{\"b\": 1}"),
    ]);
}

#[test]
fn library() {
    all(&[
        ("size('日本') + size(b'abc') + size([1]) + size({})", "6"),
        ("'ab-cd'.split('-') == ['ab', 'cd'] && 'abc'.split('') == ['a', 'b', 'c']", "true"),
        ("'tacocat'.substring(1, 3) + 'x'.charAt(1)", "\"ac\""),
        ("'%s is %d, %.2f, %x'.format(['a', 1, 2.5, 255])", "\"a is 1, 2.50, ff\""),
        ("math.greatest(1, 2.5, 2u)", "2.5"),
        ("math.round(-1.5) == -2.0 && math.sign(-3) == -1 && math.bitShiftRight(-1, 60) == 15", "true"),
        ("[3, 1, 2].sort() == [1, 2, 3] && [1, 1.0, 2].distinct() == [1, 2]", "true"),
        ("[[1], [[2]]].flatten(2) == [1, 2] && lists.range(3) == [0, 1, 2]", "true"),
        ("[1, 2].first().value() == 1 && [].last() == optional.none()", "true"),
        (
            "sets.contains([1, 2], [dyn(2.0)]) && sets.intersects([1], [dyn(1u)]) && sets.equivalent([1], [1, 1])",
            "true",
        ),
        ("base64.decode('aGVsbG8') == b'hello' && base64.encode(b'hello') == 'aGVsbG8='", "true"),
        ("cidr('10.0.0.0/8').containsIP('10.1.2.3') && !cidr('::/0').containsIP('10.1.2.3')", "true"),
        ("string(cidr('10.1.2.3/8').masked())", "\"10.0.0.0/8\""),
        ("timestamp('2024-02-29T12:00:00Z').getDayOfYear()", "59"),
        ("timestamp('2024-01-01T00:30:00Z').getHours('+01:00')", "1"),
        ("string(duration('1h30m') + duration('500ms'))", "\"5400.5s\""),
        ("type(1) == int && type('') == string && type(timestamp(0)) == google.protobuf.Timestamp", "true"),
        ("int('42') + int(2.9) + int(3u)", "47"),
        ("string(1e300) + ' ' + string(0.00001) + ' ' + string(1234567.0)", "\"1e+300 1e-05 1234567\""),
        ("strings.quote('a\"b')", "\"\\\"a\\\\\\\"b\\\"\""),
        ("dyn(1) == 1", "true"),
    ]);
}

#[cfg(feature = "regex")]
#[test]
fn regular_expressions() {
    all(&[
        ("'deal-42'.matches('^[a-z]+-[0-9]+$')", "true"),
        ("regex.replace('a1b2', '([a-z])([0-9])', '\\\\2\\\\1')", "\"1a2b\""),
        ("regex.extract('id=42', 'id=([0-9]+)').value()", "\"42\""),
        ("regex.extractAll('a1b22', '[0-9]+')", "[\"1\", \"22\"]"),
    ]);
    assert_eq!(fails("'a'.matches('(')"), ErrorKind::InvalidArgument);
    assert_eq!(fails("'a'.matches('((a{1000}){1000}){1000}')"), ErrorKind::InvalidArgument);
}

#[cfg(feature = "timezones")]
#[test]
fn time_zones() {
    all(&[
        ("timestamp('2024-07-01T12:00:00Z').getHours('Europe/Berlin')", "14"),
        ("timestamp('2024-01-01T12:00:00Z').getHours('Europe/Berlin')", "13"),
    ]);
    assert_eq!(fails("timestamp(0).getHours('Mars/Olympus')"), ErrorKind::InvalidArgument);
}

#[test]
fn an_event_is_read_in_place() {
    let event =
        json!({"deal": {"amount": 25000, "share": 0.5, "tags": ["vip"], "big": 18446744073709551615_u64}});
    let env = Env::new();
    for (source, wanted) in [
        ("deal.amount * 3", "75000"),
        ("type(deal.amount) == int && type(deal.share) == double && type(deal.big) == double", "true"),
        ("deal.tags + ['new']", "[\"vip\", \"new\"]"),
        ("deal['amount'] == deal.amount", "true"),
        ("deal.exists(key, key == 'tags')", "true"),
        ("deal == deal && deal.tags[0] == 'vip'", "true"),
    ] {
        let program = env.compile(source).unwrap();
        assert_eq!(program.evaluate(&event).unwrap().to_string(), wanted, "{source}");
    }
    let program = env.compile("deal.tags[0]").unwrap();
    let tag = event.pointer("/deal/tags/0").and_then(|tag| tag.as_str()).unwrap();
    match program.evaluate(&event).unwrap() {
        Value::Str(found) => assert_eq!(found.as_ptr(), tag.as_ptr()),
        other => panic!("{other} was copied"),
    }
}

#[test]
fn names_with_dots_and_containers() {
    let env = Env::builder().container("com.example").open(true);
    let env =
        env.variable("com.example.x", guardian_expr::Type::Int).variable("a.b", guardian_expr::Type::Int);
    let env = env.build().unwrap();
    let values = Bindings::new().with("com.example.x", 1_i64).with("x", 2_i64).with("a.b", 3_i64);
    for (source, wanted) in [("x", "1"), (".x", "2"), ("a.b", "3"), ("[5].exists(x, x == 5)", "true")] {
        let program = env.compile(source).unwrap();
        assert_eq!(program.evaluate(&values).unwrap().to_string(), wanted, "{source}");
    }
    let nested = json!({"a": {"b": 4}});
    assert_eq!(env.compile("a.b").unwrap().evaluate(&nested).unwrap(), Value::Int(4));
}

#[test]
fn faults_say_what_was_meant() {
    let env = Env::new();
    for (source, message, hint) in [
        ("a = 1", "unexpected `=`", "equality is written `==`"),
        ("a and b", "unexpected `and`", "`and` is written `&&`"),
        ("a & b", "unexpected `&`", "`and` is written `&&`"),
        ("“a”", "unexpected `“`", "texts stand in straight quotes: `\"…\"`"),
        ("\"abc", "the text is not closed", "it ends with the quote that it began with, on the same line"),
        (
            "if(a, b, c)",
            "`if` is a reserved word",
            "reserved words can be fields, as in `event.for`, but not variables",
        ),
        ("sizee(a)", "unknown function `sizee`", "did you mean `size`?"),
        ("'a' + 1", "`+` is not defined for `string` and `int`", "convert the second one: `string(…)`"),
    ] {
        let error = env.compile(source).unwrap_err();
        assert_eq!(error.faults()[0].message, message, "{source}");
        assert_eq!(error.faults()[0].hint.as_deref(), Some(hint), "{source}");
    }
    for source in [
        "",
        "(",
        ")",
        "1 +",
        "[1",
        "{1: }",
        "a ? b",
        "a.b.",
        "has(a)",
        "x.all(1, true)",
        "'\\q'",
        "1e400",
        "A{a: 1}",
    ] {
        assert!(env.compile(source).is_err(), "{source}");
    }
}
