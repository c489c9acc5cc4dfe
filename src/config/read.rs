//! From the tree to typed sections, through serde.
//!
//! The tree is read by a deserializer of our own instead of toml's, because an
//! error must know its key and its origin whatever layer the value came from, and
//! because the list of keys that were expected is wanted as a list, not as prose.
//! serde stops at the first error; [`super::load`] takes the offending key out and
//! reads again, which is how all errors are found in one run.

use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess};
use serde::de::{SeqAccess, Unexpected, Visitor};
use serde_json::Value;

use super::origin::Origin;
use super::tree::{Branch, Key, Leaf, Node, Step};

/// What kind of error it is.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKind {
    /// The last step of the key is not one of these.
    UnknownKey(&'static [&'static str]),
    /// The value is not one of these words.
    UnknownWord(String, &'static [&'static str]),
    /// The table lacks this key.
    Missing(String),
    /// Anything else, in words.
    Bad(String),
}

/// The first error of reading.
#[derive(Clone, Debug)]
pub struct Fault {
    /// From the inside out while it travels, see [`Fault::key`].
    steps: Vec<Step>,
    pub origin: Option<Origin>,
    pub kind: FaultKind,
}

impl Fault {
    fn new(kind: FaultKind) -> Self {
        Self { steps: Vec::new(), origin: None, kind }
    }

    fn at(mut self, origin: Origin) -> Self {
        self.origin.get_or_insert(origin);
        self
    }

    fn within(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The key it is about.
    pub fn key(&self) -> Key {
        Key(self.steps.iter().rev().cloned().collect())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            FaultKind::UnknownKey(expected) => write!(f, "unknown key, expected one of {}", words(expected)),
            FaultKind::UnknownWord(word, expected) => {
                write!(f, "unknown word \"{word}\", expected one of {}", words(expected))
            }
            FaultKind::Missing(key) => write!(f, "`{key}` is missing"),
            FaultKind::Bad(text) => f.write_str(text),
        }
    }
}

fn words(list: &[&str]) -> String {
    list.join(", ")
}

impl std::error::Error for Fault {}

impl serde::de::Error for Fault {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::new(FaultKind::Bad(text.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self::custom(format!("expected {}, found {}", plain(&expected.to_string()), found_text(&found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_field(_field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(FaultKind::UnknownKey(expected))
    }

    fn unknown_variant(word: &str, expected: &'static [&'static str]) -> Self {
        Self::new(FaultKind::UnknownWord(word.to_owned(), expected))
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(FaultKind::Missing(key.to_owned()))
    }
}

/// serde's name of a type in words for whoever writes a configuration.
fn plain(expected: &str) -> &str {
    match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number that is not negative",
        "a boolean" => "true or false",
        "a sequence" => "a list, such as [\"a\", \"b\"]",
        "a string" | "path string" => "a text in quotes",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}

fn found_text(found: &Unexpected<'_>) -> String {
    match found {
        Unexpected::Signed(number) => format!("the bare number {number}"),
        Unexpected::Unsigned(number) => format!("the bare number {number}"),
        Unexpected::Float(number) => format!("the bare number {number}"),
        Unexpected::Bool(value) => format!("{value}"),
        Unexpected::Str(text) => format!("the text \"{text}\""),
        Unexpected::Seq => String::from("a list"),
        Unexpected::Map => String::from("a table"),
        other => other.to_string(),
    }
}

/// Reads the whole tree.
///
/// # Errors
/// The first [`Fault`].
pub fn read<T: DeserializeOwned>(tree: &Branch) -> Result<T, Fault> {
    T::deserialize(Tables(tree)).map_err(|fault| fault.at(tree.origin.clone()))
}

/// Reads a branch as a struct, or as a list of structs.
struct Tables<'a>(&'a Branch);

impl<'de> Deserializer<'de> for Tables<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let children = self.0.children.iter();
        if self.0.list {
            visitor.visit_seq(Items { children })
        } else {
            visitor.visit_map(Entries { children, value: None })
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

type Children<'a> = std::slice::Iter<'a, (String, Node)>;

fn read_node<'de, S: DeserializeSeed<'de>>(seed: S, node: &Node) -> Result<S::Value, Fault> {
    match node {
        Node::Branch(branch) => {
            seed.deserialize(Tables(branch)).map_err(|fault| fault.at(branch.origin.clone()))
        }
        Node::Leaf(leaf) => seed.deserialize(Scalar(leaf)).map_err(|fault| fault.at(leaf.value_origin(None))),
    }
}

struct Entries<'a> {
    children: Children<'a>,
    value: Option<&'a (String, Node)>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.value = self.children.next();
        let Some((name, node)) = self.value else { return Ok(None) };
        let key = seed.deserialize(name.as_str().into_deserializer());
        key.map(Some).map_err(|fault: Fault| fault.at(node.origin().clone()).within(Step::Key(name.clone())))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((name, node)) = self.value else {
            return Err(serde::de::Error::custom("a value was read before its key"));
        };
        read_node(seed, node).map_err(|fault| fault.within(Step::Key(name.clone())))
    }
}

struct Items<'a> {
    children: Children<'a>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some((name, node)) = self.children.next() else { return Ok(None) };
        read_node(seed, node).map(Some).map_err(|fault| fault.within(Step::Item(name.clone())))
    }
}

