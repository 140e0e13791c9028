//! What goes to the scripts and what comes back.

use guardian_core::StoreErrorKind;
use redis::{Cmd, Value};

use super::link::{Fault, Link};
use crate::store::micros::{self, Share, Token, micros, reading};
use crate::store::{Call, Item};
use crate::{Algorithm, Mode, Outcome, Precision, Rule};

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
        let kind = micros::precision_number(precision);
        self.number(kind).number(micros(rule.window())).number(micros::slice(rule))
    }
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
