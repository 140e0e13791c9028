use guardian_core::{Scope, StoreError, StoreErrorKind, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::{Error, InvalidEvent};
use crate::event::{AuditEvent, Target};
use crate::log::AuditLog;
use crate::plan::Plan;
use crate::query::Query;
use crate::store::{AuditStore, Note, NoteKind};

/// A legal hold: what it finds is neither dropped by retention nor forgotten, until it is lifted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Hold {
    /// Its name, unique in the tenant: the number of a case.
    pub name: String,
    /// What is held.
    pub query: Query,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

impl<S: AuditStore> AuditLog<S> {
    /// Holds what the query finds, now and in future; a hold of the same name is replaced. The log records it.
    ///
    /// # Errors
    /// When the query is too large or too deep to be written as a text and read again; when the store failed;
    /// [`Error::Erasing`] when a person of whom it finds an event is just being forgotten: the hold is placed, and what it was to
    /// keep may be unreadable. Look whether it is, and place it again.
    pub async fn hold(&self, scope: &Scope, name: &str, query: Query, reason: &str) -> Result<Hold, Error> {
        let hold =
            Hold { name: name.to_owned(), query, reason: reason.to_owned(), since: self.config().now() };
        let read: Option<Query> = hold.query.to_string().parse().ok();
        if read.is_none_or(|read| plain(&read) != plain(&hold.query)) {
            // It is kept as a text: one that cannot be read again would stop every retention and erasure.
            return Err(InvalidEvent::new(
                "query",
                &hold.query.to_string(),
                "it cannot be written as a text",
            )
            .into());
        }
        let bytes = serde_json::to_vec(&hold).map_err(|error| internal(&error))?;
        self.store().put_note(scope, NoteKind::Hold, &Note::new(name, bytes)).await?;
        let event = AuditEvent::new("audit_log.hold_placed")
            .with_category("audit_log")
            .with_target(Target::new("hold", name))
            .with_metadata("query", self.as_recorded(&hold.query))
            .with_metadata("reason", reason);
        self.record(scope, event).await?;
        match self.erasing(scope, &hold.query).await? {
            Some(subject) => Err(Error::Erasing { subject, hold: hold.name }),
            None => Ok(hold),
        }
    }

    /// Lifts a hold; whether there was one. The log records it.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn lift_hold(&self, scope: &Scope, name: &str) -> Result<bool, Error> {
        let notes = self.store().notes(scope, NoteKind::Hold).await?;
        if !notes.iter().any(|note| note.name == name) {
            return Ok(false);
        }
        // Recorded first: there is no hold that went without a trace.
        let event = AuditEvent::new("audit_log.hold_lifted")
            .with_category("audit_log")
            .with_target(Target::new("hold", name));
        self.record(scope, event).await?;
        Ok(self.store().remove_note(scope, NoteKind::Hold, name).await?)
    }

    /// The holds of the tenant, in the order of their names.
    ///
    /// # Errors
    /// When the store failed, or a hold cannot be read: then nothing is dropped either.
    pub async fn holds(&self, scope: &Scope) -> Result<Vec<Hold>, Error> {
        self.holds_as_stored(scope).await.map(|(_, holds)| holds)
    }

    /// The holds, and the notes that they are kept as.
    pub(crate) async fn holds_as_stored(&self, scope: &Scope) -> Result<(Vec<Note>, Vec<Hold>), Error> {
        let notes = self.store().notes(scope, NoteKind::Hold).await?;
        let read = |note: &Note| serde_json::from_slice(&note.bytes).map_err(|error| internal(&error));
        let holds = notes.iter().map(read).collect::<Result<_, _>>()?;
        Ok((notes, holds))
    }
}

/// What a query means, without regard to what is sealed.
fn plain(query: &Query) -> Plan {
    Plan::compile(query, &|_, _| None)
}

fn internal(error: &serde_json::Error) -> Error {
    StoreError::new(StoreErrorKind::Corrupt, "audit").with_source(error.to_string()).into()
}
