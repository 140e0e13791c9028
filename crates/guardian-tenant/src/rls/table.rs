use super::name::{Name, QualifiedName};
use crate::error::InvalidField;

/// A table whose rows belong to tenants: its key, what it references, and how it is searched.
///
/// ```
/// use guardian_tenant::rls::{Search, TenantTable};
///
/// let deals = TenantTable::new("crm", "deals")?
///     .key(["id"])?
///     .unique(["number"])?
///     .references(["company_id"], "crm", "companies", ["id"])?
///     .search(Search::full_text("words")?.newest_first("created")?);
/// # let _ = deals;
/// # Ok::<(), guardian_tenant::InvalidField>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct TenantTable {
    pub(crate) name: QualifiedName,
    pub(crate) key: Vec<Name>,
    pub(crate) uniques: Vec<Vec<Name>>,
    pub(crate) references: Vec<Reference>,
    pub(crate) searches: Vec<Search>,
}

/// A foreign key to another table of tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) columns: Vec<Name>,
    pub(crate) table: QualifiedName,
    pub(crate) target: Vec<Name>,
}

impl TenantTable {
    /// A table whose keys and references are left as they are.
    ///
    /// # Errors
    /// When one of the texts is no [`Name`].
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Result<Self, InvalidField> {
        Ok(Self {
            name: QualifiedName::new(schema, name)?,
            key: Vec::new(),
            uniques: Vec::new(),
            references: Vec::new(),
            searches: Vec::new(),
        })
    }

    /// Its primary key becomes the tenant column followed by these columns.
    ///
    /// # Errors
    /// When one of the texts is no [`Name`].
    pub fn key<'a>(mut self, columns: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidField> {
        self.key = names(columns)?;
        Ok(self)
    }

    /// The tenant column followed by these columns becomes unique; a constraint that makes these columns unique over
    /// all tenants goes, for it would tell a tenant what others have.
    ///
    /// # Errors
    /// When one of the texts is no [`Name`].
    pub fn unique<'a>(mut self, columns: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidField> {
        self.uniques.push(names(columns)?);
        Ok(self)
    }

    /// The tenant column followed by these columns references the tenant column of another table followed by `target`;
    /// a foreign key that leaves the tenant out goes, for Postgres checks it past every policy.
    ///
    /// # Errors
    /// When one of the texts is no [`Name`], or there are not as many columns as targets.
    pub fn references<'a, 'b>(
        mut self,
        columns: impl IntoIterator<Item = &'a str>,
        schema: &str,
        table: &str,
        target: impl IntoIterator<Item = &'b str>,
    ) -> Result<Self, InvalidField> {
        let (columns, target) = (names(columns)?, names(target)?);
        if columns.len() != target.len() || columns.is_empty() {
            return Err(InvalidField::new(
                "reference",
                table,
                "it needs as many columns as the key it points to",
            ));
        }
        self.references.push(Reference { columns, table: QualifiedName::new(schema, table)?, target });
        Ok(self)
    }

    /// It gets a function that searches it through an index which row-level security would keep from being used.
    pub fn search(mut self, search: Search) -> Self {
        self.searches.push(search);
        self
    }
}

fn names<'a>(columns: impl IntoIterator<Item = &'a str>) -> Result<Vec<Name>, InvalidField> {
    columns.into_iter().map(Name::new).collect()
}

/// How a table is searched with an operator that is not leakproof.
///
/// Under row-level security Postgres evaluates such an operator only on rows that the policy has let through, so an
/// index on it is never used: full text on a million rows goes from a tenth of a millisecond to hundreds. The remedy is
/// a function that runs with the rights of a role of its own, and that puts the tenant's predicate into the statement
/// itself; see [`Rls`](super::Rls).
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Search {
    pub(crate) column: Name,
    pub(crate) kind: SearchKind,
    pub(crate) newest: Option<Name>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SearchKind {
    FullText,
    Contains,
    Like,
}

impl SearchKind {
    /// The operator, and the type of what is asked for; both of `pg_catalog`, where nobody can put another.
    pub(crate) fn operator(self) -> (&'static str, &'static str) {
        match self {
            Self::FullText => ("@@", "tsquery"),
            Self::Contains => ("@>", "jsonb"),
            Self::Like => ("~~*", "text"),
        }
    }
}

impl Search {
    fn of(column: &str, kind: SearchKind) -> Result<Self, InvalidField> {
        Ok(Self { column: Name::new(column)?, kind, newest: None })
    }

    /// `column @@ query`, on a column of type `tsvector`.
    ///
    /// # Errors
    /// When the text is no [`Name`].
    pub fn full_text(column: &str) -> Result<Self, InvalidField> {
        Self::of(column, SearchKind::FullText)
    }

    /// `column @> query`, on a column of type `jsonb`.
    ///
    /// # Errors
    /// When the text is no [`Name`].
    pub fn contains(column: &str) -> Result<Self, InvalidField> {
        Self::of(column, SearchKind::Contains)
    }

    /// `column ILIKE query`, on a column of type `text`, with a trigram index for instance.
    ///
    /// # Errors
    /// When the text is no [`Name`].
    pub fn like(column: &str) -> Result<Self, InvalidField> {
        Self::of(column, SearchKind::Like)
    }

    /// What is found comes ordered by this column, the greatest first. Without it, in no order.
    ///
    /// # Errors
    /// When the text is no [`Name`].
    pub fn newest_first(mut self, column: &str) -> Result<Self, InvalidField> {
        self.newest = Some(Name::new(column)?);
        Ok(self)
    }
}
