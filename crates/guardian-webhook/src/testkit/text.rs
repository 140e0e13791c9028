//! The law of texts in the log.

use std::collections::BTreeSet;

use super::{Duration, Enqueue, Fixture, Next, Publish, Violation, World, ensure, first};
use crate::delivery::{DeliveryFilter, DeliveryState};
use crate::store::DeliveryStore as _;

/// A text is found where it was said: in a payload, in one of its versions, in an answer, in an error; nowhere else, and by its own
/// tenant alone.
///
/// # Errors
/// How the store broke the law.
pub fn a_text_is_found_where_it_was_said(fixture: &impl Fixture) -> Result<(), Violation> {
    fixture.block_on(async {
        let world = World::new(fixture.store(), "acme")?;
        let endpoint = world.plain().await?;
        let mut sent = Vec::new();
        for (body, version) in [
            (&b"{\"deal\":\"d_42\"}"[..], None),
            (b"\0\xffd_42%_\xfe", None),
            (b"{}", Some(&b"{\"old\":\"d_42\"}"[..])),
            (b"{\"deal\":\"D_42\"}", None),
            (b"{\"deal\":\"dx42\"}", None),
            (b"{}", None),
        ] {
            let mut publish = Publish::bytes("deal.won", "application/json", body)?;
            if let Some(version) = version {
                publish = publish.with_version("1", version);
            }
            let Enqueue { message, fanout, .. } = world.message(&[&endpoint], None, "deal.won")?;
            let message = crate::Message::of(message.id, message.created, publish);
            sent.extend(fanout.iter().map(|(id, ..)| *id));
            world.store.enqueue(&world.scope, &[Enqueue { message, fanout, idempotency: None }]).await?;
            world.clock.advance(Duration::from_secs(1));
        }
        for each in world.claim(10).await? {
            let mut settlement = world.settlement(&each, 500, Next::Ended(DeliveryState::Dead, None));
            if let Some(attempt) = settlement.attempt.as_mut() {
                match sent.iter().position(|id| *id == each.delivery) {
                    Some(3) => attempt.exchange.body = "no \"d_42\"\n\\ here: ünïcode".to_owned(),
                    Some(4) => attempt.error = Some("connect: \"timed out\"".to_owned()),
                    _ => {}
                }
            }
            world.store.settle(&[settlement], &world.rules, world.now()).await?;
        }
        let all = world.store.deliveries(&world.scope, &DeliveryFilter::new(), &first(10)?).await?.items;
        let cases: [(&str, &[usize]); 9] = [
            ("d_42", &[0, 1, 2, 3]),
            ("D_42", &[3]),
            ("dx42", &[4]),
            ("42%_", &[1]),
            ("\"d_42\"\n\\", &[3]),
            ("\"timed", &[4]),
            ("ünï", &[3]),
            // Parts of the document of an attempt that nobody said.
            ("latency", &[]),
            ("exchange", &[]),
        ];
        for (text, places) in cases {
            let expected: BTreeSet<_> = places.iter().filter_map(|at| sent.get(*at).copied()).collect();
            let found = world.store.holding(&world.scope, &all, text).await?;
            ensure!(found == expected, "`{text}` is in {found:?}, not in {expected:?}");
        }
        ensure!(world.store.holding(&world.scope, &[], "d_42").await?.is_empty(), "found in nothing");
        let theirs = World::new(fixture.store(), "umbrella")?;
        let found = theirs.store.holding(&theirs.scope, &all, "d_42").await?;
        ensure!(found.is_empty(), "another tenant finds {found:?}");
        Ok(())
    })
}
