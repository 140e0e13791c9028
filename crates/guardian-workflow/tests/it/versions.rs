//! Versions, channels, rollbacks, pinned runs, migrations.

use std::sync::Arc;
use std::time::Duration;

use guardian_core::{Clock, PageRequest};
use guardian_workflow::{Definition, Error, Library, MemoryStore, Note, Origin, Start, Status};
use serde_json::{Value, json};

use crate::world::{World, block_on, flow, result, scope};

fn says(text: &str) -> Value {
    flow(
        "w",
        json!({"w": {"type": "wait", "for": {"duration": "1h"}}, "e": {"type": "end", "result": text}}),
        &["w e"],
    )
}

fn definition(value: Value) -> Definition {
    Definition::from_value(value).unwrap()
}

#[test]
fn every_change_makes_a_version_and_nothing_else_does() {
    let world = World::new();
    block_on(async {
        let save = async |value: Value| {
            world.library.save(&scope(), "w", &definition(value), &Note::new("why")).await.unwrap()
        };
        assert_eq!(save(says("a")).await.version.unwrap().number, 1);
        assert_eq!(save(says("a")).await.version, None);
        let mut moved = says("a");
        moved["layout"] = json!({"w": {"x": 5, "y": 6}});
        let update = save(moved).await;
        assert_eq!(update.version, None);
        assert_eq!(update.workflow.layout.len(), 1);
        let second = save(says("b")).await.version.unwrap();
        assert_eq!(
            (second.number, second.parent, second.semver.to_string()),
            (2, Some(1), "1.1.0".to_owned())
        );
        assert_eq!((second.author.to_string(), second.message.as_str()), ("user:ann".to_owned(), "why"));
        let back = world.library.roll_back(&scope(), "w", 1).await.unwrap().version.unwrap();
        assert_eq!((back.number, back.origin), (3, Origin::Rollback(1)));
        let versions = world.library.versions(&scope(), "w", &PageRequest::first(2).unwrap()).await.unwrap();
        assert_eq!(versions.items.iter().map(|version| version.number).collect::<Vec<_>>(), [3, 2]);
        assert_eq!(versions.items[0].hash, world.library.version(&scope(), "w", 1).await.unwrap().hash);
        let late = Note::new("late").from_version(1);
        let error = world.library.save(&scope(), "w", &definition(says("c")), &late).await.unwrap_err();
        assert!(matches!(error, Error::Conflict { actual: 3, .. }), "{error}");
        let (merged, update) =
            world.library.merge(&scope(), "w", 1, &definition(says("c")), &Note::new("late")).await.unwrap();
        assert!(merged.conflicts.is_empty());
        assert_eq!(update.unwrap().version.unwrap().origin, Origin::Merge);
    });
}

#[test]
fn additive_drafts_of_one_author_become_one_version() {
    let world = World::new();
    let library = world.library.clone().with_squashing(Duration::from_secs(300));
    block_on(async {
        let mut value = says("a");
        let save = async |value: &Value| {
            library
                .save(&scope(), "w", &definition(value.clone()), &Note::default())
                .await
                .unwrap()
                .version
                .unwrap()
        };
        save(&value).await;
        let mut last = None;
        for at in 0..5 {
            value["nodes"][format!("s{at}")] = json!({"type": "set", "values": {"x": at}});
            let from = if at == 0 { "w".to_owned() } else { format!("s{}", at - 1) };
            let edges = value["edges"].as_array_mut().unwrap();
            let edge = edges.iter_mut().find(|edge| edge["from"] == json!(from)).unwrap();
            edge["to"] = json!(format!("s{at}"));
            edges.push(json!({"from": format!("s{at}"), "to": "e"}));
            world.clock.advance(Duration::from_secs(10));
            last = Some(save(&value).await);
        }
        let last = last.unwrap();
        assert_eq!((last.number, last.parent, last.squashed), (6, Some(1), 4));
        let kept = library.versions(&scope(), "w", &PageRequest::first(10).unwrap()).await.unwrap();
        assert_eq!(kept.items.iter().map(|version| version.number).collect::<Vec<_>>(), [6, 1]);
        // A published one stays, and so does one that changes something.
        library.publish(&scope(), "w", 6).await.unwrap();
        value["nodes"]["e"]["result"] = json!("b");
        assert_eq!(save(&value).await.parent, Some(6));
    });
}

#[test]
fn runs_keep_the_version_that_they_began_with() {
    let world = World::new();
    world.publish("w", &says("old"));
    let old = world.start("w", json!({}));
    world.publish("w", &says("new"));
    let new = world.start("w", json!({}));
    world.advance(3600);
    assert_eq!(result(&world.run(old).state.outcome.unwrap()), json!("old"));
    assert_eq!(result(&world.run(new).state.outcome.unwrap()), json!("new"));
    assert_eq!((world.run(old).version, world.run(new).version), (1, 2));
}

