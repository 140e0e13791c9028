//! What somebody may see, as a filter for a database.

use std::collections::BTreeMap;

use guardian_core::Timestamp;

use crate::snapshot::areas::TENANT;
use crate::snapshot::walk::combined;
use crate::{Area, Effect, Error, PermissionRef, PrincipalRef, Snapshot, WindowState};

/// The most values of a filter.
const MAX_VALUES: usize = 10_000;

/// A record is in this if it lies in one of the areas of each list.
type Term = Vec<Vec<Area>>;

/// The records for which somebody has a permission: in these areas and not in those.
///
/// Conditions cannot be asked of a database: what they give is left out, and what they take is taken. [`is_exact`] tells
/// whether there were none; where there were, more records may be allowed than the filter finds, and never fewer.
///
/// ```
/// use chrono::{TimeZone, Utc};
/// use guardian_core::ActorKind;
/// use guardian_rbac::{Catalog, Policy, PrincipalRef, Revision, Snapshot};
///
/// let snapshot = Snapshot::compile(&Policy::new(), &Catalog::builder().permission("deal:read", "").build()?, Revision::new(0))?;
/// let now = Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap();
/// let filter = snapshot.filter(PrincipalRef::new(ActorKind::User, "ann"), "deal:read", now)?;
/// let clause = filter.to_sql(&[("team", "team_id"), ("deal", "id")], 2)?;
/// assert_eq!((clause.sql.as_str(), clause.values.len()), ("FALSE", 0));
/// # Ok::<(), guardian_rbac::Error>(())
/// ```
///
/// [`is_exact`]: Self::is_exact
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct ScopeFilter {
    everything: bool,
    include: Vec<Term>,
    exclude: Vec<Term>,
    nothing: bool,
    inexact: bool,
}

/// A condition for a `WHERE`, with the values of its placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqlClause {
    /// The text: names of columns that the host gave, and placeholders `$2`, `$3`; no value.
    pub sql: String,
    /// The values, in the order of the placeholders.
    pub values: Vec<String>,
}

