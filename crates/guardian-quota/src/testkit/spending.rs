use std::time::Duration;

use super::{DAY, Fixture, Verdict, Violation, equal, holds, quotas};
use crate::{Error, Grant, Happened, Reason, Subject, Usage};

/// A limit admits its amount and no unit more; soft, grace and overage as far as they say.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn a_limit_is_kept(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (quotas, clock, scope) = quotas(fixture.store(), "limit").await?;
        let org = Subject::org();
        let one = Usage::of("calls", &org, 1)?;
        for spent in 1..=100_i128 {
            let decision = quotas.consume(&scope, &one).await?;
            holds(decision.allowed && decision.used == spent, || {
                format!("call {spent} of 100: {decision:?}")
            })?;
            equal(&decision.remaining, &Some(100 - spent), "what remains")?;
        }
        let denied = quotas.consume(&scope, &one).await?;
        equal(
            &(denied.allowed, denied.reason, denied.remaining),
            &(false, Reason::LimitReached, Some(0)),
            "the call beyond",
        )?;
        equal(&denied.resets_at, &Some("2026-02-01T00:00:00Z".parse()?), "when it starts anew")?;
        equal(&quotas.check(&scope, &one).await?.allowed, &false, "a check at the limit")?;
        // Too much at once takes nothing.
        let exports = Usage::of("exports", &org, 16)?;
        equal(&quotas.consume(&scope, &exports).await?.allowed, &false, "beyond the grace at once")?;
        let ten = Usage::of("exports", &org, 12)?;
        let grace = quotas.consume(&scope, &ten).await?;
        equal(&(grace.allowed, grace.reason, grace.beyond), &(true, Reason::Grace, 2), "within the grace")?;
        clock.advance(Duration::from_secs(3601));
        let over = quotas.consume(&scope, &Usage::of("exports", &org, 1)?).await?;
        equal(&(over.allowed, over.reason), &(false, Reason::GraceOver), "after the grace")?;
        let emails = quotas.consume(&scope, &Usage::of("emails", &org, 14)?).await?;
        equal(&(emails.allowed, emails.reason, emails.beyond), &(true, Reason::Overage, 4), "the overage")?;
        let capped = quotas.consume(&scope, &Usage::of("emails", &org, 1)?).await?;
        equal(&(capped.allowed, capped.reason), &(false, Reason::CapReached), "at the cap")?;
        // A rolling window: full for an hour.
        let burst = Usage::of("burst", &org, 30)?;
        equal(&quotas.consume(&scope, &burst).await?.allowed, &true, "a burst")?;
        clock.advance(Duration::from_secs(3500));
        equal(&quotas.consume(&scope, &burst).await?.allowed, &false, "a second one within the window")?;
        clock.advance(Duration::from_secs(161));
        equal(&quotas.consume(&scope, &burst).await?.allowed, &true, "one behind the window")?;
        // Meters that do not add up.
        for (threads, allowed) in [(5, true), (8, true), (9, false), (3, true)] {
            let peak = quotas.consume(&scope, &Usage::of("peak", &org, threads)?).await?;
            equal(&peak.allowed, &allowed, "a peak")?;
        }
        equal(&quotas.balance(&scope, "peak", &org).await?.used, &8, "the peak")?;
        for (who, allowed) in
            [("ann", true), ("bob", true), ("ann", true), ("eve", true), ("sam", false), ("bob", true)]
        {
            let usage = Usage::of("people", &org, 1)?.with_value(who);
            equal(&quotas.consume(&scope, &usage).await?.allowed, &allowed, who)?;
        }
        for (bytes, allowed) in [(900, true), (1001, false), (100, true), (1000, true)] {
            equal(
                &quotas.consume(&scope, &Usage::of("stored", &org, bytes)?).await?.allowed,
                &allowed,
                "stored bytes",
            )?;
        }
        Ok(())
    })
}