/// Reads one leaf.
struct Scalar<'a>(&'a Leaf);

impl Scalar<'_> {
    /// The text of a leaf that has no types: an environment variable.
    fn untyped(&self) -> Option<&str> {
        match (&self.0.origin, &self.0.value) {
            (Origin::Environment { .. }, Value::String(text)) => Some(text.trim()),
            _ => None,
        }
    }
}

macro_rules! numbers {
    ($($method:ident $type:ty, $visit:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.untyped().map(str::parse::<$type>) {
                Some(Ok(number)) => visitor.$visit(number),
                _ => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Scalar<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::String(text) => visitor.visit_str(text),
            Value::Array(elements) => visitor.visit_seq(Elements { leaf: self.0, elements, next: 0 }),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), _, _) => visitor.visit_u64(number),
                (_, Some(number), _) => visitor.visit_i64(number),
                (_, _, number) => visitor.visit_f64(number.unwrap_or(f64::NAN)),
            },
            Value::Object(entries) => {
                visitor.visit_map(Pairs { leaf: self.0, entries: entries.iter(), value: None })
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.0.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.untyped().map(str::to_ascii_lowercase).as_deref() {
            Some("true" | "1" | "yes" | "on") => visitor.visit_bool(true),
            Some("false" | "0" | "no" | "off") => visitor.visit_bool(false),
            _ => self.deserialize_any(visitor),
        }
    }

    numbers! {
        deserialize_u8 u64, visit_u64;
        deserialize_u16 u64, visit_u64;
        deserialize_u32 u64, visit_u64;
        deserialize_u64 u64, visit_u64;
        deserialize_i64 i64, visit_i64;
        deserialize_f64 f64, visit_f64;
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let Some(text) = self.untyped() else { return self.deserialize_any(visitor) };
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let elements: Vec<Value> = parts.map(Value::from).collect();
        visitor.visit_seq(Elements { leaf: self.0, elements: &elements, next: 0 })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::String(text) => visitor.visit_enum(Word(text.trim())),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i128 u128 f32 char str string bytes byte_buf unit
        unit_struct tuple tuple_struct map struct identifier ignored_any
    }
}

/// A word of an enumeration.
struct Word<'a>(&'a str);

impl<'de> EnumAccess<'de> for Word<'_> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Fault> {
        let text: serde::de::value::StrDeserializer<'_, Fault> = self.0.into_deserializer();
        Ok((seed.deserialize(text)?, self))
    }
}

impl<'de> serde::de::VariantAccess<'de> for Word<'_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, _seed: S) -> Result<S::Value, Fault> {
        Err(serde::de::Error::custom("a word cannot carry a value"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value, Fault> {
        Err(serde::de::Error::custom("a word cannot carry a value"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _keys: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Fault> {
        Err(serde::de::Error::custom("a word cannot carry a value"))
    }
}

/// A table whose keys are free, such as labels: one value as a whole.
struct Pairs<'a> {
    leaf: &'a Leaf,
    entries: serde_json::map::Iter<'a>,
    value: Option<(&'a String, &'a Value)>,
}

impl<'de> MapAccess<'de> for Pairs<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.value = self.entries.next();
        let Some((name, _)) = self.value else { return Ok(None) };
        let key = seed.deserialize(name.as_str().into_deserializer());
        key.map(Some)
            .map_err(|fault: Fault| fault.at(self.leaf.value_origin(None)).within(Step::Key(name.clone())))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((name, value)) = self.value else {
            return Err(serde::de::Error::custom("a value was read before its key"));
        };
        let inner = Leaf::new(value.clone(), self.leaf.origin.clone());
        let origin = self.leaf.value_origin(None);
        seed.deserialize(Scalar(&inner)).map_err(|fault| fault.at(origin).within(Step::Key(name.clone())))
    }
}

/// The elements of a list that is one value.
struct Elements<'a> {
    leaf: &'a Leaf,
    elements: &'a [Value],
    next: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some(value) = self.elements.get(self.next) else { return Ok(None) };
        let element = Leaf::new(value.clone(), self.leaf.origin.clone());
        let origin = self.leaf.value_origin(Some(self.next));
        self.next += 1;
        seed.deserialize(Scalar(&element)).map(Some).map_err(|fault| fault.at(origin))
    }
}
