//! Expressions made from a seed, and a plain evaluator that goes through them as they were made.

use std::cmp::Ordering;
use std::fmt::Write;

use serde_json::{Value as Json, json};

/// From here on not every int is a double.
const TWO_TO_53: f64 = 9_007_199_254_740_992.0;
/// The first double above every int.
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

/// Numbers from a seed (xorshift64*).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }

    pub(crate) fn place(&mut self, end: u64) -> usize {
        usize::try_from(self.below(end)).unwrap()
    }

    fn int(&mut self) -> i64 {
        match self.below(12) {
            0 => i64::MAX,
            1 => i64::MIN,
            _ => i64::try_from(self.below(7)).unwrap() - 3,
        }
    }
}

/// Makes a part of an expression.
type Part<'p> = &'p mut dyn FnMut(&mut Random, Kind, &mut Vec<Kind>) -> Box<Expr>;

/// The types that generated expressions have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Int,
    Double,
    Bool,
    Text,
    Ints,
}

const KINDS: [Kind; 5] = [Kind::Int, Kind::Double, Kind::Bool, Kind::Text, Kind::Ints];

#[derive(Debug, Clone)]
pub(crate) enum Expr {
    Int(i64),
    Double(f64),
    Bool(bool),
    Text(String),
    List(Vec<Expr>),
    Field(&'static str),
    Local(usize),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
    Chain(&'static str, Vec<Expr>),
    Conditional(Box<Expr>, Box<Expr>, Box<Expr>),
    Size(Box<Expr>),
    Index(Box<Expr>, Box<Expr>),
    Contains(Box<Expr>, Box<Expr>),
    Macro(&'static str, Box<Expr>, usize, Box<Expr>),
    Bind(usize, Box<Expr>, Box<Expr>),
}

/// An expression of a kind; with `wild`, now and then one of another.
pub(crate) fn expression(
    random: &mut Random,
    mut kind: Kind,
    depth: u32,
    locals: &mut Vec<Kind>,
    wild: bool,
) -> Expr {
    if wild && random.below(12) == 0 {
        kind = KINDS[random.place(5)];
    }
    if let Some(local) = locals.iter().rposition(|local| *local == kind)
        && random.below(3) == 0
    {
        return Expr::Local(local);
    }
    if depth == 0 || random.below(6) == 0 {
        return leaf(random, kind);
    }
    let mut part = |random: &mut Random, kind: Kind, locals: &mut Vec<Kind>| {
        Box::new(expression(random, kind, depth - 1, locals, wild))
    };
    if random.below(10) == 0 {
        let (a, b, c) =
            (part(random, Kind::Bool, locals), part(random, kind, locals), part(random, kind, locals));
        return Expr::Conditional(a, b, c);
    }
    if random.below(10) == 0 {
        let of = KINDS[random.place(5)];
        let value = part(random, of, locals);
        locals.push(of);
        let body = part(random, kind, locals);
        locals.pop();
        return Expr::Bind(locals.len(), value, body);
    }
    let list = |random: &mut Random, kind: Kind, locals: &mut Vec<Kind>, part: Part<'_>| {
        (0..random.below(4) + 2).map(|_| *part(random, kind, locals)).collect::<Vec<_>>()
    };
    match kind {
        Kind::Int => match random.below(6) {
            0 => Expr::Negate(part(random, Kind::Int, locals)),
            1 => {
                let op = ["-", "*", "/", "%"][random.place(4)];
                Expr::Binary(op, part(random, Kind::Int, locals), part(random, Kind::Int, locals))
            }
            2 => Expr::Chain("+", list(random, Kind::Int, locals, &mut part)),
            3 => {
                let of = if random.below(2) == 0 { Kind::Text } else { Kind::Ints };
                Expr::Size(part(random, of, locals))
            }
            4 => Expr::Index(part(random, Kind::Ints, locals), part(random, Kind::Int, locals)),
            _ => leaf(random, kind),
        },
        Kind::Double => match random.below(3) {
            0 => Expr::Negate(part(random, Kind::Double, locals)),
            1 => {
                let op = ["-", "*", "/"][random.place(3)];
                Expr::Binary(op, part(random, Kind::Double, locals), part(random, Kind::Double, locals))
            }
            _ => Expr::Chain("+", list(random, Kind::Double, locals, &mut part)),
        },
        Kind::Bool => match random.below(8) {
            0 => Expr::Not(part(random, Kind::Bool, locals)),
            1 => Expr::Chain("&&", list(random, Kind::Bool, locals, &mut part)),
            2 => Expr::Chain("||", list(random, Kind::Bool, locals, &mut part)),
            3 => {
                let op = ["==", "!="][random.place(2)];
                let of = KINDS[random.place(5)];
                Expr::Binary(op, part(random, of, locals), part(random, of, locals))
            }
            4 => {
                let op = ["<", "<=", ">", ">="][random.place(4)];
                let of = KINDS[random.place(4)];
                Expr::Binary(op, part(random, of, locals), part(random, of, locals))
            }
            5 => Expr::Binary("in", part(random, Kind::Int, locals), part(random, Kind::Ints, locals)),
            6 => Expr::Contains(part(random, Kind::Text, locals), part(random, Kind::Text, locals)),
            _ => {
                let name = ["all", "exists", "exists_one"][random.place(3)];
                looped(random, name, Kind::Bool, locals, &mut part)
            }
        },
        Kind::Text => Expr::Chain("+", list(random, Kind::Text, locals, &mut part)),
        Kind::Ints => match random.below(4) {
            0 => Expr::List(list(random, Kind::Int, locals, &mut part)),
            1 => Expr::Chain("+", list(random, Kind::Ints, locals, &mut part)),
            2 => looped(random, "filter", Kind::Bool, locals, &mut part),
            _ => looped(random, "map", Kind::Int, locals, &mut part),
        },
    }
}

fn looped(
    random: &mut Random,
    name: &'static str,
    body: Kind,
    locals: &mut Vec<Kind>,
    part: Part<'_>,
) -> Expr {
    let range = part(random, Kind::Ints, locals);
    locals.push(Kind::Int);
    let body = part(random, body, locals);
    locals.pop();
    Expr::Macro(name, range, locals.len(), body)
}

fn leaf(random: &mut Random, kind: Kind) -> Expr {
    let field = random.below(3) == 0;
    match kind {
        Kind::Int if field => Expr::Field(["count", "zero", "gone"][random.place(3)]),
        Kind::Double if field => Expr::Field("share"),
        Kind::Bool if field => Expr::Field("open"),
        Kind::Text if field => Expr::Field("name"),
        Kind::Ints if field => Expr::Field("list"),
        Kind::Int => Expr::Int(random.int()),
        Kind::Double => Expr::Double([0.0, 1.5, -2.0, 1e300, TWO_TO_53, TWO_TO_63][random.place(6)]),
        Kind::Bool => Expr::Bool(random.below(2) == 0),
        Kind::Text => Expr::Text(["", "a", "ab", "ä\"\n"][random.place(4)].to_owned()),
        Kind::Ints => Expr::List((0..random.below(4)).map(|_| Expr::Int(random.int())).collect()),
    }
}

/// The event that the fields are in; `gone` is a field that may be absent and is.
pub(crate) fn event(random: &mut Random) -> Json {
    let list: Vec<i64> = (0..random.below(5)).map(|_| random.int()).collect();
    // JSON does not tell 2 from 2.0, so events that fit the schema have both.
    let share = if random.below(2) == 0 { json!(2) } else { json!(2.5) };
    json!({"e": {"count": random.int(), "zero": 0, "share": share, "open": random.below(2) == 0, "name": "acme", "list": list}})
}

pub(crate) fn schema() -> Json {
    json!({"type": "object", "required": ["count", "zero", "share", "open", "name", "list"], "properties": {
        "count": {"type": "integer"}, "zero": {"type": "integer"}, "gone": {"type": "integer"},
        "share": {"type": "number"}, "open": {"type": "boolean"}, "name": {"type": "string"},
        "list": {"type": "array", "items": {"type": "integer"}},
    }})
}

impl Expr {
    /// The text, with brackets around everything.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Int(value) => format!("({value})"),
            Self::Double(value) => format!("({value:?})"),
            Self::Bool(value) => value.to_string(),
            Self::Text(text) => {
                let mut out = String::from("'");
                for each in text.chars() {
                    match each {
                        '\n' => out.push_str("\\n"),
                        other => out.push(other),
                    }
                }
                out + "'"
            }
            Self::List(items) => format!("[{}]", items.iter().map(Self::text).collect::<Vec<_>>().join(",")),
            Self::Field(name) => format!("e.{name}"),
            Self::Local(local) => format!("v{local}"),
            Self::Not(inner) => format!("!({})", inner.text()),
            Self::Negate(inner) => format!("-({})", inner.text()),
            Self::Binary(op, a, b) => format!("(({}) {op} ({}))", a.text(), b.text()),
            Self::Chain(op, terms) => {
                let terms: Vec<String> = terms.iter().map(|term| format!("({})", term.text())).collect();
                format!("({})", terms.join(op))
            }
            Self::Conditional(a, b, c) => format!("(({}) ? ({}) : ({}))", a.text(), b.text(), c.text()),
            Self::Size(inner) => format!("size({})", inner.text()),
            Self::Index(of, at) => format!("({})[{}]", of.text(), at.text()),
            Self::Contains(of, part) => format!("({}).contains({})", of.text(), part.text()),
            Self::Macro(name, range, local, body) => {
                format!("({}).{name}(v{local}, {})", range.text(), body.text())
            }
            Self::Bind(local, value, body) => {
                format!("cel.bind(v{local}, {}, {})", value.text(), body.text())
            }
        }
    }
}

