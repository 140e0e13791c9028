//! SPDX licence expressions: `MIT OR (Apache-2.0 AND ISC)`, and the older `MIT/Apache-2.0`.

/// Whether a user may choose only licences that `accepts` holds for; `None` when the expression makes no sense.
///
/// `AND` binds tighter than `OR`; `X WITH Y` is one licence. SPDX specification 2.3, annex D.
pub(super) fn satisfied(expression: &str, accepts: &dyn Fn(&str) -> bool) -> Option<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words: Vec<&str> = spaced.split_whitespace().rev().collect();
    let result = either(&mut words, accepts)?;
    words.is_empty().then_some(result)
}

/// Terms joined by `OR`. The words are in reverse, so that the next one is popped.
fn either(words: &mut Vec<&str>, accepts: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut result = both(words, accepts)?;
    while words.last() == Some(&"OR") {
        words.pop();
        result |= both(words, accepts)?;
    }
    Some(result)
}

/// Terms joined by `AND`.
fn both(words: &mut Vec<&str>, accepts: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut result = one(words, accepts)?;
    while words.last() == Some(&"AND") {
        words.pop();
        result &= one(words, accepts)?;
    }
    Some(result)
}

/// A licence, or an expression in parentheses.
fn one(words: &mut Vec<&str>, accepts: &dyn Fn(&str) -> bool) -> Option<bool> {
    match words.pop()? {
        "(" => {
            let result = either(words, accepts)?;
            (words.pop()? == ")").then_some(result)
        }
        ")" | "AND" | "OR" | "WITH" => None,
        licence if words.last() == Some(&"WITH") => {
            words.pop();
            let exception = words.pop().filter(|word| !matches!(*word, "(" | ")" | "AND" | "OR" | "WITH"))?;
            Some(accepts(&format!("{licence} WITH {exception}")))
        }
        licence => Some(accepts(licence)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str) -> Option<bool> {
        satisfied(expression, &|licence| matches!(licence, "MIT" | "ISC" | "Apache-2.0 WITH LLVM-exception"))
    }

    #[test]
    fn a_choice_needs_one_and_a_conjunction_all() {
        for good in [
            "MIT",
            "MIT OR GPL-3.0",
            "GPL-3.0/MIT",
            "MIT AND ISC",
            "(GPL-3.0 OR ISC) AND MIT",
            "GPL-3.0 AND X OR MIT",
            "Apache-2.0 WITH LLVM-exception",
            "((MIT))",
        ] {
            assert_eq!(check(good), Some(true), "{good}");
        }
        for bad in
            ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0", "Apache-2.0", "MIT WITH GPL-exception"]
        {
            assert_eq!(check(bad), Some(false), "{bad}");
        }
    }

    #[test]
    fn nonsense_is_told_apart() {
        for nonsense in ["", "MIT OR", "OR MIT", "(MIT", "MIT)", "MIT ISC", "MIT WITH", "AND", "MIT WITH OR"]
        {
            assert_eq!(check(nonsense), None, "{nonsense}");
        }
    }
}
