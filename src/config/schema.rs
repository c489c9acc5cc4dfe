//! Which keys exist, asked from the section structs themselves.
//!
//! There is no second list of keys to keep in step: serde's derived code names
//! the fields of a struct in its "unknown field" error, so a tree with one key that
//! cannot exist, put at every place in turn, makes the structs say what they have.
//! It takes some dozens of microseconds once per start.

use std::sync::OnceLock;

use serde_json::Value;

use super::Config;
use super::origin::Origin;
use super::read::{FaultKind, read};
use super::tree::{Branch, Key, Leaf, Step};

/// What may stand at a place.
#[derive(Debug, PartialEq)]
pub enum Shape {
    /// One value, or a list of plain values.
    Value,
    Table(Vec<(&'static str, Shape)>),
    /// A list of tables, each with a `name`.
    List(Vec<(&'static str, Shape)>),
}

/// A key that no struct has.
const PROBE: &str = "\0";
/// Deeper than any section.
const DEEPEST: usize = 6;

/// The shape of the whole configuration.
pub fn shape() -> &'static Shape {
    static SHAPE: OnceLock<Shape> = OnceLock::new();
    SHAPE.get_or_init(|| ask(&Key::default()))
}

impl Shape {
    /// The keys of a table, or of the tables of a list.
    pub fn fields(&self) -> &[(&'static str, Self)] {
        match self {
            Self::Value => &[],
            Self::Table(fields) | Self::List(fields) => fields,
        }
    }

    pub fn field(&self, name: &str) -> Option<&Self> {
        self.fields().iter().find(|(key, _)| *key == name).map(|(_, shape)| shape)
    }

    /// What stands at `key`; an item of a list has the shape of its list.
    pub fn at(&self, key: &Key) -> Option<&Self> {
        key.0.iter().try_fold(self, |shape, step| match step {
            Step::Key(name) => shape.field(name),
            Step::Item(_) => matches!(shape, Self::List(_)).then_some(shape),
        })
    }

    /// Every key that ends in a value, e.g. `storage.cap`. For the tables of a
    /// list `items` says which there are.
    pub fn values(&self, items: &dyn Fn(&Key) -> Vec<String>) -> Vec<Key> {
        let mut found = Vec::new();
        self.collect(&Key::default(), items, &mut found);
        found
    }

    fn collect(&self, at: &Key, items: &dyn Fn(&Key) -> Vec<String>, found: &mut Vec<Key>) {
        let below = |above: &Key, found: &mut Vec<Key>| {
            for (name, shape) in self.fields() {
                shape.collect(&above.key(name), items, found);
            }
        };
        match self {
            Self::Value => found.push(at.clone()),
            Self::Table(_) => below(at, found),
            Self::List(_) => items(at).iter().for_each(|name| below(&at.item(name), found)),
        }
    }
}

fn ask(at: &Key) -> Shape {
    if let Some(fields) = fields_at(at) {
        return Shape::Table(below(at, &fields));
    }
    let item = at.item("probe");
    match fields_at(&item) {
        Some(fields) if fields.contains(&"name") => Shape::List(below(&item, &fields)),
        _ => Shape::Value,
    }
}

fn below(at: &Key, fields: &[&'static str]) -> Vec<(&'static str, Shape)> {
    fields.iter().map(|name| (*name, ask(&at.key(name)))).collect()
}

fn fields_at(at: &Key) -> Option<Vec<&'static str>> {
    if at.0.len() > DEEPEST {
        return None;
    }
    let mut tree = Branch::new(false, Origin::Default);
    let probe = at.key(PROBE);
    tree.put(&probe, Leaf::new(Value::Null, Origin::Default));
    match read::<Config>(&tree) {
        Err(fault) if fault.key() == probe => match fault.kind {
            FaultKind::UnknownKey(fields) => Some(fields.to_vec()),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structs_say_what_they_have() {
        let shape = shape();
        assert_eq!(shape.at(&Key::parse("storage.cap")), Some(&Shape::Value));
        assert_eq!(shape.at(&Key::parse("listen")), Some(&Shape::Value));
        assert!(matches!(shape.at(&Key::parse("target.postgres")), Some(Shape::List(_))));
        assert_eq!(shape.at(&Key::parse("target.postgres[any].password_file")), Some(&Shape::Value));
        assert_eq!(shape.at(&Key::parse("storage.cpa")), None);
        let keys = shape.values(&|_| vec![String::from("x")]);
        let keys: Vec<_> = keys.iter().map(ToString::to_string).collect();
        for key in ["data_dir", "metrics.listen", "collect.procfs", "target.object_store[x].bucket"] {
            assert!(keys.iter().any(|known| known == key), "{key} in {keys:?}");
        }
    }
}
