//! `hostile_expr`: what hostile expressions cost on a stack of 256 KiB: 100,000 of each construct from the text to the answer,
//! and expressions that spend the whole default budget. A line for each, and the slowest of both at the end. The middle of five
//! runs of each; `hostile_expr TEXT` runs only those whose name contains the text, once, for tools that count instructions.
#![expect(clippy::print_stdout, reason = "the program reports on standard output")]

use std::error::Error;
use std::thread;
use std::time::Duration;

use guardian_core::{Clock, SystemClock};
use guardian_expr::{Budget, Env, Limits, Outcome};
use serde_json::{Value as Json, json};

const MANY: usize = 100_000;
const RUNS: usize = 5;
const STACK: usize = 256 << 10;

type Shape = (String, String);

fn main() -> Result<(), Box<dyn Error>> {
    let wanted = std::env::args().nth(1);
    let worker = thread::Builder::new().stack_size(STACK).spawn(move || report(wanted.as_deref()))?;
    worker.join().map_err(|_| "an expression ended the thread")?.map_err(Into::into)
}

fn report(wanted: Option<&str>) -> Result<(), String> {
    let runs = if wanted.is_some() { 1 } else { RUNS };
    let event = event();
    let generous = Limits::default().with_max_bytes(64 << 20).with_max_depth(u32::MAX);
    let generous = Env::builder().limits(generous).build().map_err(|error| error.to_string())?;
    let is_wanted = |name: &str| wanted.is_none_or(|wanted| name.contains(wanted));
    let mut slowest = Duration::ZERO;
    for (name, source) in shapes().into_iter().filter(|(name, _)| is_wanted(name)) {
        for (limits, env) in [("default limits", Env::new()), ("no limits", generous.clone())] {
            let (time, answer) = middle(runs, || compiled(&env, &source, &event));
            slowest = slowest.max(time);
            println!("{:>8.2} ms  {name}, {limits}: {answer}", time.as_secs_f64() * 1e3);
        }
    }
    println!("{:>8.2} ms  the slowest of {MANY} terms\n", slowest.as_secs_f64() * 1e3);
    slowest = Duration::ZERO;
    for (name, source) in bombs().into_iter().filter(|(name, _)| is_wanted(name)) {
        let program = Env::new().compile(&source).map_err(|error| error.to_string())?;
        let budget = Budget::default();
        let (time, (cost, answer)) = middle(runs, || ran(&program.run(&event, budget)));
        slowest = slowest.max(time);
        let each = time.as_secs_f64() * 1e9 / f64::from(u32::try_from(cost).unwrap_or(u32::MAX));
        println!(
            "{:>8.2} ms  {name}: {answer} after {cost} cost units, {each:.1} ns each",
            time.as_secs_f64() * 1e3
        );
    }
    println!("{:>8.2} ms  the slowest that spends the budget", slowest.as_secs_f64() * 1e3);
    Ok(())
}

/// The run in the middle by its time, and what came of it.
fn middle<T: Ord>(runs: usize, mut run: impl FnMut() -> T) -> (Duration, T) {
    let clock = SystemClock::new();
    let mut all: Vec<(Duration, T)> = (0..runs.max(1))
        .map(|_| {
            let begin = clock.monotonic();
            let answer = run();
            (clock.monotonic().since(begin), answer)
        })
        .collect();
    all.sort_unstable();
    all.swap_remove(all.len() / 2)
}

/// From the text to a value or an error.
fn compiled(env: &Env, source: &str, event: &Json) -> &'static str {
    match env.compile(source) {
        Err(_) => "refused",
        Ok(program) => match program.evaluate(event) {
            Ok(_) => "a value",
            Err(_) => "an error",
        },
    }
}

fn ran(outcome: &Outcome<'_>) -> (u64, String) {
    (
        outcome.cost,
        outcome.value.as_ref().map_or_else(|error| format!("{:?}", error.kind()), |_| "a value".to_owned()),
    )
}

fn event() -> Json {
    let words: Vec<String> = (0..1000).map(|at| format!("word {at}")).collect();
    let members: serde_json::Map<String, Json> = words.iter().map(|word| (word.clone(), json!(1))).collect();
    json!({
        "a": {"a": 1}, "b": false, "ten": (0..10).collect::<Vec<_>>(), "many": (0..1000).collect::<Vec<_>>(), "words": words,
        "members": members, "text": "the quick brown fox ".repeat(500), "letters": "x".repeat(10_000), "accents": "ä".repeat(5_000),
        "doubles": (0..1000).map(|at| f64::from(at) * 1.1e-7).collect::<Vec<_>>(),
        "events": (0..100).map(|at| json!({"id": at, "name": "n", "tags": ["a", "b"], "at": "2026-01-02T03:04:05Z"})).collect::<Vec<_>>(),
    })
}

