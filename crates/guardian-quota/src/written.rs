//! How the parts of a plan are read, where what serde would say or let pass does not help whoever wrote them.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Unexpected, Visitor};
use serde_json::{Map, Number, Value};

use crate::limit::AtLimit;
use crate::plan::{Feature, Meter};
use crate::price::Price;
use guardian_core::shorten;

/// A map whose keys are each there once.
pub(crate) fn once<'de, D, K, V>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord + fmt::Display,
    V: Deserialize<'de>,
{
    struct Once<K, V>(PhantomData<(K, V)>);

    impl<'de, K, V> Visitor<'de> for Once<K, V>
    where
        K: Deserialize<'de> + Ord + fmt::Display,
        V: Deserialize<'de>,
    {
        type Value = BTreeMap<K, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = BTreeMap::new();
            while let Some(key) = map.next_key::<K>()? {
                if found.contains_key(&key) {
                    return Err(twice(&key.to_string()));
                }
                let value = map.next_value()?;
                found.insert(key, value);
            }
            Ok(found)
        }
    }

    deserializer.deserialize_map(Once(PhantomData))
}

fn twice<E: de::Error>(key: &str) -> E {
    E::custom(format_args!("`{}` is there twice", shorten(key)))
}

/// A JSON value whose objects have each key once.
struct Exact(Value);

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Exact;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Exact, E> {
                Ok(Exact(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Exact, E> {
                Ok(Exact(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Exact, E> {
                Ok(Exact(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Exact, E> {
                Ok(Exact(Number::from_f64(value).map_or(Value::Null, Value::Number)))
            }

            fn visit_str<E>(self, value: &str) -> Result<Exact, E> {
                Ok(Exact(value.into()))
            }

            fn visit_unit<E>(self) -> Result<Exact, E> {
                Ok(Exact(Value::Null))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Exact, A::Error> {
                let mut values = Vec::new();
                while let Some(Exact(value)) = seq.next_element()? {
                    values.push(value);
                }
                Ok(Exact(values.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Exact, A::Error> {
                let mut values = Map::new();
                while let Some(key) = map.next_key::<String>()? {
                    if values.contains_key(&key) {
                        return Err(twice(&key));
                    }
                    let Exact(value) = map.next_value()?;
                    values.insert(key, value);
                }
                Ok(Exact(values.into()))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// An object with one key, which says what it is.
fn one<'de, A: MapAccess<'de>>(map: &mut A, what: &dyn de::Expected) -> Result<String, A::Error> {
    map.next_key()?.ok_or_else(|| de::Error::invalid_length(0, what))
}

fn no_more<'de, A: MapAccess<'de>>(map: &mut A, what: &dyn de::Expected) -> Result<(), A::Error> {
    match map.next_key::<String>()? {
        Some(_) => Err(de::Error::invalid_length(2, what)),
        None => Ok(()),
    }
}

impl<'de> Deserialize<'de> for Feature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Kinds;

        impl<'de> Visitor<'de> for Kinds {
            type Value = Feature;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a feature: `{"boolean": …}`, `{"static": …}` or `{"metered": …}`"#)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Feature, A::Error> {
                let kind = one(&mut map, &self)?;
                let feature = match kind.as_str() {
                    "boolean" => Feature::Boolean(map.next_value()?),
                    // Once more through serde_json, which gives numbers a form of their own where a build asks for that.
                    "static" => {
                        let Exact(value) = map.next_value()?;
                        Feature::Static(serde_json::from_value(value).map_err(de::Error::custom)?)
                    }
                    "metered" => Feature::Metered(map.next_value::<Meter>()?),
                    other => {
                        return Err(de::Error::unknown_variant(
                            &shorten(other),
                            &["boolean", "static", "metered"],
                        ));
                    }
                };
                no_more(&mut map, &self)?;
                Ok(feature)
            }
        }

        deserializer.deserialize_any(Kinds)
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Grace {
    #[serde(default)]
    extra: Option<u64>,
    #[serde(default)]
    seconds: Option<u64>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Overage {
    price: Price,
    #[serde(default)]
    cap: Option<u64>,
}

impl<'de> Deserialize<'de> for AtLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ways;

        const WAYS: &[&str] = &["hard", "soft", "grace", "overage"];

        impl<'de> Visitor<'de> for Ways {
            type Value = AtLimit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"`"hard"`, `"soft"`, `{"grace": …}` or `{"overage": …}`"#)
            }

            fn visit_str<E: de::Error>(self, way: &str) -> Result<AtLimit, E> {
                match way {
                    "hard" => Ok(AtLimit::Hard),
                    "soft" => Ok(AtLimit::Soft),
                    "grace" => Err(E::custom(
                        r#"grace needs an amount or a time: `{"grace": {"extra": …, "seconds": …}}`"#,
                    )),
                    "overage" => Err(E::custom(r#"overage needs a price: `{"overage": {"price": …}}`"#)),
                    other => Err(E::unknown_variant(&shorten(other), WAYS)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AtLimit, A::Error> {
                let way = one(&mut map, &self)?;
                let at_limit = match way.as_str() {
                    "grace" => {
                        let Grace { extra, seconds } = map.next_value()?;
                        AtLimit::Grace { extra, seconds }
                    }
                    "overage" => {
                        let Overage { price, cap } = map.next_value()?;
                        AtLimit::Overage { price, cap }
                    }
                    "hard" | "soft" => {
                        return Err(de::Error::invalid_type(Unexpected::Map, &self));
                    }
                    other => return Err(de::Error::unknown_variant(&shorten(other), WAYS)),
                };
                no_more(&mut map, &self)?;
                Ok(at_limit)
            }
        }

        deserializer.deserialize_any(Ways)
    }
}
