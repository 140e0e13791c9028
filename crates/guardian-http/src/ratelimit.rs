//! A tower layer that puts rate limits in front of a service.
//!
//! A layer is built from a [`Limiter`](guardian_ratelimit::Limiter), the policies that it asks for each request,
//! and for each of them a [`By`]: whom it counts. What happens to a request that does not carry what a limit counts
//! by is said for each limit, with [`OnMissing`]; there is no default to forget about.
//!
//! All limits of a layer are decided at once, all-or-nothing: a request that one of them denies is charged to none.

mod body;
mod by;
mod digest;
mod fields;
mod key;
mod layer;
mod refusal;
mod request;
mod service;
mod wording;

pub use body::LimitedBody;
pub use by::By;
pub use key::Key;
pub use layer::{LayerError, OnMissing, RateLimitBuilder, RateLimitLayer};
pub use service::{LimitedResponse, RateLimit};
