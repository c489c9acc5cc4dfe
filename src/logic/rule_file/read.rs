//! From the tree of a file to its groups and rules.

use std::collections::BTreeMap;

use super::{PromRule, RuleFile, RuleGroup, RuleKind};
use crate::logic::yaml::{self, Entry, Fault, Fields, Node, locate, offset_of};
use crate::model::series::{is_label_name, is_metric_name};
use crate::promql::template::Template;
use crate::promql::{Type, parse};

/// Rules of one file.
const MOST_RULES: usize = 10_000;
/// Faults of one file.
const MOST_FAULTS: usize = 100;

const GROUP: [&str; 6] = ["name", "interval", "query_offset", "limit", "labels", "rules"];
const RULE: [&str; 7] = ["record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"];

/// Reads a rule file.
///
/// # Errors
/// All faults, by their place; at least one.
pub fn read(text: &str) -> Result<RuleFile, Vec<Fault>> {
    let root = yaml::read(text).map_err(|fault| vec![fault])?;
    let mut reader = Reader { text, faults: Vec::new(), rules: 0 };
    let file = reader.file(&root);
    if reader.faults.is_empty() {
        return Ok(file);
    }
    reader.faults.sort();
    reader.faults.truncate(MOST_FAULTS);
    Err(reader.faults)
}

struct Reader<'a> {
    text: &'a str,
    faults: Vec<Fault>,
    rules: usize,
}

