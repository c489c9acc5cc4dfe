//! Whether a canonical key satisfies a selector.
//!
//! As in Prometheus: regular expressions match the whole value, and a label that is not
//! there has the value "".

use regex_lite::Regex;

use crate::model::selector::{MatchOp, Matcher, Selector};
use crate::model::series;
use crate::promql::regex;
use crate::store::StoreError;

#[derive(Debug)]
enum Test {
    Equal(String),
    Regex(Regex),
}

#[derive(Debug)]
struct Condition {
    label: String,
    test: Test,
    /// Whether the test is to hold.
    wanted: bool,
}

/// A selector ready to be asked.
#[derive(Debug)]
pub(super) struct Matching {
    on_name: Vec<Condition>,
    on_labels: Vec<Condition>,
}

impl Matching {
    /// # Errors
    /// [`StoreError::BadMatcher`] for an expression that is not valid or too large.
    pub(super) fn new(selector: &Selector) -> Result<Self, StoreError> {
        let (mut on_name, mut on_labels) = (Vec::new(), Vec::new());
        for matcher in &selector.matchers {
            let list = if matcher.label == "__name__" { &mut on_name } else { &mut on_labels };
            list.push(condition(matcher)?);
        }
        Ok(Self { on_name, on_labels })
    }

    pub(super) fn accepts(&self, key: &str) -> bool {
        let name = series::name_of(key);
        if !self.on_name.iter().all(|condition| condition.holds(name)) {
            return false;
        }
        if self.on_labels.is_empty() {
            return true;
        }
        let labels = series::labels_of(key);
        self.on_labels.iter().all(|condition| {
            let found = labels.iter().find(|(name, _)| *name == condition.label);
            condition.holds(found.map_or("", |(_, value)| value))
        })
    }
}

impl Condition {
    fn holds(&self, value: &str) -> bool {
        let result = match &self.test {
            Test::Equal(wanted) => wanted == value,
            Test::Regex(regex) => regex.is_match(value),
        };
        result == self.wanted
    }
}

fn condition(matcher: &Matcher) -> Result<Condition, StoreError> {
    let test = match matcher.op {
        MatchOp::Equal | MatchOp::NotEqual => Test::Equal(matcher.value.clone()),
        MatchOp::Regex | MatchOp::NotRegex => {
            Test::Regex(regex::compile(&matcher.value).map_err(|reason| StoreError::BadMatcher {
                matcher: format!("{}=~\"{}\"", matcher.label, matcher.value),
                reason,
            })?)
        }
    };
    let wanted = matches!(matcher.op, MatchOp::Equal | MatchOp::Regex);
    Ok(Condition { label: matcher.label.clone(), test, wanted })
}
