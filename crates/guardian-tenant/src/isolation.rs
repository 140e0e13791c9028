//! Tests that try to cross the wall, for a host's own operations.
//!
//! Two tenants are seeded, A and B. Every operation runs as A, with B's ids, cursors, tenant, texts and a few hostile
//! texts in every position of its arguments. The same calls run in a twin world where B does not exist. Then
//!
//! - no mark of B is in any result, error, count or export, in clear, hexadecimal, base64 or backwards;
//! - A sees exactly what it sees in the twin, so that not even B's existence shows;
//! - B's rows are the same, byte for byte, after every write;
//! - and each operation works on A's own data, so that none passes by failing always.
//!
//! [`Suite::mutate`] then breaks the walls one by one, and every break has to be noticed.
//!
//! ```
//! use std::sync::Arc;
//! use async_trait::async_trait;
//! use guardian_core::Scope;
//! use guardian_tenant::isolation::{Arg, Failure, Host, Mark, Mutant, Output, Seeds, Suite, World};
//! use parking_lot::Mutex;
//!
//! /// Notes of tenants; `leaky` forgets to compare the tenant.
//! #[derive(Default)]
//! struct Notes { rows: Mutex<Vec<(String, String, String)>>, leaky: bool }
//!
//! impl Notes {
//!     fn get(&self, scope: &Scope, id: &str) -> Option<String> {
//!         let rows = self.rows.lock();
//!         let own = |tenant: &str| self.leaky || tenant == scope.tenant().as_str();
//!         rows.iter().find(|row| own(&row.0) && row.1 == id).map(|row| row.2.clone())
//!     }
//! }
//!
//! #[async_trait]
//! impl World for Notes {
//!     async fn seed(&self, scope: &Scope, mark: &Mark) -> Result<Seeds, Failure> {
//!         let (id, tenant) = (mark.id(1), scope.tenant().to_string());
//!         self.rows.lock().push((tenant, id.clone(), mark.text("secret")));
//!         Ok(Seeds::new().with("note", [id]))
//!     }
//!
//!     async fn snapshot(&self, scope: &Scope) -> Result<String, Failure> {
//!         let rows = self.rows.lock();
//!         Ok(format!("{:?}", rows.iter().filter(|row| row.0 == scope.tenant().as_str()).collect::<Vec<_>>()))
//!     }
//! }
//!
//! struct Shop;
//!
//! #[async_trait]
//! impl Host for Shop {
//!     type World = Notes;
//!
//!     async fn build(&self, mutant: Option<&Mutant>) -> Result<Notes, Failure> {
//!         Ok(Notes { leaky: mutant.is_some(), ..Notes::default() })
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let suite = Suite::new(Shop).read("note", [Arg::id("note")], |notes: Arc<Notes>, scope, args| async move {
//!     Ok(Output::of(notes.get(&scope, args.text(0)))?)
//! });
//! suite.run(200, 1).await?.verify()?;
//! let kills = suite.mutate(&[Mutant::named("no comparison")], 200, 1).await?;
//! assert_eq!(kills.rate(), 1.0);
//! # Ok::<(), Failure>(())
//! # }).unwrap();
//! ```

mod argument;
mod mark;
mod mutation;
mod operation;
mod report;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod saboteur;
mod sql_text;
mod suite;

pub use argument::{Arg, Args};
pub use mark::{Mark, Seeds};
pub use mutation::{Kill, Mutant, MutantKind, MutationReport};
pub use operation::{Compare, Operation, Output};
pub use report::{Breach, BreachKind, IsolationReport};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use saboteur::Saboteur;
pub use sql_text::drop_predicates;
pub use suite::{Host, Suite, World};

/// Whatever a host's code fails with.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
