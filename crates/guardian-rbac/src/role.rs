use serde::{Deserialize, Serialize};

use crate::{Area, Condition, Error, InvalidName, PermissionPattern, RoleId, Window};

/// Whether a rule gives or takes. What any rule takes no rule gives: deny wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a third effect would change what a decision is")]
pub enum Effect {
    /// It gives.
    #[default]
    Allow,
    /// It takes.
    Deny,
}

/// A rule of a role: an effect on permissions, everywhere the role is held or in one area, always or in a window, and if a
/// condition holds.
///
/// ```
/// use guardian_rbac::{Condition, Rule};
///
/// let small = Rule::allow("deal:approve")?.when(Condition::new("resource.amount < 10000")?);
/// let never = Rule::deny("deal:export")?;
/// # let _ = (small, never);
/// # Ok::<(), guardian_rbac::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[must_use]
pub struct Rule {
    /// Gives or takes.
    #[serde(default)]
    pub effect: Effect,
    /// Which permissions.
    pub permissions: PermissionPattern,
    /// Only in this area, within the area in which the role is held.
    #[serde(default, skip_serializing_if = "Area::is_tenant")]
    pub area: Area,
    /// Only in this window, within the one in which the role is held.
    #[serde(default, skip_serializing_if = "Window::is_always")]
    pub window: Window,
    /// Only if this holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
}

impl Rule {
    fn new(effect: Effect, pattern: &str) -> Result<Self, InvalidName> {
        let permissions = PermissionPattern::new(pattern)?;
        Ok(Self { effect, permissions, area: Area::tenant(), window: Window::always(), condition: None })
    }

    /// Gives these permissions.
    ///
    /// # Errors
    /// When the text is no pattern of permissions.
    pub fn allow(pattern: &str) -> Result<Self, InvalidName> {
        Self::new(Effect::Allow, pattern)
    }

    /// Takes these permissions.
    ///
    /// # Errors
    /// When the text is no pattern of permissions.
    pub fn deny(pattern: &str) -> Result<Self, InvalidName> {
        Self::new(Effect::Deny, pattern)
    }

    /// The same in this area only.
    pub fn in_area(mut self, area: Area) -> Self {
        self.area = area;
        self
    }

    /// The same in this window only.
    pub fn during(mut self, window: Window) -> Self {
        self.window = window;
        self
    }

    /// The same if this holds only.
    pub fn when(mut self, condition: Condition) -> Self {
        self.condition = Some(condition);
        self
    }

    /// Whether it is limited in no way, and so a bit in a row.
    pub(crate) fn is_plain(&self) -> bool {
        self.area.is_tenant() && self.window.is_always() && self.condition.is_none()
    }
}

/// A role: rules of its own, and those of the roles that it inherits from, at any depth.
///
/// ```
/// use guardian_rbac::{Role, RoleId, Rule};
///
/// let rep = Role::new("sales-rep")?
///     .titled("Sales representative")
///     .inherits("viewer")?
///     .with(Rule::allow("deal:*")?)
///     .with(Rule::deny("deal:export")?);
/// assert_eq!(rep.parents, [RoleId::new("viewer")?]);
/// # Ok::<(), guardian_rbac::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[must_use]
pub struct Role {
    /// Its name.
    pub id: RoleId,
    /// Its name for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// The roles whose rules it has beside its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<RoleId>,
    /// Its own rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Where it may be taken in an emergency: for how many seconds at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<u32>,
}

impl Role {
    /// The most roles that one inherits from directly.
    pub const MAX_PARENTS: usize = 1_000;
    /// The most rules of its own.
    pub const MAX_RULES: usize = 10_000;

    /// A role without rules.
    ///
    /// # Errors
    /// When the name is none.
    pub fn new(id: &str) -> Result<Self, InvalidName> {
        Ok(Self {
            id: RoleId::new(id)?,
            title: String::new(),
            parents: Vec::new(),
            rules: Vec::new(),
            break_glass: None,
        })
    }

    /// With a name for people.
    pub fn titled(mut self, title: &str) -> Self {
        title.clone_into(&mut self.title);
        self
    }

    /// With the rules of another role as well.
    ///
    /// # Errors
    /// When the name is none.
    pub fn inherits(mut self, parent: &str) -> Result<Self, InvalidName> {
        self.parents.push(RoleId::new(parent)?);
        Ok(self)
    }

    /// With a rule.
    pub fn with(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// That may be taken in an emergency, for at most so many seconds.
    pub fn for_emergencies(mut self, seconds: u32) -> Self {
        self.break_glass = Some(seconds);
        self
    }

    pub(crate) fn check_sizes(&self) -> Result<(), Error> {
        let sizes = [
            ("parents", self.parents.len(), Self::MAX_PARENTS),
            ("rules", self.rules.len(), Self::MAX_RULES),
        ];
        for (what, given, most) in sizes {
            if given > most {
                return Err(Error::RoleTooLarge { role: self.id.clone(), what, given, most });
            }
        }
        if !self.title.is_empty() {
            crate::name::check_prose("title", &self.title)?;
        }
        Ok(())
    }
}
