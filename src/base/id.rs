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

/// The name of a rule: `[A-Za-z_][A-Za-z0-9_:-]{0,127}`. Rule collections use capitals.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct RuleName(String);

/// Why a text is not a [`RuleName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not the name of a rule: expected a letter or `_`, then up to 127 letters, digits, `_`, `:` or `-`"
)]
pub struct BadRuleName {
    text: String,
}

impl RuleName {
    const LONGEST: usize = 128;

    /// Checks `text`.
    ///
    /// # Errors
    /// [`BadRuleName`] with the text and the form that was expected.
    pub fn new(text: impl Into<String>) -> Result<Self, BadRuleName> {
        let text = text.into();
        let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        let rest = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:-".contains(&byte));
        if first && rest && text.len() <= Self::LONGEST { Ok(Self(text)) } else { Err(BadRuleName { text }) }
    }

    /// The nearest name to `text`, which may be anything.
    pub fn near(text: &str) -> Self {
        let fit = |c: char| if c.is_ascii_alphanumeric() || "_:-".contains(c) { c } else { '_' };
        let mut name: String = text.chars().map(fit).take(Self::LONGEST - 1).collect();
        if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            name.insert(0, '_');
        }
        Self(name)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RuleName {
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

    #[test]
    fn rules_may_have_capitals_and_any_text_has_a_near_name() {
        for good in ["NodeDown", "instance:node_cpu:rate5m", "_x-1"] {
            assert_eq!(RuleName::new(good).unwrap().as_str(), good);
            assert_eq!(RuleName::near(good).as_str(), good);
        }
        let long = "a".repeat(200);
        for bad in ["", "1a", "a b", "a.b", "a[b]", long.as_str()] {
            assert!(RuleName::new(bad).is_err(), "{bad}");
            let near = RuleName::near(bad);
            assert!(RuleName::new(near.as_str()).is_ok(), "{bad}: {near}");
        }
    }
}
