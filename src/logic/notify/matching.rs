//! Whether labels satisfy matchers, as in Prometheus: a regular expression matches the
//! whole value, a dot matches a line break too, and a label that is missing is empty.
//!
//! The expressions are compiled once, when a route or a silence is made. One would get
//! it wrong by compiling at every alert: the same few are asked thousands of times.

use std::collections::BTreeMap;

use regex_lite::Regex;

use crate::model::selector::{MatchOp, Matcher};
use crate::promql::regex;

#[derive(Clone, Debug)]
enum Test {
    Equal(String),
    Regex(Regex),
}

#[derive(Clone, Debug)]
struct Condition {
    label: String,
    test: Test,
    /// Whether the test is to hold.
    wanted: bool,
}

/// Matchers ready to be asked.
#[derive(Clone, Debug, Default)]
pub struct Matching(Vec<Condition>);

impl Matching {
    /// # Errors
    /// Names the matcher and what is wrong with its expression.
    pub fn new(matchers: &[Matcher]) -> Result<Self, String> {
        matchers.iter().map(condition).collect::<Result<_, _>>().map(Self)
    }

    /// Whether all hold.
    pub fn accepts(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|condition| {
            let value = labels.get(&condition.label).map_or("", String::as_str);
            let holds = match &condition.test {
                Test::Equal(wanted) => wanted == value,
                Test::Regex(regex) => regex.is_match(value),
            };
            holds == condition.wanted
        })
    }
}

fn condition(matcher: &Matcher) -> Result<Condition, String> {
    let Matcher { label, op, value } = matcher;
    let test = match op {
        MatchOp::Equal | MatchOp::NotEqual => Test::Equal(value.clone()),
        MatchOp::Regex | MatchOp::NotRegex => Test::Regex(
            regex::compile(value)
                .map_err(|error| format!("`{value}` for `{label}` is no regular expression: {error}"))?,
        ),
    };
    let wanted = matches!(op, MatchOp::Equal | MatchOp::Regex);
    Ok(Condition { label: label.clone(), test, wanted })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(op: MatchOp, value: &str) -> Matcher {
        Matcher { label: String::from("job"), op, value: value.to_owned() }
    }

    fn accepts(op: MatchOp, value: &str, job: Option<&str>) -> bool {
        let labels = job.map(|job| (String::from("job"), job.to_owned())).into_iter().collect();
        Matching::new(&[matcher(op, value)]).unwrap().accepts(&labels)
    }

    #[test]
    fn expressions_match_the_whole_value() {
        assert!(accepts(MatchOp::Regex, "back.p|db", Some("back\np")));
        assert!(!accepts(MatchOp::Regex, "back|db", Some("backup")));
        assert!(accepts(MatchOp::NotRegex, "back|db", Some("backup")));
        assert!(accepts(MatchOp::Equal, "", None));
        assert!(!accepts(MatchOp::NotEqual, "", None));
    }

    #[test]
    fn an_expression_that_is_none_is_named() {
        for wrong in ["(", "a)|(b", "x{1000}{1000}"] {
            let error = Matching::new(&[matcher(MatchOp::Regex, wrong)]).unwrap_err();
            assert!(error.starts_with(&format!("`{wrong}` for `job` is no regular expression")), "{error}");
        }
    }
}
