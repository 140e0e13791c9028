//! What goes to the scripts and what comes back.

use std::time::Duration;

use guardian_core::{MonoTime, StoreErrorKind};
use redis::{Cmd, Value};

use super::link::{Fault, Link};
use crate::reading::Reading;
use crate::rule::Engine;
use crate::store::{Call, Item};
use crate::{Algorithm, Mode, Outcome, Precision, Rate, Rule};

/// A script and the name that the server gives it.
#[derive(Debug)]
pub(super) struct Script {
    source: &'static str,
    digest: String,
}

impl Script {
    fn new(source: &'static str) -> Self {
        Self { source, digest: redis::Script::new(source).get_hash().to_owned() }
    }

    /// Runs it by its name; a server that does not know it (new, or flushed) gets the whole text, once.
    pub(super) async fn run(
        &self,
        link: &Link,
        keys: &[String],
        arguments: &Arguments,
    ) -> Result<Value, Fault> {
        let command = |name: &str, script: &str| {
            let mut command = Cmd::new();
            command.arg(name).arg(script).arg(keys.len());
            for key in keys {
                command.arg(key.as_str());
            }
            for argument in &arguments.0 {
                command.arg(argument.as_str());
            }
            command
        };
        match link.send(&command("EVALSHA", &self.digest)).await {
            Err(fault) if fault.is_unknown_script => link.send(&command("EVAL", self.source)).await,
            answer => answer,
        }
    }
}

#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) check: Script,
    pub(super) refund: Script,
    pub(super) release: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            check: Script::new(concat!(include_str!("state.lua"), include_str!("check.lua"))),
            refund: Script::new(concat!(include_str!("state.lua"), include_str!("refund.lua"))),
            release: Script::new(include_str!("release.lua")),
        }
    }
}

/// The arguments of a script.
#[derive(Debug, Default)]
pub(super) struct Arguments(Vec<String>);

impl Arguments {
    pub(super) fn text(&mut self, text: impl Into<String>) -> &mut Self {
        self.0.push(text.into());
        self
    }

    pub(super) fn number(&mut self, number: impl Into<u64>) -> &mut Self {
        self.text(number.into().to_string())
    }

    /// Whole and fraction of a time.
    fn share(&mut self, share: Share) -> &mut Self {
        self.number(share.whole).number(share.fraction)
    }

    /// One limit of a check.
    pub(super) fn item(&mut self, item: &Item<'_>) {
        let enforced = u64::from(item.mode == Mode::Enforce);
        let limit = u64::from(item.rule.capacity());
        match item.rule.algorithm() {
            Algorithm::TokenBucket { rate, burst } => {
                let token = Token::new(rate);
                self.text("b").number(enforced).token(&token);
                if item.cost > burst {
                    self.text("-1").text("0");
                } else {
                    self.share(token.times(item.cost));
                }
                self.share(token.times(burst));
            }
            Algorithm::SlidingWindow { precision, .. } => {
                self.text("w").number(enforced).number(item.cost).number(limit);
                self.window(item.rule, precision);
            }
            Algorithm::FixedWindow { rate } => {
                self.text("f").number(enforced).number(item.cost).number(limit);
                self.number(rate.window_micros());
            }
            Algorithm::Concurrency { ttl, .. } => {
                self.text("p").number(enforced).number(item.cost).number(limit);
                self.number(micros(ttl));
            }
        }
    }

    /// One limit of a refund.
    pub(super) fn refunded(&mut self, item: &Item<'_>) {
        match item.rule.algorithm() {
            Algorithm::TokenBucket { rate, .. } => {
                let token = Token::new(rate);
                self.text("b").token(&token).share(token.times(item.cost));
            }
            Algorithm::SlidingWindow { precision, .. } => {
                self.text("w").number(item.cost).window(item.rule, precision);
            }
            Algorithm::FixedWindow { rate } => {
                self.text("f").number(item.cost).number(rate.window_micros());
            }
            Algorithm::Concurrency { .. } => {
                self.text("p");
            }
        }
    }

    fn token(&mut self, token: &Token) -> &mut Self {
        let Token { per, micros } = token;
        self.number(*per).number(*micros).text(format!("b{per}:{micros}:"))
    }

