//! How long events are kept, who may have them kept longer, and how a person is forgotten.

mod hold;
pub(crate) mod personal;
mod retention;
mod subject;

pub use hold::Hold;
pub use personal::{PersonalData, Whose};
pub use retention::{Retained, Retention, RetentionRule};
pub use subject::{Erased, Subject};
