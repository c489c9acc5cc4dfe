//! YAML as a tree in which everything has its line and column.
//!
//! Rule files and their tests are written by hand and read from elsewhere, so an error
//! must point at its place, and a file must not be able to make the reader busy: bytes,
//! depth and nodes are bounded, and a node that an alias repeats counts again. The words
//! of plain scalars are kept as they stand; what a scalar means is decided by whoever
//! asks for it ([`Node::duration`], [`Node::number`]), as `1h` and `1e3` are texts to one
//! field and numbers to another. Anchors, aliases and merge keys work; tags other than
//! those of plain types, and a second document, are refused.

mod build;
mod fields;
mod place;
mod scalar;

pub use build::read;
pub use fields::Fields;
pub use place::{locate, offset_of};

use std::fmt;

/// A place in the file, both counted from 1, the column in characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// What is wrong, and where.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, thiserror::Error)]
#[error("{place}: {message}")]
pub struct Fault {
    pub place: Place,
    pub message: String,
}

impl Fault {
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into() }
    }
}

/// How a scalar is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// Without quotes: it may be a number, a truth, or nothing.
    Plain,
    /// In quotes, as a block, or with the tag `!!str`: always a text.
    Text,
    /// In double quotes, where a backslash and what follows are one character.
    Escaped,
}

/// A node of the tree.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    pub place: Place,
    /// Characters of the file before it.
    start: usize,
    /// Nodes of which it consists, itself among them.
    size: usize,
    pub content: Content,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Content {
    Scalar(String, Style),
    List(Vec<Node>),
    /// In the order of the file; no key twice.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    pub key: String,
    pub place: Place,
    pub value: Node,
}

#[cfg(test)]
mod tests;
