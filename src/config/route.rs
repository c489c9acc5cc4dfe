//! `[[route]]`: which channels are told of which alerts.
//!
//! The tables have no name, because their order is what they mean: the first that matches
//! wins. So the list is one value, and whoever changes it at run time gives all of it.
//! Wrong would be to let a route name a channel that does not exist: nobody would hear of
//! its alerts, and nobody would know.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::channel::Channels;
use super::check::Checker;
use crate::base::units::Span;
use crate::model::route;
use crate::model::rule::{Compare, Rule};
use crate::model::selector::{MatchOp, Matcher};
use crate::model::severity::Severity;
use crate::promql::regex;

const KEY: &str = "route";
const MOST_ROUTES: usize = 100;
/// Matchers, labels and channels of one route.
const MOST_OF_ONE: usize = 64;
const LONGEST_WINDOW: Span = Span::from_secs(3600);
const SHORTEST_REPEAT: Span = Span::from_secs(60);
const LONGEST_REPEAT: Span = Span::from_secs(30 * 86_400);
/// Not a label: compared by rank.
const SEVERITY: &str = "severity";
/// In `group_by`: every alert alone.
const EVERY_LABEL: &str = "...";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Labels and what their values must be: `text`, `!= text`, `=~ regex`, `!~ regex`;
    /// of `severity` also `>= high`.
    #[serde(rename = "match", default)]
    pub matches: BTreeMap<String, String>,
    /// Left out: every enabled channel; empty: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<String>>,
    /// Alerts with equal values of these labels share a message.
    #[serde(default = "default_group")]
    pub group_by: Vec<String>,
    /// A message waits so long for further alerts.
    #[serde(default = "default_window")]
    pub group_window: Span,
    /// Told again after this while nobody acknowledged it.
    #[serde(default = "default_repeat")]
    pub repeat: Span,
    /// Later routes are asked too.
    #[serde(rename = "continue", default)]
    pub continues: bool,
}

fn default_group() -> Vec<String> {
    route::Route::last().group_by
}

fn default_window() -> Span {
    Span(route::Route::last().group_window)
}

fn default_repeat() -> Span {
    Span(route::Route::last().repeat)
}

impl Route {
    /// The same as the notifier reads it.
    ///
    /// # Errors
    /// Which part of `match` is wrong, and what was expected.
    pub fn model(&self) -> Result<route::Route, String> {
        let (mut severity, mut matchers) = (None, Vec::new());
        for (label, text) in &self.matches {
            if label == SEVERITY {
                severity = Some(read_severity(text)?);
            } else {
                matchers.push(read_matcher(label, text)?);
            }
        }
        Ok(route::Route {
            severity,
            matchers,
            channels: self.channels.clone(),
            group_by: self.group_by.clone(),
            group_window: self.group_window.0,
            repeat: self.repeat.0,
            continues: self.continues,
        })
    }
}

fn read_severity(text: &str) -> Result<(Compare, Severity), String> {
    let signs = [
        (">=", Compare::AtLeast),
        ("<=", Compare::AtMost),
        ("==", Compare::Equal),
        ("!=", Compare::NotEqual),
        (">", Compare::Above),
        ("<", Compare::Below),
        ("=", Compare::Equal),
    ];
    let text = text.trim();
    let found = signs.iter().find_map(|(sign, compare)| Some((*compare, text.strip_prefix(sign)?)));
    let (compare, word) = found.unwrap_or((Compare::Equal, text));
    let severity = Severity::parse(word).ok_or_else(|| {
        format!("matches `severity` with `{text}`, expected for example \">= high\" or \"critical\"")
    })?;
    Ok((compare, severity))
}

