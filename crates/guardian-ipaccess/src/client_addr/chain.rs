//! The chain of addresses that the header lines spell, read from the right, within a budget.

use std::net::IpAddr;

use super::{ClientAddr, ForwardHeader, StopReason, forwarded, x_forwarded_for};

/// The last element of a line, and what is left of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LastElement<'a> {
    /// What the element says.
    pub(super) address: Result<IpAddr, StopReason>,
    /// The line up to the comma before the element, `None` when the element began the line.
    pub(super) left: Option<&'a [u8]>,
}

/// Reads elements from right to left without joining the lines: a line's end is an element's end.
///
/// Nothing left of an element takes part in reading it. That is what makes the answer independent of what a
/// client sent ahead of the proxies' own additions; a parser that starts at the left could be led astray by one
/// quotation mark that is never closed.
pub(super) struct Chain<'a, L> {
    header: ForwardHeader,
    lines: L,
    unread: Option<&'a [u8]>,
    bytes_left: usize,
    elements_left: usize,
}

impl<'a, L: DoubleEndedIterator<Item = &'a [u8]>> Chain<'a, L> {
    pub(super) fn new(header: ForwardHeader, lines: L) -> Self {
        Self {
            header,
            lines,
            unread: None,
            bytes_left: ClientAddr::MAX_HEADER_BYTES,
            elements_left: ClientAddr::MAX_ELEMENTS,
        }
    }
}

impl<'a, L: DoubleEndedIterator<Item = &'a [u8]>> Iterator for Chain<'a, L> {
    type Item = Result<IpAddr, StopReason>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = match self.unread.take() {
            Some(line) => line,
            None => self.lines.next_back()?,
        };
        let Some(elements_left) = self.elements_left.checked_sub(1) else {
            return Some(Err(StopReason::TooManyElements));
        };
        self.elements_left = elements_left;

        let beyond = line.len().saturating_sub(self.bytes_left);
        let window = line.get(beyond..).unwrap_or_default();
        let last = match self.header {
            ForwardHeader::Forwarded => forwarded::take_last(window),
            ForwardHeader::XForwardedFor => x_forwarded_for::take_last(window),
        };
        match last.left {
            Some(left) => {
                self.bytes_left -= window.len().saturating_sub(left.len()).min(self.bytes_left);
                self.unread = line.get(..beyond.saturating_add(left.len()));
            }
            // The element may begin beyond the budget, so its visible part proves nothing.
            None if beyond > 0 => return Some(Err(StopReason::TooLong)),
            None => self.bytes_left -= window.len().min(self.bytes_left),
        }
        Some(last.address)
    }
}
