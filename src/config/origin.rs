//! Where a value comes from.
//!
//! Every leaf of the configuration carries one of these from the moment it is
//! read, so that an error can point at it, the page can show it, and a change can
//! be refused with the name of whoever holds the value.

use std::fmt;

use serde::Serialize;

use crate::base::time::Timestamp;

/// Line and column of a file, both from 1, the column in characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

/// A text that knows where its lines begin.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub fn new(text: &'a str) -> Self {
        let after = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(after).collect() }
    }

    /// Position of the byte `offset`.
    pub fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        let before = self.text.get(start..offset.min(self.text.len())).unwrap_or_default();
        Position {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(before.chars().count()).unwrap_or(u32::MAX).saturating_add(1),
        }
    }
}

/// See the module. The order of the variants is the order of precedence.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[serde(tag = "source", rename_all = "lowercase")]
#[schema(as = ValueOrigin)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The configuration file. Line 0 means the file as a whole.
    File { file: String, line: u32, column: u32 },
    /// Changed through the API.
    Runtime {
        by: String,
        #[serde(serialize_with = "crate::model::event::rfc3339::serialize")]
        #[schema(value_type = String, format = DateTime)]
        at: Timestamp,
    },
    /// An environment variable; pins the value.
    Environment { name: String },
    /// A command line flag; pins the value.
    Flag { name: String },
}

impl Origin {
    /// Whether a change at run time is refused because of this alone.
    pub const fn pins(&self) -> bool {
        matches!(self, Self::Environment { .. } | Self::Flag { .. })
    }

    /// The same file at another position; other origins stay what they are.
    #[must_use]
    pub fn at(&self, position: Option<Position>) -> Self {
        match (self, position) {
            (Self::File { file, .. }, Some(Position { line, column })) => {
                Self::File { file: file.clone(), line, column }
            }
            _ => self.clone(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { file, line: 0, .. } => f.write_str(file),
            Self::File { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Runtime { by, at } => write!(f, "run time, by {by} at {}", at.rfc3339()),
            Self::Environment { name } => write!(f, "environment variable {name}"),
            Self::Flag { name } => write!(f, "flag {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_not_bytes() {
        let text = "a = 1\n# \u{fc}\u{fc}\nb = 2";
        let lines = Lines::new(text);
        assert_eq!(lines.position(0), Position { line: 1, column: 1 });
        let b = text.find("b =").unwrap();
        assert_eq!(lines.position(b), Position { line: 3, column: 1 });
        let after = text.find('\u{fc}').unwrap() + 2;
        assert_eq!(lines.position(after), Position { line: 2, column: 4 });
        assert_eq!(lines.position(999).line, 3);
    }
}
