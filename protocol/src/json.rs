//! Strict JSON: what every frame, statement and body must be before it is read.
//!
//! One object in UTF-8 without duplicate keys, floats, integers beyond ±(2^53−1), lone surrogates, raw control characters or
//! nesting deeper than 16, so that two readers can never understand the same bytes differently.

use std::collections::HashSet;
use std::fmt;

use serde::de::{self, DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, Serialize};

use crate::limits::{JSON_DEPTH_MAX, JSON_INTEGER_MAX};

/// Says why a text is not the JSON that was expected.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// The text is no JSON object, or uses what strict JSON forbids.
    #[error("not strict JSON")]
    NotStrict(#[source] serde_json::Error),
    /// The text is strict JSON with other fields than wanted.
    #[error("not the expected fields")]
    Shape(#[source] serde_json::Error),
}

/// Reads `text` as one strict JSON object of the shape `T`; unknown fields are ignored.
///
/// # Errors
///
/// [`JsonError::NotStrict`] for anything this module's rules forbid, [`JsonError::Shape`] for other fields than `T` has.
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Head { seq: u64 }
/// assert_eq!(protocol::json::parse::<Head>(r#"{"seq":7,"new":true}"#).map(|head| head.seq).ok(), Some(7));
/// assert!(protocol::json::parse::<Head>(r#"{"seq":7,"seq":8}"#).is_err());
/// ```
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, JsonError> {
    check(text)?;
    serde_json::from_str(text).map_err(JsonError::Shape)
}

/// Checks that `text` is one strict JSON object.
///
/// # Errors
///
/// [`JsonError::NotStrict`] otherwise.
pub fn check(text: &str) -> Result<(), JsonError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Strict { depth: 0 }.deserialize(&mut deserializer).map_err(JsonError::NotStrict)?;
    deserializer.end().map_err(JsonError::NotStrict)
}

/// Writes `value` compactly, its fields in the order of their declaration.
pub fn write<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("our types have string keys and no failing serializers")
}

/// Walks one value and builds nothing but the key sets of the objects it is inside of.
struct Strict {
    depth: usize,
}

impl Strict {
    fn inside<E: de::Error>(&self) -> Result<Self, E> {
        if self.depth == JSON_DEPTH_MAX {
            return Err(E::custom(format_args!("nested deeper than {JSON_DEPTH_MAX}")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.depth == 0 { deserializer.deserialize_map(self) } else { deserializer.deserialize_any(self) }
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.depth == 0 { "an object" } else { "a value" })
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        if value > JSON_INTEGER_MAX { Err(E::custom("integer too large")) } else { Ok(()) }
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.visit_u64(value.unsigned_abs())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Err(E::custom("a number that is no integer"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self.inside()?)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if !keys.insert(key) {
                return Err(de::Error::custom("a key stands twice"));
            }
            map.next_value_seed(self.inside()?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strict_json_forbids_is_refused() {
        let deep = |n: usize| format!("{}1{}", "{\"a\":".repeat(n), "}".repeat(n));
        for right in [
            "{}",
            r#"{"a":9007199254740991,"b":-9007199254740991,"c":[null,true,"\u00e9\ud83d\ude00"]}"#,
            &deep(16),
        ] {
            assert!(check(right).is_ok(), "{right}");
        }
        for wrong in [
            "",
            "[]",
            "1",
            "{} {}",
            r#"{"a":1,"a":1}"#,
            r#"{"b":{"a":1,"\u0061":1}}"#,
            r#"{"a":1.0}"#,
            r#"{"a":1e3}"#,
            r#"{"a":-0}"#,
            r#"{"a":9007199254740992}"#,
            r#"{"a":-9007199254740992}"#,
            r#"{"a":99999999999999999999}"#,
            r#"{"a":"\ud800"}"#,
            "{\"a\":\"\u{1}\"}",
            &deep(17),
        ] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
