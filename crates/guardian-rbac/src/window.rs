//! When something holds: from, until, and recurring hours.

use std::fmt;

use chrono::SecondsFormat;
use guardian_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::InvalidName;

mod recurrence;

pub use recurrence::Recurrence;

/// From when until when something holds, half-open: at `from` it does, at `until` it no longer does. Both may be open, and
/// within them it may be limited to recurring hours.
///
/// ```
/// use chrono::{TimeZone, Utc};
/// use guardian_rbac::{Window, WindowState};
///
/// let (june, july) = (Utc.with_ymd_and_hms(2026, 6, 1, 0, 0, 0).unwrap(), Utc.with_ymd_and_hms(2026, 7, 1, 0, 0, 0).unwrap());
/// let window = Window::between(june, july)?;
/// assert_eq!(window.state(june), WindowState::Open);
/// assert_eq!(window.state(july), WindowState::Over { at: july });
/// assert!(Window::between(july, june).is_err());
/// # Ok::<(), guardian_rbac::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Window {
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    hours: Option<Recurrence>,
}

/// The same without a promise.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hours: Option<Recurrence>,
}

impl TryFrom<Wire> for Window {
    type Error = InvalidName;

    fn try_from(wire: Wire) -> Result<Self, Self::Error> {
        let window = Self::new(wire.from, wire.until)?;
        Ok(Self { hours: wire.hours, ..window })
    }
}

impl From<Window> for Wire {
    fn from(window: Window) -> Self {
        Self { from: window.from, until: window.until, hours: window.hours }
    }
}

/// Where a time is in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "before, within and after are all there is")]
pub enum WindowState {
    /// It is not open yet, or not at this hour; it opens next at this time.
    NotYet {
        /// When.
        at: Timestamp,
    },
    /// It is open.
    Open,
    /// It is over and will not open again.
    Over {
        /// When it was over.
        at: Timestamp,
    },
}

impl Window {
    /// Always.
    #[must_use]
    pub fn always() -> Self {
        Self::default()
    }

    /// From the one until before the other, each open where it is missing.
    ///
    /// # Errors
    /// When it ends at or before its start.
    pub fn new(from: Option<Timestamp>, until: Option<Timestamp>) -> Result<Self, InvalidName> {
        if let (Some(from), Some(until)) = (from, until)
            && until <= from
        {
            let shown = format!("{} to {}", seconds(from), seconds(until));
            return Err(InvalidName::new("window", &shown, "it ends before it starts"));
        }
        Ok(Self { from, until, hours: None })
    }

    /// From the one until before the other.
    ///
    /// # Errors
    /// When it ends at or before its start.
    pub fn between(from: Timestamp, until: Timestamp) -> Result<Self, InvalidName> {
        Self::new(Some(from), Some(until))
    }

    /// Until before this time.
    #[must_use]
    pub fn until(until: Timestamp) -> Self {
        Self { from: None, until: Some(until), hours: None }
    }

    /// From this time on.
    #[must_use]
    pub fn from(from: Timestamp) -> Self {
        Self { from: Some(from), until: None, hours: None }
    }

    /// The same limited to these hours.
    #[must_use]
    pub fn with_hours(mut self, hours: Recurrence) -> Self {
        self.hours = Some(hours);
        self
    }

    /// When it opens first; open where it is missing.
    #[must_use]
    pub fn start(&self) -> Option<Timestamp> {
        self.from
    }

    /// When it is over; open where it is missing.
    #[must_use]
    pub fn end(&self) -> Option<Timestamp> {
        self.until
    }

    /// The hours that it is limited to.
    #[must_use]
    pub fn hours(&self) -> Option<&Recurrence> {
        self.hours.as_ref()
    }

    /// Whether it has no limit.
    #[must_use]
    pub fn is_always(&self) -> bool {
        self.from.is_none() && self.until.is_none() && self.hours.is_none()
    }

    /// Where the time is in it.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> WindowState {
        if let Some(until) = self.until
            && now >= until
        {
            return WindowState::Over { at: until };
        }
        let start = self.from.filter(|from| now < *from);
        match (start, &self.hours) {
            (None, None) => WindowState::Open,
            (Some(from), None) => WindowState::NotYet { at: from },
            (start, Some(hours)) => match self.next_open(hours, start.unwrap_or(now)) {
                Some(at) if at == now => WindowState::Open,
                Some(at) => WindowState::NotYet { at },
                // It does not open again before it ends.
                None => WindowState::Over { at: now },
            },
        }
    }

    fn next_open(&self, hours: &Recurrence, from: Timestamp) -> Option<Timestamp> {
        hours.next_open(from).filter(|at| self.until.is_none_or(|until| *at < until))
    }

    /// Whether it is open.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.state(now) == WindowState::Open
    }

    /// Whether it is never open where the other is not. Recurring hours cover only the same hours.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let (mine, its) = (self.bounds(), other.bounds());
        mine.0 <= its.0 && its.1 <= mine.1 && (self.hours.is_none() || self.hours == other.hours)
    }

    /// The bounds in microseconds since 1970.
    pub(crate) fn bounds(&self) -> (i64, i64) {
        let micros = |time: Timestamp| time.timestamp_micros();
        (self.from.map_or(i64::MIN, micros), self.until.map_or(i64::MAX, micros))
    }
}

pub(crate) fn seconds(time: Timestamp) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_always() {
            return f.write_str("always");
        }
        let mut parts = Vec::new();
        parts.extend(self.from.map(|from| format!("from {}", seconds(from))));
        parts.extend(self.until.map(|until| format!("until {}", seconds(until))));
        parts.extend(self.hours.as_ref().map(|hours| format!("on {hours}")));
        f.write_str(&parts.join(" "))
    }
}