fn shapes() -> Vec<Shape> {
    let nested =
        |open: &str, inner: &str, close: &str| format!("{}{inner}{}", open.repeat(MANY), close.repeat(MANY));
    let mut shapes: Vec<Shape> = [
        ("nested (", nested("(", "1", ")")),
        ("open (", "(".repeat(MANY)),
        ("nested [", nested("[", "1", "]")),
        ("nested {", nested("{1: ", "1", "}")),
        ("nested size(", nested("size(", "1", ")")),
        ("nested optional.of(", nested("optional.of(", "1", ")")),
        ("nested a[", nested("a[", "1", "]")),
        ("nested all", nested("[1].all(x, ", "true", ")")),
        ("nested cel.bind", nested("cel.bind(x, 1, ", "x", ")")),
        ("not", nested("!", "true", "")),
        ("not a variable", nested("!", "b", "")),
        ("minus", nested("- ", "1", "")),
        ("minus a variable", nested("-", "a", "")),
        ("? :", nested("false ? 1 : ", "1", "")),
        ("? : in the middle", nested("true ? ", "1", " : 1")),
        (".a", nested("", "a", ".a")),
        (".?a", nested("", "a", ".?a")),
        ("[0]", nested("", "a", "[0]")),
        (".a()", nested("", "a", ".a()")),
        (".size()", nested("", "a", ".size()")),
        (".map(x, x)", nested("", "[1]", ".map(x, x)")),
        (".optMap", nested("", "optional.of(1)", ".optMap(x, [x])")),
        ("elements", format!("[{}]", "1, ".repeat(MANY))),
        ("elements, texts", format!("[{}]", "'ab', ".repeat(MANY))),
        ("elements, searched", format!("b in [{}]", "'ab', ".repeat(MANY))),
        ("elements, variables", format!("[{}]", "b, ".repeat(MANY))),
        ("elements, lists", format!("[{}]", "[1], ".repeat(MANY))),
        ("entries", format!("{{{}}}", (0..MANY).map(|at| format!("{at}: 1, ")).collect::<String>())),
        (
            "entries, texts",
            format!("{{{}}}", (0..MANY).map(|at| format!("'key {at}': 1, ")).collect::<String>()),
        ),
        ("arguments", format!("f({}1)", "1, ".repeat(MANY))),
        (
            "values of a block",
            format!("cel.block([1, {}2], cel.index({MANY}))", "cel.index(0), ".repeat(MANY)),
        ),
        ("names in a block", format!("cel.block([{}2], cel.index(0))", "b, ".repeat(MANY))),
        ("variables", (0..MANY).map(|at| format!("v{at}")).collect::<Vec<_>>().join(" || ")),
        ("paths", (0..MANY).map(|at| format!("a.f{at}")).collect::<Vec<_>>().join(" || ")),
        ("failing terms", format!("{}true", "c.d > 1 || ".repeat(MANY))),
        ("calls", format!("{}true", "letters.startsWith('y') || ".repeat(MANY))),
        ("comprehensions", format!("{}true", "ten.all(x, x > 1) || ".repeat(MANY / 10))),
        ("a number of 1,000,000 digits", "9".repeat(MANY * 10)),
        ("a text of 1,000,000 bytes", format!("'{}'", "x".repeat(MANY * 10))),
        ("escapes", format!("'{}'", "\\n".repeat(MANY))),
        ("a name of 1,000,000 letters", "x".repeat(MANY * 10)),
        ("a comment", format!("//{}", "x".repeat(MANY * 10))),
        ("comments", "//\n".repeat(MANY)),
        ("quotes", "'".repeat(MANY)),
        ("zeros", "\u{0}".repeat(MANY)),
    ]
    .map(|(name, source)| (name.to_owned(), source))
    .into();
    for operator in ["+", "-", "*", "/", "%", "==", "!=", "<", ">=", "in", "&&", "||"] {
        for term in ["1", "b", "a.a", "'x'", "true", "[1]", "[b]", "{1: b}"] {
            let chain = format!("{term}{}", format!(" {operator} {term}").repeat(MANY));
            shapes.push((format!("{operator} {term}"), chain));
        }
    }
    shapes
}

