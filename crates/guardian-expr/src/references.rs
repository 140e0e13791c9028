//! What an expression uses.

use std::collections::BTreeSet;

use crate::ast::{Node, NodeId, SelectKind, count};
use crate::check::Role;
use crate::program::Program;

/// The variables, fields and functions of an expression.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct References {
    /// The variables.
    pub variables: BTreeSet<String>,
    /// The variables with the fields that are read of them, as far as they are named: `deal.owner.name`.
    pub paths: BTreeSet<String>,
    /// The functions and macros, by the names under which they are called.
    pub functions: BTreeSet<String>,
}

impl Program {
    /// What the expression uses, whether or not it is reached. O(length).
    ///
    /// ```
    /// let program = guardian_expr::Env::new().compile("deal.amount > 5 && size(contact.tags) > 0")?;
    /// let references = program.references();
    /// assert!(references.paths.contains("deal.amount") && references.paths.contains("contact.tags"));
    /// assert!(references.functions.contains("size"));
    /// # Ok::<(), guardian_expr::Error>(())
    /// ```
    #[must_use]
    pub fn references(&self) -> References {
        let (checked, ast) = (&self.checked, &self.checked.ast);
        let mut references = References {
            variables: checked.variable_names().map(str::to_owned).collect(),
            ..References::default()
        };
        // For each node the path that it stands for, while its parent may make it longer.
        let mut paths: Vec<Option<String>> = vec![None; ast.nodes.len()];
        for at in 0..count(ast.nodes.len()) {
            let id = NodeId(at);
            let own = match (ast.node(id), checked.role(id)) {
                (_, Role::Global(variable)) => Some(checked.variable(variable).to_owned()),
                (Node::Select { operand, field, kind }, Role::Normal) => {
                    let base = paths.get_mut(operand.at()).and_then(Option::take);
                    let longer = base.map(|base| format!("{base}.{}", ast.name(field)));
                    if kind == SelectKind::Field {
                        longer.filter(|path| path.len() < 1000)
                    } else {
                        references.paths.extend(longer);
                        None
                    }
                }
                (Node::Call { function, .. }, _) => {
                    references.functions.insert(ast.name(function).to_owned());
                    None
                }
                (Node::Method { function, .. }, Role::Function { function: at, .. }) => {
                    let declared = self.env.declarations.functions.get(at as usize);
                    let name = declared.map_or(ast.name(function), |function| function.name.as_str());
                    references.functions.insert(name.to_owned());
                    None
                }
                (Node::Comprehension { kind, .. }, _) => {
                    references.functions.insert(kind.name().to_owned());
                    None
                }
                _ => None,
            };
            if let Some(place) = paths.get_mut(at as usize) {
                *place = own;
            }
        }
        references.paths.extend(paths.into_iter().flatten());
        references
    }
}
