//! What a part of an expression is, for tools that compare conditions.

use crate::ast::{Ast, ChainOp, Node, NodeId};

/// What a part of an expression is, as far as conditions are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// Terms joined with `&&`.
    All(Vec<NodeId>),
    /// Terms joined with `||`.
    Any(Vec<NodeId>),
    /// Two values compared, or one looked for in the other.
    Compare {
        /// The left value.
        left: NodeId,
        /// The operator: `==`, `<`, `in` and so on.
        operator: &'static str,
        /// The right value.
        right: NodeId,
    },
    /// Anything else.
    Other,
}

impl Ast {
    /// What a part of the expression is.
    ///
    /// ```
    /// use guardian_expr::{Env, Shape};
    ///
    /// let ast = Env::new().parse("(deal.amount>1000)  && deal.open")?;
    /// let Shape::All(terms) = ast.shape(ast.root()) else { panic!() };
    /// assert_eq!(terms.iter().map(|term| ast.part_text(*term)).collect::<Vec<_>>(), ["deal.amount > 1000", "deal.open"]);
    /// assert!(matches!(ast.shape(terms[0]), Shape::Compare { operator: ">", .. }));
    /// # Ok::<(), guardian_expr::Error>(())
    /// ```
    #[must_use]
    pub fn shape(&self, id: NodeId) -> Shape {
        match self.node(id) {
            Node::Chain { op: ChainOp::And, terms } => Shape::All(self.list(terms).to_vec()),
            Node::Chain { op: ChainOp::Or, terms } => Shape::Any(self.list(terms).to_vec()),
            Node::Binary { op, left, right } if op.is_comparison() || op == crate::ast::BinaryOp::In => {
                Shape::Compare { left, operator: op.symbol(), right }
            }
            _ => Shape::Other,
        }
    }

    /// A part of the expression in the style of [`Self::format`]: equal parts have equal texts. O(length of the part).
    #[must_use]
    pub fn part_text(&self, id: NodeId) -> String {
        self.format_node(id)
    }
}