/// A value of the plain evaluator.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Plain {
    Int(i64),
    Double(f64),
    Bool(bool),
    Text(String),
    List(Vec<Plain>),
}

impl Plain {
    pub(crate) fn show(&self) -> String {
        match self {
            Self::Int(value) => value.to_string(),
            Self::Double(value) if value.is_nan() => "double(\"NaN\")".to_owned(),
            Self::Double(value) if value.is_infinite() => {
                format!("double(\"{}Infinity\")", if *value < 0.0 { "-" } else { "" })
            }
            Self::Double(value) => format!("{value:?}"),
            Self::Bool(value) => value.to_string(),
            Self::Text(text) => {
                let mut out = String::from("\"");
                for each in text.chars() {
                    match each {
                        '"' => out.push_str("\\\""),
                        '\n' => out.push_str("\\n"),
                        other => out.push(other),
                    }
                }
                out + "\""
            }
            Self::List(items) => {
                let mut out = String::from("[");
                for (at, item) in items.iter().enumerate() {
                    let _ = write!(out, "{}{}", if at > 0 { ", " } else { "" }, item.show());
                }
                out + "]"
            }
        }
    }

    fn equal(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Int(a), Self::Double(b)) | (Self::Double(b), Self::Int(a)) => {
                int_with_double(*a, *b) == Some(Ordering::Equal)
            }
            (Self::List(a), Self::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equal(b)),
            (a, b) => a == b,
        }
    }

    fn less(&self, other: &Self) -> Option<Option<Ordering>> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(Some(a.cmp(b))),
            (Self::Double(a), Self::Double(b)) => Some(a.partial_cmp(b)),
            (Self::Int(a), Self::Double(b)) => Some(int_with_double(*a, *b)),
            (Self::Double(a), Self::Int(b)) => Some(int_with_double(*b, *a).map(Ordering::reverse)),
            (Self::Bool(a), Self::Bool(b)) => Some(Some(a.cmp(b))),
            (Self::Text(a), Self::Text(b)) => Some(Some(a.cmp(b))),
            _ => None,
        }
    }
}