impl Reader<'_> {
    fn fault(&mut self, place: yaml::Place, message: impl Into<String>) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(Fault::new(place, message));
        }
    }

    fn file(&mut self, root: &Node) -> RuleFile {
        let fields = Fields::of(root, "a map with `groups`", &["groups"], &mut self.faults);
        let mut names = BTreeMap::new();
        let mut groups = Vec::new();
        for node in fields.list("groups", "groups", &mut self.faults) {
            let group = self.group(node);
            if let Some(first) = names.insert(group.name.clone(), group.place) {
                self.fault(group.place, format!("group `{}` is there twice, first at {first}", group.name));
            }
            groups.push(group);
        }
        RuleFile { groups }
    }

    fn group(&mut self, node: &Node) -> RuleGroup {
        let fields = Fields::of(node, "a group with `name` and `rules`", &GROUP, &mut self.faults);
        let name = fields.text("name", &mut self.faults).to_owned();
        if name.is_empty() {
            self.fault(fields.place_of("name"), "the group has no name, expected `name`");
        }
        let labels = self.labels(&fields);
        let mut group = RuleGroup {
            name,
            place: fields.place(),
            interval: fields.duration("interval", &mut self.faults).filter(|interval| !interval.is_zero()),
            query_offset: fields.duration("query_offset", &mut self.faults),
            limit: fields.count("limit", &mut self.faults),
            labels: labels.iter().map(|(entry, text)| (entry.key.clone(), (*text).to_owned())).collect(),
            rules: Vec::new(),
        };
        for node in fields.list("rules", "rules", &mut self.faults) {
            self.rules += 1;
            if self.rules > MOST_RULES {
                self.fault(node.place, format!("more than {MOST_RULES} rules in a file"));
                break;
            }
            let rule = self.rule(node, &group.labels);
            group.rules.extend(rule);
        }
        group
    }

    /// `None` where there is no rule to speak of; the fault is kept.
    fn rule(&mut self, node: &Node, inherited: &[(String, String)]) -> Option<PromRule> {
        let fields = Fields::of(node, "a rule with `alert` or `record`", &RULE, &mut self.faults);
        let record = fields.text("record", &mut self.faults);
        let alert = fields.text("alert", &mut self.faults);
        let (kind, name) = match (record, alert) {
            ("", "") => {
                self.fault(fields.place(), "the rule has no name, expected `alert` or `record`");
                return None;
            }
            ("", alert) => (RuleKind::Alert, alert),
            (record, "") => (RuleKind::Record, record),
            _ => {
                self.fault(fields.place_of("alert"), "a rule has either `alert` or `record`, found both");
                return None;
            }
        };
        if kind == RuleKind::Record {
            self.check_record(&fields, name);
        }
        let hold = fields.duration("for", &mut self.faults).unwrap_or_default();
        let keep_firing = fields.duration("keep_firing_for", &mut self.faults).unwrap_or_default();
        let labels = self.labels(&fields);
        let annotations = fields.texts("annotations", &mut self.faults);
        for (entry, _) in annotations.iter().filter(|(entry, _)| !is_label_name(&entry.key)) {
            self.fault(entry.place, not_a_name("annotation", &entry.key));
        }
        let mut read: Vec<(String, Template)> = Vec::new();
        let own = |name: &str| labels.iter().any(|(entry, _)| entry.key == name);
        for (name, text) in inherited.iter().filter(|(name, _)| !own(name)) {
            // As in Prometheus, what a group sets is a template in its alerts.
            match self.template(kind, text) {
                Ok(template) => read.push((name.clone(), template)),
                Err((_, message)) => {
                    self.fault(fields.place(), format!("label `{name}` of the group: {message}"))
                }
            }
        }
        read.extend(self.templates(kind, &labels));
        let annotations = self.templates(kind, &annotations);
        let expr = self.expression(&fields)?;
        Some(PromRule {
            kind,
            name: name.to_owned(),
            place: fields.place(),
            text: fields.text("expr", &mut self.faults).to_owned(),
            expr,
            expr_place: fields.node("expr").map_or(fields.place(), |node| locate(self.text, node, 0)),
            hold,
            keep_firing,
            labels: read,
            annotations,
        })
    }

    fn check_record(&mut self, fields: &Fields<'_>, name: &str) {
        let place = fields.place_of("record");
        if name.contains(['{', '}']) {
            self.fault(place, format!("`{name}` is no name of a series, the labels belong into `labels`"));
        } else if !is_metric_name(name) {
            self.fault(
                place,
                format!("`{name}` is no name of a series, expected letters, digits, `_` and `:`"),
            );
        }
        for key in ["for", "keep_firing_for", "annotations"] {
            let zero = |node: &Node| node.is_null() || node.duration().is_ok_and(|time| time.is_zero());
            if let Some(entry) = fields.entry(key).filter(|entry| !zero(&entry.value)) {
                self.fault(entry.place, format!("a recording rule has no `{key}`"));
            }
        }
    }

    /// The labels of a group or rule, their names checked.
    fn labels<'n>(&mut self, fields: &Fields<'n>) -> Vec<(&'n Entry, &'n str)> {
        let labels = fields.texts("labels", &mut self.faults);
        for (entry, _) in &labels {
            if !is_label_name(&entry.key) || entry.key == "__name__" {
                self.fault(entry.place, not_a_name("label", &entry.key));
            }
        }
        labels
    }

    fn templates(&mut self, kind: RuleKind, texts: &[(&Entry, &str)]) -> Vec<(String, Template)> {
        let mut read = Vec::new();
        for (entry, text) in texts {
            match self.template(kind, text) {
                Ok(template) => read.push((entry.key.clone(), template)),
                Err((offset, message)) => {
                    let place = locate(self.text, &entry.value, offset);
                    self.fault(place, format!("template of `{}`: {message}", entry.key));
                }
            }
        }
        read
    }

    /// The template, or at which byte it fails and why.
    fn template(&self, kind: RuleKind, text: &str) -> Result<Template, (usize, String)> {
        if kind == RuleKind::Record {
            return Ok(Template::plain(text));
        }
        Template::parse(text).map_err(|error| (offset_of(text, error.line, error.column), error.message))
    }

    fn expression(&mut self, fields: &Fields<'_>) -> Option<crate::promql::Expr> {
        let text = fields.text("expr", &mut self.faults);
        let Some(node) = fields.node("expr").filter(|_| !text.is_empty()) else {
            self.fault(fields.place_of("expr"), "the rule has no expression, expected `expr`");
            return None;
        };
        match parse(text) {
            Ok(expr) if matches!(expr.value_type(), Type::Vector | Type::Scalar) => Some(expr),
            Ok(expr) => {
                let words = expr.value_type().words();
                let place = locate(self.text, node, 0);
                self.fault(place, format!("a rule needs an instant vector or a scalar, found a {words}"));
                None
            }
            Err(error) => {
                let place = locate(self.text, node, error.start);
                self.fault(place, format!("expression: {}", error.message));
                None
            }
        }
    }
}

fn not_a_name(what: &str, name: &str) -> String {
    format!("`{name}` is no name of a {what}, expected letters, digits and `_`")
}
