//! What is known about an address: the port to a geography database.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::rule::Anonymizer;
use crate::Country;

#[cfg(feature = "maxmind")]
pub(crate) mod maxmind;

/// Tells where an address is, whose it is, and what hides behind it.
///
/// `guardian-ipaccess` comes with one for MaxMind DB files (feature `maxmind`); anything else that knows can stand behind this trait.
/// It is asked in the middle of a request, so it answers from memory.
pub trait Geography: Send + Sync + fmt::Debug + 'static {
    /// What is known of an address, as far as it is wanted. An address that the database is not made for, such as an IPv6 address in
    /// one of IPv4, is [unknown](Finding::Unknown).
    fn look_up(&self, addr: IpAddr, wanted: Wanted) -> Located;
}

impl<G: Geography + ?Sized> Geography for Arc<G> {
    fn look_up(&self, addr: IpAddr, wanted: Wanted) -> Located {
        (**self).look_up(addr, wanted)
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
    fn look_up(&self, _addr: IpAddr, _wanted: Wanted) -> Located {
        Located::nowhere()
    }
}
