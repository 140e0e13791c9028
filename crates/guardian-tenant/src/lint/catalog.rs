use serde::{Deserialize, Deserializer};

use crate::error::InvalidField;

/// What the lint knows of a Postgres database: the answer to [`SQL`](Self::SQL), read.
///
/// With the feature `postgres` the crate asks itself; with another driver, or `psql -At`, ask and pass the text on.
///
/// ```
/// use guardian_tenant::lint::{Catalog, Lint};
///
/// let catalog = Catalog::from_json(r#"{"current_user": "crm_app", "roles": [{"name": "crm_app", "superuser": true}]}"#)?;
/// let report = Lint::new().check(&catalog);
/// assert_eq!(report.findings()[0].code().as_str(), "role-superuser");
/// # Ok::<(), guardian_tenant::InvalidField>(())
/// ```
#[derive(Debug, Clone, Deserialize)]
pub struct Catalog {
    pub(crate) current_user: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) roles: Vec<Role>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) role_settings: Vec<RoleSetting>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) schemas: Vec<Schema>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) relations: Vec<Relation>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) functions: Vec<Function>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) default_grants: Vec<DefaultGrant>,
}

impl Catalog {
    /// The query whose only row and column, a text, [`from_json`](Self::from_json) reads. It runs on Postgres 14 and later,
    /// as any role, and reads no row of any table.
    pub const SQL: &'static str = include_str!("catalog.sql");

    /// The longest text that is read: enough for some ten thousand tables.
    pub const MAX_BYTES: usize = 256 * 1024 * 1024;

    /// Reads the answer.
    ///
    /// # Errors
    /// When the text is too long or is not the answer to [`SQL`](Self::SQL).
    pub fn from_json(text: &str) -> Result<Self, InvalidField> {
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidField::new("catalog", text, "it has more than 268435456 bytes"));
        }
        serde_json::from_str(text).map_err(|fault| InvalidField::new("catalog", text, fault.to_string()))
    }
}

/// An aggregate over nothing is null, and means nothing.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(input: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or_default())
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Role {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) superuser: bool,
    #[serde(default)]
    pub(crate) bypass: bool,
    #[serde(default)]
    pub(crate) login: bool,
    #[serde(default)]
    pub(crate) replication: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) member_of: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RoleSetting {
    pub(crate) role: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) settings: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Schema {
    pub(crate) name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) create: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Kind {
    #[serde(rename = "r")]
    Table,
    #[serde(rename = "p")]
    Partitioned,
    #[serde(rename = "v")]
    View,
    #[serde(rename = "m")]
    Materialized,
    #[serde(rename = "f")]
    Foreign,
    #[serde(rename = "S")]
    Sequence,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Relation {
    pub(crate) oid: i64,
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) owner: String,
    #[serde(default)]
    pub(crate) rls: bool,
    #[serde(default)]
    pub(crate) forced: bool,
    #[serde(default)]
    pub(crate) partition: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) options: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) parents: Vec<i64>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) columns: Vec<Column>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) grants: Vec<Grant>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) reads: Vec<i64>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) policies: Vec<Policy>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) indexes: Vec<Index>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) foreign_keys: Vec<ForeignKey>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) triggers: Vec<Trigger>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) rules: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) publications: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) used_by: Vec<i64>,
}

impl Relation {
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.kind, Kind::Table | Kind::Partitioned)
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// As it is shown.
    pub(crate) fn shown(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// As it stands in a statement.
    pub(crate) fn quoted(&self) -> String {
        format!("{}.{}", crate::rls::quote_name(&self.schema), crate::rls::quote_name(&self.name))
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) not_null: bool,
    #[serde(default)]
    pub(crate) default: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Grant {
    pub(crate) grantee: String,
    pub(crate) privilege: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Policy {
    pub(crate) name: String,
    /// `r`, `a`, `w`, `d`, or `*` for all.
    pub(crate) command: char,
    pub(crate) permissive: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) roles: Vec<String>,
    pub(crate) using: Option<String>,
    pub(crate) check: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Index {
    pub(crate) name: String,
    pub(crate) method: String,
    #[serde(default)]
    pub(crate) unique: bool,
    #[serde(default)]
    pub(crate) primary: bool,
    #[serde(default)]
    pub(crate) exclusion: bool,
    #[serde(default)]
    pub(crate) valid: bool,
    #[serde(default)]
    pub(crate) partial: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) keys: Vec<IndexKey>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct IndexKey {
    /// Nothing for an expression.
    pub(crate) column: Option<String>,
    /// Whether any operator that searches it is leakproof; nothing where the catalog lists none.
    pub(crate) leakproof: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ForeignKey {
    pub(crate) name: String,
    pub(crate) target: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) columns: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) target_columns: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Trigger {
    pub(crate) name: String,
    pub(crate) function: i64,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Function {
    pub(crate) oid: i64,
    pub(crate) schema: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) arguments: String,
    #[serde(default)]
    pub(crate) owner: String,
    #[serde(default)]
    pub(crate) definer: bool,
    #[serde(default)]
    pub(crate) leakproof: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) settings: Vec<String>,
    #[serde(default)]
    pub(crate) trigger: bool,
    #[serde(default)]
    pub(crate) procedure: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) source: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) execute: Vec<String>,
}

impl Function {
    pub(crate) fn shown(&self) -> String {
        format!("{}.{}({})", self.schema, self.name, self.arguments)
    }

    pub(crate) fn quoted(&self) -> String {
        let (schema, name) = (crate::rls::quote_name(&self.schema), crate::rls::quote_name(&self.name));
        format!("{schema}.{name}({})", self.arguments)
    }

    /// `FUNCTION` or `PROCEDURE`.
    pub(crate) fn word(&self) -> &'static str {
        if self.procedure { "PROCEDURE" } else { "FUNCTION" }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct DefaultGrant {
    pub(crate) creator: String,
    pub(crate) schema: Option<String>,
    pub(crate) kind: char,
    pub(crate) grantee: String,
    pub(crate) privilege: String,
}
