//! Strict JSON: what every frame, statement and body must be before it is read.
//!
//! One object in UTF-8 without duplicate keys, floats, integers beyond ±(2^53−1), lone surrogates, raw control characters or
//! nesting deeper than 16, and each field in the one form it is written in, so that two readers can never understand the same
//! bytes differently.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::{Deserializer, Serialize, forward_to_deserialize_any};
use serde_json::{Map, Value};

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
    shape(read(text)?)
}

/// Reads a value that was read strictly as a `T`.
///
/// # Errors
///
/// [`JsonError::Shape`] for other fields than `T` has.
pub(crate) fn shape<T: DeserializeOwned>(value: Value) -> Result<T, JsonError> {
    T::deserialize(OneForm(value)).map_err(JsonError::Shape)
}

/// Checks that `text` is one strict JSON object.
///
/// # Errors
///
/// [`JsonError::NotStrict`] otherwise.
pub fn check(text: &str) -> Result<(), JsonError> {
    read(text).map(drop)
}

/// Writes `value` compactly, its fields in the order of their declaration.
pub fn write<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("our types have string keys and no failing serializers")
}

/// Reads `text` as one strict JSON object.
fn read(text: &str) -> Result<Value, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict { depth: 0 }.deserialize(&mut deserializer).map_err(JsonError::NotStrict)?;
    deserializer.end().map_err(JsonError::NotStrict)?;
    Ok(value)
}

/// Reads one value by the rules above.
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
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.depth == 0 { deserializer.deserialize_map(self) } else { deserializer.deserialize_any(self) }
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.depth == 0 { "an object" } else { "a value" })
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        if value > JSON_INTEGER_MAX { Err(E::custom("integer too large")) } else { Ok(value.into()) }
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        self.visit_u64(value.unsigned_abs()).map(|_| value.into())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Value, E> {
        Err(E::custom("a number that is no integer"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self.inside()?)? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if fields.contains_key(&key) {
                return Err(de::Error::custom("a key stands twice"));
            }
            let value = map.next_value_seed(self.inside()?)?;
            fields.insert(key, value);
        }
        Ok(fields.into())
    }
}

/// Reads structs from objects only and enums from strings only: serde by itself takes arrays and objects for them too, and a
/// statement would have several spellings.
struct OneForm(Value);

impl<'de> Deserializer<'de> for OneForm {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::Array(items) => {
                let mut seq = SeqDeserializer::new(items.into_iter().map(OneForm));
                let value = visitor.visit_seq(&mut seq)?;
                seq.end().map(|()| value)
            }
            Value::Object(fields) => {
                let mut map =
                    MapDeserializer::new(fields.into_iter().map(|(key, value)| (key, OneForm(value))));
                let value = visitor.visit_map(&mut map)?;
                map.end().map(|()| value)
            }
            scalar => scalar.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        if self.0.is_object() {
            self.deserialize_any(visitor)
        } else {
            Err(de::Error::invalid_type(Unexpected::Other("a value of another form"), &"an object"))
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::String(name) => visitor.visit_enum(name.into_deserializer()),
            _ => Err(de::Error::invalid_type(Unexpected::Other("a value of another form"), &"a name")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

impl IntoDeserializer<'_, serde_json::Error> for OneForm {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
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

    #[test]
    fn a_struct_is_an_object_and_an_enum_a_string() {
        use crate::refusal::RefusalCode;
        use crate::statement::LogPoint;
        #[derive(Debug, serde::Deserialize)]
        struct Probe {
            #[expect(dead_code, reason = "only whether it parses counts")]
            point: Option<LogPoint>,
            #[expect(dead_code, reason = "only whether it parses counts")]
            codes: Vec<RefusalCode>,
        }
        let log = "00".repeat(32);
        for (text, is_right) in [
            (format!(r#"{{"point":{{"seq":1,"log":"{log}"}},"codes":["gone","party"]}}"#), true),
            (r#"{"point":null,"codes":[]}"#.to_owned(), true),
            (format!(r#"{{"point":[1,"{log}"],"codes":[]}}"#), false),
            (r#"{"codes":[{"gone":null}]}"#.to_owned(), false),
        ] {
            assert_eq!(parse::<Probe>(&text).is_ok(), is_right, "{text}");
        }
    }
}
