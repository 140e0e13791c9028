use guardian_core::{Scope, StoreError, StoreErrorKind, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::event::{AuditEvent, Target};
use crate::log::AuditLog;
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
    /// When the store failed.
    pub async fn hold(&self, scope: &Scope, name: &str, query: Query, reason: &str) -> Result<Hold, Error> {
        let hold =
            Hold { name: name.to_owned(), query, reason: reason.to_owned(), since: self.config().now() };
        let bytes = serde_json::to_vec(&hold).map_err(|error| internal(&error))?;
        self.store().put_note(scope, NoteKind::Hold, &Note::new(name, bytes)).await?;
        let event = AuditEvent::new("audit_log.hold_placed")
            .with_category("audit_log")
            .with_target(Target::new("hold", name))
            .with_metadata("query", hold.query.to_string())
            .with_metadata("reason", reason);
        self.record(scope, event).await?;
        Ok(hold)
    }

    /// Lifts a hold; whether there was one. The log records it.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn lift_hold(&self, scope: &Scope, name: &str) -> Result<bool, Error> {
        let lifted = self.store().remove_note(scope, NoteKind::Hold, name).await?;
        if lifted {
            let event = AuditEvent::new("audit_log.hold_lifted")
                .with_category("audit_log")
                .with_target(Target::new("hold", name));
            self.record(scope, event).await?;
        }
        Ok(lifted)
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

fn internal(error: &serde_json::Error) -> Error {
    StoreError::new(StoreErrorKind::Corrupt, "audit").with_source(error.to_string()).into()
}