/// What one level denies is charged to none.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn levels_are_all_or_nothing(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (quotas, _, scope) = quotas(fixture.store(), "levels").await?;
        let team = Subject::org().team("sales")?;
        let (ann, bob) = (team.user("ann")?, team.user("bob")?);
        equal(
            &quotas.consume(&scope, &Usage::of("calls", &ann, 20)?).await?.allowed,
            &true,
            "all of a user's",
        )?;
        let denied = quotas.consume(&scope, &Usage::of("calls", &ann, 1)?).await?;
        equal(&(denied.allowed, denied.level.as_str()), &(false, "user"), "beyond the user")?;
        for (subject, used) in [(&Subject::org(), 20), (&team, 20), (&ann, 20), (&bob, 0)] {
            equal(&quotas.balance(&scope, "calls", subject).await?.used, &used, "used")?;
        }
        for name in ["bob", "cid"] {
            equal(
                &quotas.consume(&scope, &Usage::of("calls", &team.user(name)?, 20)?).await?.allowed,
                &true,
                name,
            )?;
        }
        let denied = quotas.consume(&scope, &Usage::of("calls", &team.user("dan")?, 1)?).await?;
        equal(&(denied.allowed, denied.level.as_str()), &(false, "team"), "beyond the team")?;
        equal(&quotas.balance(&scope, "calls", &team.user("dan")?).await?.used, &0, "the denied user")?;
        let other = Subject::org().team("support")?.user("eve")?;
        equal(
            &quotas.consume(&scope, &Usage::of("calls", &other, 20)?).await?.allowed,
            &true,
            "another team",
        )?;
        equal(&quotas.balance(&scope, "calls", &Subject::org()).await?.used, &80, "the organisation")?;
        Ok(())
    })
}

/// A hold takes units out of the way, is no spending, and ends at its time though nobody looks.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn a_hold_ends_by_itself(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (quotas, clock, scope) = quotas(fixture.store(), "holds").await?;
        let org = Subject::org();
        let hold =
            quotas.reserve(&scope, &Usage::of("calls", &org, 70)?, Duration::from_secs(60)).await?.hold;
        let hold = hold.ok_or_else(|| Violation::new("a reservation without a hold"))?;
        let balance = quotas.balance(&scope, "calls", &org).await?;
        equal(&(balance.used, balance.held, balance.remaining), &(0, 70, Some(30)), "while it is held")?;
        equal(
            &quotas.consume(&scope, &Usage::of("calls", &org, 31)?).await?.allowed,
            &false,
            "what is held",
        )?;
        let longer = quotas.extend(&scope, &hold, Duration::from_secs(120)).await?;
        clock.advance(Duration::from_secs(119));
        equal(
            &quotas.consume(&scope, &Usage::of("calls", &org, 31)?).await?.allowed,
            &false,
            "what is still held",
        )?;
        clock.advance(Duration::from_secs(1));
        let balance = quotas.balance(&scope, "calls", &org).await?;
        equal(&(balance.used, balance.held, balance.remaining), &(0, 0, Some(100)), "when it has ended")?;
        equal(&quotas.consume(&scope, &Usage::of("calls", &org, 100)?).await?.allowed, &true, "all of it")?;
        // Late, and there is no room any more.
        equal(&quotas.commit(&scope, &longer, 1).await?.allowed, &false, "a late commit without room")?;
        quotas.release(&scope, &longer).await?;
        // Of this meter late commits are taken, whatever the limit; of that one never.
        let hold =
            quotas.reserve(&scope, &Usage::of("tokens", &org, 1000)?, Duration::from_secs(1)).await?.hold;
        let hold = hold.ok_or_else(|| Violation::new("a reservation without a hold"))?;
        clock.advance(Duration::from_secs(2));
        equal(
            &quotas.consume(&scope, &Usage::of("tokens", &org, 1000)?).await?.allowed,
            &true,
            "what was held",
        )?;
        equal(&quotas.commit(&scope, &hold, 900).await?.allowed, &true, "a late commit")?;
        equal(&quotas.balance(&scope, "tokens", &org).await?.used, &1900, "all that was used")?;
        let hold = quotas.reserve(&scope, &Usage::of("emails", &org, 5)?, Duration::from_secs(1)).await?.hold;
        let hold = hold.ok_or_else(|| Violation::new("a reservation without a hold"))?;
        clock.advance(Duration::from_secs(2));
        let late = quotas.commit(&scope, &hold, 5).await?;
        equal(&(late.allowed, late.reason), &(false, Reason::HoldExpired), "a late commit that is refused")?;
        Ok(())
    })
}

