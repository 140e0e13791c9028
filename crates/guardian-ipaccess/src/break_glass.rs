use guardian_core::{Actor, Timestamp};
use serde::{Deserialize, Serialize};

use crate::AccessRequest;

/// An emergency override: for a while a user is let in whatever the rules say. Everything about it is an event.
///
/// ```
/// use guardian_core::Actor;
/// use guardian_ipaccess::{AccessRequest, BreakGlass};
///
/// let glass = BreakGlass {
///     user: "ann".into(),
///     reason: "on call, hotel network".into(),
///     given_by: Actor::user("bob")?,
///     from: "2026-03-01T12:00:00Z".parse()?,
///     until: "2026-03-01T16:00:00Z".parse()?,
/// };
/// let request = AccessRequest::new("203.0.113.9".parse()?, "2026-03-01T13:00:00Z".parse()?);
/// assert!(glass.lets_in(&request.user("ann")) && !glass.lets_in(&request.user("eve")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "these five things are what an override is")]
pub struct BreakGlass {
    /// Who is let in.
    pub user: String,
    /// Why, in words.
    pub reason: String,
    /// Who gave it.
    pub given_by: Actor,
    /// From when on.
    pub from: Timestamp,
    /// Until when; at this time it does not hold any more.
    pub until: Timestamp,
}

impl BreakGlass {
    /// Whether it lets a request in.
    #[must_use]
    pub fn lets_in(&self, request: &AccessRequest<'_>) -> bool {
        request.user == Some(self.user.as_str()) && self.from <= request.at && request.at < self.until
    }
}
