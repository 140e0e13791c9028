use std::collections::BTreeMap;
use std::fmt;
use std::iter::once;

use utoipa::openapi::path::HttpMethod;

/// Two operations that no router can tell apart: as when an API is added twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{first} and {second} are at one place: give one of them another, or add each API once")]
pub struct Clash {
    first: Place,
    second: Place,
}

/// Where an operation is, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    tag: &'static str,
    method: &'static str,
    pub(super) path: &'static str,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tag, method, path } = self;
        write!(f, "`{method} {path}` of `{tag}`")
    }
}

impl Place {
    /// Where the document itself is.
    pub(super) const DOCUMENT: Self = Self { tag: "openapi", method: "GET", path: "/openapi.json" };

    pub(super) fn new(tag: &'static str, method: &HttpMethod, path: &'static str) -> Self {
        let method = match method {
            HttpMethod::Get => "GET",
            HttpMethod::Post => "POST",
            HttpMethod::Put => "PUT",
            HttpMethod::Patch => "PATCH",
            HttpMethod::Delete => "DELETE",
            HttpMethod::Head => "HEAD",
            HttpMethod::Options => "OPTIONS",
            HttpMethod::Trace => "TRACE",
        };
        Self { tag, method, path }
    }

    /// Of two paths that differ in the names of their parameters, a router takes one.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.shape() == other.shape() && (self.path != other.path || self.method == other.method)
    }

    fn shape(&self) -> String {
        let segments =
            self.path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
        segments.collect::<Vec<_>>().join("/")
    }
}

/// The first two that are at one place.
pub(super) fn first(places: impl IntoIterator<Item = Place>) -> Option<Clash> {
    let mut seen: BTreeMap<String, Vec<Place>> = BTreeMap::new();
    for second in once(Place::DOCUMENT).chain(places) {
        let there = seen.entry(second.shape()).or_default();
        if let Some(&first) = there.iter().find(|first| first.meets(&second)) {
            return Some(Clash { first, second });
        }
        there.push(second);
    }
    None
}
