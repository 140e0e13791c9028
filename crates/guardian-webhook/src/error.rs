use guardian_core::StoreError;

use crate::egress::Refused;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text that is no id of this kind.
    #[error("invalid {kind} id `{input}`: it is `{prefix}` and 32 hexadecimal digits")]
    Id {
        /// What it was to be the id of.
        kind: &'static str,
        /// How such an id begins.
        prefix: &'static str,
        /// The text.
        input: String,
    },
    /// A key that does not do. The key itself is not shown.
    #[error("the key cannot be used: {why}")]
    Key {
        /// What is wrong with it.
        why: String,
    },
    /// A name of an event type that does not do.
    #[error(
        "invalid event type `{input}`: it is 1 to 128 letters, digits, `_` and `-` in parts joined by single dots"
    )]
    EventType {
        /// The text.
        input: String,
    },
    /// A pattern of event types that does not do.
    #[error("invalid pattern `{input}`: it is an event type, a beginning of one followed by `.*`, or `*`")]
    Pattern {
        /// The text.
        input: String,
    },
    /// An endpoint that does not do.
    #[error("the endpoint cannot be used: {why}")]
    Endpoint {
        /// What is wrong with it.
        why: String,
    },
    /// A URL that the egress policy refuses.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A message that does not do.
    #[error("the message cannot be taken: {why}")]
    Message {
        /// What is wrong with it.
        why: String,
    },
    /// An idempotency key was used before for another message. Nothing was stored.
    #[error("the idempotency key `{key}` was used before, for another message ({id})")]
    Reused {
        /// The key, shortened.
        key: String,
        /// The id of the message that has it; of one in the same call, which was not stored either, if that is where it was used.
        id: String,
    },
    /// A setting that makes no sense.
    #[error("the setting does not do: {why}")]
    Setting {
        /// What is wrong with it.
        why: String,
    },
    /// There is no such endpoint in this tenant.
    #[error("there is no endpoint `{id}`")]
    NoEndpoint {
        /// Its id.
        id: String,
    },
    /// There is no such message in this tenant.
    #[error("there is no message `{id}`")]
    NoMessage {
        /// Its id.
        id: String,
    },
    /// There is no such delivery in this tenant.
    #[error("there is no delivery `{id}`")]
    NoDelivery {
        /// Its id.
        id: String,
    },
    /// There is no such event type.
    #[error("there is no event type `{name}`")]
    NoEventType {
        /// Its name.
        name: String,
    },
    /// An endpoint asks for what can never come: there are event types, and the pattern is about none of them.
    #[error("no event type fits the pattern `{pattern}`")]
    NoTypeFits {
        /// The pattern.
        pattern: String,
    },
    /// Somebody else changed the endpoint since it was read.
    #[error("the endpoint `{id}` was changed meanwhile: read it again")]
    Conflict {
        /// Its id.
        id: String,
    },
    /// A JSON Schema that is faulty, or uses what is not known.
    #[error("the schema is faulty at `{place}`: {why}")]
    Schema {
        /// A JSON pointer to what is faulty.
        place: String,
        /// What is wrong with it.
        why: String,
    },
    /// A payload that does not fit its schema.
    #[error("the payload does not fit at `{place}`: {why}")]
    Payload {
        /// A JSON pointer to what does not fit.
        place: String,
        /// What does not fit.
        why: String,
    },
    /// Something that was sealed cannot be opened: another key, another owner, or damage.
    #[error(
        "the sealed secret cannot be opened: it was sealed with another key or for another endpoint, or is damaged"
    )]
    Sealed,
    /// A key of a key service that cannot be had.
    #[error("the key `{reference}` cannot be used: {why}")]
    External {
        /// The reference to it, shortened.
        reference: String,
        /// Why not.
        why: String,
    },
    /// The signer failed.
    #[error("the message cannot be signed: {why}")]
    Sign {
        /// Why not.
        why: String,
    },
    /// The system has no randomness to give.
    #[error("the system gives no randomness")]
    Random,
    /// The HTTP client cannot be made.
    #[error("the client cannot be made: {why}")]
    Client {
        /// Why not.
        why: String,
    },
    /// The store failed.
    #[error("the webhook store failed")]
    Store(#[from] StoreError),
}

impl Error {
    pub(crate) fn key(why: impl Into<String>) -> Self {
        Self::Key { why: why.into() }
    }

    pub(crate) fn message(why: impl Into<String>) -> Self {
        Self::Message { why: why.into() }
    }

    pub(crate) fn endpoint(why: impl Into<String>) -> Self {
        Self::Endpoint { why: why.into() }
    }
}
