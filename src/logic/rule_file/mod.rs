//! Rule files of Prometheus: groups of alerts and recording rules in YAML.
//!
//! A file that is taken here is one that Prometheus takes, and the other way round but
//! for names outside of ASCII, which our series cannot have. Everything is checked when
//! it is read, expressions and templates too, and all faults come at once, each with its
//! line and column in the file. Wrong would be to stop at the first: collections have a
//! hundred rules. Source: the documentation of recording and alerting rules of Prometheus.

mod read;

pub use read::read;

use std::collections::BTreeMap;
use std::time::Duration;

use super::yaml::{Fault, Place};
use crate::promql::Expr;
use crate::promql::template::Template;

/// The groups of one file.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RuleFile {
    pub groups: Vec<RuleGroup>,
}

/// Rules that are evaluated one after the other, at one time.
#[derive(Clone, PartialEq, Debug)]
pub struct RuleGroup {
    pub name: String,
    pub place: Place,
    /// Between two evaluations; without it the default of whoever evaluates.
    pub interval: Option<Duration>,
    /// How far back the evaluation lies.
    pub query_offset: Option<Duration>,
    /// Most alerts or series a rule may make; 0 is no limit.
    pub limit: u64,
    /// Set on every rule that does not set them itself.
    pub labels: Vec<(String, String)>,
    pub rules: Vec<PromRule>,
}

/// What a rule makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RuleKind {
    Alert,
    /// A series.
    Record,
}

/// One rule as it stands in the file.
#[derive(Clone, PartialEq, Debug)]
pub struct PromRule {
    pub kind: RuleKind,
    /// Of the alert or of the series.
    pub name: String,
    pub place: Place,
    /// The expression as it was written, and as it was read.
    pub text: String,
    pub expr: Expr,
    /// Where the expression begins.
    pub expr_place: Place,
    /// How long the condition must hold before the alert fires.
    pub hold: Duration,
    /// How long the alert goes on firing after the condition ended.
    pub keep_firing: Duration,
    /// With those of the group; templates in an alert, plain texts in a recording rule.
    pub labels: Vec<(String, Template)>,
    /// Empty in a recording rule.
    pub annotations: Vec<(String, Template)>,
}

impl PromRule {
    /// `alert`, `record`: the word of the file.
    pub const fn word(&self) -> &'static str {
        match self.kind {
            RuleKind::Alert => "alert",
            RuleKind::Record => "record",
        }
    }
}

impl RuleFile {
    pub fn rules(&self) -> impl Iterator<Item = &PromRule> {
        self.groups.iter().flat_map(|group| &group.rules)
    }

    /// Rules that are there twice, with equal name and labels: allowed, and nearly always
    /// a slip, since the second hides the first.
    pub fn duplicates(&self) -> Vec<Fault> {
        let mut seen = BTreeMap::new();
        let mut found = Vec::new();
        for rule in self.rules() {
            let mut labels: Vec<_> = rule.labels.iter().map(|(name, value)| (name, value.text())).collect();
            labels.sort_unstable();
            let identity = (rule.word(), &rule.name, labels);
            if let Some(first) = seen.get(&identity) {
                let message =
                    format!("{} `{}` with the same labels stands at {first}", rule.word(), rule.name);
                found.push(Fault::new(rule.place, message));
            } else {
                seen.insert(identity, rule.place);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests;