/// A commit spends what was used and frees the rest; a hold is closed once.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn a_commit_counts_what_was_used(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (quotas, clock, scope) = quotas(fixture.store(), "commits").await?;
        let org = Subject::org();
        let minute = Duration::from_secs(60);
        let usage = Usage::of("calls", &org, 50)?;
        let take = async || quotas.reserve(&scope, &usage, minute).await.map(|decision| decision.hold);
        let hold = take().await?.ok_or_else(|| Violation::new("a reservation without a hold"))?;
        equal(&quotas.commit(&scope, &hold, 20).await?.allowed, &true, "less than was held")?;
        let again = quotas.commit(&scope, &hold, 20).await?;
        equal(&(again.allowed, again.replayed), &(true, true), "the same commit again")?;
        let refused = |error: &Error| matches!(error, Error::HoldClosed { committed: Some(20), .. });
        holds(quotas.commit(&scope, &hold, 21).await.is_err_and(|error| refused(&error)), || {
            "a hold was committed twice, with two amounts".to_owned()
        })?;
        holds(quotas.release(&scope, &hold).await.is_err_and(|error| refused(&error)), || {
            "a hold was released after its commit".to_owned()
        })?;
        let balance = quotas.balance(&scope, "calls", &org).await?;
        equal(&(balance.used, balance.held, balance.remaining), &(20, 0, Some(80)), "after the commit")?;
        let hold = take().await?.ok_or_else(|| Violation::new("a reservation without a hold"))?;
        quotas.release(&scope, &hold).await?;
        quotas.release(&scope, &hold).await?;
        equal(&quotas.balance(&scope, "calls", &org).await?.remaining, &Some(80), "after the release")?;
        let late = quotas.commit(&scope, &hold, 20).await;
        holds(late.is_err_and(|error| matches!(error, Error::HoldClosed { committed: None, .. })), || {
            "a hold was committed after its release".to_owned()
        })?;
        // More than was held, as far as there is room.
        let hold = take().await?.ok_or_else(|| Violation::new("a reservation without a hold"))?;
        equal(&quotas.commit(&scope, &hold, 81).await?.allowed, &false, "more than there is")?;
        equal(&quotas.balance(&scope, "calls", &org).await?.held, &50, "the hold stays")?;
        equal(&quotas.commit(&scope, &hold, 80).await?.allowed, &true, "all that there is")?;
        let hold = quotas.reserve(&scope, &Usage::of("emails", &org, 5)?, minute).await?.hold;
        let hold = hold.ok_or_else(|| Violation::new("a reservation without a hold"))?;
        let more = quotas.commit(&scope, &hold, 6).await?;
        equal(&(more.allowed, more.reason), &(false, Reason::ExceedsHold), "more, where that is refused")?;
        // The spending counts for the period of the hold.
        clock.advance(16 * DAY + Duration::from_secs(11 * 3600 + 3590));
        let hold = quotas.reserve(&scope, &Usage::of("tokens", &org, 400)?, minute).await?.hold;
        let hold = hold.ok_or_else(|| Violation::new("a reservation without a hold"))?;
        clock.advance(minute / 2);
        equal(&quotas.commit(&scope, &hold, 400).await?.allowed, &true, "a commit in the next period")?;
        let balance = quotas.balance(&scope, "tokens", &org).await?;
        equal(&(balance.used, balance.held), &(0, 0), "the next period")?;
        let replay = quotas.replay(&scope, "tokens").await?;
        let january = replay.periods(&org).first().copied().ok_or_else(|| Violation::new("no period"))?;
        equal(&replay.used(&org, january), &400, "the period of the hold")?;
        Ok(())
    })
}

/// Grants and the allowance are used up by priority, expiry and age; what expired is gone.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn grants_are_used_up_in_order(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (quotas, clock, scope) = quotas(fixture.store(), "grants").await?;
        let ann = Subject::org().user("ann")?;
        let now = "2026-01-15T12:00:00Z".parse::<guardian_core::Timestamp>()?;
        let nothing = quotas.consume(&scope, &Usage::of("tokens", &ann, 1)?).await?;
        equal(&(nothing.allowed, nothing.level.as_str()), &(false, "user"), "without a grant")?;
        quotas.grant(&scope, "tokens", &ann, &Grant::new(100)?).await?;
        quotas.grant(&scope, "tokens", &ann, &Grant::new(50)?.with_expiry(now + DAY)).await?;
        quotas.grant(&scope, "tokens", &ann, &Grant::new(30)?.with_priority(1)).await?;
        let id = uuid::Uuid::from_u128(7);
        let later = Grant::new(40)?.with_id(id).with_priority(0).with_start(now + 2 * DAY);
        quotas.grant(&scope, "tokens", &ann, &later).await?;
        let again = quotas.grant(&scope, "tokens", &ann, &later).await?;
        equal(&again.replayed, &true, "the same grant again")?;
        equal(
            &quotas.consume(&scope, &Usage::of("tokens", &ann, 60)?).await?.allowed,
            &true,
            "of three grants",
        )?;
        let left = async || -> Result<Vec<(i128, i128)>, Error> {
            let balance = quotas.balance(&scope, "tokens", &ann).await?;
            Ok(balance.grants.iter().map(|grant| (grant.amount, grant.left)).collect())
        };
        equal(&left().await?, &vec![(40, 40), (30, 0), (50, 20), (100, 100)], "by priority, then by expiry")?;
        let hold =
            quotas.reserve(&scope, &Usage::of("tokens", &ann, 70)?, Duration::from_secs(5 * 86_400)).await?;
        let hold = hold.hold.ok_or_else(|| Violation::new("a reservation without a hold"))?;
        equal(&left().await?, &vec![(40, 40), (30, 0), (50, 0), (100, 50)], "held")?;
        clock.advance(DAY);
        equal(&left().await?, &vec![(40, 40), (30, 0), (100, 50)], "what expired is gone")?;
        equal(&quotas.commit(&scope, &hold, 30).await?.allowed, &true, "a promise is kept")?;
        equal(&left().await?, &vec![(40, 40), (30, 0), (100, 90)], "what was held first is spent first")?;
        equal(
            &quotas.consume(&scope, &Usage::of("tokens", &ann, 91)?).await?.allowed,
            &false,
            "more than is left",
        )?;
        clock.advance(DAY);
        equal(
            &quotas.consume(&scope, &Usage::of("tokens", &ann, 91)?).await?.allowed,
            &true,
            "the later grant too",
        )?;
        quotas.give_back(&scope, &Usage::of("tokens", &ann, 51)?).await?;
        equal(&left().await?, &vec![(40, 0), (30, 0), (100, 90)], "given back, last used first")?;
        Ok(())
    })
}

