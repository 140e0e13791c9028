//! Looks for holes in the tenant isolation of a database, and says how to mend them.
//!
//! ```sh
//! cargo run --example tenant_lint -- postgres://owner@127.0.0.1/crm --role crm_app
//! ```
//!
//! Without a database it explains itself and looks at a small SQLite schema with a few holes. The exit status is 0 without a
//! hole, 1 with one, 2 when it could not look.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the report goes to standard output and faults to standard error"
)]

mod arguments;
mod sample;
mod table;

use std::error::Error;
use std::io::IsTerminal;
use std::process::ExitCode;

use guardian_core::{Scope, TenantId};
use guardian_sql::{Database, DatabaseConfig, Unscoped};
use guardian_tenant::lint::Report;

use arguments::{Arguments, HELP};
use table::Style;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprintln!("tenant_lint: {why}");
            return ExitCode::from(2);
        }
    };
    let style = Style::of_terminal(std::io::stdout().is_terminal());
    let looked = match &arguments.url {
        Some(url) => look(url, &arguments).await,
        None => {
            println!(
                "{HELP}\nHere is what it finds in a small SQLite schema:\n\n{}\n",
                sample::SCHEMA.trim()
            );
            sample::look(&arguments.lint).await
        }
    };
    match looked {
        Ok(report) => {
            print!("{}", table::render(&report, style));
            // The sample is a demonstration, and found what it was to find.
            let holes = !report.findings().is_empty() && arguments.url.is_some();
            ExitCode::from(u8::from(holes))
        }
        Err(error) => {
            eprintln!("tenant_lint: {error}");
            let mut source = error.source();
            while let Some(inner) = source {
                eprintln!("  because {inner}");
                source = inner.source();
            }
            ExitCode::from(2)
        }
    }
}

async fn look(url: &str, arguments: &Arguments) -> Result<Report, Box<dyn Error + Send + Sync>> {
    let config = DatabaseConfig::default().with_max_connections(2).with_application_name("tenant_lint");
    let db = Database::open_with(url, config).await?;
    Ok(arguments.lint.check_database(&db, &leave()?).await?)
}

/// The lint reads the catalog, which is nobody's.
fn leave() -> Result<Unscoped, Box<dyn Error + Send + Sync>> {
    let operator = Scope::system(TenantId::new("operator")?);
    Ok(Unscoped::new(operator, "look for holes in the catalog")?)
}
