//! The static check of a SQLite schema.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Code, Finding, Report, keeps_versions};
use crate::error::InvalidField;
use crate::rls::quote_name;

/// What the lint knows of a SQLite schema: the answer to [`SQL`](Self::SQL), read.
///
/// SQLite has no row-level security, so the schema is all that stands behind the statements.
#[derive(Debug, Clone, Deserialize)]
pub struct SqliteCatalog {
    #[serde(default)]
    foreign_keys: i64,
    #[serde(default)]
    relations: Vec<Relation>,
}

impl SqliteCatalog {
    /// The query whose only row and column, a text, [`from_json`](Self::from_json) reads. It runs on SQLite 3.37 and later.
    pub const SQL: &'static str = include_str!("sqlite.sql");

    /// The longest text that is read.
    pub const MAX_BYTES: usize = super::Catalog::MAX_BYTES;

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

#[derive(Debug, Clone, Deserialize)]
struct Relation {
    name: String,
    kind: String,
    on: String,
    sql: Option<String>,
    storage: Option<String>,
    #[serde(default)]
    columns: Vec<Column>,
    #[serde(default)]
    indexes: Vec<Index>,
    #[serde(default)]
    foreign_keys: Vec<ForeignKey>,
}

#[derive(Debug, Clone, Deserialize)]
struct Column {
    name: String,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    not_null: i64,
    default: Option<String>,
    /// The place in the primary key from 1 on; 0 for none.
    #[serde(default)]
    key: i64,
}

#[derive(Debug, Clone, Deserialize)]
struct Index {
    name: String,
    #[serde(default)]
    unique: i64,
    /// `c` for CREATE INDEX, `u` for UNIQUE, `pk` for PRIMARY KEY.
    origin: String,
    #[serde(default)]
    partial: i64,
    #[serde(default)]
    keys: Vec<Key>,
}

#[derive(Debug, Clone, Deserialize)]
struct Key {
    column: Option<String>,
    collation: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct ForeignKey {
    id: i64,
    target: String,
    from: String,
    to: Option<String>,
}

pub(super) fn check(tenant: &str, catalog: &SqliteCatalog, report: &mut Report) {
    if catalog.foreign_keys == 0 {
        let why = "this connection does not check foreign keys";
        report.findings.push(Finding::new(Code::ForeignKeysOff, "database", why, "PRAGMA foreign_keys = ON"));
    }
    report.checked.insert("database".to_owned());
    let schema = Schema { tenant, catalog };
    for relation in &catalog.relations {
        if relation.storage.as_deref() == Some("shadow") {
            continue;
        }
        report.checked.insert(relation.name.clone());
        match relation.kind.as_str() {
            "table" if relation.storage.as_deref() == Some("virtual") => schema.full_text(relation, report),
            "table" => schema.table(relation, report),
            "view" => schema.view(relation, report),
            _ => schema.trigger(relation, report),
        }
    }
}

struct Schema<'a> {
    tenant: &'a str,
    catalog: &'a SqliteCatalog,
}

impl Schema<'_> {
    fn is_tenant(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case(self.tenant)
    }

