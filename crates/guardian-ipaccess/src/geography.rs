//! What is known about an address: the port to a geography database.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use guardian_core::Timestamp;

use crate::Country;
use crate::rule::Anonymizer;

#[cfg(feature = "maxmind")]
pub(crate) mod maxmind;

/// Tells where an address is, whose it is, and what hides behind it.
///
/// `guardian-ipaccess` comes with one for MaxMind DB files (feature `maxmind`); anything else that knows can stand behind this trait.
/// It is asked in the middle of a request, so it answers from memory.
pub trait Geography: Send + Sync + fmt::Debug + 'static {
    /// What is known of an address at a time, by which it is told whether a database is too old, as far as it is wanted. An address
    /// that a database is not made for, such as an IPv6 address in one of IPv4, is [unknown](Finding::Unknown).
    fn look_up(&self, addr: IpAddr, at: Timestamp, wanted: Wanted) -> Located;

    /// Where on the globe the address is, if that is known: for telling journeys that nobody can make.
    fn coordinates(&self, addr: IpAddr) -> Option<Coordinates> {
        let _ = addr;
        None
    }
}

impl<G: Geography + ?Sized> Geography for Arc<G> {
    fn look_up(&self, addr: IpAddr, at: Timestamp, wanted: Wanted) -> Located {
        (**self).look_up(addr, at, wanted)
    }

    fn coordinates(&self, addr: IpAddr) -> Option<Coordinates> {
        (**self).coordinates(addr)
    }
}

/// A place on the globe.
///
/// ```
/// use guardian_ipaccess::Coordinates;
///
/// let (berlin, sydney) = (Coordinates::new(52.52, 13.40), Coordinates::new(-33.87, 151.21));
/// let apart = berlin.zip(sydney).map(|(berlin, sydney)| berlin.kilometres_to(sydney));
/// assert!(apart.is_some_and(|apart| (16_000.0..16_200.0).contains(&apart)));
/// assert_eq!(Coordinates::new(91.0, 0.0), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coordinates {
    latitude: f64,
    longitude: f64,
}

impl Coordinates {
    /// Degrees north from −90 to 90, degrees east from −180 to 180; `None` for others.
    #[must_use]
    pub fn new(latitude: f64, longitude: f64) -> Option<Self> {
        let known = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
        known.then_some(Self { latitude, longitude })
    }

    /// How far apart two places are along a great circle, on a globe with the Earth's mean radius (6,371 km), by the haversine
    /// formula (Sinnott: "Virtues of the Haversine", 1984). The Earth being no globe, that is right within half a per cent.
    #[must_use]
    pub fn kilometres_to(self, other: Self) -> f64 {
        let half_sine_squared = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
        let along = half_sine_squared(other.latitude - self.latitude);
        let around = half_sine_squared(other.longitude - self.longitude);
        let cosines = self.latitude.to_radians().cos() * other.latitude.to_radians().cos();
        2.0 * 6371.0 * (along + cosines * around).sqrt().clamp(0.0, 1.0).asin()
    }
}

/// What a policy has rules about. What is not wanted need not be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_structs, reason = "whoever implements the port has to know all of it")]
pub struct Wanted {
    /// The country.
    pub country: bool,
    /// The autonomous system.
    pub asn: bool,
    /// Whether it hides somebody.
    pub anonymizer: bool,
}

impl Wanted {
    /// Whether nothing is.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

/// What was found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "every policy has to say what each of these means to it")]
pub enum Finding<T> {
    /// The database knows it.
    Known(T),
    /// The database does not know it.
    Unknown,
    /// The database is older than it may be; what it says, if anything.
    Stale(Option<T>),
    /// There is no database to ask.
    NoDatabase,
}

impl<T> Finding<T> {
    /// What is known, and with `stale` also what an old database says.
    #[inline]
    #[must_use]
    pub fn believed(self, stale: bool) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Stale(value) if stale => value,
            _ => None,
        }
    }
}

/// What is known of an address.
///
/// ```
/// use guardian_ipaccess::{Finding, Located};
///
/// let nothing = Located::nowhere();
/// assert_eq!(nothing.country, Finding::NoDatabase);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever implements the port has to fill all of it")]
pub struct Located {
    /// Its country.
    pub country: Finding<Country>,
    /// The number of the autonomous system that announces it.
    pub asn: Finding<u32>,
    /// What hides behind it; an address that hides nobody is known to be so.
    pub anonymizer: Finding<Anonymizers>,
}

impl Located {
    /// Without any database.
    #[must_use]
    pub const fn nowhere() -> Self {
        Self { country: Finding::NoDatabase, asn: Finding::NoDatabase, anonymizer: Finding::NoDatabase }
    }
}

/// The kinds of anonymiser that an address belongs to.
///
/// ```
/// use guardian_ipaccess::{Anonymizer, Anonymizers};
///
/// let tor = Anonymizers::none().with(Anonymizer::Tor);
/// assert!(tor.has(Anonymizer::Tor) && tor.has(Anonymizer::Any) && !tor.has(Anonymizer::Vpn));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Anonymizers(u8);

impl Anonymizers {
    /// Of none.
    #[must_use]
    pub const fn none() -> Self {
        Self(0)
    }

    /// The same and this one.
    #[must_use]
    pub const fn with(self, kind: Anonymizer) -> Self {
        Self(self.0 | kind.bit() | Anonymizer::Any.bit())
    }

    /// Whether it is of this kind.
    #[must_use]
    pub const fn has(self, kind: Anonymizer) -> bool {
        self.0 & kind.bit() != 0
    }
}

/// Where there is no database: every question is answered with [`Finding::NoDatabase`].
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has nothing and never will")]
pub struct Nowhere;

impl Geography for Nowhere {
    fn look_up(&self, _addr: IpAddr, _at: Timestamp, _wanted: Wanted) -> Located {
        Located::nowhere()
    }
}
