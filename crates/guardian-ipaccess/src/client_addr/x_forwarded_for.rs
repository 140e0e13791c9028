//! `X-Forwarded-For`: no standard describes it; a comma-separated list of addresses is what everybody writes.

use super::StopReason;
use super::chain::LastElement;
use super::node::parse_bare;

/// Takes the last element off `line`.
pub(super) fn take_last(line: &[u8]) -> LastElement<'_> {
    let (left, element) = match line.iter().rposition(|&byte| byte == b',') {
        Some(comma) => (line.get(..comma), line.get(comma + 1..).unwrap_or_default()),
        None => (None, line),
    };
    let address = std::str::from_utf8(element)
        .ok()
        .and_then(|text| parse_bare(text.trim_matches([' ', '\t'])))
        .ok_or(StopReason::NotAnAddress);
    LastElement { address, left }
}
