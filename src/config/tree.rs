//! The configuration before it has types: one tree of keys, each leaf with its
//! origin.
//!
//! All layers become such a tree and are laid over each other here. A list of
//! tables (`[[target.postgres]]`) is a branch whose children are found by their
//! `name`, so that two layers can speak about the same target and so that
//! `target.postgres[pg1].timeout` is a key like any other. Wrong would be to merge
//! typed structs: they no longer know what was said and what is a default.

use std::fmt;

use serde_json::Value;

use super::origin::{Origin, Position};

/// One step of a key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Step {
    Key(String),
    /// An item of a list of tables, by its name.
    Item(String),
}

impl Step {
    pub fn text(&self) -> &str {
        match self {
            Self::Key(text) | Self::Item(text) => text,
        }
    }
}

/// The place of a value: `storage.cap`, `target.postgres[pg1].timeout`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Key(pub Vec<Step>);

impl Key {
    /// Reads what [`Key`]'s `Display` writes; any text is some key.
    pub fn parse(text: &str) -> Self {
        let mut steps = Vec::new();
        for part in text.split('.') {
            let (key, item) = match part.split_once('[') {
                Some((key, item)) => (key, Some(item.trim_end_matches(']'))),
                None => (part, None),
            };
            steps.push(Step::Key(key.to_owned()));
            steps.extend(item.map(|item| Step::Item(item.to_owned())));
        }
        Self(steps)
    }

    #[must_use]
    pub fn join(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.join(Step::Key(key.to_owned()))
    }

    #[must_use]
    pub fn item(&self, name: &str) -> Self {
        self.join(Step::Item(name.to_owned()))
    }

    /// The last step, empty for the root.
    pub fn last(&self) -> &str {
        self.0.last().map_or("", Step::text)
    }

    /// Whether this is `other` or lies below it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// Whether the value is one that must not be shown. By name, because a value
    /// of the wrong type never becomes a `Secret`.
    pub fn is_secret(&self) -> bool {
        ["password", "secret", "token"].iter().any(|word| self.last().contains(word))
            && !self.last().ends_with("_file")
            && !self.last().ends_with("_env")
            || self.last() == "admin_key"
            || super::channel::is_secret(self)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if at == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Item(name) => write!(f, "[{name}]")?,
            }
        }
        Ok(())
    }
}

/// A value as it was written. It does not know its key, and so not whether it is a
/// secret: `Debug` shows none.
#[derive(Clone)]
pub struct Leaf {
    pub value: Value,
    /// In a file: the position of the key.
    pub origin: Origin,
    /// In a file: the position of the value and, for a list, of its elements.
    pub value_at: Option<Position>,
    pub elements: Vec<Position>,
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Leaf {
    /// A leaf that is in no file.
    pub fn new(value: Value, origin: Origin) -> Self {
        Self { value, origin, value_at: None, elements: Vec::new() }
    }

    /// Where to point when the value, or its element of that index, is wrong.
    pub fn value_origin(&self, element: Option<usize>) -> Origin {
        let element = element.and_then(|index| self.elements.get(index).copied());
        self.origin.at(element.or(self.value_at))
    }
}

/// A table, or a list of tables by name.
#[derive(Clone, Debug)]
pub struct Branch {
    /// Whether the children are the items of a list of tables.
    pub list: bool,
    /// Where it was first said to exist.
    pub origin: Origin,
    /// In the order of writing.
    pub children: Vec<(String, Node)>,
}

#[derive(Clone, Debug)]
pub enum Node {
    Leaf(Leaf),
    Branch(Branch),
}

impl Node {
    pub fn origin(&self) -> &Origin {
        match self {
            Self::Branch(branch) => &branch.origin,
            Self::Leaf(leaf) => &leaf.origin,
        }
    }
}

impl Branch {
    pub fn new(list: bool, origin: Origin) -> Self {
        Self { list, origin, children: Vec::new() }
    }

    pub fn get(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|(key, _)| key == name).map(|(_, node)| node)
    }

    fn get_mut(&mut self, name: &str) -> Option<&mut Node> {
        self.children.iter_mut().find(|(key, _)| key == name).map(|(_, node)| node)
    }