impl ScopeFilter {
    /// Whether it lets every record of the tenant through.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.everything && self.exclude.is_empty() && !self.nothing
    }

    /// Whether it lets no record through.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.nothing || (!self.everything && self.include.is_empty())
    }

    /// Whether no condition has a part in it.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        !self.inexact
    }

    /// Whether it lets a record through that is, or lies in, these areas: what the clause does in the database.
    #[must_use]
    pub fn matches(&self, areas: &[Area]) -> bool {
        let is_in = |term: &Term| term.iter().all(|any| any.iter().any(|area| areas.contains(area)));
        !self.nothing
            && (self.everything || self.include.iter().any(is_in))
            && !self.exclude.iter().any(is_in)
    }

    /// The filter for a table in which the areas of a record stand in columns: `[("team", "team_id"), ("deal", "id")]` for
    /// kinds of area. The placeholders begin at `$first`.
    ///
    /// An area of a kind without a column gives no record; one that is to be left out is an error, since it could not be.
    ///
    /// # Errors
    /// [`Error::Unknown`] for that, and [`Error::Batch`] for more than 10,000 values.
    pub fn to_sql(&self, columns: &[(&str, &'static str)], first: usize) -> Result<SqlClause, Error> {
        let mut clause = SqlClause { sql: String::new(), values: Vec::new() };
        if self.is_nothing() {
            "FALSE".clone_into(&mut clause.sql);
            return Ok(clause);
        }
        let column = |kind: &str| columns.iter().find(|(known, _)| *known == kind).map(|(_, column)| *column);
        for term in &self.exclude {
            for any in term {
                if let Some(area) = any.iter().find(|area| column(area.kind()).is_none()) {
                    return Err(Error::Unknown { what: "column for the area", name: area.to_string() });
                }
            }
        }
        let mut write = |term: &Term| -> String {
            let parts: Vec<String> = term
                .iter()
                .map(|any| {
                    let mut by_column: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
                    for area in any {
                        if let Some(column) = column(area.kind()) {
                            by_column.entry(column).or_default().push(area.id());
                        }
                    }
                    let lists: Vec<String> = by_column
                        .into_iter()
                        .map(|(column, ids)| {
                            let marks: Vec<String> = ids
                                .iter()
                                .map(|id| {
                                    clause.values.push((*id).to_owned());
                                    format!("${}", first + clause.values.len() - 1)
                                })
                                .collect();
                            // A record without a team is in none.
                            format!("({column} IS NOT NULL AND {column} IN ({}))", marks.join(", "))
                        })
                        .collect();
                    if lists.is_empty() { "FALSE".to_owned() } else { format!("({})", lists.join(" OR ")) }
                })
                .collect();
            parts.join(" AND ")
        };
        let included: Vec<String> = self.include.iter().map(&mut write).collect();
        let excluded: Vec<String> = self.exclude.iter().map(&mut write).collect();
        let included = if self.everything { "TRUE".to_owned() } else { included.join(" OR ") };
        clause.sql = match excluded.is_empty() {
            true => format!("({included})"),
            false => format!("({included}) AND NOT ({})", excluded.join(" OR ")),
        };
        if clause.values.len() > MAX_VALUES {
            return Err(Error::Batch { given: clause.values.len(), most: MAX_VALUES });
        }
        Ok(clause)
    }
}

impl Snapshot {
    /// The records for which somebody has the permission at this time.
    ///
    /// # Errors
    /// [`Error::UnknownPermission`].
    pub fn filter<'a>(
        &self,
        who: impl Into<PrincipalRef<'a>>,
        permission: impl Into<PermissionRef<'a>>,
        now: Timestamp,
    ) -> Result<ScopeFilter, Error> {
        let (word, mask) = crate::snapshot::roles::place(self.handle(permission.into())?);
        let mut filter = ScopeFilter::default();
        let mut include: Vec<Vec<u32>> = Vec::new();
        let mut exclude: Vec<Vec<u32>> = Vec::new();
        self.each_grant(who.into(), |slot, cold, link| {
            let cell = self.roles.cell(slot.role, word);
            if (cell.allow | cell.deny | cell.special) & mask == 0 {
                return;
            }
            let (from, until) = link.map_or((i64::MIN, i64::MAX), |link| (link.from, link.until));
            let (from, until) = (slot.from.max(from), slot.until.min(until));
            let hours = || {
                let own = cold.chain.iter().filter_map(|grant| grant.window.hours());
                own.chain(link.into_iter().flat_map(|link| &link.hours))
            };
            if combined(from, until, hours(), now) != WindowState::Open {
                return;
            }
            let conditional = cold.chain.iter().any(|grant| grant.condition.is_some());
            filter.inexact |= conditional;
            if cell.deny & mask != 0 {
                exclude.push(vec![slot.area]);
            } else if cell.allow & mask != 0 && !conditional {
                include.push(vec![slot.area]);
            }
            for holder in self.roles.with_special(slot.role) {
                let rules = self.roles.own(*holder).map(|own| own.special.as_slice()).unwrap_or_default();
                for rule in rules.iter().filter(|rule| rule.is_about(word, mask)) {
                    let (from, until) = (from.max(rule.from), until.min(rule.until));
                    if combined(from, until, rule.window.hours().into_iter(), now) != WindowState::Open {
                        continue;
                    }
                    filter.inexact |= rule.condition.is_some();
                    match rule.effect {
                        Effect::Deny => exclude.push(vec![slot.area, rule.area]),
                        Effect::Allow if rule.condition.is_none() && !conditional => {
                            include.push(vec![slot.area, rule.area]);
                        }
                        Effect::Allow => {}
                    }
                }
            }
        });
        let term = |areas: Vec<u32>| -> Term {
            let mut areas: Vec<u32> = areas.into_iter().filter(|area| *area != TENANT).collect();
            areas.sort_unstable();
            areas.dedup();
            let below = |area| self.areas.below(area).filter_map(|at| self.areas.name(at)).cloned().collect();
            areas.into_iter().map(below).collect()
        };
        for areas in include {
            let term = term(areas);
            filter.everything |= term.is_empty();
            filter.include.push(term);
        }
        for areas in exclude {
            let term = term(areas);
            filter.nothing |= term.is_empty();
            filter.exclude.push(term);
        }
        if filter.everything {
            filter.include.clear();
        }
        for terms in [&mut filter.include, &mut filter.exclude] {
            terms.sort();
            terms.dedup();
        }
        Ok(filter)
    }
}
