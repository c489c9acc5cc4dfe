//! Files as they are published, and files with slips.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const FILE: &str = r#"
groups:
  - name: node
    interval: 30s
    query_offset: 10s
    limit: 5
    labels: {team: infra, tier: one}
    rules:
      - record: instance:node_cpu:rate5m
        expr: sum by (instance) (rate(node_cpu_seconds_total{mode!="idle"}[5m]))
        labels:
          tier: "{{ plain }}"
      - alert: NodeFilesystemFilling
        expr: |
          (
            node_filesystem_avail_bytes{job="node",fstype!=""} / node_filesystem_size_bytes < 0.4
          and
            predict_linear(node_filesystem_avail_bytes{fstype!=""}[6h], 24*60*60) < 0
          )
        for: 1h30m
        keep_firing_for: 5m
        labels:
          severity: warning
          code: 5
        annotations:
          summary: '{{ $labels.device }} is filling.'
          empty:
      - alert: Always
        expr: 1
        for: 0
"#;

#[test]
fn a_file_is_read_as_it_is() {
    let file = read(FILE).unwrap();
    let group = &file.groups[0];
    assert_eq!((group.name.as_str(), group.limit, group.place.line), ("node", 5, 3));
    assert_eq!(group.interval, Some(Duration::from_secs(30)));
    assert_eq!(group.query_offset, Some(Duration::from_secs(10)));
    let [record, alert, always] = group.rules.as_slice() else { panic!("{}", group.rules.len()) };
    assert_eq!((record.kind, record.name.as_str()), (RuleKind::Record, "instance:node_cpu:rate5m"));
    let texts = |pairs: &[(String, Template)]| {
        pairs.iter().map(|(name, text)| format!("{name}={} ", text.text())).collect::<String>()
    };
    assert_eq!(texts(&record.labels), "team=infra tier={{ plain }} ");
    assert_eq!(texts(&alert.labels), "team=infra tier=one severity=warning code=5 ");
    assert_eq!(texts(&alert.annotations), "summary={{ $labels.device }} is filling. empty= ");
    assert_eq!((alert.hold, alert.keep_firing), (Duration::from_secs(5400), Duration::from_secs(300)));
    assert_eq!((alert.place.to_string(), alert.expr_place.to_string()), ("13:9".into(), "15:11".into()));
    assert_eq!((always.hold, always.text.as_str()), (Duration::ZERO, "1"));
    assert!(file.duplicates().is_empty());
    assert!(read("").unwrap().groups.is_empty() && read("groups:\n").unwrap().groups.is_empty());
}

#[test]
fn every_fault_has_its_place() {
    let text = "groups:
- name: a
  rules:
  - alert: One
    exprr: up
  - alert: Two
    expr: |
      up
        > rat(5)
    for: 5
    annotations:
      summary: >-
        all is
        {{ $valu }} well
      a-b: x
  - record: a{b=\"c\"}
    expr: up
    for: 5m
  - record: Three
    alert: Three
    expr: up
  - expr: up
  - alert: Four
    expr: up[5m]
    labels: {\"__name__\": x}
  - alert: Five
    expr: \"\"
- name: a
  rule: []
- rules:
    - alert: Six
      expr: up
      keep_firing_for: [1]
";
    let shown: Vec<String> = read(text).unwrap_err().iter().map(ToString::to_string).collect();
    for (fault, start) in shown.iter().zip([
        "4:5: the rule has no expression",
        "5:5: unknown field `exprr`, did you mean `expr`?",
        "9:11: expression: ",
        "10:10: `5` is not a duration, expected for example `30s`",
        "14:12: template of `summary`: unknown variable `$valu`",
        "15:7: `a-b` is no name of a annotation",
        "16:13: `a{b=\"c\"}` is no name of a series, the labels belong into `labels`",
        "18:5: a recording rule has no `for`",
        "20:12: a rule has either `alert` or `record`, found both",
        "22:5: the rule has no name, expected `alert` or `record`",
        "24:11: a rule needs an instant vector or a scalar, found a range vector",
        "25:14: `__name__` is no name of a label",
        "27:11: the rule has no expression, expected `expr`",
        "28:3: group `a` is there twice, first at 2:3",
        "29:3: unknown field `rule`, did you mean `rules`?",
        "30:3: the group has no name",
        "33:24: expected a text, found a list",
    ]) {
        assert!(fault.starts_with(start), "{fault}\nnot {start}");
    }
    assert_eq!(shown.len(), 17, "{shown:#?}");
    assert_eq!(
        read("rules: []\n").unwrap_err()[0].to_string(),
        "1:1: unknown field `rules`, expected one of groups"
    );
    assert!(read("- a\n").unwrap_err()[0].message.contains("expected a map with `groups`"));
}

#[test]
fn rules_that_are_there_twice_are_told() {
    let text = "groups:
- name: a
  rules:
  - {alert: A, expr: up, labels: {x: '1', y: '2'}}
  - {alert: A, expr: down, labels: {y: '2', x: '1'}}
  - {alert: A, expr: up, labels: {x: '2'}}
";
    let duplicates = read(text).unwrap().duplicates();
    let shown: Vec<String> = duplicates.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["5:5: alert `A` with the same labels stands at 4:5"]);
}

proptest! {
    #[test]
    fn a_file_with_one_character_changed_never_panics(at in 0usize..FILE.len(), with in "\\PC|\\n") {
        if FILE.is_char_boundary(at) && FILE.is_char_boundary(at + 1) {
            let _ = read(&format!("{}{with}{}", &FILE[..at], &FILE[at + 1..]));
        }
    }
}
