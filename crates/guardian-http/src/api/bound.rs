use super::Kind;
use crate::Problem;

/// A member whose text has between so many characters, as the document says of it.
pub(super) fn bounded(name: &str, text: &str, least: usize, most: usize) -> Result<(), Problem> {
    let length = text.chars().count();
    if (least..=most).contains(&length) {
        return Ok(());
    }
    Err(Kind::InvalidRequest
        .because(format_args!("`{name}` has {least} to {most} characters, and here it has {length}")))
}
