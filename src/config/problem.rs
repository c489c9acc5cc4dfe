//! What is wrong with a configuration, said so that it can be put right: where,
//! which key, what was expected, what was probably meant.

use std::fmt;

use serde::Serialize;

use super::origin::Origin;

/// One error. Never holds the value of a secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct Problem {
    pub origin: Origin,
    /// `storage.cap`; empty when it is about the file as a whole.
    pub key: String,
    pub message: String,
    /// What was probably meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

impl Problem {
    pub fn new(origin: Origin, key: impl fmt::Display, message: impl Into<String>) -> Self {
        Self { origin, key: key.to_string(), message: message.into(), suggestion: None }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.origin != Origin::Default {
            write!(f, "{}: ", self.origin)?;
        }
        if !self.key.is_empty() {
            write!(f, "key {}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, ", did you mean `{suggestion}`?"),
            None => Ok(()),
        }
    }
}

/// All errors of one configuration; at least one.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// The one of `words` that `text` was probably meant to be.
pub fn nearest<'a>(text: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_lowercase().replace('-', "_");
    words
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&text, &word.to_lowercase().replace('-', "_")), word))
        .filter(|(distance, word)| *distance <= (word.len().max(text.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_something_else_is_not() {
        let words = ["interval", "timeout", "cap"];
        assert_eq!(nearest("intervall", words), Some("interval"));
        assert_eq!(nearest("tiemout", words), Some("timeout"));
        assert_eq!(nearest("Cap", words), Some("cap"));
        assert_eq!(nearest("colour", words), None);
    }

    #[test]
    fn reads_like_a_compiler_message() {
        let origin = Origin::File { file: "h.toml".into(), line: 3, column: 1 };
        let mut problem = Problem::new(origin, "storage.cpa", "unknown key");
        problem.suggestion = Some("cap".into());
        assert_eq!(problem.to_string(), "h.toml:3:1: key storage.cpa: unknown key, did you mean `cap`?");
    }
}
