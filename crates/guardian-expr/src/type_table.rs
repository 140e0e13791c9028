//! Types as numbers: an environment's in one table, those of one check in another that continues it.

use std::sync::Arc;

use crate::ast::count;
use crate::types::{ObjectType, Type};

/// A type's place in a table.
pub(crate) type TypeId = u32;

pub(crate) const DYN: TypeId = 0;
pub(crate) const NULL: TypeId = 1;
pub(crate) const BOOL: TypeId = 2;
pub(crate) const INT: TypeId = 3;
pub(crate) const UINT: TypeId = 4;
pub(crate) const DOUBLE: TypeId = 5;
pub(crate) const STRING: TypeId = 6;
pub(crate) const BYTES: TypeId = 7;
pub(crate) const TIMESTAMP: TypeId = 8;
pub(crate) const DURATION: TypeId = 9;

/// Behind the simple types are the lists of each, in the same order.
const LISTS: TypeId = 10;

/// Types nest no deeper; what would is not known.
const MAX_DEPTH: u32 = 48;
/// The fields of an object with up to so many are scanned.
const SCANNED: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ty {
    Dyn,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Timestamp,
    Duration,
    Type(TypeId),
    List(TypeId),
    Map(TypeId, TypeId),
    Optional(TypeId),
    Nullable(TypeId),
    /// A type parameter of a declaration, by its name.
    Param(u32),
    /// A type that is still to be found out.
    Var(u32),
    Opaque {
        name: u32,
        start: u32,
        len: u32,
    },
    Object(u32),
}

const SIMPLE: [Ty; 10] = [
    Ty::Dyn,
    Ty::Null,
    Ty::Bool,
    Ty::Int,
    Ty::Uint,
    Ty::Double,
    Ty::String,
    Ty::Bytes,
    Ty::Timestamp,
    Ty::Duration,
];

/// An object's fields as numbers.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) declared: Arc<ObjectType>,
    /// In the order of their names.
    pub(crate) fields: Vec<(String, TypeId)>,
    pub(crate) others: Option<TypeId>,
}

impl Object {
    /// The type of a field. Most names differ in their length, so a few are looked at one by one.
    pub(crate) fn field(&self, name: &str) -> Option<TypeId> {
        let found = if self.fields.len() <= SCANNED {
            self.fields.iter().find(|(each, _)| each == name)
        } else {
            let found = self.fields.binary_search_by(|(each, _)| each.as_str().cmp(name));
            found.ok().and_then(|at| self.fields.get(at))
        };
        found.map(|(_, found)| *found).or(self.others)
    }
}

/// The types of an environment.
#[derive(Debug, Clone)]
pub(crate) struct TypeTable {
    types: Vec<Ty>,
    parameters: Vec<TypeId>,
    pub(crate) names: Vec<String>,
    pub(crate) objects: Vec<Object>,
}

impl TypeTable {
    pub(crate) fn new() -> Self {
        let lists = (0..LISTS).map(Ty::List);
        let types = SIMPLE.into_iter().chain(lists).collect();
        Self { types, parameters: Vec::new(), names: Vec::new(), objects: Vec::new() }
    }

