//! Query parameters as a serde input: repeated names are lists, numbers are read
//! from text, and an error names its parameter.
//!
//! `?query=a&query=b` fills a `Vec<String>`; a single value fills one too. A
//! structure should say `deny_unknown_fields`, which lists the known names.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

const MOST: usize = 256;
const LONGEST: usize = 16 * 1024;

/// Names with their values, in the order of their first appearance.
#[derive(Debug)]
pub struct Parameters(Vec<(String, Vec<String>)>);

impl Parameters {
    /// # Errors
    /// The name of a parameter that is one too many or too long.
    pub fn new(pairs: Vec<(String, String)>) -> Result<Self, String> {
        let mut grouped: Vec<(String, Vec<String>)> = Vec::new();
        for (count, (name, value)) in pairs.into_iter().enumerate() {
            if count >= MOST || value.len() > LONGEST {
                return Err(name);
            }
            match grouped.iter_mut().find(|(seen, _)| *seen == name) {
                Some((_, values)) => values.push(value),
                None => grouped.push((name, vec![value])),
            }
        }
        Ok(Self(grouped))
    }
}

/// What is wrong with which parameter.
#[derive(Debug)]
pub struct BadParameter {
    pub name: String,
    pub message: String,
}

impl fmt::Display for BadParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}

impl std::error::Error for BadParameter {}

impl de::Error for BadParameter {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { name: String::new(), message: message.to_string() }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let message = match expected {
            [] => String::from("this path takes no parameters"),
            known => format!("unknown parameter; known are {}", known.join(", ")),
        };
        Self { name: field.to_owned(), message }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { name: field.to_owned(), message: String::from("the parameter is missing") }
    }
}

impl<'de> Deserializer<'de> for &'de Parameters {
    type Error = BadParameter;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BadParameter> {
        let entries = self.0.iter().map(|(name, values)| (name.as_str(), Values { name, values }));
        MapDeserializer::new(entries).deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The values of one parameter.
#[derive(Clone, Copy)]
struct Values<'de> {
    name: &'de str,
    values: &'de [String],
}

impl<'de> Values<'de> {
    fn one(self) -> Result<&'de str, BadParameter> {
        match self.values {
            [one] => Ok(one),
            _ => Err(self.bad(String::from("the parameter may be given only once"))),
        }
    }

    fn bad(self, message: String) -> BadParameter {
        BadParameter { name: self.name.to_owned(), message }
    }

    fn named<T>(self, result: Result<T, BadParameter>) -> Result<T, BadParameter> {
        result.map_err(|error| self.bad(error.message))
    }

    fn parsed<T: std::str::FromStr>(self, what: &str) -> Result<T, BadParameter> {
        let text = self.one()?;
        text.parse().map_err(|_| self.bad(format!("`{text}` is not {what}")))
    }
}

impl<'de> IntoDeserializer<'de, BadParameter> for Values<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Values<'de> {
    type Error = BadParameter;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BadParameter> {
        let one = self.one()?;
        self.named(visitor.visit_borrowed_str(one))
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BadParameter> {
        let number = self.parsed("a whole number")?;
        self.named(visitor.visit_u64(number))
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BadParameter> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BadParameter> {
        let truth = self.parsed("`true` or `false`")?;
        self.named(visitor.visit_bool(truth))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BadParameter> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, BadParameter> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BadParameter> {
        let values = SeqDeserializer::new(self.values.iter().map(String::as_str));
        self.named(visitor.visit_seq(values))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, BadParameter> {
        let one = self.one()?;
        self.named(visitor.visit_enum(de::value::BorrowedStrDeserializer::new(one)))
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        #[serde(default)]
        query: Vec<String>,
        limit: Option<u64>,
        name: String,
    }

    fn read(pairs: &[(&str, &str)]) -> Result<Wanted, BadParameter> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Wanted::deserialize(&Parameters::new(pairs.collect()).unwrap())
    }

    #[test]
    fn repeated_names_are_lists_and_numbers_are_read() {
        let wanted = read(&[("query", "a"), ("name", "n"), ("query", "b"), ("limit", "7")]).unwrap();
        assert_eq!(wanted, Wanted { query: vec!["a".into(), "b".into()], limit: Some(7), name: "n".into() });
    }

    #[test]
    fn an_error_names_its_parameter() {
        for (pairs, name, message) in [
            (&[("name", "n"), ("limit", "x")][..], "limit", "`x` is not a whole number"),
            (&[("name", "n"), ("name", "m")], "name", "only once"),
            (&[("name", "n"), ("limt", "1")], "limt", "known are query, limit, name"),
            (&[], "name", "missing"),
        ] {
            let error = read(pairs).unwrap_err();
            assert_eq!(error.name, name, "{error}");
            assert!(error.message.contains(message), "{error}");
        }
    }
}
