//! Differences as lines of text: for people.

use similar::TextDiff;

use crate::definition::Definition;

/// The differences of two definitions as a unified diff of their JSON, one value a line, keys sorted, without the layout.
/// Empty if they say the same.
#[must_use]
pub fn text_diff(old: &Definition, new: &Definition) -> String {
    let text = |definition: &Definition| {
        let mut shown = serde_json::to_string_pretty(&definition.content()).unwrap_or_default();
        shown.push('\n');
        shown
    };
    let (before, after) = (text(old), text(new));
    TextDiff::from_lines(&before, &after).unified_diff().context_radius(3).header("old", "new").to_string()
}
