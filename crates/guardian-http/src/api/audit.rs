//! The audit log: searching and counting, what proves it, exports; and for the platform's operators legal holds, retention and
//! the forgetting of people.
//!
//! A search is written in the log's own language (`renewal action:deal.* risk:>=high -country:US`). Who searched, counted,
//! exported or verified is in the log itself.

use std::sync::Arc;

use guardian_audit::checkpoint::KeyRing;
use guardian_audit::store::AuditStore;
use guardian_audit::{AuditLog, Error, Query};
use guardian_core::StoreErrorKind;

use super::alone::Alone;
use super::platform::sensible;
use super::{Api, Json, Kind, Listed, Operation};
use crate::Problem;

mod event;
mod export;
mod figures;
mod following;
mod keeping;
mod proof;
mod record;

/// The operations on the audit log: the permissions `audit:read`, `audit:verify` and, for recording events, `audit:manage`; and for
/// the platform's operators what keeps or drops events. Checkpoints are judged by the keys of the ring.
pub fn api<S: AuditStore>(log: AuditLog<S>, ring: KeyRing) -> Api {
    let api = Api::new("audit", "What happened, by whom, and what proves it.");
    let api = event::declare(api);
    let api = figures::declare(api);
    let api = proof::declare(api);
    let api = following::declare(export::declare(api));
    keeping::declare(api).with_state(Arc::new(Reached {
        log,
        ring,
        verifying: Alone::new("the log is being verified already"),
    }))
}

/// What the handlers reach.
#[derive(Debug)]
struct Reached<S> {
    log: AuditLog<S>,
    ring: KeyRing,
    verifying: Alone,
}

type Shared<S> = Arc<Reached<S>>;

fn reads(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, summary).takes("audit:read").may(Kind::Unprocessable).may(Kind::Conflict)
}

fn manages(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, summary).takes("audit:manage").may(Kind::Unprocessable).may(Kind::Conflict)
}

fn verifies(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, summary).takes("audit:verify").may(Kind::Unprocessable).may(Kind::Conflict)
}

/// The longest query, in characters.
const MAX_QUERY: usize = 4096;

/// A query, as it is written; none finds everything.
fn query(text: Option<&str>) -> Result<Query, Problem> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(Query::All) };
    if text.contains(char::is_control) || text.chars().nth(MAX_QUERY).is_some() {
        return Err(
            Kind::InvalidRequest.because("a query has at most 4096 characters, and no control characters")
        );
    }
    text.parse().map_err(|error| Kind::InvalidRequest.because(format_args!("the query: {error}")))
}

fn failed(error: &Error) -> Problem {
    match error {
        // The store or the log is not made for it: a facet of a million values, a log without keys.
        Error::Store(error) if error.kind() == StoreErrorKind::Unsupported => {
            Kind::Unprocessable.because("the log cannot do this")
        }
        Error::Store(error) => error.into(),
        Error::InvalidEvent(_) | Error::Query(_) | Error::InvalidCursor(_) | Error::ForeignCursor => {
            Kind::InvalidRequest.because(error)
        }
        Error::Held { .. } | Error::Erasing { .. } => Kind::Conflict.because(error),
        // What is stored is damaged, or the signer does not sign: nothing that a caller can mend.
        Error::Corrupt { .. } | Error::Checkpoint(_) => Kind::Internal.because("the log could not be read"),
        Error::Export(_) => Kind::Internal.because("the export could not be written"),
        // Whatever else a service may say of a request: that it cannot be done.
        error => Kind::Unprocessable.because(error),
    }
}

type Answer<T> = Result<Json<T>, Problem>;
type Items<T> = Result<Json<Listed<T>>, Problem>;