fn read_matcher(label: &str, text: &str) -> Result<Matcher, String> {
    let mut bytes = label.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if !first || !bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(format!("matches `{label}`, which is not the name of a label"));
    }
    let signs = [("=~", MatchOp::Regex), ("!~", MatchOp::NotRegex), ("!=", MatchOp::NotEqual)];
    let found = signs.iter().find_map(|(sign, op)| Some((*op, text.strip_prefix(sign)?.trim())));
    let (op, value) = found.unwrap_or((MatchOp::Equal, text));
    if matches!(op, MatchOp::Regex | MatchOp::NotRegex)
        && let Err(error) = regex::compile(value)
    {
        return Err(format!("matches `{label}` with `{value}`, which is no regular expression: {error}"));
    }
    Ok(Matcher { label: label.to_owned(), op, value: value.to_owned() })
}

/// The channels that messages can be sent to.
pub struct Takers {
    takes: BTreeSet<String>,
    heartbeats: BTreeSet<String>,
}

impl Takers {
    pub fn of(channels: &Channels) -> Self {
        let sections = channels.sections();
        let names = |heartbeat: bool| {
            let commons = sections.iter().map(|section| section.common());
            let wanted = commons.filter(move |common| common.heartbeat.is_some() == heartbeat);
            wanted.map(|common| common.name.to_string()).collect()
        };
        Self { takes: names(false), heartbeats: names(true) }
    }

    /// Why nobody is told through `name`; `None` where somebody is.
    pub fn refuse(&self, name: &str) -> Option<String> {
        match name {
            _ if self.takes.contains(name) => None,
            _ if self.heartbeats.contains(name) => {
                Some(format!("names the channel `{name}`, a heartbeat, which takes no messages"))
            }
            _ => {
                let known = there_are(&self.takes.iter().map(String::as_str).collect());
                Some(format!("names the channel `{}`, which does not exist; {known}", name.escape_default()))
            }
        }
    }

    /// What is wrong with the channels that `rule` names: key, which element, and why.
    pub fn of_rule(&self, rule: &Rule) -> Vec<(&'static str, usize, String)> {
        let direct = rule.notify.iter().enumerate().map(|(at, name)| ("notify", at, name));
        let steps = rule.escalate.iter().enumerate();
        let later = steps.flat_map(|(at, step)| step.channels.iter().map(move |name| ("escalate", at, name)));
        direct.chain(later).filter_map(|(key, at, name)| Some((key, at, self.refuse(name)?))).collect()
    }
}

/// Says what is wrong with the routes.
pub fn check(routes: &[Route], channels: &Channels, checker: &mut Checker<'_>) {
    if routes.len() > MOST_ROUTES {
        checker.say(KEY, format!("{} routes, expected at most {MOST_ROUTES}", routes.len()));
    }
    let takers = Takers::of(channels);
    for (at, route) in routes.iter().enumerate() {
        let mut say = |message: String| checker.say_of(KEY, at, format!("route {} {message}", at + 1));
        if let Err(message) = route.model() {
            say(message);
        }
        route.channels.iter().flatten().filter_map(|name| takers.refuse(name)).for_each(&mut say);
        let labels = |label: &&String| *label != EVERY_LABEL && label.is_empty();
        if route.group_by.iter().any(|label| labels(&label)) {
            say(String::from("groups by a label without a name"));
        }
        let sizes = [
            ("matchers", route.matches.len()),
            ("channels", route.channels.as_ref().map_or(0, Vec::len)),
            ("labels in `group_by`", route.group_by.len()),
        ];
        for (what, count) in sizes.iter().filter(|(_, count)| *count > MOST_OF_ONE) {
            say(format!("has {count} {what}, expected at most {MOST_OF_ONE}"));
        }
        if route.group_window > LONGEST_WINDOW {
            say(format!("has a `group_window` of {}, expected at most {LONGEST_WINDOW}", route.group_window));
        }
        if !(SHORTEST_REPEAT..=LONGEST_REPEAT).contains(&route.repeat) {
            let Route { repeat, .. } = route;
            say(format!("has a `repeat` of {repeat}, expected {SHORTEST_REPEAT} to {LONGEST_REPEAT}"));
        }
    }
}

/// The names that might have been meant.
pub fn there_are(names: &BTreeSet<&str>) -> String {
    match names.is_empty() {
        true => String::from("there are none"),
        false => format!("there are: {}", names.iter().copied().collect::<Vec<_>>().join(", ")),
    }
}
