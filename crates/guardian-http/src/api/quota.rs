//! Quotas: the tenant's plan and its features, what is used and left, holds, ledgers, and analytics; and for the platform's
//! operators subscriptions, limits of single subjects, grants and corrections.
//!
//! What costs money is the platform's: a tenant cannot change its plan, its limits or what it has spent, so giving back is the
//! platform's too. A tenant can spend, and hold. Which plans there are is the platform's to know too: plans may be named after customers.

use guardian_core::{Scope, Timestamp, shorten};
use guardian_quota::store::QuotaStore;
use guardian_quota::{Error, Quotas, Subject, Subscription};
use serde::Deserialize;
use utoipa::IntoParams;

use super::platform::sensible;
use super::{Api, Json, Kind, Listed, Operation};
use crate::Problem;

mod analytics;
mod limit;
mod plan;
mod platform;
mod spending;
mod standing;
mod subscription;

/// The operations on quotas: the permissions `quotas:read` and `quotas:manage`, and for the platform's operators what is about
/// money.
pub fn api<S: QuotaStore>(quotas: Quotas<S>) -> Api {
    let api = Api::new("quotas", "What a tenant may use, what it uses, and what it has left.");
    let api = subscription::declare(api);
    let api = standing::declare(api);
    let api = spending::declare(api);
    let api = analytics::declare(api);
    platform::declare(api).with_state(quotas)
}

const FEATURE: &str = "The name of the metered feature.";
const TENANT: &str = "The tenant.";

/// How operations on quotas fail: no subscription or no such feature, a meter that cannot do this, another change at once.
fn fails(operation: Operation) -> Operation {
    operation.may(Kind::NotFound).may(Kind::Unprocessable).may(Kind::Conflict)
}

/// An operation that reads.
fn reads(id: &'static str, summary: &'static str) -> Operation {
    fails(Operation::new(id, summary)).takes("quotas:read")
}

/// An operation that changes what a tenant may change by itself.
fn manages(id: &'static str, summary: &'static str) -> Operation {
    fails(Operation::new(id, summary)).takes("quotas:manage")
}

/// Whose usage an operation is about.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct OfSubject {
    /// Whose: `org` for the tenant as a whole, as it is when nothing is said, or a path below it: `team:sales/user:u_17`.
    #[param(max_length = 512, example = "team:sales/user:u_17")]
    subject: Option<String>,
}

impl OfSubject {
    fn subject(&self) -> Result<Subject, Problem> {
        subject(self.subject.as_deref().unwrap_or("org"))
    }
}

fn subject(text: &str) -> Result<Subject, Problem> {
    text.parse().map_err(|error| Kind::InvalidRequest.because(error))
}

async fn subscription_of<S: QuotaStore>(quotas: &Quotas<S>, scope: &Scope) -> Result<Subscription, Problem> {
    let found = quotas.subscription(scope).await.map_err(|error| failed(&error))?;
    found.ok_or_else(|| Kind::NotFound.because("the tenant has no subscription"))
}

/// A moment that begins or ends something; those at the ends of the calendar are none.
fn bound(at: Timestamp) -> Option<Timestamp> {
    (at > Timestamp::MIN_UTC && at < Timestamp::MAX_UTC).then_some(at)
}

fn failed(error: &Error) -> Problem {
    match error {
        Error::Store(error) => error.into(),
        Error::NoSubscription(_) => Kind::NotFound.because("the tenant has no subscription"),
        Error::UnknownFeature { feature, .. } => {
            Kind::NotFound.because(format_args!("the plan has no feature `{}`", shorten(feature)))
        }
        Error::UnknownHold { .. } => Kind::NotFound.because(error),
        Error::AlreadySubscribed(_) => Kind::Conflict.because("the tenant has a subscription already"),
        Error::KeyReused { .. } | Error::HoldClosed { .. } => Kind::Conflict.because(error),
        Error::Changed { .. } => Kind::Changed.because(error),
        // Operations that name a plan look it up before: this is the plan that the tenant has.
        Error::UnknownPlan(_) => Kind::Unavailable.because("the tenant's plan is not known at the moment"),
        Error::Name(_) | Error::Subject(_) | Error::Plan(_) | Error::OutOfRange { .. } => {
            Kind::InvalidRequest.because(error)
        }
        Error::WrongKind { .. } | Error::MoreThanUsed { .. } => Kind::Unprocessable.because(error),
        // Whatever else a service may say of a request: that it cannot be done.
        error => Kind::Unprocessable.because(error),
    }
}

type Answer<T> = Result<Json<T>, Problem>;
type Items<T> = Result<Json<Listed<T>>, Problem>;
