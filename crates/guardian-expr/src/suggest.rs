//! "Did you mean": the known name that is nearest to one that is not known.

/// The most similar name, if one is similar enough to be what was meant.
pub(crate) fn nearest<'n>(wanted: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    // Nobody misspells a name of a hundred letters into another known one.
    if wanted.len() > 100 {
        return None;
    }
    let most = (wanted.chars().count() / 3).clamp(1, 3);
    let scored = names.into_iter().filter(|name| name.len() <= 100).filter_map(|name| {
        let distance = if name.eq_ignore_ascii_case(wanted) { 0 } else { distance(wanted, name) };
        (distance <= most).then_some((distance, name))
    });
    scored.min().map(|(_, name)| name)
}

/// How many letters must be inserted, removed, replaced or exchanged with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let at = |row: &[usize], place: usize| row.get(place).copied().unwrap_or(usize::MAX / 2);
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let replaced = at(&last, j) + usize::from(x != y);
            let mut best = replaced.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            if i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x) {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}
