use guardian_core::{StoreError, TenantId, Timestamp};

use crate::window::seconds;
use crate::{Area, ConstraintId, GrantId, InvalidName, Principal, Revision, RoleId, Subject};

/// Why a question could not be answered, or a change was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name, a pattern or a text that does not do.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// The catalog has no such permission, or none that the pattern means.
    #[error("there is no permission `{permission}`{}", similar.as_ref().map_or_else(String::new, |name| format!("; did you mean `{name}`?")))]
    UnknownPermission {
        /// What was asked for.
        permission: String,
        /// One of a similar name.
        similar: Option<String>,
    },
    /// There is no such role.
    #[error("there is no role `{role}`{}", similar.as_ref().map_or_else(String::new, |name| format!("; did you mean `{name}`?")))]
    UnknownRole {
        /// Its name.
        role: RoleId,
        /// One of a similar name.
        similar: Option<RoleId>,
    },
    /// There is no such grant; it may have been revoked.
    #[error("there is no grant `{grant}`")]
    UnknownGrant {
        /// Its id.
        grant: GrantId,
    },
    /// There is no such separation of duty, membership or area.
    #[error("there is no {what} `{name}`")]
    Unknown {
        /// What it would be.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A condition that is no expression.
    #[error("invalid condition `{condition}`")]
    InvalidCondition {
        /// The text.
        condition: String,
        /// What is wrong with it.
        #[source]
        source: guardian_expr::Error,
    },
    /// A condition whose value is no truth value.
    #[error("invalid condition `{condition}`: it is a `{type}`, not a `bool`")]
    NoCondition {
        /// The text.
        condition: String,
        /// What it is.
        r#type: String,
    },
    /// A role with too many parents or rules.
    #[error("the role `{role}` has {given} {what}, the most is {most}")]
    RoleTooLarge {
        /// The role.
        role: RoleId,
        /// Of what it has too many.
        what: &'static str,
        /// How many.
        given: usize,
        /// The most.
        most: usize,
    },
    /// Roles, groups or areas that would contain themselves.
    #[error("the {what} would be a cycle: `{}`", path.join("` -> `"))]
    Cycle {
        /// What they are.
        what: &'static str,
        /// The way around, from the one that was written back to it.
        path: Vec<String>,
    },
    /// A role that is still needed.
    #[error("the role `{role}` is in use by {by}")]
    RoleInUse {
        /// The role.
        role: RoleId,
        /// By what.
        by: String,
    },
    /// Somebody would be in groups on too many ways.
    #[error("`{subject}` is in groups on more than {most} ways")]
    TooManyWays {
        /// Who.
        subject: Subject,
        /// The most.
        most: usize,
    },
    /// A handle of another policy, or of one that was loaded anew.
    #[error("the handle is of another policy: ask for a new one")]
    ForeignHandle,
    /// A separation of duty would be broken.
    #[error("`{subject}` would have the roles `{}`, which `{constraint}` keeps apart", roles.iter().map(RoleId::as_str).collect::<Vec<_>>().join("`, `"))]
    Separation {
        /// Who.
        subject: Subject,
        /// The separation of duty.
        constraint: ConstraintId,
        /// The roles that must not come together.
        roles: Vec<RoleId>,
    },
    /// The actor lacks the permission that the change takes.
    #[error("`{actor}` may not do this: it takes `{permission}` in `{area}`")]
    NotAllowed {
        /// Who tried.
        actor: Principal,
        /// What is missing.
        permission: String,
        /// Where.
        area: Area,
    },
    /// The change would give more than the actor has.
    #[error(
        "`{actor}` would give `{permission}` in `{area}`, which it does not hold there without conditions and for as long"
    )]
    Escalation {
        /// Who tried.
        actor: Principal,
        /// What would be given.
        permission: String,
        /// Where.
        area: Area,
    },
    /// A grant that may not be passed on like this.
    #[error("the grant `{grant}` cannot be passed on: {why}")]
    NotDelegable {
        /// The grant.
        grant: GrantId,
        /// Why not.
        why: &'static str,
    },
    /// A role that cannot be taken in an emergency like this.
    #[error("the role `{role}` cannot be taken in an emergency: {why}")]
    NoEmergency {
        /// The role.
        role: RoleId,
        /// Why not.
        why: String,
    },
    /// A role that cannot be active.
    #[error("`{principal}` does not have the role `{role}` now")]
    NotHeld {
        /// Who.
        principal: Principal,
        /// Which role.
        role: RoleId,
    },
    /// A window that is over when it is asked for.
    #[error("the window ended at `{}`, now is `{}`", seconds(*.until), seconds(*.now))]
    WindowOver {
        /// When it ended.
        until: Timestamp,
        /// The time of the change.
        now: Timestamp,
    },
    /// A change without anything in it, or with too much.
    #[error("{given} changes at once, it must be 1 to {most}")]
    Batch {
        /// How many.
        given: usize,
        /// The most.
        most: usize,
    },
    /// A policy in a file or of another system that cannot be read.
    #[error("line {line}: {why}")]
    Import {
        /// The line, from 1; 0 where no single line is to blame.
        line: usize,
        /// What is wrong there.
        why: String,
    },
    /// The policy of the tenant is not in memory.
    #[error("the policy of the tenant `{tenant}` is not loaded: load it first")]
    NotLoaded {
        /// The tenant.
        tenant: TenantId,
    },
    /// The policy in memory is older than was asked for, or older than the host allows.
    #[error("the policy is at revision {actual}, and {wanted} or newer was asked for")]
    TooOld {
        /// The revision in memory.
        actual: Revision,
        /// The one asked for.
        wanted: Revision,
    },
    /// A write was based on another revision than the policy has.
    #[error("the policy is at revision {actual}, and the change is based on {wanted}: read it again")]
    Changed {
        /// The revision that it has.
        actual: Revision,
        /// The one that the change is based on.
        wanted: Revision,
    },
    /// The policy was not compared with the store for longer than the host allows.
    #[error("the policy was last compared with the store {seconds} seconds ago")]
    Stale {
        /// How long ago, rounded up.
        seconds: u64,
    },
    /// Others changed the policy again and again meanwhile.
    #[error("the policy was changed by others at the same time: try again")]
    Contended,
    /// The store failed.
    #[error("the policies are not reachable")]
    Store(#[from] StoreError),
}