    fn tenant_column<'r>(&self, relation: &'r Relation) -> Option<&'r Column> {
        relation.columns.iter().find(|column| self.is_tenant(&column.name))
    }

    /// The tables of tenants whose names occur in a statement.
    fn touched(&self, sql: &str) -> Vec<&str> {
        let tables = self.catalog.relations.iter().filter(|relation| {
            relation.kind == "table"
                && self.tenant_column(relation).is_some()
                && mentions(sql, &relation.name)
        });
        tables.map(|relation| relation.name.as_str()).collect()
    }

    fn table(&self, relation: &Relation, report: &mut Report) {
        let table = quote_name(&relation.name);
        let mut found = |code, why: String, mend: String| {
            report.findings.push(Finding::new(code, relation.name.clone(), why, mend));
        };
        // SQLite changes no column of a table: what is wrong is made anew.
        let anew = |how: &str| {
            format!(
                "-- SQLite alters no column: make the table anew {how}, copy the rows, drop the old one, rename\nALTER TABLE {table} RENAME TO {}",
                quote_name(&format!("{}_old", relation.name))
            )
        };
        let Some(column) = self.tenant_column(relation) else {
            if keeps_versions(&relation.name, relation.columns.iter().map(|column| column.name.as_str())) {
                return;
            }
            found(
                Code::TenantColumnMissing,
                format!("it has no column `{}`: whose rows are these?", self.tenant),
                anew(&format!("with {} TEXT NOT NULL", quote_name(self.tenant))),
            );
            return;
        };
        let upper = column.kind.to_ascii_uppercase();
        if !["CHAR", "CLOB", "TEXT"].iter().any(|kind| upper.contains(kind)) {
            found(
                Code::TenantColumnType,
                format!(
                    "`{}` is declared `{}`, so that a tenant `007` becomes the number 7",
                    column.name, column.kind
                ),
                anew(&format!("with {} TEXT NOT NULL", quote_name(self.tenant))),
            );
        }
        if column.not_null == 0 {
            found(
                Code::TenantColumnNullable,
                format!("`{}` may be null, even in a primary key", column.name),
                anew(&format!("with {} TEXT NOT NULL", quote_name(self.tenant))),
            );
        }
        if let Some(default) = column.default.as_ref().filter(|text| !text.eq_ignore_ascii_case("null")) {
            found(
                Code::TenantColumnDefault,
                format!("a row without a tenant gets `{default}`"),
                anew(&format!("without a default for {}", quote_name(self.tenant))),
            );
        }
        self.keys(relation, &mut found, &anew);
    }

    fn keys(
        &self,
        relation: &Relation,
        found: &mut impl FnMut(Code, String, String),
        anew: &impl Fn(&str) -> String,
    ) {
        let table = quote_name(&relation.name);
        let leads = |index: &&Index| {
            index.partial == 0
                && index
                    .keys
                    .first()
                    .and_then(|key| key.column.as_ref())
                    .is_some_and(|name| self.is_tenant(name))
        };
        let mut key: Vec<_> = relation.columns.iter().filter(|column| column.key > 0).collect();
        key.sort_by_key(|column| column.key);
        if !key.is_empty() && !key.iter().any(|column| self.is_tenant(&column.name)) {
            let columns: Vec<_> = key.iter().map(|column| column.name.as_str()).collect();
            found(
                Code::PrimaryKeyWithoutTenant,
                format!(
                    "the primary key ({}) leaves the tenant out: a duplicate tells that another tenant has it",
                    columns.join(", ")
                ),
                anew(&format!("with PRIMARY KEY ({}, {})", self.tenant, columns.join(", "))),
            );
        }
        // A table without rowid has its key as an index; SQLite lists it with the origin `pk` as well.
        if !relation.indexes.iter().any(|index| leads(&index)) {
            found(
                Code::NoTenantIndex,
                format!(
                    "no index is led by `{}`: every query of a tenant reads all tenants' rows",
                    self.tenant
                ),
                format!(
                    "CREATE INDEX {} ON {table} ({})",
                    quote_name(&format!("{}_tenant", relation.name)),
                    quote_name(self.tenant)
                ),
            );
        }
        for index in &relation.indexes {
            let own =
                index.keys.iter().find(|key| key.column.as_ref().is_some_and(|name| self.is_tenant(name)));
            if index.unique != 0 && index.origin != "pk" && own.is_none() {
                let columns: Vec<_> = index.keys.iter().filter_map(|key| key.column.as_deref()).collect();
                let mend = if index.origin == "c" {
                    format!(
                        "DROP INDEX {}; CREATE UNIQUE INDEX {} ON {table} ({}, {})",
                        quote_name(&index.name),
                        quote_name(&index.name),
                        quote_name(self.tenant),
                        columns.iter().map(|name| quote_name(name)).collect::<Vec<_>>().join(", ")
                    )
                } else {
                    anew(&format!("with UNIQUE ({}, {})", self.tenant, columns.join(", ")))
                };
                found(
                    Code::UniqueWithoutTenant,
                    format!(
                        "`{}` ({}) leaves the tenant out: a duplicate tells that another tenant has it",
                        index.name,
                        columns.join(", ")
                    ),
                    mend,
                );
            }
            if let Some(collation) =
                own.and_then(|key| key.collation.as_ref()).filter(|name| *name != "BINARY")
            {
                found(
                    Code::TenantColumnCollation,
                    format!("`{}` compares tenants by {collation}: `ACME` and `acme` are one", index.name),
                    anew(&format!("with {} TEXT NOT NULL COLLATE BINARY", self.tenant)),
                );
            }
        }
        self.foreign_keys(relation, found, anew);
    }

    fn foreign_keys(
        &self,
        relation: &Relation,
        found: &mut impl FnMut(Code, String, String),
        anew: &impl Fn(&str) -> String,
    ) {
        let mut by_id: BTreeMap<i64, Vec<&ForeignKey>> = BTreeMap::new();
        for key in &relation.foreign_keys {
            by_id.entry(key.id).or_default().push(key);
        }
        for columns in by_id.values() {
            let Some(target) = columns.first().map(|key| key.target.as_str()) else { continue };
            let is_tenant_table =
                self.catalog.relations.iter().any(|other| {
                    other.name.eq_ignore_ascii_case(target) && self.tenant_column(other).is_some()
                });
            let composite = columns.iter().any(|key| {
                // Without a column the key points to the primary key, column by column.
                self.is_tenant(&key.from) && key.to.as_ref().is_none_or(|to| self.is_tenant(to))
            });
            if is_tenant_table && !composite {
                let from: Vec<_> = columns.iter().map(|key| key.from.as_str()).collect();
                found(
                    Code::ForeignKeyCrosses,
                    format!(
                        "({}) points to `{target}` without the tenant: a row of another tenant will do",
                        from.join(", ")
                    ),
                    anew(&format!(
                        "with FOREIGN KEY ({}, {}) REFERENCES {target}",
                        self.tenant,
                        from.join(", ")
                    )),
                );
            }
        }
    }

    fn full_text(&self, relation: &Relation, report: &mut Report) {
        if self.tenant_column(relation).is_none() {
            report.findings.push(Finding::new(
                Code::FullTextWithoutTenant,
                relation.name.clone(),
                format!("a virtual table without `{}`: what it finds belongs to anybody", self.tenant),
                format!(
                    "-- make it anew with the column {} UNINDEXED, and fill it\nDROP TABLE {}",
                    self.tenant,
                    quote_name(&relation.name)
                ),
            ));
        }
    }

    fn view(&self, relation: &Relation, report: &mut Report) {
        let touched = self.touched(relation.sql.as_deref().unwrap_or_default());
        if !touched.is_empty() && self.tenant_column(relation).is_none() {
            report.findings.push(Finding::new(
                Code::ViewWithoutTenant,
                relation.name.clone(),
                format!(
                    "it reads `{}` and does not hand `{}` on, so that nobody can ask it for one tenant",
                    touched.join("`, `"),
                    self.tenant
                ),
                format!(
                    "-- make it anew with {} among its columns\nDROP VIEW {}",
                    self.tenant,
                    quote_name(&relation.name)
                ),
            ));
        }
    }

    fn trigger(&self, relation: &Relation, report: &mut Report) {
        let sql = relation.sql.as_deref().unwrap_or_default();
        let carries = ["new", "old"].iter().any(|row| {
            let compact: String =
                sql.to_ascii_lowercase().chars().filter(|c| !matches!(c, '"' | '`' | '[' | ']')).collect();
            mentions(&compact, &format!("{row}.{}", self.tenant.to_ascii_lowercase()))
        });
        // The head names the table that the trigger is on; what it writes to comes after BEGIN.
        let body = sql.to_ascii_lowercase().find("begin").and_then(|at| sql.get(at..)).unwrap_or(sql);
        let touched = self.touched(body);
        if !touched.is_empty() && !carries {
            report.findings.push(Finding::new(
                Code::TriggerWithoutTenant,
                relation.name.clone(),
                format!(
                    "a trigger of `{}` touches `{}` and does not carry `{}` over",
                    relation.on,
                    touched.join("`, `"),
                    self.tenant
                ),
                format!(
                    "-- make it anew with NEW.{} in each of its statements\nDROP TRIGGER {}",
                    self.tenant,
                    quote_name(&relation.name)
                ),
            ));
        }
    }
}

/// Whether a word occurs in a statement, not merely as a part of another word; case does not matter.
fn mentions(text: &str, word: &str) -> bool {
    let (text, word) = (text.to_ascii_lowercase(), word.to_ascii_lowercase());
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    !word.is_empty()
        && text.match_indices(&word).any(|(at, _)| {
            let before = text.get(..at).and_then(|head| head.chars().next_back());
            let after = text.get(at + word.len()..).and_then(|tail| tail.chars().next());
            !before.is_some_and(is_part) && !after.is_some_and(is_part)
        })
}
