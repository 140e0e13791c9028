//! The human syntax of rules: reading it with positions in the errors, and writing it back.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::{Algorithm, InvalidRule, Precision, Rate, Rule};

/// The longest rule text, in bytes; longer input is refused before it is read.
const MAX_LEN: usize = 128;

/// Units from the largest, with the canonical spelling first. `Display` takes the largest that divides.
const UNITS: &[(&[&str], u64)] = &[
    (&["week", "w", "weeks"], 604_800_000_000),
    (&["day", "d", "days"], 86_400_000_000),
    (&["h", "hr", "hour", "hours"], 3_600_000_000),
    (&["min", "mins", "minute", "minutes"], 60_000_000),
    (&["s", "sec", "secs", "second", "seconds"], 1_000_000),
    (&["ms", "millisecond", "milliseconds"], 1_000),
    (&["us", "µs", "microsecond", "microseconds"], 1),
];

impl FromStr for Rule {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Parser::new(text)?.rule()
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, InvalidRule> {
        if text.len() > MAX_LEN {
            return Err(InvalidRule::new(
                text,
                format!("it has {} bytes, the most is {MAX_LEN}", text.len()),
            ));
        }
        Ok(Self { text, at: 0 })
    }

    fn rule(mut self) -> Result<Rule, InvalidRule> {
        let count = self.number("a count")?;
        let rule = if self.symbol('/') { self.rated(count)? } else { self.concurrent(count)? };
        match self.word() {
            "" if self.rest().is_empty() => Ok(rule),
            "" => Err(self.error(format!("unexpected `{}`", self.rest()))),
            word => Err(self.error_before(word, format!("unexpected `{word}`"))),
        }
    }

    fn rated(&mut self, count: u32) -> Result<Rule, InvalidRule> {
        let window = self.span(false)?;
        let rate = Rate::new(count, window).map_err(|e| self.within(&e))?;
        let before = self.at;
        let rule = match self.word() {
            "" => Rule::token_bucket(rate, count),
            "burst" => Rule::token_bucket(rate, self.number("a number after `burst`, as in `burst 20`")?),
            "fixed" => Ok(Rule::fixed_window(rate)),
            "sliding" => self.sliding(rate)?,
            word => {
                let hint = "expected `burst N`, `sliding` or `fixed`";
                self.at = before;
                return Err(self.error(format!("unknown word `{word}`; {hint}")));
            }
        };
        rule.map_err(|e| self.within(&e))
    }

    fn sliding(&mut self, rate: Rate) -> Result<Result<Rule, InvalidRule>, InvalidRule> {
        let before = self.at;
        let precision = match self.word() {
            "" => return Ok(Ok(Rule::sliding(rate))),
            "exact" => Precision::Exact,
            "strict" => Precision::Strict { slices: self.slices()? },
            "lenient" => Precision::Lenient { slices: self.slices()? },
            word => {
                self.at = before;
                return Err(
                    self.error(format!("unknown word `{word}`; expected `exact`, `strict` or `lenient`"))
                );
            }
        };
        Ok(Rule::sliding_window(rate, precision))
    }

