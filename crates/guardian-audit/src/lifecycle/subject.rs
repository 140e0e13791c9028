use std::fmt;

use chrono::TimeDelta;
use guardian_core::{Page, PageRequest, Scope, StoreError, StoreErrorKind, Timestamp};
use serde::{Deserialize, Serialize};

use crate::dimension::Dimension;
use crate::error::Error;
use crate::event::{AuditEvent, StoredEvent, Target};
use crate::log::AuditLog;
use crate::query::Query;
use crate::store::{AuditStore, Count, Note, NoteKind};

/// A person whose data the log holds: as an actor, or as a target, of this kind and id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    kind: String,
    id: String,
}

impl Subject {
    /// The person that is the `user` with this id, or the `contact`.
    #[must_use]
    pub fn new(kind: impl Into<String>, id: impl Into<String>) -> Self {
        Self { kind: kind.into(), id: id.into() }
    }

    /// Under which name the key of the person is kept: of two people, no two are the same, whatever colons are in their
    /// kinds and ids.
    pub(crate) fn owner(&self) -> String {
        format!("{}:{}:{}", self.kind.len(), self.kind, self.id)
    }

    /// What finds every event of the person.
    #[must_use]
    pub fn query(&self) -> Query {
        let actor =
            Query::equals(Dimension::ActorKind, &self.kind).and(Query::equals(Dimension::ActorId, &self.id));
        let target = Query::equals(Dimension::TargetKind, &self.kind)
            .and(Query::equals(Dimension::TargetId, &self.id));
        actor.or(target)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.id)
    }
}

/// What erasing a person did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Erased {
    /// Whether there was a key to destroy: without one, nothing of the person was sealed.
    pub key_destroyed: bool,
}

impl<S: AuditStore> AuditLog<S> {
    /// A page of everything that the log holds of a person, newest first: for who asks what is known of them (GDPR,
    /// article 15).
    ///
    /// # Errors
    /// As [`Self::search`].
    pub async fn subject_events(
        &self,
        scope: &Scope,
        subject: &Subject,
        page: &PageRequest,
    ) -> Result<Page<StoredEvent>, Error> {
        self.search(scope, &subject.query(), page).await
    }

    /// Forgets a person (GDPR, article 17): destroys the key that their fields are sealed with. It takes the same time
    /// however many events there are; nothing of the log changes, so every proof still verifies. The log records it, by
    /// kind and id.
    ///
    /// A hold that is placed at the same time either stops the erasure or is told of it ([`Error::Erasing`]): no hold is
    /// placed in good faith over events that are being forgotten.
    ///
    /// # Errors
    /// [`Error::Held`] while a [hold](crate::Hold) finds an event of the person; when the log has no keys; when a store
    /// failed, or took minutes to answer: call it again then.
    pub async fn erase_subject(&self, scope: &Scope, subject: &Subject) -> Result<Erased, Error> {
        let Some(keys) = self.config().keys() else {
            return Err(StoreError::new(StoreErrorKind::Unsupported, "keys").into());
        };
        // Said first, and then looked for holds; who places a hold does so first, and then looks for what is said here. So
        // whichever comes second sees the other.
        let begun = self.config().now();
        let intent = Intent { kind: subject.kind.clone(), id: subject.id.clone(), since: begun };
        let name = self.config().new_id(begun).to_string();
        self.store().put_note(scope, NoteKind::Erasure, &intent.note(&name)?).await?;
        let held = self.hold_of(scope, subject).await;
        let may = match held {
            Ok(None) if self.config().now() - begun > ERASER_WAITS => {
                Err(StoreError::new(StoreErrorKind::Timeout, "audit").into())
            }
            Ok(None) => Ok(()),
            Ok(Some(hold)) => Err(Error::Held { subject: subject.clone(), hold }),
            Err(error) => Err(error),
        };
        if let Err(error) = may {
            self.store().remove_note(scope, NoteKind::Erasure, &name).await?;
            return Err(error);
        }
        // Should this fail, nobody knows whether the key is gone: the intent stays until it is out of date.
        let key_destroyed = keys.destroy(scope, &subject.owner()).await?;
        self.store().remove_note(scope, NoteKind::Erasure, &name).await?;
        let event = AuditEvent::new("data_subject.erased")
            .with_category("audit_log")
            .with_target(Target::new(&subject.kind, &subject.id));
        self.record(scope, event).await?;
        Ok(Erased { key_destroyed })
    }

    /// The name of a hold that finds an event of the person.
    async fn hold_of(&self, scope: &Scope, subject: &Subject) -> Result<Option<String>, Error> {
        for hold in self.holds(scope).await? {
            if self.has_both(scope, subject, &hold.query).await? {
                return Ok(Some(hold.name));
            }
        }
        Ok(None)
    }

    /// Whether there is an event of the person that the query finds.
    async fn has_both(&self, scope: &Scope, subject: &Subject, query: &Query) -> Result<bool, Error> {
        let plan = self.plan(scope, &subject.query().and(query.clone())).await?;
        Ok(self.store().count(scope, &plan, Some(1)).await? != Count::Exact(0))
    }

    /// A person of whom an event is found by the query, and who is just being forgotten.
    pub(crate) async fn erasing(&self, scope: &Scope, query: &Query) -> Result<Option<Subject>, Error> {
        for note in self.store().notes(scope, NoteKind::Erasure).await? {
            let Intent { kind, id, since } = serde_json::from_slice(&note.bytes).map_err(unreadable)?;
            if self.config().now() - since > ERASURE_LASTS {
                // Whoever began it is gone: it would not go on so late.
                self.store().remove_note(scope, NoteKind::Erasure, &note.name).await?;
                continue;
            }
            let subject = Subject { kind, id };
            if self.has_both(scope, &subject, query).await? {
                return Ok(Some(subject));
            }
        }
        Ok(None)
    }
}

/// Who erases gives up when the holds took longer to be looked at.
const ERASER_WAITS: TimeDelta = TimeDelta::minutes(2);

/// What was begun longer ago is not going on any more, however the clocks of two machines differ.
const ERASURE_LASTS: TimeDelta = TimeDelta::minutes(10);

/// That a person is about to be forgotten.
#[derive(Debug, Serialize, Deserialize)]
struct Intent {
    kind: String,
    id: String,
    since: Timestamp,
}

impl Intent {
    fn note(&self, name: &str) -> Result<Note, Error> {
        Ok(Note::new(name, serde_json::to_vec(self).map_err(unreadable)?))
    }
}

fn unreadable(error: serde_json::Error) -> Error {
    StoreError::new(StoreErrorKind::Corrupt, "audit").with_source(error).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_people_share_a_key() {
        let (one, other) = (Subject::new("a:b", "c"), Subject::new("a", "b:c"));
        assert_eq!(one.to_string(), other.to_string());
        assert_ne!(one.owner(), other.owner());
    }
}
