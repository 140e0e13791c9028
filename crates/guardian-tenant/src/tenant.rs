use std::fmt;

use guardian_core::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{DisplayName, Industry, Plan, Region, Settings, Status};

/// A tenant as the platform knows it.
///
/// The tenant itself reads less of it: its [`Profile`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tenant {
    /// Its id; it never changes and is never given to another.
    pub id: TenantId,
    /// What people call it.
    pub name: DisplayName,
    /// What it has bought.
    pub plan: Plan,
    /// Where its data has to stay.
    pub region: Region,
    /// What it does.
    pub industry: Option<Industry>,
    /// Its settings, which its own people may read.
    pub settings: Settings,
    /// What the platform notes about it; its own people never see this.
    pub internal: Settings,
    /// Where it is in its life.
    pub status: Status,
    /// How often it was changed.
    pub version: Version,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

impl Tenant {
    /// What the tenant may read of itself.
    #[must_use]
    pub fn profile(&self) -> Profile {
        Profile {
            id: self.id.clone(),
            name: self.name.clone(),
            plan: self.plan.clone(),
            region: self.region.clone(),
            industry: self.industry.clone(),
            settings: self.settings.clone(),
            status: self.status.name().to_owned(),
            purge_after: self.status.purge_after(),
            version: self.version,
            created: self.created,
        }
    }
}

/// What a tenant may read of itself: no internal notes, and no reason of a suspension.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Profile {
    /// Its id.
    pub id: TenantId,
    /// What people call it.
    pub name: DisplayName,
    /// What it has bought.
    pub plan: Plan,
    /// Where its data has to stay.
    pub region: Region,
    /// What it does.
    pub industry: Option<Industry>,
    /// Its settings.
    pub settings: Settings,
    /// Its status in a word, see [`Status::name`].
    pub status: String,
    /// Until when it can be brought back, if it is being deleted.
    pub purge_after: Option<Timestamp>,
    /// How often it was changed.
    pub version: Version,
    /// When it was created.
    pub created: Timestamp,
}

/// A tenant to be.
///
/// ```
/// use guardian_core::TenantId;
/// use guardian_tenant::NewTenant;
///
/// let acme = NewTenant::new(TenantId::new("acme")?, "Acme Inc.", "team", "eu-central-1")?
///     .industry("retail")?
///     .settings(r#"{"locale": "en-GB"}"#.parse()?);
/// # let _ = acme;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct NewTenant {
    pub(crate) id: TenantId,
    pub(crate) name: DisplayName,
    pub(crate) plan: Plan,
    pub(crate) region: Region,
    pub(crate) industry: Option<Industry>,
    pub(crate) settings: Settings,
    pub(crate) internal: Settings,
}

impl NewTenant {
    /// A tenant with what each must have.
    ///
    /// # Errors
    /// When the name, the plan or the region does not parse.
    pub fn new(id: TenantId, name: &str, plan: &str, region: &str) -> Result<Self, crate::InvalidField> {
        Ok(Self {
            id,
            name: DisplayName::new(name)?,
            plan: Plan::new(plan)?,
            region: Region::new(region)?,
            industry: None,
            settings: Settings::new(),
            internal: Settings::new(),
        })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &TenantId {
        &self.id
    }

    /// What it has bought.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The same in this industry.
    ///
    /// # Errors
    /// When the text is no [`Industry`].
    pub fn industry(mut self, industry: &str) -> Result<Self, crate::InvalidField> {
        self.industry = Some(Industry::new(industry)?);
        Ok(self)
    }

    /// The same with these settings.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// The same with these notes of the platform, which the tenant never sees.
    pub fn internal(mut self, internal: Settings) -> Self {
        self.internal = internal;
        self
    }
}

/// What is to change about a tenant; what is not named stays.
///
/// ```
/// use guardian_tenant::{Plan, TenantChange};
///
/// let upgrade = TenantChange::new().plan(Plan::new("enterprise")?);
/// # let _ = upgrade;
/// # Ok::<(), guardian_tenant::InvalidField>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[must_use]
pub struct TenantChange {
    name: Option<DisplayName>,
    plan: Option<Plan>,
    region: Option<Region>,
    industry: Option<Option<Industry>>,
    settings: Option<Settings>,
    internal: Option<Settings>,
}

impl TenantChange {
    /// Nothing changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another name.
    pub fn name(mut self, name: DisplayName) -> Self {
        self.name = Some(name);
        self
    }

    /// Another plan.
    pub fn plan(mut self, plan: Plan) -> Self {
        self.plan = Some(plan);
        self
    }

    /// Another region. The registry only notes it; moving the data is the host's work.
    pub fn region(mut self, region: Region) -> Self {
        self.region = Some(region);
        self
    }

    /// Another industry, or none.
    pub fn industry(mut self, industry: Option<Industry>) -> Self {
        self.industry = Some(industry);
        self
    }

    /// Other settings, all of them.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = Some(settings);
        self
    }

    /// Other notes of the platform, all of them.
    pub fn internal(mut self, internal: Settings) -> Self {
        self.internal = Some(internal);
        self
    }

    /// The names of the fields that this changes in a tenant; the values are not told to listeners.
    pub(crate) fn apply(self, tenant: &mut Tenant) -> Vec<&'static str> {
        fn set<T: PartialEq>(
            field: &'static str,
            slot: &mut T,
            value: Option<T>,
            changed: &mut Vec<&'static str>,
        ) {
            if let Some(value) = value.filter(|value| value != slot) {
                *slot = value;
                changed.push(field);
            }
        }
        let mut changed = Vec::new();
        set("name", &mut tenant.name, self.name, &mut changed);
        set("plan", &mut tenant.plan, self.plan, &mut changed);
        set("region", &mut tenant.region, self.region, &mut changed);
        set("industry", &mut tenant.industry, self.industry, &mut changed);
        set("settings", &mut tenant.settings, self.settings, &mut changed);
        set("internal", &mut tenant.internal, self.internal, &mut changed);
        changed
    }
}

/// How often a tenant was changed; the first version is 1. Whoever changes a tenant names the version that they
/// read, so that nobody overwrites what they have not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(i64);

impl Version {
    /// That of a tenant just created.
    pub const FIRST: Self = Self(1);

    /// The version of this number.
    #[must_use]
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }

    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
