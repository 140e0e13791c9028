#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod delivery;
mod endpoint;
mod event_type;
mod id;
mod message;

mod public_keys;
mod replay;
mod secret;
mod signature;
mod vault;
mod verify;

mod address;
mod egress;

mod health;
mod retry_after;
mod schedule;

mod config;
mod dispatch;
mod send;
mod webhooks;
mod worker;

#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "sink")]
pub mod sink;
pub mod store;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod tools;

mod error;
mod time;

pub use address::AddressClass;
pub use config::Config;
pub use delivery::{Attempt, Delivery, DeliveryFilter, DeliveryState, Exchange};
pub use dispatch::Trial;
pub use egress::{EgressPolicy, Refused, Resolver, Target};
pub use endpoint::{DisableReason, Endpoint, EndpointKey, EndpointSettings, EndpointStatus, KeyKind};
pub use error::Error;
pub use event_type::{EventType, EventTypeName, EventTypes, TypePattern};
pub use health::{Breaker, Health, HealthChange, HealthRules};
pub use id::{DeliveryId, EndpointId, MessageId};
pub use message::{Message, PayloadMode, Publish, Rendered, render};
pub use public_keys::PublicKeys;
pub use replay::{MemoryReplayCache, ReplayCache};
pub use retry_after::{MAX_RETRY_AFTER, retry_after};
pub use schedule::RetrySchedule;
pub use secret::{PrivateKey, PublicKey, Secret};
pub use send::{Answer, HttpSender, Request, SendError, Verdict, judge};
#[cfg(feature = "http")]
pub use send::{HttpConfig, ReqwestSender, SystemResolver};
pub use signature::{SignatureHeaders, SignedContent, Signer, sign_v1, sign_v1a};
pub use store::DeliveryStore;
pub use vault::{AeadVault, Vault};
pub use verify::{Verified, Verifier, VerifyError};
pub use webhooks::{KeyChoice, NewKey, Published, Webhooks};
#[cfg(feature = "http")]
pub use worker::TokioTimer;
pub use worker::{Progress, Timer, Worker, WorkerConfig};
