//! The command line.

use guardian_tenant::lint::{Code, Lint};
use guardian_tenant::rls::TenantType;

pub(crate) const HELP: &str = "\
Looks for holes in the tenant isolation of a database, and says how to mend them.

  cargo run --example tenant_lint -- DATABASE_URL [OPTIONS]

  DATABASE_URL                  postgres://… or sqlite://file.db
  --role NAME                   the role as which the application connects (repeatable; else the one of the URL)
  --schema NAME                 a schema to look at (repeatable; else all)
  --column NAME                 the tenant column; tenant_id
  --type text|uuid|bigint       its type; text
  --allow CODE OBJECT REASON    a hole that is meant, and why (repeatable)
  --guardian SCHEMA             allow what Guardian's own tables in this schema need
";

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) url: Option<String>,
    pub(crate) lint: Lint,
}

impl Arguments {
    /// Reads the command line; `None` when help is wanted.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let (mut url, mut lint) = (None, Lint::new());
        let (mut column, mut kind) = ("tenant_id".to_owned(), TenantType::Text);
        while let Some(word) = words.next() {
            let mut next = || words.next().ok_or_else(|| format!("`{word}` wants a value; try --help"));
            match word.as_str() {
                "-h" | "--help" => return Ok(None),
                "--role" => lint = lint.application_role(next()?),
                "--schema" => lint = lint.schema(next()?),
                "--column" => column = next()?,
                "--type" => {
                    kind = match next()?.as_str() {
                        "text" => TenantType::Text,
                        "uuid" => TenantType::Uuid,
                        "bigint" => TenantType::BigInt,
                        other => return Err(format!("unknown type `{other}`: text, uuid or bigint")),
                    }
                }
                "--allow" => {
                    let (code, object, reason) = (next()?, next()?, next()?);
                    let found = Code::ALL.iter().find(|known| known.as_str() == code);
                    let found = found.ok_or_else(|| format!("unknown code `{code}`"))?;
                    lint = lint.allow(*found, object, reason);
                }
                "--guardian" => lint = lint.allow_guardian_tables(&next()?),
                option if option.starts_with('-') => {
                    return Err(format!("unknown option `{option}`; try --help"));
                }
                _ if url.is_none() => url = Some(word),
                _ => return Err(format!("one database at a time, not also `{word}`")),
            }
        }
        Ok(Some(Self { url, lint: lint.tenant_column(column, kind) }))
    }
}
