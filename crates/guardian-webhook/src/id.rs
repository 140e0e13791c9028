//! Ids of endpoints, messages and deliveries: a UUID with a prefix that says what it names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Error;
use guardian_core::shorten;

macro_rules! ids {
    ($($(#[$doc:meta])+ $name:ident, $kind:literal, $prefix:literal;)+) => {$(
        $(#[$doc])+
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// The id of this number.
            #[must_use]
            pub const fn new(number: Uuid) -> Self {
                Self(number)
            }

            /// Its number, unique within a tenant and later ones greater.
            #[must_use]
            pub const fn number(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.strip_prefix($prefix)
                    .filter(|digits| digits.len() == 32)
                    .and_then(|digits| Uuid::try_parse(digits).ok())
                    .map(Self)
                    .ok_or_else(|| Error::Id { kind: $kind, prefix: $prefix, input: shorten(text) })
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    )+};
}

ids! {
    /// Where webhooks go, `ep_` and 32 hexadecimal digits.
    EndpointId, "endpoint", "ep_";
    /// What happened, once for all endpoints that are told: the `webhook-id` of every attempt. `msg_` and 32 hexadecimal
    /// digits.
    MessageId, "message", "msg_";
    /// A message on its way to one endpoint, `dlv_` and 32 hexadecimal digits.
    DeliveryId, "delivery", "dlv_";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_what_they_write_and_nothing_else() {
        let id = MessageId::new(Uuid::from_u128(7));
        assert_eq!(id.to_string().parse::<MessageId>().unwrap(), id);
        assert!(id.to_string().parse::<EndpointId>().is_err());
        for text in ["", "msg_", "msg_00000000-0000-0000-0000-000000000007", "msg_zz"] {
            assert!(text.parse::<MessageId>().is_err(), "{text}");
        }
    }
}
