/// What one limit says of one request; an [`Outcome`](crate::Outcome) without its policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) admits: bool,
    pub(crate) limit: u32,
    /// What is left after the decision, in units; divided only when somebody asks.
    pub(crate) room: u64,
    /// Units per request.
    pub(crate) unit: u64,
    /// Nanoseconds until the same request passes; 0 if it does, [`Self::NEVER`] if it cannot.
    pub(crate) wait: u64,
    /// Nanoseconds until the limit is as good as new.
    pub(crate) reset: u64,
}

impl Reading {
    pub(crate) const NEVER: u64 = u64::MAX;

    /// A reading whose room is in requests.
    pub(crate) fn new(admits: bool, limit: u32, room: u64, wait: u64, reset: u64) -> Self {
        Self { admits, limit, room, unit: 1, wait, reset }
    }
}
