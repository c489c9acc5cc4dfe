//! From the YAML of a test file to its tests.

use std::collections::BTreeSet;
use std::time::Duration;

use super::notation::{self, NotationError};
use super::{AlertCase, ExpectedAlert, ExprCase, Input, Test, TestFile};
use crate::base::time::Timestamp;
use crate::logic::yaml::{self, Fault, Fields, Node, locate};
use crate::promql::Labels;

const FILE: [&str; 5] = ["rule_files", "evaluation_interval", "group_eval_order", "fuzzy_compare", "tests"];
const TEST: [&str; 9] = [
    "name",
    "interval",
    "input_series",
    "alert_rule_test",
    "promql_expr_test",
    "external_labels",
    "external_url",
    "start_timestamp",
    "ignore_annotations",
];
const MINUTE: Duration = Duration::from_secs(60);
/// Values of all series of a file.
const MOST_VALUES: usize = 20_000_000;

/// Reads a test file.
///
/// # Errors
/// All faults, by their place; at least one.
pub fn read(text: &str) -> Result<TestFile, Vec<Fault>> {
    let root = yaml::read(text).map_err(|fault| vec![fault])?;
    let mut reader = Reader { text, faults: Vec::new(), values: 0 };
    let file = reader.file(&root);
    reader.faults.sort();
    if reader.faults.is_empty() { Ok(file) } else { Err(reader.faults) }
}

struct Reader<'a> {
    text: &'a str,
    faults: Vec<Fault>,
    values: usize,
}

