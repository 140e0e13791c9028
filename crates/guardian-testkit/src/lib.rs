#![doc = include_str!("../README.md")]

mod fixture;
mod violation;

pub use fixture::{Fixture, InMemory};
pub use violation::Violation;
