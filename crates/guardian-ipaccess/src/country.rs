//! Countries and the groups of them that rules speak of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The two letters of a country or territory, ISO 3166-1 alpha-2, as geography databases write them.
///
/// Any two letters are taken: databases have codes of their own (`XK` for Kosovo), and a rule about a code that no database gives
/// matches nobody.
///
/// ```
/// use guardian_ipaccess::Country;
///
/// let country: Country = "de".parse()?;
/// assert_eq!(country.to_string(), "DE");
/// assert_eq!("Germany".parse::<Country>().unwrap_err().to_string(), "`Germany` is no country code of two letters");
/// # Ok::<(), guardian_ipaccess::InvalidCountry>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Country([u8; 2]);

/// A text that is no country code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{input}` is no country code of two letters")]
#[non_exhaustive]
pub struct InvalidCountry {
    /// What was given, at most 64 characters of it.
    pub input: String,
}

impl Country {
    /// From two ASCII letters of either case.
    #[must_use]
    pub const fn new(letters: [u8; 2]) -> Option<Self> {
        let [a, b] = letters;
        if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() {
            Some(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
        } else {
            None
        }
    }

    /// The two upper-case letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Always two ASCII letters.
        std::str::from_utf8(&self.0).unwrap_or("ZZ")
    }
}

impl FromStr for Country {
    type Err = InvalidCountry;

    fn from_str(input: &str) -> Result<Self, InvalidCountry> {
        <[u8; 2]>::try_from(input.as_bytes())
            .ok()
            .and_then(Self::new)
            .ok_or_else(|| InvalidCountry { input: guardian_core::shorten(input) })
    }
}

impl TryFrom<String> for Country {
    type Error = InvalidCountry;

    fn try_from(input: String) -> Result<Self, InvalidCountry> {
        input.parse()
    }
}

impl From<Country> for String {
    fn from(country: Country) -> Self {
        country.as_str().to_owned()
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Country({self})")
    }
}

/// A group of countries, by a name: `EU`, `EEA`, or one of the host's own.
///
/// ```
/// use guardian_ipaccess::{Country, Region};
///
/// assert!(Region::eu().contains("FR".parse()?));
/// assert!(!Region::eu().contains("NO".parse()?) && Region::eea().contains("NO".parse()?));
/// let dach = Region::new("DACH", ["DE".parse()?, "AT".parse()?, "CH".parse()?]);
/// assert!(dach.contains("CH".parse()?));
/// # Ok::<(), guardian_ipaccess::InvalidCountry>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    name: String,
    /// Sorted, each once.
    countries: Vec<Country>,
}

impl Region {
    /// A region of these countries.
    #[must_use]
    pub fn new(name: impl Into<String>, countries: impl IntoIterator<Item = Country>) -> Self {
        let mut countries: Vec<Country> = countries.into_iter().collect();
        countries.sort_unstable();
        countries.dedup();
        Self { name: name.into(), countries }
    }

    /// The member states of the European Union, 27 since 2020.
    #[must_use]
    pub fn eu() -> Self {
        Self::new("EU", of(EU))
    }

    /// The European Economic Area: the Union, Iceland, Liechtenstein and Norway.
    #[must_use]
    pub fn eea() -> Self {
        Self::new("EEA", of(EU).chain(of("IS LI NO")))
    }

    /// What rules call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its countries, sorted.
    #[must_use]
    pub fn countries(&self) -> &[Country] {
        &self.countries
    }

    /// Whether a country is one of them.
    #[must_use]
    pub fn contains(&self, country: Country) -> bool {
        self.countries.binary_search(&country).is_ok()
    }
}

const EU: &str = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK";

fn of(codes: &'static str) -> impl Iterator<Item = Country> {
    codes.split(' ').filter_map(|code| code.parse().ok())
}
