use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use guardian_expr::Lookup;
use serde::{Deserialize, Serialize};

use crate::InvalidName;
use crate::name::check_text;

/// Where a grant holds: the whole tenant, a team, a project, one record. Written `tenant` or `KIND:ID`, as in `team:emea`.
///
/// What holds in an area holds in every area below it. Which area lies in which is part of the policy for those that are
/// few (teams), and told with each question for those that are many (records): see [`Resource`].
///
/// ```
/// use guardian_rbac::Area;
///
/// let emea = Area::new("team", "emea")?;
/// assert_eq!((emea.kind(), emea.id(), emea.to_string()), ("team", "emea", "team:emea".to_owned()));
/// assert!(Area::tenant().is_tenant());
/// # Ok::<(), guardian_rbac::InvalidName>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Area {
    /// Empty for the tenant.
    kind: Arc<str>,
    id: Arc<str>,
}

impl Area {
    /// The longest id, in bytes.
    pub const MAX_LEN: usize = 512;

    /// The whole tenant.
    #[must_use]
    pub fn tenant() -> Self {
        Self { kind: "".into(), id: "".into() }
    }

    /// An area of this kind (1 to 32 of `a-z 0-9 _ -`) and id (1 to [`Self::MAX_LEN`] bytes without control characters).
    ///
    /// # Errors
    /// When one of them is not so.
    pub fn new(kind: &str, id: impl AsRef<str>) -> Result<Self, InvalidName> {
        let id = id.as_ref();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
        if kind.is_empty() || kind.len() > 32 || !kind.chars().all(plain) {
            return Err(InvalidName::new("kind of an area", kind, "it must have 1 to 32 of `a-z 0-9 _ -`"));
        }
        check_text("area", id, Self::MAX_LEN)?;
        Ok(Self { kind: kind.into(), id: id.into() })
    }

    /// Whether it is the whole tenant.
    #[must_use]
    pub fn is_tenant(&self) -> bool {
        self.kind.is_empty()
    }

    /// Its kind; empty for the tenant.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Its id within its kind; empty for the tenant.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl Default for Area {
    fn default() -> Self {
        Self::tenant()
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_tenant() { f.write_str("tenant") } else { write!(f, "{}:{}", self.kind, self.id) }
    }
}

impl fmt::Debug for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Area({self})")
    }
}

impl FromStr for Area {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some((kind, id)) => Self::new(kind, id),
            None if text == "tenant" => Ok(Self::tenant()),
            None => Err(InvalidName::new("area", text, "write `tenant` or `KIND:ID`")),
        }
    }
}

impl TryFrom<String> for Area {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Area> for String {
    fn from(area: Area) -> Self {
        area.to_string()
    }
}

/// What a check is about: the tenant as a whole, an area, or a record with the areas it lies in.
///
/// A record need not be known to the policy. What is granted on it by its kind and id holds, and what is granted on any of
/// the areas that it lies in, or above them.
///
/// ```
/// use guardian_rbac::{Area, Resource};
///
/// let team = [Area::new("team", "emea")?];
/// let facts = serde_json::json!({ "amount": 12_000 });
/// let deal = Resource::record("deal", "42").within(&team).with_facts(&facts);
/// # let _ = deal;
/// # Ok::<(), guardian_rbac::InvalidName>(())
/// ```
#[derive(Clone, Copy, Default)]
#[must_use]
pub struct Resource<'a> {
    pub(crate) own: Option<(&'a str, &'a str)>,
    pub(crate) within: &'a [Area],
    pub(crate) facts: Option<&'a dyn Lookup>,
}

impl<'a> Resource<'a> {
    /// The tenant as a whole: only what is granted for all of it holds.
    pub fn tenant() -> Self {
        Self::default()
    }

    /// An area.
    pub fn area(area: &'a Area) -> Self {
        let own = (!area.is_tenant()).then(|| (area.kind(), area.id()));
        Self { own, ..Self::default() }
    }

    /// A record of this kind and id.
    pub fn record(kind: &'a str, id: &'a str) -> Self {
        Self { own: Some((kind, id)), ..Self::default() }
    }

    /// Something new of which there is no id yet, in these areas.
    pub fn new_in(areas: &'a [Area]) -> Self {
        Self { within: areas, ..Self::default() }
    }

    /// With the areas that it lies in, beside those that the policy knows of.
    pub fn within(mut self, areas: &'a [Area]) -> Self {
        self.within = areas;
        self
    }

    /// With what conditions see as `resource`, beside its `kind` and `id`.
    pub fn with_facts(mut self, facts: &'a dyn Lookup) -> Self {
        self.facts = Some(facts);
        self
    }
}

impl<'a> From<&'a Area> for Resource<'a> {
    fn from(area: &'a Area) -> Self {
        Self::area(area)
    }
}

impl fmt::Debug for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { own, within, .. } = self;
        f.debug_struct("Resource").field("own", own).field("within", within).finish_non_exhaustive()
    }
}

impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.own {
            Some((kind, id)) => write!(f, "{kind}:{id}")?,
            None if self.within.is_empty() => return f.write_str("the tenant"),
            None => f.write_str("something new")?,
        }
        for (at, area) in self.within.iter().enumerate() {
            write!(f, "{}{area}", if at == 0 { " in " } else { ", " })?;
        }
        Ok(())
    }
}
