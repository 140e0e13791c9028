use std::fmt;

use guardian_core::{Page, PageRequest, Scope, StoreError, StoreErrorKind};

use crate::dimension::Dimension;
use crate::error::Error;
use crate::event::{AuditEvent, StoredEvent, Target};
use crate::log::AuditLog;
use crate::query::Query;
use crate::store::{AuditStore, Count};

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
    /// # Errors
    /// [`Error::Held`] while a [hold](crate::Hold) finds an event of the person; when the log has no keys; when a store
    /// failed.
    pub async fn erase_subject(&self, scope: &Scope, subject: &Subject) -> Result<Erased, Error> {
        let Some(keys) = self.config().keys() else {
            return Err(StoreError::new(StoreErrorKind::Unsupported, "keys").into());
        };
        for hold in self.holds(scope).await? {
            let query = subject.query().and(hold.query);
            let plan = self.plan(scope, &query).await?;
            if self.store().count(scope, &plan, Some(1)).await? != Count::Exact(0) {
                return Err(Error::Held { subject: subject.clone(), hold: hold.name });
            }
        }
        let key_destroyed = keys.destroy(scope, &subject.owner()).await?;
        let event = AuditEvent::new("data_subject.erased")
            .with_category("audit_log")
            .with_target(Target::new(&subject.kind, &subject.id));
        self.record(scope, event).await?;
        Ok(Erased { key_destroyed })
    }
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
