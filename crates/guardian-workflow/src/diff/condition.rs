//! What changed within a condition.

use std::collections::BTreeMap;
use std::fmt;

use guardian_expr::{Ast, Env, NodeId, Shape};
use serde::{Deserialize, Serialize};

/// A difference within a condition, down to the term.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "term", rename_all = "snake_case")]
#[non_exhaustive]
pub enum TermChange {
    /// A term is new.
    Added {
        /// The operator that joins it: `&&` or `||`.
        joined: String,
        /// The term.
        new: String,
    },
    /// A term is gone.
    Removed {
        /// The operator that joined it.
        joined: String,
        /// The term.
        old: String,
    },
    /// The same value is compared with something else, or otherwise.
    Threshold {
        /// The old comparison.
        old: String,
        /// The new one.
        new: String,
    },
    /// A term is another one.
    Replaced {
        /// The old term.
        old: String,
        /// The new one.
        new: String,
    },
}

impl TermChange {
    pub(crate) fn invert(&self) -> Self {
        match self.clone() {
            Self::Added { joined, new } => Self::Removed { joined, old: new },
            Self::Removed { joined, old } => Self::Added { joined, new: old },
            Self::Threshold { old, new } => Self::Threshold { old: new, new: old },
            Self::Replaced { old, new } => Self::Replaced { old: new, new: old },
        }
    }
}

impl fmt::Display for TermChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { joined, new } => write!(f, "+ {joined} `{new}`"),
            Self::Removed { joined, old } => write!(f, "- {joined} `{old}`"),
            Self::Threshold { old, new } | Self::Replaced { old, new } => write!(f, "`{old}` → `{new}`"),
        }
    }
}

/// Whether the text at a place of a node is an expression.
pub(crate) fn is_expression(path: &str, old: &str, new: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    let condition = match last {
        "when" | "filter" | "items" => !path.contains("/params") && !path.contains("/values"),
        "on" => path == "/on",
        "value" => path == "/collect/value",
        _ => false,
    };
    condition || (old.starts_with('=') && new.starts_with('='))
}

/// The expression in a text.
pub(crate) fn source(text: &str) -> &str {
    text.strip_prefix('=').unwrap_or(text)
}

/// Groups within groups are looked into no deeper.
const MAX_DEPTH: u32 = 8;

/// What changed between two conditions; nothing if they say the same, whatever their spaces, brackets and the order of
/// their terms. Two texts of which one is no expression differ as wholes.
#[must_use]
pub fn term_changes(old: &str, new: &str) -> Vec<TermChange> {
    let env = Env::new();
    let mut changes = Vec::new();
    match (env.parse(old), env.parse(new)) {
        (Ok(before), Ok(after)) => {
            compare((&before, before.root()), (&after, after.root()), 0, &mut changes);
        }
        _ if old == new => {}
        _ => changes.push(TermChange::Replaced { old: old.to_owned(), new: new.to_owned() }),
    }
    changes
}

type Part<'a> = (&'a Ast, NodeId);

fn text((ast, id): Part<'_>) -> String {
    ast.part_text(id)
}

fn compare(old: Part<'_>, new: Part<'_>, depth: u32, changes: &mut Vec<TermChange>) {
    let (before, after) = (old.0.shape(old.1), new.0.shape(new.1));
    match (&before, &after) {
        (Shape::All(left), Shape::All(right)) => terms("&&", (old.0, left), (new.0, right), depth, changes),
        (Shape::Any(left), Shape::Any(right)) => terms("||", (old.0, left), (new.0, right), depth, changes),
        // A term became a group, or a group a term.
        (Shape::All(left), Shape::Compare { .. } | Shape::Other) => {
            terms("&&", (old.0, left), (new.0, &[new.1]), depth, changes);
        }
        (Shape::Any(left), Shape::Compare { .. } | Shape::Other) => {
            terms("||", (old.0, left), (new.0, &[new.1]), depth, changes);
        }
        (Shape::Compare { .. } | Shape::Other, Shape::All(right)) => {
            terms("&&", (old.0, &[old.1]), (new.0, right), depth, changes);
        }
        (Shape::Compare { .. } | Shape::Other, Shape::Any(right)) => {
            terms("||", (old.0, &[old.1]), (new.0, right), depth, changes);
        }
        _ => {
            let (left, right) = (text(old), text(new));
            if left != right {
                changes.push(match threshold(old, new) {
                    true => TermChange::Threshold { old: left, new: right },
                    false => TermChange::Replaced { old: left, new: right },
                });
            }
        }
    }
}

/// Whether two comparisons are about the same value.
fn threshold(old: Part<'_>, new: Part<'_>) -> bool {
    match (old.0.shape(old.1), new.0.shape(new.1)) {
        (Shape::Compare { left, .. }, Shape::Compare { left: other, .. }) => {
            text((old.0, left)) == text((new.0, other))
        }
        _ => false,
    }
}

fn terms(
    joined: &str,
    (old, left): (&Ast, &[NodeId]),
    (new, right): (&Ast, &[NodeId]),
    depth: u32,
    changes: &mut Vec<TermChange>,
) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for id in right {
        *counts.entry(text((new, *id))).or_default() += 1;
    }
    let mut gone: Vec<NodeId> = Vec::new();
    for id in left {
        match counts.get_mut(&text((old, *id))) {
            Some(count) if *count > 0 => *count -= 1,
            _ => gone.push(*id),
        }
    }
    let mut added: Vec<NodeId> = Vec::new();
    for id in right {
        if let Some(count) = counts.get_mut(&text((new, *id)))
            && *count > 0
        {
            *count -= 1;
            added.push(*id);
        }
    }
    gone.retain(|before| {
        let pair = added.iter().position(|after| threshold((old, *before), (new, *after)));
        match pair {
            Some(at) => {
                let after = added.remove(at);
                changes.push(TermChange::Threshold { old: text((old, *before)), new: text((new, after)) });
                false
            }
            None => true,
        }
    });
    if let (&[before], &[after]) = (gone.as_slice(), added.as_slice()) {
        let group = |ast: &Ast, id| matches!(ast.shape(id), Shape::All(_) | Shape::Any(_));
        if depth < MAX_DEPTH && group(old, before) && group(new, after) {
            compare((old, before), (new, after), depth + 1, changes);
        } else {
            changes.push(TermChange::Replaced { old: text((old, before)), new: text((new, after)) });
        }
        return;
    }
    let joined = || joined.to_owned();
    changes.extend(gone.iter().map(|id| TermChange::Removed { joined: joined(), old: text((old, *id)) }));
    changes.extend(added.iter().map(|id| TermChange::Added { joined: joined(), new: text((new, *id)) }));
}
