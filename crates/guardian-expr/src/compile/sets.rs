//! Constant lists that are only looked into: `x in ["a", "b"]`.

use super::Compiler;
use crate::ast::{BinaryOp, Node, NodeId, count};
use crate::number;
use crate::program::{Op, Set};
use crate::value::{Elements, List, Value};

impl Compiler<'_> {
    /// Whether a list is only looked into for a value that is not known yet: `x in [1, 2]`.
    pub(super) fn is_searched(&self, list: NodeId) -> bool {
        let checked = &self.program.checked;
        let parent = checked.ast.node(checked.parent(list));
        let Node::Binary { op: BinaryOp::In, left, right } = parent else { return false };
        right == list && !matches!(self.single(left, self.start_of(list)), Some(Op::Constant(_)))
    }

    /// Makes a set of the constants that are the elements of such a list.
    pub(super) fn searched(&mut self, list: NodeId, elements: usize) {
        let left = self.program.constants.len().saturating_sub(elements);
        let set = Set::of(self.program.constants.drain(left..));
        self.program.sets.push(set);
        self.drop_last(elements);
        self.emit(list, Op::InSet(count(self.program.sets.len()) - 1));
    }

    /// The set of an instruction that makes a constant list.
    pub(super) fn set(&mut self, op: Op) -> Option<u32> {
        match op {
            // The only part of an operand that is one instruction; it was made for this.
            Op::InSet(set) => Some(set),
            Op::Constant(at) => {
                let Some(Value::List(List(Elements::Built(built)))) = self.program.constants.get(at as usize)
                else {
                    return None;
                };
                let set = Set::of(built.items.iter().cloned());
                self.program.sets.push(set);
                Some(count(self.program.sets.len()) - 1)
            }
            _ => None,
        }
    }
}

impl Set {
    /// Constants, to be looked for.
    fn of(items: impl Iterator<Item = Value<'static>>) -> Self {
        let mut set = Self::default();
        for item in items {
            match item {
                Value::Shared(text) => set.texts.push(text),
                Value::Int(int) => set.ints.push(int),
                Value::Uint(uint) => match i64::try_from(uint) {
                    Ok(int) => set.ints.push(int),
                    Err(_) => set.others.push(item),
                },
                Value::Double(double) => match number::exact_int(double) {
                    Some(int) => set.ints.push(int),
                    None => set.others.push(item),
                },
                other => set.others.push(other),
            }
        }
        set.texts.sort_unstable();
        set.texts.dedup();
        set.ints.sort_unstable();
        set
    }
}