#[test]
fn a_canary_gets_its_share() {
    let world = World::new();
    world.publish("w", &says("a"));
    block_on(async {
        world.library.save(&scope(), "w", &definition(says("b")), &Note::default()).await.unwrap();
        world.library.canary(&scope(), "w", 2, 30).await.unwrap();
        let mut second = 0;
        for _ in 0..1000 {
            let run = world.engine.start(&scope(), "w", Start::default()).await.unwrap();
            second += u32::from(world.engine.run(&scope(), run).await.unwrap().version == 2);
        }
        assert!((200..400).contains(&second), "{second}");
        let workflow = world.library.publish(&scope(), "w", 2).await.unwrap();
        assert_eq!((workflow.published, workflow.canary), (Some(2), None));
    });
}

#[test]
fn a_run_moves_to_a_version_that_has_its_nodes() {
    let world = World::new();
    world.publish("w", &says("old"));
    let run = world.start("w", json!({}));
    world.publish("w", &says("new"));
    let mut without = says("other");
    without["nodes"]["v"] = without["nodes"]["w"].take();
    without["nodes"].as_object_mut().unwrap().remove("w");
    without["start"] = json!("v");
    without["edges"][0]["from"] = json!("v");
    world.publish("w", &without);
    block_on(async {
        let report = world.engine.can_migrate(&scope(), run, 3).await.unwrap();
        assert!(!report.is_possible());
        let error = world.engine.migrate(&scope(), run, 3).await.unwrap_err();
        assert!(error.to_string().contains("the node `w` is gone"), "{error}");
        let report = world.engine.migrate(&scope(), run, 2).await.unwrap();
        assert_eq!((report.from, report.to, report.diff.changes.len()), (1, 2, 1));
    });
    world.work();
    assert_eq!(world.run(run).version, 2);
    world.advance(3600);
    assert_eq!(result(&world.run(run).state.outcome.unwrap()), json!("new"));
}

#[test]
fn retention_spares_what_is_needed() {
    let world = World::new();
    let mut runs = Vec::new();
    for at in 0..6 {
        world.publish("w", &says(&at.to_string()));
        if at == 2 {
            runs.push(world.start("w", json!({})));
        }
        world.clock.advance(Duration::from_secs(3600));
    }
    block_on(async {
        let gone = world.library.retain(&scope(), "w", 1, world.clock.now()).await.unwrap();
        assert_eq!(gone, [5, 4, 2, 1]);
    });
    world.work();
    assert_eq!(world.run(runs[0]).state.status, Status::Completed);
}

#[test]
fn a_definition_that_makes_no_sense_is_not_saved() {
    let world = World::new();
    let faulty = flow("a", json!({"a": {"type": "action", "action": "nothing"}}), &[]);
    let error =
        block_on(world.library.save(&scope(), "w", &definition(faulty), &Note::default())).unwrap_err();
    assert!(error.to_string().contains("there is no action `nothing`"), "{error}");
    assert!(matches!(block_on(world.library.workflow(&scope(), "w")), Err(Error::NoWorkflow { .. })));
}

#[test]
fn a_change_based_on_a_revision_overwrites_nothing_unseen() {
    let world = World::new();
    let named = |name: &str| {
        Definition::from_value(flow("e", json!({"e": {"type": "end", "name": name}}), &[])).unwrap()
    };
    let save = |library: &Library<Arc<MemoryStore>>, name: &str| {
        block_on(library.save(&scope(), "w", &named(name), &Note::default()))
    };
    let new = world.library.based_on(0);
    let seen = save(&new, "one").unwrap().workflow.revision;
    assert!(
        matches!(save(&new, "two").unwrap_err(), Error::Changed { wanted: 0, .. }),
        "it is there already"
    );
    let mine = world.library.based_on(seen);
    // Somebody publishes meanwhile, which makes no version.
    let now = block_on(world.library.publish(&scope(), "w", 1)).unwrap().revision;
    let changes = [
        save(&mine, "two").map(|update| update.workflow),
        block_on(mine.publish(&scope(), "w", 1)),
        block_on(mine.canary(&scope(), "w", 1, 10)),
        block_on(mine.archive(&scope(), "w", true)),
        block_on(mine.roll_back(&scope(), "w", 1)).map(|update| update.workflow),
    ];
    for change in changes {
        let refused = change.unwrap_err();
        assert!(
            matches!(refused, Error::Changed { actual, wanted, .. } if (actual, wanted) == (now, seen)),
            "{refused}"
        );
    }
    // Going back is one change, although it saves and publishes.
    let back = block_on(world.library.based_on(now).roll_back(&scope(), "w", 1)).unwrap();
    assert_eq!(back.workflow.published, Some(2));
}

#[test]
fn a_workflow_that_is_not_there_is_not_a_version_that_is_missing() {
    let world = World::new();
    let refused = block_on(world.library.publish(&scope(), "flwo", 1)).unwrap_err();
    assert_eq!(refused.to_string(), "there is no workflow `flwo`");
}