/// Expressions that go on until the budget ends, each with another step as its dearest.
fn bombs() -> Vec<Shape> {
    let levels = |inner: &str, list: &str| {
        (0..7).fold(inner.to_owned(), |body, level| format!("{list}.all(x{level}, {body})"))
    };
    let each = |what: &str| levels(what, "ten");
    [
        ("seven loops", each("true")),
        ("seven loops over a list that was built", format!("cel.bind(l, ten + [], {})", levels("true", "l"))),
        ("exists", each("true").replace("all", "exists").replace("true", "false")),
        ("map of maps", "many.map(a, many.map(b, many.map(c, c))).size() > 0".to_owned()),
        ("filter", "many.map(a, many.filter(b, b > 5).size()).size() > 0".to_owned()),
        ("sums", "many.all(a, many.all(b, a + b + a + b >= 0))".to_owned()),
        ("products", "many.all(a, many.all(b, a * b / 2 - a >= -1000000))".to_owned()),
        ("concatenation", "many.all(a, many.all(b, size(letters + text) > 0))".to_owned()),
        ("short concatenation", "words.all(a, words.all(b, a + b != 'x'))".to_owned()),
        ("lists", "many.all(a, many.all(b, size([a, b, a, b]) > 0))".to_owned()),
        ("list sums", "many.all(a, size(many + many) > 0 && words.all(b, size(ten + ten) > 0))".to_owned()),
        ("maps", "many.all(a, many.all(b, size({'a': a, 'b': b, 'c': a}) > 0))".to_owned()),
        ("map lookup", "words.all(a, words.all(b, members[b] == 1))".to_owned()),
        ("map membership", "words.all(a, words.all(b, b in members))".to_owned()),
        ("list membership", "many.all(a, (a + 1000) in many || true)".to_owned()),
        ("text membership", "words.all(a, (a + 'x') in words || true)".to_owned()),
        (
            "built map lookup",
            "cel.bind(m, words.transformMap(i, w, w), words.all(a, many.all(b, m[b] != '')))".to_owned(),
        ),
        ("contains", "many.all(a, !text.contains('fox quick'))".to_owned()),
        ("contains, hard", format!("many.all(a, !letters.contains('{}y'))", "x".repeat(500))),
        ("startsWith", "many.all(a, many.all(b, letters.startsWith('x')))".to_owned()),
        ("size of a text", "many.all(a, many.all(b, size(accents) > 0))".to_owned()),
        ("indexOf", "many.all(a, accents.indexOf('x') < 0)".to_owned()),
        ("charAt", "many.all(a, many.all(b, accents.charAt(4999) != ''))".to_owned()),
        ("substring", "many.all(a, many.all(b, accents.substring(4000, 4999) != ''))".to_owned()),
        ("lowerAscii", "many.all(a, text.upperAscii().lowerAscii() != '')".to_owned()),
        ("replace", "many.all(a, letters.replace('x', 'yy') != '')".to_owned()),
        ("split", "many.all(a, size(letters.split('')) > 0)".to_owned()),
        ("split by a blank", "many.all(a, size(text.split(' ')) > 0)".to_owned()),
        ("join", "many.all(a, words.join('-') != '')".to_owned()),
        ("reverse of a text", "many.all(a, letters.reverse() != '')".to_owned()),
        ("trim", "many.all(a, many.all(b, letters.trim() != ''))".to_owned()),
        ("quote", "many.all(a, strings.quote(text) != '')".to_owned()),
        ("format", "many.all(a, '%s %s'.format([many, words]) != '')".to_owned()),
        ("format of a map", "many.all(a, '%s'.format([members]) != '')".to_owned()),
        ("format of doubles", "many.all(a, doubles.all(d, '%.17f %e'.format([d, d]) != ''))".to_owned()),
        ("format, wide", "many.all(a, many.all(d, '%.1000f'.format([1e300]) != ''))".to_owned()),
        ("string(double)", "many.all(a, doubles.all(d, string(d) != ''))".to_owned()),
        (
            "double(string)",
            "many.all(a, words.all(d, double('1.2345678901234567890123456789e-30' + string(a)) >= 0.0))"
                .to_owned(),
        ),
        ("string(int)", "many.all(a, many.all(b, string(b) != ''))".to_owned()),
        ("type", "many.all(a, many.all(b, type(b) == int))".to_owned()),
        ("timestamp", "many.all(a, events.all(e, timestamp(e.at) > timestamp(0)))".to_owned()),
        (
            "hours of a zone",
            "many.all(a, many.all(e, timestamp('2026-01-02T03:04:05Z').getHours('Europe/Berlin') >= 0))"
                .to_owned(),
        ),
        (
            "hours of a zone, dynamic",
            "many.all(a, many.all(e, timestamp(e).getHours('Europe/Berlin') >= 0))".to_owned(),
        ),
        ("duration", "many.all(a, many.all(b, duration(string(b) + 'h1m1s') > duration('1s')))".to_owned()),
        ("regex", "many.all(a, !text.matches('^(a|b|[c-z])*fox.*quack$'))".to_owned()),
        ("regex, hard", "many.all(a, !letters.matches('(x+x+)+y'))".to_owned()),
        ("regex, wide", format!("many.all(a, !letters.matches('{}y'))", "(x?){50}".repeat(4))),
        ("regex, classes", "many.all(a, !text.matches('(\\\\w+\\\\s*){20}!'))".to_owned()),
        ("regex, many places", "many.all(a, !letters.matches('(x?){1000}[0-9]'))".to_owned()),
        (
            "regex, many places made",
            "many.all(a, !letters.matches('(x?){1000}' + '[0-9]' + string(a)))".to_owned(),
        ),
        ("regex, refused", "many.all(a, !'x'.matches('(\\\\w+){99}' + string(a)) || true)".to_owned()),
        ("regex, many patterns", "words.all(a, words.all(b, !'x'.matches(b + a)))".to_owned()),
        ("regex.replace", "many.all(a, regex.replace(text, '(q)(u)', '\\\\2\\\\1') != '')".to_owned()),
        ("regex.extractAll", "many.all(a, size(regex.extractAll(letters, 'x')) > 0)".to_owned()),
        ("sort", "many.all(a, size(words.sort()) > 0)".to_owned()),
        ("sortBy", "many.all(a, size(words.sortBy(w, w)) > 0)".to_owned()),
        ("distinct", "many.all(a, size(many.distinct()) > 0)".to_owned()),
        ("distinct texts", "many.all(a, size(words.distinct()) > 0)".to_owned()),
        ("flatten", "many.all(a, size([many, many, many].flatten()) > 0)".to_owned()),
        ("slice", "many.all(a, many.all(b, size(many.slice(0, 999)) > 0))".to_owned()),
        ("reverse of a list", "many.all(a, size(many.reverse()) > 0)".to_owned()),
        ("lists.range", "many.all(a, size(lists.range(1000)) > 0)".to_owned()),
        ("sets.contains", "many.all(a, sets.contains(many, many))".to_owned()),
        ("sets.equivalent", "many.all(a, sets.equivalent(words, words))".to_owned()),
        ("equal lists", "many.all(a, many == many && words == words)".to_owned()),
        ("equal maps", "many.all(a, members == members)".to_owned()),
        ("equal events", "many.all(a, events == events)".to_owned()),
        ("equal texts", "many.all(a, many.all(b, letters + 'x' == letters + 'x'))".to_owned()),
        ("order of texts", "many.all(a, many.all(b, letters <= letters))".to_owned()),
        ("loops over a map", "many.all(a, members.all(k, k != ''))".to_owned()),
        ("transformMap", "many.all(a, size(members.transformMap(k, v, v)) > 0)".to_owned()),
        ("transformMapEntry", "many.all(a, size(words.transformMapEntry(i, w, {w: i})) > 0)".to_owned()),
        ("optional fields", "many.all(a, events.all(e, e.?name.orValue('') != ''))".to_owned()),
        ("has", "many.all(a, events.all(e, has(e.name)))".to_owned()),
        ("failing elements", "many.all(a, many.all(b, b / 0 > 1) || true)".to_owned()),
        ("failing fields", "many.all(a, many.all(b, a.nothing > 1) || true)".to_owned()),
        ("failing keys", "many.all(a, events.all(e, e.nothing > 1) || true)".to_owned()),
        ("failing conversions", "many.all(a, words.all(b, int(b) > 1) || true)".to_owned()),
        ("base64", "many.all(a, size(base64.decode(base64.encode(bytes(text)))) > 0)".to_owned()),
        ("ip", "many.all(a, many.all(b, ip('2001:db8::' + string(b)).isUnspecified() || true))".to_owned()),
        (
            "cidr",
            "many.all(a, many.all(b, cidr('10.0.0.0/8').containsIP('10.1.2.' + string(b % 250))))".to_owned(),
        ),
        ("math", "many.all(a, many.all(b, math.greatest(a, b, 5, 7.5) > 0))".to_owned()),
        ("cel.bind", "many.all(a, many.all(b, cel.bind(c, b, c >= 0)))".to_owned()),
        ("ternaries", "many.all(a, many.all(b, b > 5 ? true : !false))".to_owned()),
    ]
    .map(|(name, source)| (name.to_owned(), source))
    .into()
}
