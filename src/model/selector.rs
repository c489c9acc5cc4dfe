//! Which series are meant: matchers over the name and the labels.

use serde::{Deserialize, Serialize};

/// How a matcher compares.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MatchOp {
    Equal,
    NotEqual,
    /// The whole value matches a regular expression.
    Regex,
    NotRegex,
}

impl MatchOp {
    /// Stored by its place in here: new ones go to the end.
    pub const ALL: [Self; 4] = [Self::Equal, Self::NotEqual, Self::Regex, Self::NotRegex];

    pub const fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// One condition on a label; the metric name is the label `__name__`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Matcher {
    pub label: String,
    pub op: MatchOp,
    pub value: String,
}

/// All conditions together. Read from text by the promql module.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Selector {
    pub matchers: Vec<Matcher>,
}

impl Selector {
    /// Every series of one metric name.
    pub fn name(name: &str) -> Self {
        Self {
            matchers: vec![Matcher {
                label: String::from("__name__"),
                op: MatchOp::Equal,
                value: name.to_owned(),
            }],
        }
    }

    /// The metric name when the selector fixes it.
    pub fn fixed_name(&self) -> Option<&str> {
        let fixed = |m: &&Matcher| m.label == "__name__" && m.op == MatchOp::Equal;
        self.matchers.iter().find(fixed).map(|matcher| matcher.value.as_str())
    }
}
