//! What a pattern takes to compile and to search with, before either is done.

#[cfg(feature = "regex")]
use regex_syntax::hir::{Class, Hir, HirKind, Visitor};

/// The most cost units that compiling takes: the size of what is compiled is bounded.
pub(crate) const MOST_COMPILATION: u64 = 120_000;

/// What a match costs beside the search for it, where its groups are asked for.
pub(crate) const MATCH: u64 = 10;

/// The effort of a pattern in cost units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Effort {
    /// What compiling takes.
    pub(crate) compilation: u64,
    /// The places of the pattern, with repetitions written out: so many may be active at once.
    places: u64,
}

/// Below so many places an automaton has fewer states, and more of them are made only once.
const FEW: u64 = 192;
/// Patterns with more places are not compiled, or are lists of texts, which are searched for all at once.
const MOST_PLACES: u64 = 1 << 14;

impl Effort {
    /// Of a pattern. One that cannot be read takes nothing, because it is not compiled.
    #[cfg(feature = "regex")]
    pub(crate) fn of(pattern: &str) -> Self {
        let mut parser = regex_syntax::ParserBuilder::new().nest_limit(super::regex::NEST_LIMIT).build();
        let Ok(hir) = parser.parse(pattern) else { return Self::default() };
        let counter = Counter { factors: Vec::new(), factor: 1, places: 0, ranges: 0 };
        let Ok(Counter { places, ranges, .. }) = regex_syntax::hir::visit(&hir, counter);
        let compilation = places.saturating_mul(50).saturating_add(ranges.saturating_mul(35));
        let compilation = compilation.saturating_add(300).min(MOST_COMPILATION);
        Self { compilation, places: places.min(MOST_PLACES) }
    }

    /// Of a pattern of which nothing is known.
    pub(crate) fn most() -> Self {
        Self { compilation: MOST_COMPILATION, places: MOST_PLACES }
    }

    /// Of a search in a text of so many bytes. A text is gone through once for each place that is active; with few places
    /// sets of them become states of an automaton, which takes a byte in an instant.
    pub(crate) fn search(self, bytes: u64) -> u64 {
        let each_byte = self.places * self.places.min(FEW);
        (bytes / 16 + 1).saturating_add(bytes.saturating_mul(each_byte) / 64)
    }
}

/// Goes through a pattern without recursion.
#[cfg(feature = "regex")]
struct Counter {
    /// What the open repetitions multiply by.
    factors: Vec<u64>,
    factor: u64,
    places: u64,
    /// The ranges of large classes, which take long to compile.
    ranges: u64,
}

#[cfg(feature = "regex")]
impl Counter {
    fn add(&mut self, places: usize) {
        self.places = self.places.saturating_add(self.factor.saturating_mul(places as u64));
    }
}

#[cfg(feature = "regex")]
impl Visitor for Counter {
    type Output = Self;
    type Err = std::convert::Infallible;

    fn finish(self) -> Result<Self, Self::Err> {
        Ok(self)
    }

    fn visit_pre(&mut self, hir: &Hir) -> Result<(), Self::Err> {
        match hir.kind() {
            HirKind::Literal(literal) => self.add(literal.0.len()),
            HirKind::Class(class) => {
                self.add(1);
                let ranges = match class {
                    Class::Unicode(class) => class.ranges().len(),
                    Class::Bytes(class) => class.ranges().len(),
                };
                self.ranges = self.ranges.saturating_add(self.factor.saturating_mul(ranges as u64));
            }
            HirKind::Look(_) => self.add(1),
            HirKind::Repetition(repetition) => {
                let times = repetition.max.unwrap_or(repetition.min).max(repetition.min).max(1);
                self.factors.push(self.factor);
                self.factor = self.factor.saturating_mul(u64::from(times));
            }
            _ => {}
        }
        Ok(())
    }

    fn visit_post(&mut self, hir: &Hir) -> Result<(), Self::Err> {
        if let HirKind::Repetition(_) = hir.kind() {
            self.factor = self.factors.pop().unwrap_or(1);
        }
        Ok(())
    }
}
