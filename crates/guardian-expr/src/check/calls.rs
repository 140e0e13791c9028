//! The types of calls: which overloads fit, and what they give back.

use super::{Checker, Role};
use crate::ast::{Children, Name, NodeId};
use crate::env::{Function, Overload};
use crate::suggest::nearest;
use crate::type_table::{DYN, TypeId};

impl Checker<'_> {
    pub(super) fn call(&mut self, id: NodeId, name: Name, arguments: Children, absolute: bool) -> TypeId {
        let declarations = self.declarations;
        let text = self.ast.name(name);
        let mut found = None;
        let mut prefix = if absolute { "" } else { declarations.container.as_str() };
        while !prefix.is_empty() && found.is_none() {
            found = declarations.function_names.get(&format!("{prefix}.{text}"));
            prefix = prefix.rsplit_once('.').map_or("", |(outer, _)| outer);
        }
        let Some(at) = found.or_else(|| declarations.function_names.get(text)).copied() else {
            return self.unknown(id, name);
        };
        self.set_role(id, Role::Function { function: at, namespaced: true });
        self.overload(id, at, arguments, 0, false)
    }

    pub(super) fn method(&mut self, id: NodeId, name: Name, arguments: Children) -> TypeId {
        if let Role::Function { function, namespaced: true } = self.role(id) {
            // The receiver was part of the name.
            return self.overload(id, function, arguments, 1, false);
        }
        let Some(at) = self.declarations.function_names.get(self.ast.name(name)).copied() else {
            return self.unknown(id, name);
        };
        self.set_role(id, Role::Function { function: at, namespaced: false });
        self.overload(id, at, arguments, 0, true)
    }

    fn unknown(&mut self, id: NodeId, name: Name) -> TypeId {
        let text = self.ast.name(name);
        let known = self.declarations.functions.iter().map(|function| function.name.as_str());
        let macros = ["has", "all", "exists", "exists_one", "filter", "map", "transformList", "transformMap"];
        let hint = match text.to_ascii_lowercase().as_str() {
            "if" => Some("a choice is written `condition ? value : other`".to_owned()),
            "len" | "length" | "count" => Some("the length is `size(…)`".to_owned()),
            "lower" | "lowercase" | "tolower" => Some("write `text.lowerAscii()`".to_owned()),
            "upper" | "uppercase" | "toupper" => Some("write `text.upperAscii()`".to_owned()),
            _ => nearest(text, known.chain(macros)).map(|near| format!("did you mean `{near}`?")),
        };
        let message = format!("unknown function `{text}`");
        let span = self.ast.span(id);
        self.hinted(span, message, hint);
        self.set_role(id, Role::Unknown);
        DYN
    }

    /// The type that the fitting overloads give back.
    fn overload(&mut self, id: NodeId, at: u32, arguments: Children, skip: usize, receiver: bool) -> TypeId {
        let declarations = self.declarations;
        let Some(function) = declarations.functions.get(at as usize) else { return DYN };
        if self.lenient {
            return DYN;
        }
        let start = arguments.start as usize;
        let range = start + skip..start + arguments.len as usize;
        let types: Vec<TypeId> =
            self.ast.children.get(range).unwrap_or_default().iter().map(|id| self.type_of(*id)).collect();
        if matches!(function.name.as_str(), "math.greatest" | "math.least") && types.len() > 2 {
            return self.extreme(id, function, &types);
        }
        let mut result: Option<TypeId> = None;
        for overload in &function.overloads {
            if overload.receiver != receiver || overload.parameters.len() != types.len() {
                continue;
            }
            let mark = self.types.mark();
            let mut names = Vec::new();
            let fits = overload.parameters.iter().zip(&types).all(|(parameter, found)| {
                let wanted = match overload.generic {
                    true => self.types.instantiate(*parameter, &mut names),
                    false => *parameter,
                };
                self.types.assign(*found, wanted)
            });
            if !fits {
                self.types.undo(mark);
                continue;
            }
            let made = match overload.generic {
                true => self.types.instantiate(overload.result, &mut names),
                false => overload.result,
            };
            result = Some(match result {
                None => made,
                // What fits in several ways, because its type is not known, gives back what is common to them.
                Some(before) if self.types.find(before) == self.types.find(made) => before,
                Some(before) if self.show(before) == self.show(made) => before,
                Some(_) => DYN,
            });
        }
        match result {
            Some(result) => result,
            None => {
                self.no_overload(id, function, &types, receiver);
                DYN
            }
        }
    }

    /// `math.greatest` and `math.least` take any number of numbers.
    fn extreme(&mut self, id: NodeId, function: &Function, types: &[TypeId]) -> TypeId {
        use crate::type_table::{DOUBLE, INT, UINT};
        let mut joined = None;
        for found in types {
            let found = self.types.find(*found);
            if !matches!(found, DYN | INT | UINT | DOUBLE) {
                self.no_overload(id, function, types, false);
                return DYN;
            }
            joined = Some(match joined {
                None => found,
                Some(before) if before == found => found,
                Some(_) => DYN,
            });
        }
        joined.unwrap_or(DYN)
    }

    fn no_overload(&mut self, id: NodeId, function: &Function, types: &[TypeId], receiver: bool) {
        let shown: Vec<String> = types.iter().map(|each| self.show(*each).to_string()).collect();
        let name = &function.name;
        let call = match (receiver, shown.split_first()) {
            (true, Some((first, rest))) => format!("{first}.{name}({})", rest.join(", ")),
            _ => format!("{name}({})", shown.join(", ")),
        };
        let ways: Vec<String> = function.overloads.iter().take(4).map(|each| self.way(name, each)).collect();
        let hint = format!("it is called as {}", ways.join(", "));
        let span = self.ast.span(id);
        self.hinted(span, format!("`{call}` is not defined"), Some(hint));
    }

    fn way(&self, name: &str, overload: &Overload) -> String {
        let shown: Vec<String> =
            overload.parameters.iter().map(|each| self.show(*each).to_string()).collect();
        match (overload.receiver, shown.split_first()) {
            (true, Some((first, rest))) => format!("`{first}.{name}({})`", rest.join(", ")),
            _ => format!("`{name}({})`", shown.join(", ")),
        }
    }
}
