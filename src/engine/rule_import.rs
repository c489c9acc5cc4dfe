//! Rule files of Prometheus as sections of the configuration: `[[rule]]` by `[[rule]]`.
//!
//! A file has names for alerts and series, and several rules may share one; a section's
//! name is its identity. So the names made here follow from the file alone, and importing
//! it again changes the same sections. One would get it wrong by counting upwards from
//! what is configured: every import would add all rules once more.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Map, Value, json};

use crate::base::id::RuleName;
use crate::base::units::Span;
use crate::config::rule::{self, RuleSection};
use crate::logic::rule_file::{PromRule, RuleFile, RuleGroup};
use crate::logic::yaml::{Fault, Place};
use crate::promql::template::Template;

/// Rules of one file. The largest published collections have some hundreds.
const MOST_RULES: usize = 2000;
/// Longest name that is made; leaves room in a [`RuleName`] for what makes it unique.
const LONGEST_BASE: usize = 100;
/// Label that tells alerts of one name apart.
const SEVERITY: &str = "severity";
const LONGEST_SEVERITY: usize = 20;

/// One rule of a file as a section.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    pub name: String,
    /// `alert` or `record`.
    pub kind: &'static str,
    /// The name in the file.
    pub original: String,
    pub group: String,
    pub place: Place,
    /// The keys of the section, without `name`.
    pub keys: Map<String, Value>,
}

/// What a file comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Import {
    pub rules: Vec<Imported>,
    /// What is taken and means something else here.
    pub warnings: Vec<Fault>,
}

/// The sections of all rules of `file`.
///
/// # Errors
/// Every rule that the configuration would not take, with its place and what was expected.
pub fn sections(file: &RuleFile) -> Result<Import, Vec<Fault>> {
    if let Some(of) = file.rules().nth(MOST_RULES) {
        let words = format!("more than {MOST_RULES} rules, expected several files");
        return Err(vec![Fault::new(of.place, words)]);
    }
    let mut import = Import { rules: Vec::new(), warnings: file.duplicates() };
    let mut faults = Vec::new();
    let mut names = names(file).into_iter();
    for group in &file.groups {
        for (set, key) in [(group.query_offset.is_some(), "query_offset"), (group.limit > 0, "limit")] {
            if set {
                let words = format!("`{key}` of group `{}` has no meaning here and is left out", group.name);
                import.warnings.push(Fault::new(group.place, words));
            }
        }
        for of in &group.rules {
            let Some(name) = names.next() else { continue };
            let keys = keys(group, of, &name);
            check(of, &name, &keys, &mut faults);
            import.rules.push(Imported {
                name,
                kind: of.word(),
                original: of.name.clone(),
                group: group.name.clone(),
                place: of.place,
                keys,
            });
        }
    }
    import.warnings.sort();
    faults.sort();
    if faults.is_empty() { Ok(import) } else { Err(faults) }
}

/// What the configuration says of the section, at the place of its rule.
fn check(of: &PromRule, name: &str, keys: &Map<String, Value>, faults: &mut Vec<Fault>) {
    let mut section = keys.clone();
    section.insert(String::from("name"), json!(name));
    match serde_json::from_value::<RuleSection>(Value::Object(section)) {
        Ok(section) => {
            rule::built(&section, false, &mut |key, message| {
                let place = if key == "expr" { of.expr_place } else { of.place };
                faults.push(Fault::new(place, format!("{} `{}`: `{key}` {message}", of.word(), of.name)));
            });
        }
        Err(error) => {
            faults.push(Fault::new(of.place, format!("{} `{}`: {error}", of.word(), of.name)));
        }
    }
}

fn keys(group: &RuleGroup, of: &PromRule, name: &str) -> Map<String, Value> {
    let mut keys = Map::new();
    let mut put = |key: &str, value: Value| drop(keys.insert(key.to_owned(), value));
    if of.word() == "record" {
        put("record", json!(of.name));
    } else if of.name != name {
        put("alert", json!(of.name));
    }
    put("expr", json!(of.text.trim()));
    for (key, time) in
        [("for", of.hold), ("keep_firing_for", of.keep_firing), ("every", group.interval.unwrap_or_default())]
    {
        if !time.is_zero() {
            put(key, json!(Span(time).to_string()));
        }
    }
    for (key, texts) in [("labels", &of.labels), ("annotations", &of.annotations)] {
        if !texts.is_empty() {
            put(key, texts_of(texts));
        }
    }
    keys
}

fn texts_of(texts: &[(String, Template)]) -> Value {
    texts.iter().map(|(name, text)| (name.clone(), json!(text.text()))).collect::<Map<_, _>>().into()
}

