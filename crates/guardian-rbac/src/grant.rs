use std::fmt;
use std::str::FromStr;

use guardian_core::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Area, Condition, ConstraintId, Error, GroupId, InvalidName, Principal, RoleId, Subject, Window};

/// The id of a grant.
///
/// ```
/// let id: guardian_rbac::GrantId = "0197a1c8-0000-7000-8000-000000000001".parse()?;
/// assert_eq!(id.to_string(), "0197a1c8-0000-7000-8000-000000000001");
/// # Ok::<(), guardian_rbac::InvalidName>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GrantId(Uuid);

impl GrantId {
    /// An id that the host made.
    #[must_use]
    pub fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The id itself.
    #[must_use]
    pub fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for GrantId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self).map_err(|_| InvalidName::new("grant", text, "it is not a UUID"))
    }
}

/// Who agreed that a role be given, and where that is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Who agreed.
    pub by: Principal,
    /// A ticket, a document.
    pub reference: String,
}

/// What is asked for: a role for somebody, where, when, and why.
///
/// ```
/// use guardian_rbac::{Area, NewGrant};
///
/// let grant = NewGrant::new("user:ann".parse()?, "sales-rep", "joined the EMEA team")?
///     .in_area(Area::new("team", "emea")?)
///     .delegable(1);
/// # let _ = grant;
/// # Ok::<(), guardian_rbac::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[must_use]
pub struct NewGrant {
    /// Who gets the role.
    pub subject: Subject,
    /// Which role.
    pub role: RoleId,
    /// Why, for people: 1 to 500 characters.
    pub reason: String,
    /// Where.
    #[serde(default)]
    pub area: Area,
    /// When.
    #[serde(default)]
    pub window: Window,
    /// If what holds.
    #[serde(default)]
    pub condition: Option<Condition>,
    /// Who agreed.
    #[serde(default)]
    pub approval: Option<Approval>,
    /// How many times the holder, and those that get it from the holder, may pass it on; 0 where nothing is said.
    #[serde(default)]
    pub depth: u8,
}

impl NewGrant {
    /// The role for the subject, everywhere in the tenant, from now on.
    ///
    /// # Errors
    /// When the role's name is none, or the reason is not 1 to 500 characters.
    pub fn new(subject: Subject, role: &str, reason: &str) -> Result<Self, InvalidName> {
        crate::name::check_prose("reason", reason)?;
        Ok(Self {
            subject,
            role: RoleId::new(role)?,
            reason: reason.to_owned(),
            area: Area::tenant(),
            window: Window::always(),
            condition: None,
            approval: None,
            depth: 0,
        })
    }

    /// In this area only.
    pub fn in_area(mut self, area: Area) -> Self {
        self.area = area;
        self
    }

    /// In this window only.
    pub fn during(mut self, window: Window) -> Self {
        self.window = window;
        self
    }

    /// If this holds only.
    pub fn when(mut self, condition: Condition) -> Self {
        self.condition = Some(condition);
        self
    }

    /// With the consent of somebody.
    pub fn approved(mut self, by: Principal, reference: &str) -> Self {
        self.approval = Some(Approval { by, reference: reference.to_owned() });
        self
    }

    /// May be passed on that many times.
    pub fn delegable(mut self, depth: u8) -> Self {
        self.depth = depth;
        self
    }
}

/// A role that somebody has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// Who has the role.
    pub subject: Subject,
    /// Which role.
    pub role: RoleId,
    /// Where.
    #[serde(default)]
    pub area: Area,
    /// When.
    #[serde(default)]
    pub window: Window,
    /// If what holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
    /// Why.
    pub reason: String,
    /// Who gave it.
    pub giver: Principal,
    /// Who agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// The grant that it was passed on from. It holds only as far as that one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<GrantId>,
    /// How many times it may be passed on.
    #[serde(default)]
    pub depth: u8,
    /// Whether it was taken in an emergency.
    #[serde(default)]
    pub break_glass: bool,
    /// When it was given.
    pub created: Timestamp,
    /// When somebody last looked at it and left it as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certified: Option<Timestamp>,
}

