//! The types of operators, literals of lists and maps, and macros.

use super::{Checker, Coercion, Role};
use crate::ast::{
    BinaryOp, ChainOp, Children, Comprehension, Name, Node, NodeId, SelectKind, UnaryOp, count,
};
use crate::suggest::nearest;
use crate::type_table::{BOOL, BYTES, DOUBLE, DURATION, DYN, INT, STRING, TIMESTAMP, Ty, TypeId, UINT};

impl Checker<'_> {
    pub(super) fn select(&mut self, id: NodeId, operand: NodeId, field: Name, kind: SelectKind) -> TypeId {
        let found = self.field_type(id, self.type_of(operand), field, kind);
        match kind {
            SelectKind::Field => found,
            SelectKind::Test => BOOL,
            SelectKind::Optional => match self.types.get(found) {
                Ty::Optional(_) => found,
                _ => self.types.add(Ty::Optional(found)),
            },
        }
    }

    fn field_type(&mut self, id: NodeId, mut of: TypeId, field: Name, kind: SelectKind) -> TypeId {
        let mut optional = false;
        // An optional or nullable value is looked into; a bound on how often keeps the loop short.
        for _ in 0..8 {
            match self.types.get(of) {
                Ty::Optional(inner) => {
                    optional = true;
                    of = inner;
                }
                Ty::Nullable(inner) => of = inner,
                _ => break,
            }
        }
        let found = match self.types.get(of) {
            Ty::Dyn | Ty::Var(_) => DYN,
            Ty::Map(key, value) => {
                if self.types.assign(STRING, key) {
                    value
                } else {
                    let shown = self.show(of);
                    self.fault(id, format!("a `{shown}` has no fields, because its keys are no texts"));
                    DYN
                }
            }
            Ty::Object(at) => self.object_field(id, at, field, kind),
            _ => {
                let shown = self.show(of);
                let name = self.ast.name(field).to_owned();
                self.fault(id, format!("a value of type `{shown}` has no field `{name}`"));
                DYN
            }
        };
        if optional { self.types.add(Ty::Optional(found)) } else { found }
    }

    fn object_field(&mut self, id: NodeId, at: u32, field: Name, _kind: SelectKind) -> TypeId {
        let table = self.types.table();
        let Some(object) = table.objects.get(at as usize) else { return DYN };
        let name = self.ast.name(field);
        if let Some(found) = object.field(name) {
            return found;
        }
        let near = nearest(name, object.fields.iter().map(|(each, _)| each.as_str()));
        let hint = near.map(|near| format!("did you mean `{near}`?"));
        let message = format!("`{}` has no field `{name}`", object.declared.name);
        let mut span = self.ast.span(id);
        span.start = span.end.saturating_sub(count(name.len()));
        self.hinted(span, message, hint);
        DYN
    }

    pub(super) fn index(&mut self, operand: NodeId, index: NodeId, optional: bool) -> TypeId {
        let mut of = self.type_of(operand);
        let by = self.type_of(index);
        let mut wrapped = optional;
        for _ in 0..8 {
            match self.types.get(of) {
                Ty::Optional(inner) => {
                    wrapped = true;
                    of = inner;
                }
                Ty::Nullable(inner) => of = inner,
                _ => break,
            }
        }
        let found = match self.types.get(of) {
            Ty::Dyn | Ty::Var(_) => DYN,
            Ty::List(element) => {
                if !matches!(self.types.get(by), Ty::Int | Ty::Uint | Ty::Double | Ty::Dyn | Ty::Var(_)) {
                    let shown = self.show(by);
                    self.fault(index, format!("the index of a list is an `int`, not a `{shown}`"));
                }
                element
            }
            Ty::Map(key, value) => {
                if !(self.types.assign(by, key) || self.is_number(by) && self.is_number(key)) {
                    let (wanted, shown) = (self.show(key), self.show(by));
                    self.fault(index, format!("the keys of this map are `{wanted}`, not `{shown}`"));
                }
                value
            }
            Ty::Object(at) => match self.ast.node(index) {
                Node::Text(name) => self.object_field(index, at, name, SelectKind::Field),
                _ => DYN,
            },
            _ => {
                let shown = self.show(of);
                self.fault(operand, format!("a value of type `{shown}` has no elements"));
                DYN
            }
        };
        if wrapped { self.types.add(Ty::Optional(found)) } else { found }
    }

    fn is_number(&self, id: TypeId) -> bool {
        match self.types.get(id) {
            Ty::Int | Ty::Uint | Ty::Double => true,
            Ty::Nullable(inner) => matches!(self.types.get(inner), Ty::Int | Ty::Uint | Ty::Double),
            _ => false,
        }
    }

    /// The type without `null`, and `None` where it is not known.
    fn known(&self, id: TypeId) -> Option<TypeId> {
        let id = self.types.find(id);
        match self.types.get(id) {
            Ty::Dyn | Ty::Var(_) => None,
            Ty::Nullable(inner) => self.known_flat(inner),
            _ => Some(id),
        }
    }

    fn known_flat(&self, id: TypeId) -> Option<TypeId> {
        let id = self.types.find(id);
        (!matches!(self.types.get(id), Ty::Dyn | Ty::Var(_))).then_some(id)
    }

    pub(super) fn unary(&mut self, id: NodeId, op: UnaryOp, operand: NodeId) -> TypeId {
        let found = self.type_of(operand);
        match op {
            UnaryOp::Not => {
                self.expect_bool(operand, "what `!` negates");
                BOOL
            }
            UnaryOp::Negate => match self.known(found) {
                None => DYN,
                Some(known @ (INT | DOUBLE | DURATION)) => known,
                Some(_) => {
                    let shown = self.show(found);
                    self.fault(id, format!("`-` is not defined for `{shown}`"));
                    DYN
                }
            },
        }
    }

    /// An int literal beside a double that is no literal becomes a double: `deal.amount * 3` where amounts are numbers.
    fn adapt(&mut self, ids: &[NodeId]) {
        let is_double = |id: &NodeId| {
            !matches!(self.ast.node(*id), Node::Double(_)) && self.known(self.type_of(*id)) == Some(DOUBLE)
        };
        if !ids.iter().any(is_double) {
            return;
        }
        for id in ids {
            if let Node::Int(value) = self.ast.node(*id) {
                if let Some(place) = self.ast.nodes.get_mut(id.at()) {
                    *place = Node::Double(crate::number::int_to_double(value));
                }
                if let Some(info) = self.infos.get_mut(id.at()) {
                    info.r#type = DOUBLE;
                }
            }
        }
    }

    pub(super) fn binary(&mut self, id: NodeId, op: BinaryOp, left: NodeId, right: NodeId) -> TypeId {
        if !self.lenient && matches!(op, BinaryOp::Subtract | BinaryOp::Multiply | BinaryOp::Divide) {
            self.adapt(&[left, right]);
        }
        let (a, b) = (self.type_of(left), self.type_of(right));
        let found = match op {
            BinaryOp::Equal | BinaryOp::NotEqual => self.equality(a, b),
            BinaryOp::Less | BinaryOp::LessEqual | BinaryOp::Greater | BinaryOp::GreaterEqual => {
                self.ordering(a, b)
            }
            BinaryOp::In => self.membership(a, b),
            BinaryOp::Subtract | BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Remainder => {
                self.arithmetic(op, a, b)
            }
        };
        found.unwrap_or_else(|| {
            self.undefined(id, op.symbol(), a, b);
            if op.is_comparison() || op == BinaryOp::In { BOOL } else { DYN }
        })
    }

    fn undefined(&mut self, id: NodeId, symbol: &str, a: TypeId, b: TypeId) {
        if self.lenient {
            return;
        }
        let (left, right) = (self.show(a), self.show(b));
        let hint = match (self.known(a), self.known(b)) {
            (Some(INT), Some(DOUBLE)) | (Some(DOUBLE), Some(INT)) => {
                Some("convert the integer: `double(…)`, or write it with a point: `3.0`".to_owned())
            }
            (Some(INT), Some(UINT)) | (Some(UINT), Some(INT)) => {
                Some("convert one of them: `int(…)` or `uint(…)`".to_owned())
            }
            (Some(STRING), Some(INT | UINT | DOUBLE | BOOL)) if symbol == "+" => {
                Some("convert the second one: `string(…)`".to_owned())
            }
            (Some(INT | UINT | DOUBLE | BOOL), Some(STRING)) if symbol == "+" => {
                Some("convert the first one: `string(…)`".to_owned())
            }
            (Some(STRING), Some(TIMESTAMP)) | (Some(TIMESTAMP), Some(STRING)) => {
                Some("convert the text: `timestamp(…)`".to_owned())
            }
            (Some(DURATION), Some(STRING)) | (Some(STRING), Some(DURATION)) => {
                Some("convert the text: `duration(…)`".to_owned())
            }
            _ => None,
        };
        let span = self.ast.span(id);
        self.hinted(span, format!("`{symbol}` is not defined for `{left}` and `{right}`"), hint);
    }

    fn equality(&mut self, a: TypeId, b: TypeId) -> Option<TypeId> {
        if a == b || self.is_number(a) && self.is_number(b) {
            return Some(BOOL);
        }
        let mark = self.types.mark();
        if self.types.assign(a, b) {
            return Some(BOOL);
        }
        self.types.undo(mark);
        if self.types.assign(b, a) {
            return Some(BOOL);
        }
        self.types.undo(mark);
        None
    }

    fn ordering(&mut self, a: TypeId, b: TypeId) -> Option<TypeId> {
        let ordered = |id| {
            matches!(id, None | Some(BOOL | INT | UINT | DOUBLE | STRING | BYTES | TIMESTAMP | DURATION))
        };
        let (left, right) = (self.known(a), self.known(b));
        let fits = ordered(left)
            && ordered(right)
            && match (left, right) {
                (Some(left), Some(right)) => left == right || self.is_number(a) && self.is_number(b),
                _ => true,
            };
        fits.then_some(BOOL)
    }

    fn membership(&mut self, a: TypeId, b: TypeId) -> Option<TypeId> {
        let inner = match self.types.get(b) {
            Ty::Nullable(inner) => inner,
            _ => b,
        };
        match self.types.get(inner) {
            Ty::Dyn | Ty::Var(_) => Some(BOOL),
            Ty::List(element) => self.equality(a, element),
            Ty::Map(key, _) => self.equality(a, key),
            Ty::Object(_) => self.equality(a, STRING),
            _ => None,
        }
    }

    fn arithmetic(&mut self, op: BinaryOp, a: TypeId, b: TypeId) -> Option<TypeId> {
        let (left, right) = (self.known(a), self.known(b));
        let numeric = |id| match op {
            BinaryOp::Remainder => matches!(id, INT | UINT),
            _ => matches!(id, INT | UINT | DOUBLE),
        };
        let time = op == BinaryOp::Subtract;
        match (left, right) {
            (None, None) => Some(DYN),
            (None | Some(TIMESTAMP), Some(TIMESTAMP)) | (Some(DURATION), None | Some(DURATION)) if time => {
                Some(DURATION)
            }
            (None, Some(DURATION)) | (Some(TIMESTAMP), None) if time => Some(DYN),
            (Some(known), None) | (None, Some(known)) => numeric(known).then_some(known),
            (Some(TIMESTAMP), Some(DURATION)) if time => Some(TIMESTAMP),
            (Some(left), Some(right)) => (left == right && numeric(left)).then_some(left),
        }
    }

    pub(super) fn chain(&mut self, id: NodeId, op: ChainOp, terms: Children) -> TypeId {
        if op != ChainOp::Add {
            for at in 0..terms.len as usize {
                if let Some(term) = self.ast.list(terms).get(at).copied() {
                    self.expect_bool(
                        term,
                        if op == ChainOp::And { "a term of `&&`" } else { "a term of `||`" },
                    );
                }
            }
            return BOOL;
        }
        if !self.lenient && self.ast.list(terms).iter().any(|id| matches!(self.ast.node(*id), Node::Int(_))) {
            let ids = self.ast.list(terms).to_vec();
            self.adapt(&ids);
        }
        let mut sum = self.ast.list(terms).first().map_or(DYN, |first| self.type_of(*first));
        for at in 1..terms.len as usize {
            let Some(term) = self.ast.list(terms).get(at).copied() else { break };
            let next = self.type_of(term);
            match self.addition(sum, next) {
                Some(found) => sum = found,
                None => {
                    let _ = id;
                    self.undefined(term, "+", sum, next);
                    return DYN;
                }
            }
        }
        sum
    }

    fn addition(&mut self, a: TypeId, b: TypeId) -> Option<TypeId> {
        let (left, right) = (self.known(a), self.known(b));
        match (left, right) {
            (None, None | Some(DURATION)) | (Some(DURATION), None) => Some(DYN),
            (Some(TIMESTAMP), None | Some(DURATION)) | (None | Some(DURATION), Some(TIMESTAMP)) => {
                Some(TIMESTAMP)
            }
            (Some(INT), Some(INT)) => Some(INT),
            (Some(known), None) | (None, Some(known)) => {
                let plain = matches!(known, INT | UINT | DOUBLE | STRING | BYTES);
                if plain {
                    return Some(known);
                }
                matches!(self.types.get(known), Ty::List(_)).then(|| self.types.list(DYN))
            }
            (Some(left), Some(right)) => {
                let same = matches!(left, UINT | DOUBLE | STRING | BYTES | DURATION) && left == right;
                if same {
                    return Some(left);
                }
                match (self.types.get(left), self.types.get(right)) {
                    (Ty::List(x), Ty::List(y)) => {
                        let joined = self.types.join(x, y);
                        Some(self.types.list(joined))
                    }
                    _ => None,
                }
            }
        }
    }

    pub(super) fn list(&mut self, elements: Children) -> TypeId {
        let mut joined = None;
        for at in 0..elements.len as usize {
            let Some(element) = self.ast.list(elements).get(at).copied() else { break };
            let next = self.type_of(element);
            joined = Some(match joined {
                None => next,
                Some(before) => self.types.join(before, next),
            });
        }
        let element = joined.unwrap_or_else(|| self.types.var());
        self.types.list(element)
    }

    pub(super) fn map(&mut self, entries: Children) -> TypeId {
        let (mut key, mut value) = (None, None);
        for at in 0..entries.len as usize {
            let Some(entry) = self.ast.list(entries).get(at).copied() else { break };
            let next = self.type_of(entry);
            let is_key = at % 2 == 1 || matches!(self.known(next), None | Some(BOOL | INT | UINT | STRING));
            if !is_key {
                let shown = self.show(next);
                self.fault(entry, format!("a key is a `bool`, `int`, `uint` or `string`, not a `{shown}`"));
            }
            // What is no key has no part in the type: types that branch could take exponential time.
            let next = if is_key { next } else { DYN };
            let joined = if at % 2 == 0 { &mut key } else { &mut value };
            *joined = Some(match *joined {
                None => next,
                Some(before) => self.types.join(before, next),
            });
        }
        let key = key.unwrap_or_else(|| self.types.var());
        let value = value.unwrap_or_else(|| self.types.var());
        self.types.add(Ty::Map(key, value))
    }

    pub(super) fn comprehension(&mut self, kind: Comprehension, list: &[NodeId]) -> TypeId {
        let [range, first, rest @ ..] = list else { return DYN };
        let range_type = match self.types.get(self.type_of(*range)) {
            Ty::Nullable(inner) => inner,
            _ => self.type_of(*range),
        };
        let body = *rest.first().unwrap_or(first);
        if !rest.is_empty() {
            self.expect_bool(*first, "the condition of a macro");
        }
        let made = self.type_of(body);
        match kind {
            Comprehension::All | Comprehension::Exists | Comprehension::ExistsOne => {
                self.expect_bool(*first, "the condition of a macro");
                BOOL
            }
            Comprehension::Filter => {
                self.expect_bool(*first, "the condition of a macro");
                match self.types.get(range_type) {
                    Ty::List(_) => range_type,
                    Ty::Map(key, _) => self.types.list(key),
                    Ty::Object(_) => self.types.list(STRING),
                    _ => self.types.list(DYN),
                }
            }
            Comprehension::Map | Comprehension::TransformList => self.types.list(made),
            Comprehension::TransformMap => {
                let key = match self.types.get(range_type) {
                    Ty::List(_) => INT,
                    Ty::Map(key, _) => key,
                    Ty::Object(_) => STRING,
                    _ => DYN,
                };
                self.types.add(Ty::Map(key, made))
            }
            Comprehension::TransformMapEntry => match self.types.get(made) {
                Ty::Map(..) | Ty::Dyn | Ty::Var(_) => made,
                _ => {
                    let shown = self.show(made);
                    self.fault(body, format!("`transformMapEntry` makes a map, not a `{shown}`"));
                    DYN
                }
            },
            Comprehension::SortBy => {
                let sortable = matches!(
                    self.known(made),
                    None | Some(BOOL | INT | UINT | DOUBLE | STRING | BYTES | TIMESTAMP | DURATION)
                );
                if !sortable {
                    let shown = self.show(made);
                    self.fault(body, format!("values of type `{shown}` have no order"));
                }
                range_type
            }
        }
    }

    /// Where a value may come from JSON and its type is that of a number, it becomes such a number.
    pub(super) fn coerce(&mut self) {
        for at in 0..count(self.ast.nodes.len()) {
            let id = NodeId(at);
            let found = match self.types.get(self.type_of(id)) {
                Ty::Nullable(inner) => self.types.get(inner),
                other => other,
            };
            let coercion = match found {
                Ty::Int => Coercion::ToInt,
                Ty::Double => Coercion::ToDouble,
                _ => continue,
            };
            if self.comes_from_outside(id)
                && let Some(info) = self.infos.get_mut(id.at())
            {
                info.coercion = coercion;
            }
        }
    }

    fn comes_from_outside(&self, id: NodeId) -> bool {
        match self.ast.node(id) {
            Node::Ident { .. }
            | Node::Select { kind: SelectKind::Field, .. }
            | Node::Index { optional: false, .. } => self.role(id) != Role::Skip,
            Node::Method { .. } | Node::Call { .. } => {
                // Calls whose result is an element of an argument.
                matches!(self.role(id), Role::Function { function, .. }
                    if self.declarations.functions.get(function as usize)
                        .is_some_and(|function| function.overloads.iter().any(|each| each.generic)))
            }
            _ => false,
        }
    }
}
