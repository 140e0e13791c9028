/// Input as an error may show it: its first 80 characters, control characters and quotes escaped, so that neither a log nor a
/// terminal is led astray by it.
///
/// ```
/// assert_eq!(guardian_core::shorten("a\u{1b}[2J"), "a\\u{1b}[2J");
/// ```
#[must_use]
pub fn shorten(text: &str) -> String {
    const SHOWN: usize = 80;
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
