//! The laws of idempotency keys.

use super::{Duration, Endpoint, Enqueue, Fixture, Message, Publish, Violation, World, after, ensure};
use crate::store::{DeliveryStore, Enqueued};

/// How long the keys hold here.
const HOLDS: Duration = Duration::from_secs(100);

/// A message with a key, of its own id.
fn keyed<S: DeliveryStore>(
    world: &World<S>,
    to: &[&Endpoint],
    publish: Publish,
    key: &str,
) -> Result<Enqueue, Violation> {
    let plain = world.message(to, None, "deal.won")?;
    let message = Message::of(plain.message.id, plain.message.created, publish);
    Ok(Enqueue { message, idempotency: Some((key.to_owned(), after(world.now(), HOLDS))), ..plain })
}

fn deal(body: &str) -> Result<Publish, Violation> {
    Ok(Publish::bytes("deal.won", "text/plain", body.as_bytes())?)
}

/// A message that is told again with its key is not stored again, until the key's time is over.
///
/// # Errors
/// How the store broke the law.
pub fn a_key_is_taken_once(fixture: &impl Fixture) -> Result<(), Violation> {
    fixture.block_on(async {
        let world = World::new(fixture.store(), "acme")?;
        let endpoint = world.plain().await?;
        let won = |key: &str| keyed(&world, &[&endpoint], deal("won")?, key);
        let one = won("k")?;
        let answers = world.store.enqueue(&world.scope, &[one.clone(), won("k")?, won("other")?]).await?;
        ensure!(
            answers == [Enqueued::New, Enqueued::Duplicate(one.message.id), Enqueued::New],
            "within a batch: {answers:?}"
        );
        let answers = world.store.enqueue(&world.scope, &[won("k")?]).await?;
        ensure!(answers == [Enqueued::Duplicate(one.message.id)], "in the next batch: {answers:?}");
        let other = World::new(fixture.store(), "umbrella")?;
        let theirs = Enqueue { fanout: Vec::new(), ..won("k")? };
        ensure!(
            other.store.enqueue(&other.scope, &[theirs]).await? == [Enqueued::New],
            "another tenant has the key"
        );
        ensure!(world.claim(10).await?.len() == 2, "a duplicate was queued");
        world.clock.advance(HOLDS);
        ensure!(
            world.store.enqueue(&world.scope, &[won("k")?]).await? == [Enqueued::New],
            "the key never ends"
        );
        Ok(())
    })
}

/// A key that was used for one message is refused to another, whatever differs; nothing of such a batch is stored, and no key of
/// it is used up.
///
/// # Errors
/// How the store broke the law.
pub fn a_key_is_for_one_message(fixture: &impl Fixture) -> Result<(), Violation> {
    fixture.block_on(async {
        let world = World::new(fixture.store(), "acme")?;
        let endpoint = world.plain().await?;
        let (store, scope) = (&world.store, &world.scope);
        let make = |publish, key: &str| keyed(&world, &[&endpoint], publish, key);
        let one = make(deal("7")?, "k")?;
        ensure!(store.enqueue(scope, std::slice::from_ref(&one)).await? == [Enqueued::New], "it was refused");
        let others = [
            Publish::bytes("deal.lost", "text/plain", *b"7")?,
            Publish::bytes("deal.won", "text/html", *b"7")?,
            deal("8")?,
            deal("7")?.with_version("old", *b"7"),
            deal("7")?.with_ordering_key("7"),
        ];
        for other in others {
            let unkeyed = world.message(&[&endpoint], None, "deal.won")?;
            let fresh = make(deal("fresh")?, "fresh")?;
            let batch = [fresh, make(other.clone(), "k")?, unkeyed];
            let answers = store.enqueue(scope, &batch).await?;
            ensure!(
                answers.get(1) == Some(&Enqueued::Taken(one.message.id)),
                "the key of another message took {other:?}: {answers:?}"
            );
            for each in &batch {
                ensure!(
                    store.message(scope, each.message.id).await?.is_none(),
                    "a part of a batch was stored: {:?} of {answers:?}",
                    each.message
                );
            }
        }
        ensure!(world.claim(10).await?.len() == 1, "something of what was refused was queued");
        let again = make(deal("7")?, "k")?;
        let answers = store.enqueue(scope, &[again]).await?;
        ensure!(answers == [Enqueued::Duplicate(one.message.id)], "the message itself: {answers:?}");

        let (first, second) = (make(deal("1")?, "b")?, make(deal("2")?, "b")?);
        let answers = store.enqueue(scope, &[first.clone(), second.clone()]).await?;
        ensure!(
            answers.get(1) == Some(&Enqueued::Taken(first.message.id)),
            "two messages of one batch have one key: {answers:?}"
        );
        ensure!(store.message(scope, first.message.id).await?.is_none(), "the first of them was stored");
        let freed = [second, make(deal("not that fresh")?, "fresh")?];
        let answers = store.enqueue(scope, &freed).await?;
        ensure!(
            answers == [Enqueued::New, Enqueued::New],
            "a batch that was refused kept a key: {answers:?}"
        );

        world.clock.advance(HOLDS);
        let later = make(deal("later")?, "k")?;
        let answers = store.enqueue(scope, &[later.clone(), make(deal("7")?, "k")?]).await?;
        ensure!(
            answers.get(1) == Some(&Enqueued::Taken(later.message.id)),
            "behind the end of a key: {answers:?}"
        );
        ensure!(store.enqueue(scope, &[later]).await? == [Enqueued::New], "the key never ends");
        Ok(())
    })
}

/// Of two messages that come with one key at the same time, one is stored and the other is refused.
///
/// # Errors
/// How the store broke the law.
pub fn of_two_messages_with_one_key_one_is_stored(fixture: &impl Fixture) -> Result<(), Violation> {
    const ROUNDS: usize = 10;
    let world = World::new(fixture.store(), "acme")?;
    let mut sides = Vec::new();
    for body in ["one", "two"] {
        let side = (0..ROUNDS)
            .map(|round| keyed(&world, &[], deal(body)?, &format!("k{round}")))
            .collect::<Result<Vec<_>, _>>()?;
        sides.push(side);
    }
    let came: Vec<Vec<Enqueued>> = std::thread::scope(|threads| {
        let threads: Vec<_> = sides
            .iter()
            .map(|side| {
                let (store, scope) = (fixture.store(), &world.scope);
                threads.spawn(move || {
                    fixture.block_on(async {
                        let mut came = Vec::new();
                        for each in side {
                            came.extend(store.enqueue(scope, std::slice::from_ref(each)).await?);
                        }
                        Ok::<_, Violation>(came)
                    })
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| Violation::new("a caller panicked"))?)
            .collect::<Result<_, _>>()
    })?;
    let [one, two] = sides.as_slice() else { return Err(Violation::new("there are two sides")) };
    let [left, right] = came.as_slice() else { return Err(Violation::new("there are two sides")) };
    for (((one, two), left), right) in one.iter().zip(two).zip(left).zip(right) {
        let (one, two) = (one.message.id, two.message.id);
        let fair = match (left, right) {
            (Enqueued::New, Enqueued::Taken(id)) => *id == one,
            (Enqueued::Taken(id), Enqueued::New) => *id == two,
            _ => false,
        };
        ensure!(fair, "at the same time came {left:?} and {right:?}");
    }
    ensure!(left.len() == ROUNDS && right.len() == ROUNDS, "answers are missing");
    Ok(())
}