/// A name for each rule, in the order of the file: the nearest to its own, and where
/// several share it with `-` and their severity, else `-2`, `-3`.
fn names(file: &RuleFile) -> Vec<String> {
    let rules: Vec<&PromRule> = file.rules().collect();
    let mut alike: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let base = |of: &PromRule| {
        let short: String = of.name.chars().take(LONGEST_BASE).collect();
        RuleName::near(&short).to_string()
    };
    for (place, of) in rules.iter().enumerate() {
        alike.entry(base(of)).or_default().push(place);
    }
    // A section of a shipped rule's name would change that rule.
    let mut taken: HashSet<String> = rule::shipped().iter().map(|one| one.name.to_string()).collect();
    let mut names = vec![String::new(); rules.len()];
    let mut give = |place: usize, wanted: &str| {
        let mut name = wanted.to_owned();
        let mut number = 2;
        while !taken.insert(name.clone()) {
            name = format!("{wanted}-{number}");
            number += 1;
        }
        if let Some(slot) = names.get_mut(place) {
            *slot = name;
        }
    };
    // Those that share nothing first: their names do not depend on the others.
    let (single, several): (Vec<_>, Vec<_>) = alike.into_iter().partition(|(_, places)| places.len() == 1);
    for (base, places) in single {
        places.into_iter().for_each(|place| give(place, &base));
    }
    for (base, places) in several {
        let severities: Vec<Option<&str>> =
            places.iter().map(|place| rules.get(*place).and_then(|of| severity(of))).collect();
        let mut seen = BTreeSet::new();
        let repeated: BTreeSet<_> = severities.iter().filter(|one| !seen.insert(**one)).copied().collect();
        for (place, severity) in places.into_iter().zip(severities) {
            match severity.filter(|_| !repeated.contains(&severity)) {
                Some(word) => give(place, &format!("{base}-{word}")),
                None => give(place, &base),
            }
        }
    }
    names
}

/// The severity label where it is a plain word.
fn severity(of: &PromRule) -> Option<&str> {
    let (_, text) = of.labels.iter().find(|(name, _)| name == SEVERITY)?;
    let text = text.text();
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (plain && !text.is_empty() && text.len() <= LONGEST_SEVERITY).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::rule_file::read;

    fn import(text: &str) -> Result<Import, Vec<Fault>> {
        sections(&read(text).unwrap())
    }

    #[test]
    fn names_follow_from_the_file_and_differ() {
        let text = "groups:
- name: a
  rules:
  - {alert: Full, expr: a, labels: {severity: warning}}
  - {alert: Full, expr: b, labels: {severity: critical}}
  - {alert: Twice, expr: a, labels: {severity: warning}}
  - {alert: Twice, expr: b, labels: {severity: warning}}
  - {alert: Twice, expr: c, labels: {severity: page}}
  - {alert: Full-warning, expr: a}
  - {alert: Disk full!, expr: a}
  - {alert: storage_capacity, expr: a}
  - {record: 'job:up:sum', expr: up, labels: {job: x}}
  - {record: 'job:up:sum', expr: up}
";
        let names: Vec<String> = import(text).unwrap().rules.into_iter().map(|one| one.name).collect();
        assert_eq!(
            names,
            [
                "Full-warning-2",
                "Full-critical",
                "Twice",
                "Twice-2",
                "Twice-page",
                "Full-warning",
                "Disk_full_",
                "storage_capacity-2",
                "job:up:sum",
                "job:up:sum-2",
            ]
        );
    }

    #[test]
    fn a_rule_becomes_the_keys_of_its_section() {
        let text = "groups:
- name: a
  interval: 30s
  limit: 5
  labels: {team: infra}
  rules:
  - alert: Disk full
    expr: |
      x > 1
    for: 1h
    keep_firing_for: 5m
    labels: {severity: page}
    annotations: {summary: '{{ $labels.a }}'}
";
        let Import { rules, warnings } = import(text).unwrap();
        assert_eq!(
            Value::Object(rules[0].keys.clone()),
            json!({
                "alert": "Disk full", "expr": "x > 1", "for": "1h", "keep_firing_for": "5m", "every": "30s",
                "labels": {"severity": "page", "team": "infra"}, "annotations": {"summary": "{{ $labels.a }}"},
            })
        );
        assert_eq!((rules[0].place.to_string(), rules[0].group.as_str()), (String::from("7:5"), "a"));
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].to_string().starts_with("2:3: `limit` of group `a`"), "{warnings:?}");
    }

    #[test]
    fn what_the_configuration_does_not_take_is_shown_in_the_file() {
        let text = "groups:
- name: a
  interval: 500ms
  rules:
  - {alert: A, expr: up}
  - {record: b, expr: up, labels: {alertname: x}}
";
        let faults: Vec<String> = import(text).unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert_eq!(faults[0], "5:5: alert `A`: `every` is too short, expected at least 1s");
        assert!(faults[1].starts_with("6:5: record `b`: `labels` `alertname`"), "{faults:?}");
    }
}