/// Evaluates an expression as the specification reads; `None` is an error.
pub(crate) fn plain(expr: &Expr, event: &Json, locals: &mut Vec<Option<Plain>>) -> Option<Plain> {
    Some(match expr {
        Expr::Int(value) => Plain::Int(*value),
        Expr::Double(value) => Plain::Double(*value),
        Expr::Bool(value) => Plain::Bool(*value),
        Expr::Text(text) => Plain::Text(text.clone()),
        Expr::List(items) => {
            Plain::List(items.iter().map(|item| plain(item, event, locals)).collect::<Option<_>>()?)
        }
        Expr::Field(name) => read(event.get("e")?.get(name)?),
        Expr::Local(local) => locals[*local].clone()?,
        Expr::Not(inner) => match plain(inner, event, locals)? {
            Plain::Bool(value) => Plain::Bool(!value),
            _ => return None,
        },
        Expr::Negate(inner) => match plain(inner, event, locals)? {
            Plain::Int(value) => Plain::Int(value.checked_neg()?),
            Plain::Double(value) => Plain::Double(-value),
            _ => return None,
        },
        Expr::Chain("+", terms) => {
            let mut terms = terms.iter().map(|term| plain(term, event, locals));
            let mut sum = terms.next()??;
            for term in terms {
                sum = match (sum, term?) {
                    (Plain::Int(a), Plain::Int(b)) => Plain::Int(a.checked_add(b)?),
                    (Plain::Double(a), Plain::Double(b)) => Plain::Double(a + b),
                    (Plain::Text(a), Plain::Text(b)) => Plain::Text(a + &b),
                    (Plain::List(a), Plain::List(b)) => Plain::List([a, b].concat()),
                    _ => return None,
                };
            }
            sum
        }
        Expr::Chain(op, terms) => {
            let decides = *op == "||";
            let mut failed = false;
            for term in terms {
                match plain(term, event, locals) {
                    Some(Plain::Bool(value)) if value == decides => return Some(Plain::Bool(decides)),
                    Some(Plain::Bool(_)) => {}
                    _ => failed = true,
                }
            }
            if failed {
                return None;
            }
            Plain::Bool(!decides)
        }
        Expr::Binary(op, a, b) => {
            let (a, b) = (plain(a, event, locals)?, plain(b, event, locals)?);
            match (*op, a, b) {
                ("==", a, b) => Plain::Bool(a.equal(&b)),
                ("!=", a, b) => Plain::Bool(!a.equal(&b)),
                ("in", a, Plain::List(items)) => Plain::Bool(items.iter().any(|item| item.equal(&a))),
                (op @ ("<" | "<=" | ">" | ">="), a, b) => {
                    let order = a.less(&b)?;
                    Plain::Bool(match op {
                        "<" => order == Some(Ordering::Less),
                        "<=" => matches!(order, Some(Ordering::Less | Ordering::Equal)),
                        ">" => order == Some(Ordering::Greater),
                        _ => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
                    })
                }
                (op, Plain::Int(a), Plain::Int(b)) => Plain::Int(match op {
                    "-" => a.checked_sub(b)?,
                    "*" => a.checked_mul(b)?,
                    "/" => a.checked_div(b)?,
                    "%" => a.checked_rem(b)?,
                    _ => return None,
                }),
                ("-", Plain::Double(a), Plain::Double(b)) => Plain::Double(a - b),
                ("*", Plain::Double(a), Plain::Double(b)) => Plain::Double(a * b),
                ("/", Plain::Double(a), Plain::Double(b)) => Plain::Double(a / b),
                _ => return None,
            }
        }
        Expr::Conditional(a, b, c) => match plain(a, event, locals)? {
            Plain::Bool(true) => plain(b, event, locals)?,
            Plain::Bool(false) => plain(c, event, locals)?,
            _ => return None,
        },
        Expr::Size(inner) => match plain(inner, event, locals)? {
            Plain::Text(text) => Plain::Int(i64::try_from(text.chars().count()).ok()?),
            Plain::List(items) => Plain::Int(i64::try_from(items.len()).ok()?),
            _ => return None,
        },
        Expr::Index(of, at) => match (plain(of, event, locals)?, plain(at, event, locals)?) {
            (Plain::List(items), Plain::Int(at)) => items.get(usize::try_from(at).ok()?)?.clone(),
            (Plain::List(items), Plain::Double(at)) if at.trunc() == at => items
                .get((0..items.len()).find(|place| {
                    int_with_double(i64::try_from(*place).unwrap(), at) == Some(Ordering::Equal)
                })?)?
                .clone(),
            _ => return None,
        },
        Expr::Contains(of, part) => match (plain(of, event, locals)?, plain(part, event, locals)?) {
            (Plain::Text(of), Plain::Text(part)) => Plain::Bool(of.contains(&part)),
            _ => return None,
        },
        Expr::Bind(local, value, body) => {
            let value = plain(value, event, locals);
            assert_eq!(*local, locals.len());
            locals.push(value);
            let result = plain(body, event, locals);
            locals.pop();
            result?
        }
        Expr::Macro(name, range, _, body) => {
            let Plain::List(items) = plain(range, event, locals)? else { return None };
            let mut made = Vec::new();
            for item in &items {
                locals.push(Some(item.clone()));
                made.push(plain(body, event, locals));
                locals.pop();
            }
            match *name {
                "map" => Plain::List(made.into_iter().collect::<Option<_>>()?),
                "all" | "exists" => {
                    let decides = *name == "exists";
                    if made.contains(&Some(Plain::Bool(decides))) {
                        Plain::Bool(decides)
                    } else if made.iter().all(|each| *each == Some(Plain::Bool(!decides))) {
                        Plain::Bool(!decides)
                    } else {
                        return None;
                    }
                }
                _ => {
                    let mut kept = Vec::new();
                    for (item, holds) in items.into_iter().zip(made) {
                        match holds? {
                            Plain::Bool(true) => kept.push(item),
                            Plain::Bool(false) => {}
                            _ => return None,
                        }
                    }
                    if *name == "filter" { Plain::List(kept) } else { Plain::Bool(kept.len() == 1) }
                }
            }
        }
    })
}

/// The order on the number line. The greatest int counts as 2⁶³, as the conformance tests have it.
#[expect(clippy::cast_possible_truncation, reason = "doubles that no i128 reaches are handled before")]
fn int_with_double(int: i64, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    if double.abs() > 1e30 {
        return Some(if double > 0.0 { Ordering::Less } else { Ordering::Greater });
    }
    let int = i128::from(int) + i128::from(int == i64::MAX);
    let below = double.floor();
    Some(int.cmp(&(below as i128)).then(if double > below { Ordering::Less } else { Ordering::Equal }))
}

fn read(json: &Json) -> Plain {
    match json {
        Json::Bool(value) => Plain::Bool(*value),
        Json::Number(number) => {
            number.as_i64().map_or_else(|| Plain::Double(number.as_f64().unwrap()), Plain::Int)
        }
        Json::String(text) => Plain::Text(text.clone()),
        Json::Array(items) => Plain::List(items.iter().map(read).collect()),
        _ => panic!("no such field"),
    }
}