    fn name(&mut self, name: &str) -> u32 {
        let at = self.names.iter().position(|each| each == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        count(at)
    }

    pub(crate) fn add(&mut self, declared: &Type) -> TypeId {
        self.add_at(declared, 0)
    }

    fn add_at(&mut self, declared: &Type, depth: u32) -> TypeId {
        if depth > MAX_DEPTH {
            return DYN;
        }
        let depth = depth + 1;
        let ty = match declared {
            Type::Dyn => return DYN,
            Type::Null => return NULL,
            Type::Bool => return BOOL,
            Type::Int => return INT,
            Type::Uint => return UINT,
            Type::Double => return DOUBLE,
            Type::String => return STRING,
            Type::Bytes => return BYTES,
            Type::Timestamp => return TIMESTAMP,
            Type::Duration => return DURATION,
            Type::Type(inner) => Ty::Type(self.add_at(inner, depth)),
            Type::List(element) => Ty::List(self.add_at(element, depth)),
            Type::Map(key, value) => {
                let key = self.add_at(key, depth);
                Ty::Map(key, self.add_at(value, depth))
            }
            Type::Optional(inner) => Ty::Optional(self.add_at(inner, depth)),
            Type::Nullable(inner) => Ty::Nullable(self.add_at(inner, depth)),
            Type::Param(name) => Ty::Param(self.name(name)),
            Type::Opaque(name, parameters) => {
                let list: Vec<_> = parameters.iter().map(|each| self.add_at(each, depth)).collect();
                let start = count(self.parameters.len());
                self.parameters.extend(&list);
                Ty::Opaque { name: self.name(name), start, len: count(list.len()) }
            }
            Type::Object(object) => Ty::Object(self.object(object, depth)),
        };
        let known = self.types.iter().position(|each| *each == ty);
        count(known.unwrap_or_else(|| {
            self.types.push(ty);
            self.types.len() - 1
        }))
    }

    fn object(&mut self, declared: &Arc<ObjectType>, depth: u32) -> u32 {
        if let Some(at) = self.objects.iter().position(|each| each.declared == *declared) {
            return count(at);
        }
        let fields = declared.fields.iter();
        let fields = fields.map(|(name, field)| (name.clone(), self.add_at(&field.r#type, depth))).collect();
        let others = declared.others.as_ref().map(|others| self.add_at(others, depth));
        self.objects.push(Object { declared: Arc::clone(declared), fields, others });
        count(self.objects.len() - 1)
    }
}

/// The types of one check: those of the environment, those that the expression adds, and what is known of the variables.
pub(crate) struct Types<'e> {
    table: &'e TypeTable,
    added: Vec<Ty>,
    parameters: Vec<TypeId>,
    /// What each variable stands for; itself unknown if it is `None`.
    bound: Vec<Option<TypeId>>,
    /// The variables that were bound, and what to before, in order to undo a trial.
    trail: Vec<(u32, Option<TypeId>)>,
    fixed: u32,
}

impl<'e> Types<'e> {
    pub(crate) fn new(table: &'e TypeTable) -> Self {
        let fixed = count(table.types.len());
        Self { table, added: Vec::new(), parameters: Vec::new(), bound: Vec::new(), trail: Vec::new(), fixed }
    }

    pub(crate) fn table(&self) -> &'e TypeTable {
        self.table
    }

    pub(crate) fn add(&mut self, ty: Ty) -> TypeId {
        self.added.push(ty);
        self.fixed + count(self.added.len()) - 1
    }

    /// Lists of a type.
    pub(crate) fn list(&mut self, element: TypeId) -> TypeId {
        if element < LISTS { LISTS + element } else { self.add(Ty::List(element)) }
    }

    pub(crate) fn var(&mut self) -> TypeId {
        self.bound.push(None);
        self.add(Ty::Var(count(self.bound.len()) - 1))
    }

    #[inline]
    fn raw(&self, id: TypeId) -> Ty {
        if id < self.fixed {
            self.table.types.get(id as usize).copied().unwrap_or(Ty::Dyn)
        } else {
            self.added.get((id - self.fixed) as usize).copied().unwrap_or(Ty::Dyn)
        }
    }

    /// The type behind bound variables.
    #[inline]
    pub(crate) fn find(&self, mut id: TypeId) -> TypeId {
        // Chains of variables are short; the bound is against a cycle.
        for _ in 0..64 {
            match self.raw(id) {
                Ty::Var(var) => match self.bound.get(var as usize).copied().flatten() {
                    Some(next) => id = next,
                    None => return id,
                },
                _ => return id,
            }
        }
        DYN
    }

    #[inline]
    pub(crate) fn get(&self, id: TypeId) -> Ty {
        self.raw(self.find(id))
    }

    fn parameters(&self, id: TypeId, start: u32, len: u32) -> Vec<TypeId> {
        let list = if id < self.fixed { &self.table.parameters } else { &self.parameters };
        list.get(start as usize..(start + len) as usize).unwrap_or_default().to_vec()
    }

    fn bind(&mut self, var: u32, to: TypeId) {
        if let Some(place) = self.bound.get_mut(var as usize) {
            self.trail.push((var, *place));
            *place = Some(to);
        }
    }

    /// A point to which [`Self::undo`] can return.
    pub(crate) fn mark(&self) -> usize {
        self.trail.len()
    }

    pub(crate) fn undo(&mut self, mark: usize) {
        while self.trail.len() > mark {
            if let Some((var, before)) = self.trail.pop()
                && let Some(place) = self.bound.get_mut(var as usize)
            {
                *place = before;
            }
        }
    }

    /// Whether a value of one type may stand where the other is expected. Binds variables on the way.
    pub(crate) fn assign(&mut self, from: TypeId, to: TypeId) -> bool {
        self.assign_at(from, to, 0)
    }

    fn assign_at(&mut self, from: TypeId, to: TypeId, depth: u32) -> bool {
        let (source, target) = (self.find(from), self.find(to));
        if source == target || depth > MAX_DEPTH {
            return true;
        }
        let depth = depth + 1;
        let fits = match (self.raw(source), self.raw(target)) {
            (Ty::Var(var), _) => {
                self.bind(var, target);
                true
            }
            (_, Ty::Var(var)) => {
                self.bind(var, source);
                true
            }
            (Ty::Dyn, _)
            | (_, Ty::Dyn)
            | (Ty::Type(_), Ty::Type(_))
            | (
                Ty::Null,
                Ty::Nullable(_) | Ty::Timestamp | Ty::Duration | Ty::Object(_) | Ty::Opaque { .. },
            ) => true,
            (Ty::Nullable(a), Ty::Nullable(b))
            | (Ty::List(a), Ty::List(b))
            | (Ty::Optional(a), Ty::Optional(b)) => self.assign_at(a, b, depth),
            (Ty::Nullable(a), _) => self.assign_at(a, target, depth),
            (_, Ty::Nullable(b)) => self.assign_at(source, b, depth),
            (Ty::Map(k1, v1), Ty::Map(k2, v2)) => {
                self.assign_at(k1, k2, depth) && self.assign_at(v1, v2, depth)
            }
            (Ty::Object(object), Ty::Map(key, value)) => {
                self.assign_at(STRING, key, depth) && self.assign_fields(object, value, depth)
            }
            (Ty::Opaque { name: a, start: s1, len: l1 }, Ty::Opaque { name: b, start: s2, len: l2 }) => {
                a == b && l1 == l2 && {
                    let left = self.parameters(source, s1, l1);
                    let right = self.parameters(target, s2, l2);
                    left.into_iter().zip(right).all(|(a, b)| self.assign_at(a, b, depth))
                }
            }
            (a, b) => a == b,
        };
        // A variable takes the more general of what it met: `f(2u, dyn(1))` with f(T, T) is about dyn.
        if fits
            && let Ty::Var(var) = self.raw(to)
            && to != target
            && self.is_wider(source, target, 0)
        {
            self.bind(var, source);
        }
        fits
    }

    fn assign_fields(&mut self, object: u32, value: TypeId, depth: u32) -> bool {
        let value = self.find(value);
        if let Ty::Var(var) = self.raw(value) {
            self.bind(var, DYN);
            return true;
        }
        let table = self.table;
        let Some(object) = table.objects.get(object as usize) else { return false };
        let mut fields = object.fields.iter().map(|(_, field)| *field).chain(object.others);
        value == DYN || fields.all(|field| self.assign_at(field, value, depth))
    }

    /// Whether `a` says less than `b` somewhere and as much elsewhere.
    pub(crate) fn is_wider(&self, a: TypeId, b: TypeId, depth: u32) -> bool {
        let (a, b) = (self.find(a), self.find(b));
        if a == b || depth > MAX_DEPTH {
            return false;
        }
        let depth = depth + 1;
        match (self.raw(a), self.raw(b)) {
            (Ty::Dyn, _) => true,
            (_, Ty::Dyn) => false,
            (Ty::Nullable(_), other) => !matches!(other, Ty::Nullable(_)),
            (Ty::List(a), Ty::List(b)) | (Ty::Optional(a), Ty::Optional(b)) => self.is_wider(a, b, depth),
            (Ty::Map(k1, v1), Ty::Map(k2, v2)) => {
                self.is_wider(k1, k2, depth) || self.is_wider(v1, v2, depth)
            }
            (Ty::Opaque { start: s1, len: l1, .. }, Ty::Opaque { start: s2, len: l2, .. }) => {
                let (left, right) = (self.parameters(a, s1, l1), self.parameters(b, s2, l2));
                left.into_iter().zip(right).any(|(a, b)| self.is_wider(a, b, depth))
            }
            _ => false,
        }
    }

    /// The type of which both are; unknown where there is none.
    pub(crate) fn join(&mut self, a: TypeId, b: TypeId) -> TypeId {
        let mark = self.mark();
        if self.assign(b, a) {
            return if self.is_wider(b, a, 0) { b } else { a };
        }
        self.undo(mark);
        if self.assign(a, b) {
            return b;
        }
        self.undo(mark);
        DYN
    }

    /// A declared type with variables in the place of its parameters.
    pub(crate) fn instantiate(&mut self, id: TypeId, names: &mut Vec<(u32, TypeId)>) -> TypeId {
        let ty = match self.raw(id) {
            Ty::Param(name) => {
                if let Some((_, var)) = names.iter().find(|(each, _)| *each == name) {
                    return *var;
                }
                let var = self.var();
                names.push((name, var));
                return var;
            }
            Ty::Type(inner) => Ty::Type(self.instantiate(inner, names)),
            Ty::List(inner) => Ty::List(self.instantiate(inner, names)),
            Ty::Optional(inner) => Ty::Optional(self.instantiate(inner, names)),
            Ty::Nullable(inner) => Ty::Nullable(self.instantiate(inner, names)),
            Ty::Map(key, value) => {
                let key = self.instantiate(key, names);
                Ty::Map(key, self.instantiate(value, names))
            }
            Ty::Opaque { name, start, len } if len > 0 => {
                let list = self.parameters(id, start, len);
                let list: Vec<_> = list.into_iter().map(|each| self.instantiate(each, names)).collect();
                let start = count(self.parameters.len());
                self.parameters.extend(list);
                Ty::Opaque { name, start, len }
            }
            _ => return id,
        };
        self.add(ty)
    }

    /// The type for people; what is still unknown is `dyn`.
    pub(crate) fn show(&self, id: TypeId) -> Type {
        self.show_at(id, 0)
    }

    fn show_at(&self, id: TypeId, depth: u32) -> Type {
        if depth > MAX_DEPTH {
            return Type::Dyn;
        }
        let id = self.find(id);
        let inner = |id| Box::new(self.show_at(id, depth + 1));
        match self.raw(id) {
            Ty::Dyn | Ty::Var(_) => Type::Dyn,
            Ty::Null => Type::Null,
            Ty::Bool => Type::Bool,
            Ty::Int => Type::Int,
            Ty::Uint => Type::Uint,
            Ty::Double => Type::Double,
            Ty::String => Type::String,
            Ty::Bytes => Type::Bytes,
            Ty::Timestamp => Type::Timestamp,
            Ty::Duration => Type::Duration,
            Ty::Type(of) => Type::Type(inner(of)),
            Ty::List(of) => Type::List(inner(of)),
            Ty::Map(key, value) => Type::Map(inner(key), inner(value)),
            Ty::Optional(of) => Type::Optional(inner(of)),
            Ty::Nullable(of) => Type::Nullable(inner(of)),
            Ty::Param(name) => Type::Param(self.table.names.get(name as usize).cloned().unwrap_or_default()),
            Ty::Opaque { name, start, len } => Type::Opaque(
                self.table.names.get(name as usize).cloned().unwrap_or_default(),
                self.parameters(id, start, len).into_iter().map(|each| *inner(each)).collect(),
            ),
            Ty::Object(at) => match self.table.objects.get(at as usize) {
                Some(object) => Type::Object(Arc::clone(&object.declared)),
                None => Type::Dyn,
            },
        }
    }
}
