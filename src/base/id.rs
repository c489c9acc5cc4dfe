//! Names that may stand in URLs, file names and labels.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// The name of a target, group, rule or channel: `[a-z][a-z0-9_-]{0,62}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct Name(String);

/// Why a text is not a [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a name: expected a lower-case letter, then up to 62 lower-case letters, digits, `_` or `-`"
)]
pub struct BadName {
    text: String,
}

impl Name {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`BadName`] with the text and the form that was expected.
    pub fn new(text: impl Into<String>) -> Result<Self, BadName> {
        let text = text.into();
        let mut bytes = text.bytes();
        let first = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase());
        let rest = bytes
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-');
        if first && rest && text.len() <= 63 { Ok(Self(text)) } else { Err(BadName { text }) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_names_and_refuses_the_rest() {
        for good in ["a", "pg1", "backup-a", "x_1"] {
            assert!(Name::new(good).is_ok(), "{good}");
        }
        let long = "a".repeat(64);
        for bad in ["", "1a", "A", "a b", "a/b", "ä", "-a", long.as_str()] {
            assert!(Name::new(bad).is_err(), "{bad}");
        }
    }
}