    fn slices(&mut self) -> Result<u16, InvalidRule> {
        if !self.rest().trim_start().starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(Rule::DEFAULT_SLICES);
        }
        let slices: u32 = self.number("a number of slices")?;
        u16::try_from(slices).map_err(|_| self.error(format!("the slices must be 2 to {}", Rule::MAX_SLICES)))
    }

    fn concurrent(&mut self, permits: u32) -> Result<Rule, InvalidRule> {
        let before = self.at;
        if self.word() != "concurrent" {
            self.at = before;
            return Err(self.error("expected `/` and a unit, as in `100/min`, or `concurrent for 30s`"));
        }
        let before = self.at;
        if self.word() != "for" {
            self.at = before;
            return Err(self.error("expected `for` and a time, as in `10 concurrent for 30s`"));
        }
        let ttl = self.span(true)?;
        Rule::concurrency(permits, ttl).map_err(|e| self.within(&e))
    }

    /// A time: a unit, with a number before it where one is given or needed.
    fn span(&mut self, number_needed: bool) -> Result<Duration, InvalidRule> {
        let has_number = self.rest().trim_start().starts_with(|c: char| c.is_ascii_digit());
        let number = if has_number || number_needed { self.number("a time")? } else { 1_u64 };
        let word = self.word();
        let Some((_, micros)) = UNITS.iter().find(|(names, _)| names.contains(&word)) else {
            let hint = if word == "m" {
                "write `min` for minutes"
            } else {
                "use `ms`, `s`, `min`, `h`, `day` or `week`"
            };
            return Err(if word.is_empty() {
                self.error(format!("expected a unit; {hint}"))
            } else {
                self.error_before(
                    word,
                    format!("unknown unit `{word}` at byte {}; {hint}", self.at - word.len()),
                )
            });
        };
        let micros = number.checked_mul(*micros).ok_or_else(|| self.error("the time is too long"))?;
        Ok(Duration::from_micros(micros))
    }

    /// Digits, with single `_` between them allowed.
    fn number<N: FromStr>(&mut self, what: &str) -> Result<N, InvalidRule> {
        self.skip_space();
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(rest.len());
        let (digits, _) = rest.split_at(end);
        if digits.is_empty() {
            return Err(self.error(format!("expected {what}")));
        }
        if digits.starts_with('_') || digits.ends_with('_') || digits.contains("__") {
            return Err(self.error("a `_` must stand between two digits"));
        }
        let value =
            digits.replace('_', "").parse().map_err(|_| self.error(format!("`{digits}` is too large")))?;
        self.at += end;
        Ok(value)
    }

    /// The next letters, or nothing where no letter follows.
    fn word(&mut self) -> &'a str {
        self.skip_space();
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        let (word, _) = rest.split_at(end);
        self.at += end;
        word
    }

    fn symbol(&mut self, symbol: char) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(symbol);
        self.at += if found { symbol.len_utf8() } else { 0 };
        found
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn error(&self, why: impl fmt::Display) -> InvalidRule {
        let at = self.at + self.rest().len() - self.rest().trim_start().len();
        InvalidRule::new(self.text, format!("{why} at byte {at}"))
    }

    /// An error whose text already says where.
    fn error_before(&self, word: &str, why: String) -> InvalidRule {
        let why =
            if why.contains(" at byte ") { why } else { format!("{why} at byte {}", self.at - word.len()) };
        InvalidRule::new(self.text, why)
    }

    /// The same error, about the text that was read.
    fn within(&self, error: &InvalidRule) -> InvalidRule {
        InvalidRule::new(self.text, error.why())
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TokenBucket { rate, burst } => write!(f, "{rate} burst {burst}"),
            Self::SlidingWindow { rate, precision: Precision::Exact } => write!(f, "{rate} sliding exact"),
            Self::SlidingWindow { rate, precision: Precision::Strict { slices } } => {
                write!(f, "{rate} sliding strict {slices}")
            }
            Self::SlidingWindow { rate, precision: Precision::Lenient { slices } } => {
                write!(f, "{rate} sliding lenient {slices}")
            }
            Self::FixedWindow { rate } => write!(f, "{rate} fixed"),
            Self::Concurrency { permits, ttl } => {
                write!(f, "{permits} concurrent for {}", Span(*ttl).with_number())
            }
        }
    }
}

/// Writes a time in the largest unit that divides it; a lone unit without its 1.
pub(crate) struct Span(pub(crate) Duration);

impl Span {
    fn with_number(self) -> String {
        let text = self.to_string();
        if text.starts_with(|c: char| c.is_ascii_digit()) { text } else { format!("1{text}") }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        let unit = UNITS.iter().find(|(_, unit)| micros.is_multiple_of(u128::from(*unit)));
        let Some((names, unit)) = unit else { return Ok(()) };
        let name = names.first().copied().unwrap_or_default();
        match micros / u128::from(*unit) {
            1 => f.write_str(name),
            number => write!(f, "{number}{name}"),
        }
    }
}