    fn window(&mut self, rule: &Rule, precision: Precision) -> &mut Self {
        let kind = match precision {
            Precision::Exact => 0u32,
            Precision::Strict { .. } => 1,
            Precision::Lenient { .. } => 2,
        };
        let slice = match &rule.engine {
            Engine::Window(spec) => spec.slice_nanos() / 1000,
            _ => 0,
        };
        self.number(kind).number(micros(rule.window())).number(slice)
    }
}

/// How long one token takes: `micros / per` microseconds, in lowest terms.
#[derive(Debug, Clone, Copy)]
struct Token {
    per: u64,
    micros: u64,
}

/// A time in whole microseconds and a numerator over a token's `per`.
#[derive(Debug, Clone, Copy)]
struct Share {
    whole: u64,
    fraction: u64,
}

impl Token {
    fn new(rate: Rate) -> Self {
        let (count, window) = (u64::from(rate.count()), rate.window_micros());
        let common = gcd(count, window);
        Self { per: count / common, micros: window / common }
    }

    /// INVARIANT: a bucket fills in at most ten years, so `whole` of a cost within it stays below 2^49; of a
    /// refund above it, it is capped where scripts still count exactly, which empties any debt.
    fn times(&self, tokens: u32) -> Share {
        let product = u128::from(tokens) * u128::from(self.micros);
        let per = u128::from(self.per.max(1));
        Share {
            whole: u64::try_from(product / per).unwrap_or(u64::MAX).min(1 << 52),
            fraction: u64::try_from(product % per).unwrap_or(0),
        }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// How long ago `earlier` was, in whole microseconds of its clock.
pub(super) fn age(now: MonoTime, earlier: MonoTime) -> u64 {
    (now.as_nanos() / 1000).saturating_sub(earlier.as_nanos() / 1000)
}

/// The outcomes of a check.
pub(super) fn outcomes(call: &Call<'_>, reply: Value) -> Result<Vec<Outcome>, Fault> {
    let garbled = || Fault::ours(StoreErrorKind::Corrupt, "the script's answer has another shape");
    let numbers: Vec<i64> = redis::from_redis_value(reply).map_err(|_error| garbled())?;
    let (groups, rest) = numbers.as_chunks::<4>();
    if groups.len() != call.items.len() || !rest.is_empty() {
        return Err(garbled());
    }
    let outcomes = call.items.iter().zip(groups).map(|(item, numbers)| {
        let reading = reading(item, *numbers);
        Outcome::from_reading(item.policy, item.mode, reading)
    });
    Ok(outcomes.collect())
}

/// What a limit says, from the whole numbers that the script computed. Times are rounded up, so that waiting as
/// long is enough.
fn reading(item: &Item<'_>, [admits, a, b, c]: [i64; 4]) -> Reading {
    let (admits, limit) = (admits == 1, item.rule.capacity());
    let whole = |number: i64| u64::try_from(number).unwrap_or(0);
    if let Algorithm::TokenBucket { rate, burst } = item.rule.algorithm() {
        let token = Token::new(rate);
        return bucket_reading(&token, admits, burst, item.cost, (whole(a), whole(b)));
    }
    let nanos = |micros: i64| whole(micros).saturating_mul(1000);
    let used = whole(a).saturating_add(if admits { u64::from(item.cost) } else { 0 });
    let wait = if b < 0 { Reading::NEVER } else { nanos(b) };
    Reading::new(admits, limit, u64::from(limit).saturating_sub(used), wait, nanos(c))
}

/// In units of 1/per microseconds everything is whole.
fn bucket_reading(token: &Token, admits: bool, burst: u32, cost: u32, debt: (u64, u64)) -> Reading {
    let (per, unit) = (u128::from(token.per.max(1)), u128::from(token.micros.max(1)));
    let debt = u128::from(debt.0) * per + u128::from(debt.1);
    let (most, after) = (u128::from(burst) * unit, debt + u128::from(cost) * unit);
    let nanos = |units: u128| u64::try_from(units.div_ceil(per) * 1000).unwrap_or(Reading::NEVER - 1);
    let (left, wait, reset) = if admits {
        (most.saturating_sub(after), 0, nanos(after))
    } else if cost > burst {
        (most.saturating_sub(debt), Reading::NEVER, nanos(debt))
    } else {
        (most.saturating_sub(debt), nanos(after.saturating_sub(most)), nanos(debt))
    };
    let remaining = u64::try_from(left / unit).unwrap_or(u64::MAX);
    Reading::new(admits, burst, remaining, wait, reset)
}