impl Grant {
    /// The grant that is asked for, given by somebody at a time.
    #[must_use]
    pub fn of(new: NewGrant, id: GrantId, giver: Principal, created: Timestamp) -> Self {
        let NewGrant { subject, role, reason, area, window, condition, approval, depth } = new;
        Self {
            id,
            subject,
            role,
            area,
            window,
            condition,
            reason,
            giver,
            approval,
            parent: None,
            depth,
            break_glass: false,
            created,
            certified: None,
        }
    }

    pub(crate) fn check_texts(&self) -> Result<(), Error> {
        crate::name::check_prose("reason", &self.reason)?;
        if let Some(approval) = &self.approval {
            crate::name::check_prose("approval", &approval.reference)?;
        }
        Ok(())
    }
}

/// Somebody in a group, in a window: a principal, another group, or everyone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// The group.
    pub group: GroupId,
    /// Who is in it.
    pub member: Subject,
    /// When.
    #[serde(default, skip_serializing_if = "Window::is_always")]
    pub window: Window,
}

impl Membership {
    /// Somebody in a group from now on.
    #[must_use]
    pub fn new(group: GroupId, member: Subject) -> Self {
        Self { group, member, window: Window::always() }
    }

    /// In this window only.
    #[must_use]
    pub fn during(mut self, window: Window) -> Self {
        self.window = window;
        self
    }
}

/// An area and those that it lies in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The area.
    pub area: Area,
    /// The areas that it lies in, beside the tenant.
    pub parents: Vec<Area>,
}

impl Place {
    /// The most areas that one lies in directly.
    pub const MAX_PARENTS: usize = 100;
}

/// Roles that must not come together.
///
/// ```
/// use guardian_rbac::{Constraint, Duty};
///
/// let pay = Constraint::new("pays-and-approves", Duty::Static, ["payer", "approver"], 2)?;
/// # let _ = pay;
/// # Ok::<(), guardian_rbac::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constraint {
    /// Its name.
    pub id: ConstraintId,
    /// When they must not.
    pub duty: Duty,
    /// The roles.
    pub roles: Vec<RoleId>,
    /// How many of them are too many: at least 2, at most all.
    pub limit: u32,
}

/// When roles must not come together (INCITS 359-2004).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Duty {
    /// Nobody has so many of them (static separation of duty).
    Static,
    /// No session has so many of them active (dynamic separation of duty).
    Dynamic,
}

impl Constraint {
    /// Of these roles, `limit` or more must not come together.
    ///
    /// # Errors
    /// When a name is none, or the limit is not 2 to the number of roles.
    pub fn new<'r>(
        id: &str,
        duty: Duty,
        roles: impl IntoIterator<Item = &'r str>,
        limit: u32,
    ) -> Result<Self, InvalidName> {
        let roles: Vec<RoleId> = roles.into_iter().map(RoleId::new).collect::<Result<_, _>>()?;
        let made = Self { id: ConstraintId::new(id)?, duty, roles, limit };
        made.check()?;
        Ok(made)
    }

    pub(crate) fn check(&self) -> Result<(), InvalidName> {
        let distinct: std::collections::BTreeSet<_> = self.roles.iter().collect();
        let most = u32::try_from(distinct.len()).unwrap_or(u32::MAX);
        if distinct.len() != self.roles.len() {
            return Err(InvalidName::new("separation of duty", self.id.as_str(), "it names a role twice"));
        }
        if self.limit < 2 || self.limit > most {
            let why = format!("its limit is {}, it must be 2 to {most}, the number of its roles", self.limit);
            return Err(InvalidName::new("separation of duty", self.id.as_str(), why));
        }
        Ok(())
    }
}