impl Reader<'_> {
    fn file(&mut self, root: &Node) -> TestFile {
        let fields = Fields::of(root, "a map with `tests`", &FILE, &mut self.faults);
        let paths = fields.list("rule_files", "paths", &mut self.faults);
        let order = fields.list("group_eval_order", "names of groups", &mut self.faults);
        let mut seen = BTreeSet::new();
        for (node, name) in order.iter().map(|node| (node, self.text_of(node))).collect::<Vec<_>>() {
            if !seen.insert(name.clone()) {
                self.faults.push(Fault::new(node.place, format!("group `{name}` is named twice")));
            }
        }
        let interval = fields.duration("evaluation_interval", &mut self.faults);
        let interval = interval.filter(|interval| !interval.is_zero()).unwrap_or(MINUTE);
        let fuzzy = fields.truth("fuzzy_compare", &mut self.faults);
        let tests = fields.list("tests", "tests", &mut self.faults);
        TestFile {
            rule_files: paths.iter().map(|node| (self.text_of(node), node.place)).collect(),
            evaluation_interval: interval,
            group_order: order.iter().map(|node| self.text_of(node)).collect(),
            fuzzy,
            tests: tests.iter().map(|node| self.test(node, interval)).collect(),
        }
    }

    fn text_of(&mut self, node: &Node) -> String {
        match node.text() {
            Ok(text) => text.to_owned(),
            Err(fault) => {
                self.faults.push(fault);
                String::new()
            }
        }
    }

    fn test(&mut self, node: &Node, evaluation_interval: Duration) -> Test {
        let fields = Fields::of(node, "a test", &TEST, &mut self.faults);
        let interval = fields.duration("interval", &mut self.faults);
        let mut test = Test {
            name: fields.text("name", &mut self.faults).to_owned(),
            place: fields.place(),
            interval: interval.filter(|interval| !interval.is_zero()).unwrap_or(evaluation_interval),
            start: self.start(&fields),
            external_labels: owned(&fields.texts("external_labels", &mut self.faults)),
            external_url: fields.text("external_url", &mut self.faults).to_owned(),
            series: Vec::new(),
            refused: None,
            alerts: Vec::new(),
            expressions: Vec::new(),
        };
        let ignore_annotations = fields.truth("ignore_annotations", &mut self.faults);
        for node in fields.list("input_series", "series", &mut self.faults) {
            self.input(node, &mut test);
        }
        for node in fields.list("alert_rule_test", "alerts", &mut self.faults) {
            let mut case = self.alert(node);
            case.ignore_annotations |= ignore_annotations;
            test.alerts.push(case);
        }
        for node in fields.list("promql_expr_test", "expressions", &mut self.faults) {
            let case = self.expression(node);
            test.expressions.push(case);
        }
        test
    }

    /// Seconds since 1970, or RFC 3339.
    fn start(&mut self, fields: &Fields<'_>) -> Timestamp {
        let Some(node) = fields.node("start_timestamp") else { return Timestamp(0) };
        let seconds = node.number().ok().filter(|seconds| seconds.abs() < 1e12);
        let written = node.text().ok().and_then(Timestamp::parse);
        let found = seconds.map(|seconds| Timestamp((seconds * 1000.0).round() as i64)).or(written);
        found.unwrap_or_else(|| {
            let expected = "expected seconds since 1970 or a time such as `2026-01-31T08:00:00Z`";
            self.faults.push(Fault::new(node.place, expected));
            Timestamp(0)
        })
    }

    fn input(&mut self, node: &Node, test: &mut Test) {
        let fields = Fields::of(node, "`series` and `values`", &["series", "values"], &mut self.faults);
        let name = fields.text("series", &mut self.faults);
        let values = fields.text("values", &mut self.faults);
        let labels = self.noted(&fields, "series", notation::labels(name));
        let values = match notation::values(values) {
            Err(problem) if problem.unsupported => {
                test.refused.get_or_insert(problem.message);
                return;
            }
            read => self.noted(&fields, "values", read),
        };
        let (Some(labels), Some(values)) = (labels, values) else { return };
        self.values += values.len();
        if self.values > MOST_VALUES {
            self.faults.push(Fault::new(node.place, format!("more than {MOST_VALUES} values in a file")));
            return;
        }
        test.series.push(Input { labels, values });
    }

    fn noted<T>(&mut self, fields: &Fields<'_>, key: &str, read: Result<T, NotationError>) -> Option<T> {
        read.map_err(|problem| {
            let place = fields.node(key).map(|node| locate(self.text, node, problem.at));
            self.faults.push(Fault::new(place.unwrap_or(fields.place()), problem.message));
        })
        .ok()
    }

    fn alert(&mut self, node: &Node) -> AlertCase {
        let known = ["eval_time", "alertname", "exp_alerts", "ignore_annotations"];
        let fields = Fields::of(node, "an expected alert", &known, &mut self.faults);
        let name = fields.text("alertname", &mut self.faults).to_owned();
        if name.is_empty() {
            self.faults.push(Fault::new(
                fields.place_of("alertname"),
                "expected `alertname`, the name of the alert",
            ));
        }
        let at = fields.duration("eval_time", &mut self.faults).unwrap_or_default();
        let nodes = fields.list("exp_alerts", "alerts", &mut self.faults);
        let expected = nodes.iter().map(|node| {
            let known = ["exp_labels", "exp_annotations"];
            let fields = Fields::of(node, "`exp_labels` and `exp_annotations`", &known, &mut self.faults);
            let labels = fields.texts("exp_labels", &mut self.faults);
            let labels = labels.iter().map(|(entry, text)| (entry.key.as_str(), *text));
            let labels = Labels::new(labels.chain([("alertname", name.as_str())]));
            let mut annotations = owned(&fields.texts("exp_annotations", &mut self.faults));
            annotations.sort();
            ExpectedAlert { labels, annotations }
        });
        let expected = expected.collect();
        let ignore_annotations = fields.truth("ignore_annotations", &mut self.faults);
        AlertCase { place: fields.place(), at, name, expected, ignore_annotations }
    }

    fn expression(&mut self, node: &Node) -> ExprCase {
        let known = ["expr", "eval_time", "exp_samples"];
        let fields = Fields::of(node, "an expression", &known, &mut self.faults);
        let at = fields.duration("eval_time", &mut self.faults).unwrap_or_default();
        let mut refused = None;
        let mut expected = Vec::new();
        for node in fields.list("exp_samples", "samples", &mut self.faults) {
            let known = ["labels", "value", "histogram"];
            let fields = Fields::of(node, "`labels` and `value`", &known, &mut self.faults);
            let text = fields.text("labels", &mut self.faults);
            let labels = self.noted(&fields, "labels", notation::labels(text));
            if !fields.text("histogram", &mut self.faults).is_empty() {
                refused = Some(String::from("native histograms are not supported"));
            }
            let value = match fields.node("value").map_or(Ok(0.0), Node::number) {
                Ok(value) => value,
                Err(fault) => {
                    self.faults.push(fault);
                    continue;
                }
            };
            expected.extend(labels.map(|labels| (labels, value)));
        }
        let place = fields.node("expr").map_or(fields.place(), |node| locate(self.text, node, 0));
        let expr = fields.text("expr", &mut self.faults).to_owned();
        ExprCase { place, at, expr, expected, refused }
    }
}

fn owned(texts: &[(&yaml::Entry, &str)]) -> Vec<(String, String)> {
    texts.iter().map(|(entry, text)| (entry.key.clone(), (*text).to_owned())).collect()
}
