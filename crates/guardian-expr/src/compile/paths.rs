//! Paths that occur more than once in a program, looked up once.

use crate::ast::count;
use crate::program::{Program, Start};

/// Gives every variable a place for its value, and every path that occurs more than once one for its.
pub(super) fn share_paths(program: &mut Program) {
    let locals = program.checked.locals;
    for path in &mut program.paths {
        path.slot = match path.start {
            Start::Variable(at) => locals + at,
            Start::Local(slot) => slot,
        };
    }
    program.slots = locals + count(program.checked.variables.len());
    if program.paths.len() < 2 {
        return;
    }
    // Of a few paths that are all different, as in most conditions, that is known sooner than they are sorted.
    if program.paths.len() <= 8
        && !program.paths.iter().enumerate().any(|(at, path)| {
            let mut others = program.paths.iter().skip(at + 1);
            others
                .any(|other| other.start == path.start && program.path_keys(other) == program.path_keys(path))
        })
    {
        return;
    }
    // Equal keys stand at one place.
    let key = |at: &u32| {
        let path = program.paths.get(*at as usize)?;
        let Start::Variable(variable) = path.start else { return None };
        Some((variable, path.coercion as u8, program.path_keys(path)))
    };
    let mut order: Vec<u32> = (0..count(program.paths.len())).collect();
    order.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
    let mut caches = Vec::new();
    let mut next = program.slots;
    let mut open = false;
    for pair in order.windows(2) {
        let [a, b] = pair else { continue };
        // A variable alone is kept anyway.
        let same = key(a).is_some_and(|(.., keys)| !keys.is_empty()) && key(a) == key(b);
        if same {
            if !open {
                caches.push((*a, next));
            }
            caches.push((*b, next));
        } else if open {
            next += 1;
        }
        open = same;
    }
    program.slots = next + u32::from(open);
    for (at, cache) in caches {
        if let Some(path) = program.paths.get_mut(at as usize) {
            path.cache = Some(cache);
        }
    }
}