    /// What stands at `key`.
    pub fn find(&self, key: &Key) -> Option<&Node> {
        let (last, above) = key.0.split_last()?;
        let mut branch = self;
        for step in above {
            match branch.get(step.text())? {
                Node::Branch(next) => branch = next,
                Node::Leaf(_) => return None,
            }
        }
        branch.get(last.text())
    }

    /// The leaf at `key`.
    pub fn leaf(&self, key: &Key) -> Option<&Leaf> {
        match self.find(key)? {
            Node::Leaf(leaf) => Some(leaf),
            Node::Branch(_) => None,
        }
    }

    /// Puts `leaf` at `key` and makes the branches on the way. A leaf that stands
    /// where a branch is needed is replaced.
    pub fn put(&mut self, key: &Key, leaf: Leaf) {
        self.put_at(&key.0, leaf);
    }

    fn put_at(&mut self, steps: &[Step], leaf: Leaf) {
        let Some((first, rest)) = steps.split_first() else { return };
        let below = match rest.first() {
            None => Node::Leaf(leaf),
            Some(next) => {
                if let Some(Node::Branch(branch)) = self.get_mut(first.text()) {
                    return branch.put_at(rest, leaf);
                }
                let mut branch = Self::new(matches!(next, Step::Item(_)), leaf.origin.clone());
                branch.put_at(rest, leaf);
                Node::Branch(branch)
            }
        };
        match self.get_mut(first.text()) {
            Some(node) => *node = below,
            None => self.children.push((first.text().to_owned(), below)),
        }
    }

    /// Takes `key` out; whether it was there.
    pub fn remove(&mut self, key: &Key) -> bool {
        let Some((last, above)) = key.0.split_last() else { return false };
        let mut branch = self;
        for step in above {
            match branch.get_mut(step.text()) {
                Some(Node::Branch(next)) => branch = next,
                _ => return false,
            }
        }
        let before = branch.children.len();
        branch.children.retain(|(key, _)| key != last.text());
        before != branch.children.len()
    }

    /// Lays `upper` over this tree.
    pub fn merge(&mut self, upper: &Self) {
        for (name, node) in &upper.children {
            match (self.get_mut(name), node) {
                (Some(Node::Branch(below)), Node::Branch(above)) => below.merge(above),
                (Some(below), _) => *below = node.clone(),
                (None, _) => self.children.push((name.clone(), node.clone())),
            }
        }
    }

    /// Calls `visit` for every leaf, in order.
    pub fn leaves(&self, visit: &mut dyn FnMut(&Key, &Leaf)) {
        self.walk(&Key::default(), visit);
    }

    fn walk(&self, above: &Key, visit: &mut dyn FnMut(&Key, &Leaf)) {
        for (name, node) in &self.children {
            let key = if self.list { above.item(name) } else { above.key(name) };
            match node {
                Node::Leaf(leaf) => visit(&key, leaf),
                Node::Branch(branch) => branch.walk(&key, visit),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn leaf(value: Value) -> Leaf {
        Leaf::new(value, Origin::Default)
    }

    #[test]
    fn keys_are_read_as_they_are_written() {
        for text in ["listen", "storage.cap", "target.postgres[pg1].breaker.open_for"] {
            assert_eq!(Key::parse(text).to_string(), text);
        }
    }

    #[test]
    fn the_upper_layer_wins_leaf_by_leaf() {
        let (timeout, host) =
            (Key::parse("target.postgres[a].timeout"), Key::parse("target.postgres[a].host"));
        let mut lower = Branch::new(false, Origin::Default);
        lower.put(&timeout, leaf(json!("1s")));
        lower.put(&host, leaf(json!("h")));
        let mut upper = Branch::new(false, Origin::Default);
        upper.put(&timeout, leaf(json!("2s")));
        lower.merge(&upper);
        assert_eq!(lower.leaf(&timeout).unwrap().value, json!("2s"));
        assert_eq!(lower.leaf(&host).unwrap().value, json!("h"));
        assert!(lower.remove(&host) && !lower.remove(&host));
        let mut seen = Vec::new();
        lower.leaves(&mut |key, _| seen.push(key.to_string()));
        assert_eq!(seen, ["target.postgres[a].timeout"]);
    }

    #[test]
    fn a_file_that_names_a_secret_is_no_secret() {
        assert!(Key::parse("target.postgres[a].password").is_secret());
        assert!(!Key::parse("target.postgres[a].password_file").is_secret());
        assert!(!Key::parse("storage.cap").is_secret());
    }
}
