#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod env;
mod limits;
mod program;

mod ast;
mod lexer;
mod literal;
mod macros;
mod parser;

mod check;
mod schema;
mod signature;
mod suggest;
mod type_table;
mod types;

mod budget;
mod compile;
mod machine;
mod number;
mod operators;
mod stdlib;
mod time;
mod value;

mod builder;
mod estimate;
mod explain;
mod format;
#[cfg(feature = "evalexpr")]
mod import;
mod lint;
mod references;
mod shape;
mod table;

mod error;

pub use ast::{Ast, NodeId, Span};
pub use budget::Budget;
pub use env::{Env, EnvBuilder, HostFunction};
pub use error::{Error, ErrorKind, EvalError, Fault};
pub use estimate::{Estimate, Sizes};
pub use explain::{Explanation, Part};
pub use limits::Limits;
pub use lint::{Lint, LintKind};
pub use program::{Outcome, Program};
pub use references::References;
pub use shape::Shape;
pub use table::{Branch, TestCase, TestReport, TestResult, TestTable};
pub use time::{Duration, Timestamp};
pub use types::{ExprType, Field, ObjectType, Type};
pub use value::{Bindings, Cidr, List, Lookup, Map, Value};
