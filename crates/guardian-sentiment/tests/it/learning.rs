//! The face with the model that learns.

use std::sync::Arc;
use std::time::Duration;

use guardian_core::{ManualClock, Scope, TenantId};
use guardian_sentiment::{MemoryStore, Message, Polarity, Reading, Segment, Sentiments};

fn scope(name: &str) -> Scope {
    Scope::system(TenantId::new(name).unwrap())
}

async fn score(sentiments: &Sentiments, scope: &Scope, text: &str) -> f64 {
    match sentiments.read(scope, text).await.unwrap() {
        Reading::Read(sentiment) => sentiment.score,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_tenant_teaches_its_own_model_and_no_other() {
    let store = Arc::new(MemoryStore::new());
    let clock = Arc::new(ManualClock::new());
    let sentiments = Sentiments::new(Arc::clone(&store)).with_clock(Arc::clone(&clock));
    let beside = Sentiments::new(Arc::clone(&store)).with_clock(Arc::clone(&clock));
    let (one, two) = (scope("one"), scope("two"));
    let probe = "The spinner appeared on the start page";
    let before = score(&sentiments, &one, probe).await;
    assert_eq!(score(&beside, &one, probe).await, before);

    for n in 0..12 {
        let text = format!("The spinner appeared {n} times on the page");
        let message = Message::new(&format!("m{n}"), text).unwrap().of_customer("ann").unwrap();
        sentiments.record(&one, &message).await.unwrap();
        sentiments.correct(&one, &message, Polarity::Negative).await.unwrap();
        // Again: nothing changes.
        sentiments.correct(&one, &message, Polarity::Negative).await.unwrap();
    }
    assert_eq!(sentiments.version(&one).await.unwrap(), 12);
    let taught = score(&sentiments, &one, probe).await;
    assert!(taught < before - 0.1, "{before} {taught}");
    assert_eq!(score(&sentiments, &two, probe).await, before, "another tenant");
    assert_eq!(score(&beside, &one, probe).await, before, "the other process does not know yet");
    clock.advance(Duration::from_secs(31));
    assert_eq!(score(&beside, &one, probe).await, taught, "now it does");
    assert_eq!(sentiments.shadow(&one).await.unwrap().unwrap().messages, 12);

    assert_eq!(sentiments.roll_back(&one, 99).await.unwrap(), 0, "a version that is not behind");
    assert_eq!(sentiments.roll_back(&one, 0).await.unwrap(), 12);
    assert_eq!(score(&sentiments, &one, probe).await, before, "as if nothing had been taught");
}

#[tokio::test]
async fn what_a_forgotten_customer_taught_is_unlearned() {
    let sentiments = Sentiments::new(MemoryStore::new());
    let scope = scope("one");
    for (id, name) in [("a", "ann"), ("b", "ben")] {
        let message = Message::new(id, "The spinner appeared").unwrap().of_customer(name).unwrap();
        sentiments.record(&scope, &message).await.unwrap();
        sentiments.correct(&scope, &message, Polarity::VeryNegative).await.unwrap();
    }
    assert_eq!(sentiments.shadow(&scope).await.unwrap().unwrap().messages, 2);
    sentiments.forget(&scope, &Segment::customer("ann").unwrap()).await.unwrap();
    assert_eq!(sentiments.shadow(&scope).await.unwrap().unwrap().messages, 1);
}

#[tokio::test]
async fn of_a_mail_only_the_reply_is_read_and_other_languages_are_said() {
    let sentiments = Sentiments::new(MemoryStore::new());
    let scope = scope("one");
    let text = "Thanks, that works perfectly. I love it!\n\nOn 2 Mar 2026, Help <help@example.com> wrote:\n> Terrible, broken, awful.";
    let mail = Message::new("m", text).unwrap().as_mail();
    let recorded = sentiments.record(&scope, &mail).await.unwrap();
    assert!(recorded.entry.polarity() > Some(Polarity::Neutral), "{recorded:?}");
    let german = Message::new("d", "Ich bin mit der Antwort nicht zufrieden und warte noch.").unwrap();
    let recorded = sentiments.record(&scope, &german).await.unwrap();
    assert_eq!(recorded.entry.reading, Reading::Unsupported("deu".to_owned()));
    assert!(recorded.updates.is_empty());
    let quoted = Message::new("q", "> all of it\n> is quoted").unwrap().as_mail();
    assert_eq!(sentiments.record(&scope, &quoted).await.unwrap().entry.reading, Reading::Empty);
}
