#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[expect(unnameable_types, reason = "the seal of `Backend` is nobody else's")]
mod backend;
mod builder;
mod error;
mod events;
mod guardian;
#[expect(unnameable_types, reason = "the seal of `Backend` is nobody else's")]
mod heard;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
#[expect(unnameable_types, reason = "the seal of `Backend` is nobody else's")]
mod outbox;
mod purge;
mod rules;
mod seen;
#[expect(unnameable_types, reason = "the seal of `Backend` is nobody else's")]
mod spool;
mod welcome;
mod workers;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use backend::Sql;
pub use backend::{Backend, Memory};
pub use builder::Builder;
pub use error::Error;
pub use guardian::Guardian;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use outbox::MIGRATIONS;
pub use workers::Workers;