/// A new period starts with its allowance and what was rolled over, also when nobody looked in between.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn periods_turn_and_roll_over(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (quotas, clock, scope) = quotas(fixture.store(), "periods").await?;
        let org = Subject::org();
        equal(&quotas.consume(&scope, &Usage::of("tokens", &org, 800)?).await?.allowed, &true, "in January")?;
        clock.advance(17 * DAY);
        let balance = quotas.balance(&scope, "tokens", &org).await?;
        equal(&(balance.used, balance.remaining), &(0, Some(1200)), "in February")?;
        equal(
            &quotas.consume(&scope, &Usage::of("tokens", &org, 150)?).await?.allowed,
            &true,
            "of what was rolled over",
        )?;
        clock.advance(28 * DAY);
        // 50 of January live to the end of March, and 300 of February came.
        equal(&quotas.balance(&scope, "tokens", &org).await?.remaining, &Some(1350), "in March")?;
        clock.advance(31 * DAY);
        equal(
            &quotas.balance(&scope, "tokens", &org).await?.remaining,
            &Some(1600),
            "in April, nobody having looked",
        )?;
        clock.advance(365 * DAY);
        equal(
            &quotas.consume(&scope, &Usage::of("tokens", &org, 1601)?).await?.allowed,
            &false,
            "a year later",
        )?;
        equal(
            &quotas.consume(&scope, &Usage::of("tokens", &org, 1600)?).await?.allowed,
            &true,
            "a year later, all",
        )?;
        Ok(())
    })
}

/// What uses nothing is allowed where nothing is left, writes nothing, and keeps no key.
///
/// # Errors
/// The violation, or a fault of the store.
pub fn nothing_is_written_of_nothing(fixture: &impl Fixture) -> Verdict {
    fixture.block_on(async {
        let (quotas, clock, scope) = quotas(fixture.store(), "nothing").await?;
        let org = Subject::org();
        let none = Usage::of("calls", &org, 0)?;
        let before = quotas.consume(&scope, &none).await?;
        equal(&(before.allowed, before.entry), &(true, None), "nothing at first")?;
        equal(&quotas.consume(&scope, &Usage::of("calls", &org, 100)?).await?.entry, &Some(1), "everything")?;
        let keyed = none.clone().with_key("k1")?;
        for usage in [&none, &keyed, &keyed] {
            let decision = quotas.consume(&scope, usage).await?;
            equal(
                &(decision.allowed, decision.entry, decision.replayed, decision.remaining),
                &(true, None, false, Some(0)),
                "nothing at the limit",
            )?;
        }
        let event = Happened { usage: none.clone(), at: "2026-01-10T00:00:00Z".parse()? };
        equal(&quotas.record(&scope, &event).await?.entry, &None, "a record of nothing")?;
        equal(&quotas.give_back(&scope, &none).await?.entry, &None, "nothing given back")?;
        // The key is as good as new.
        clock.advance(17 * DAY);
        let decision = quotas.consume(&scope, &Usage::of("calls", &org, 3)?.with_key("k1")?).await?;
        equal(&(decision.entry, decision.replayed), &(Some(2), false), "the key of nothing")?;
        equal(&quotas.entries(&scope, "calls", 0, 10).await?.len(), &2, "the entries")?;
        // An administrator's correction has a reason, and the report of a meter that does not add up is one.
        equal(&quotas.adjust(&scope, "calls", &org, 0, "looked at").await?.entry, &Some(3), "a correction")?;
        for entry in [1, 2] {
            let stored = quotas.consume(&scope, &Usage::of("stored", &org, 0)?).await?;
            equal(&stored.entry, &Some(entry), "a report of 0")?;
        }
        Ok(())
    })
}
