#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod label;
mod platform;
mod settings;
mod status;
mod tenant;

mod error;
#[cfg(feature = "isolation")]
pub mod isolation;
pub mod lint;
mod registry;
pub mod rls;
pub mod store;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use error::{Error, InvalidField, InvalidTransition};
pub use label::{DisplayName, Industry, Plan, Region};
pub use platform::Platform;
pub use registry::{Purger, Registry};
pub use settings::Settings;
pub use status::{Deletion, Status, Suspension, Transition};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use store::SqlStore;
pub use store::{MemoryStore, TenantFilter, TenantOrder};
pub use tenant::{NewTenant, Profile, Tenant, TenantChange, Version};
