//! Whole files, with what promtool says of them.

use proptest::prelude::*;

use super::*;
use crate::logic::rule_file;

fn verdicts(tests: &str, rules: &str) -> Vec<Verdict> {
    let file = read(tests).unwrap();
    let rules = [rule_file::read(rules).unwrap()];
    run(&file, &rules, &|| false).into_iter().map(|outcome| outcome.verdict).collect()
}

fn assert_passes(tests: &str, rules: &str) {
    for (at, verdict) in verdicts(tests, rules).iter().enumerate() {
        assert_eq!(*verdict, Verdict::Passed, "case {at}");
    }
}

const RULES: &str = r#"
groups:
  - name: second
    rules:
      - alert: Down
        expr: up == 0
        for: 2m
        keep_firing_for: 3m
        labels: {severity: page, kind: '{{ $labels.job }}-{{ $value }}'}
        annotations:
          text: '{{ $labels.instance }} of {{ $externalLabels.site }} is down, {{ with query "count(up == 0)" }}{{ . | first | value }}{{ end }} in all'
          link: '{{ $externalURL }}'
  - name: first
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
        labels: {made: here}
      - record: job:up:double
        expr: job:up:sum * 2
"#;

const TESTS: &str = r#"
rule_files: [rules.yml]
evaluation_interval: 1m
group_eval_order: [first, second]
tests:
  - name: life of an alert
    interval: 1m
    external_labels: {site: north}
    external_url: http://prom
    input_series:
      - {series: 'up{job="a",instance="x"}', values: '1 0 0 0 0 1x4 0x2'}
      - {series: 'up{job="a",instance="y"}', values: '1x20'}
    alert_rule_test:
      - {eval_time: 2m, alertname: Down}
      - &firing
        eval_time: 3m
        alertname: Down
        exp_alerts:
          - exp_labels: {severity: page, kind: a-0, job: a, instance: x}
            exp_annotations: {text: 'x of north is down, 1 in all', link: http://prom}
      - {<<: *firing, eval_time: 3m59s}
      - eval_time: 4m
        alertname: Down
        ignore_annotations: true
        exp_alerts: [{exp_labels: {severity: page, kind: a-0, job: a, instance: x}}]
      - {<<: *firing, eval_time: 7m}
      - {eval_time: 8m, alertname: Down}
      - {eval_time: 11m, alertname: Down}
    promql_expr_test:
      - {expr: ALERTS, eval_time: 1m, exp_samples: [{labels: 'ALERTS{alertname="Down",alertstate="pending",severity="page",kind="a-0",job="a",instance="x"}', value: 1}]}
      - {expr: ALERTS_FOR_STATE, eval_time: 7m, exp_samples: [{labels: 'ALERTS_FOR_STATE{alertname="Down",severity="page",kind="a-0",job="a",instance="x"}', value: 60}]}
      - {expr: ALERTS, eval_time: 8m30s, exp_samples: []}
      - {expr: 'job:up:double', eval_time: 3m, exp_samples: [{labels: 'job:up:double{job="a",made="here"}', value: 2}]}
"#;

#[test]
fn an_alert_waits_fires_is_kept_and_ends() {
    assert_passes(TESTS, RULES);
}

#[test]
fn the_clock_of_a_test_goes_in_steps() {
    let tests = "
tests:
  - interval: 10s
    input_series: [{series: a, values: 0+1x20}]
    promql_expr_test:
      - {expr: a, eval_time: 50s, exp_samples: [{labels: a, value: 0}]}
  - interval: 10s
    start_timestamp: 2026-01-31T08:00:00Z
    input_series: [{series: a, values: 0+1x20}]
    promql_expr_test:
      - {expr: a, eval_time: 1m, exp_samples: [{labels: a, value: 6}]}
      - {expr: time() + vector(0), eval_time: 1m, exp_samples: [{value: 1769846460}]}
      - {expr: '5', eval_time: 0s, exp_samples: [{labels: '{}', value: 5}]}
";
    assert_passes(tests, "");
}

#[test]
fn series_that_a_rule_no_longer_makes_end() {
    let rules = "groups: [{name: g, rules: [{record: r, expr: 'a > 1'}]}]";
    let tests = "
tests:
  - interval: 1m
    input_series: [{series: a, values: 1 2 2 1 1}]
    promql_expr_test:
      - {expr: r, eval_time: 2m, exp_samples: [{labels: r, value: 2}]}
      - {expr: r, eval_time: 3m, exp_samples: []}
      - {expr: 'count_over_time(r[4m])', eval_time: 4m, exp_samples: [{value: 2}]}
";
    assert_passes(tests, rules);
}

#[test]
fn what_is_wrong_and_what_is_refused_are_told_apart() {
    let tests = "
fuzzy_compare: true
tests:
  - interval: 1m
    input_series: [{series: a, values: 0.3}]
    alert_rule_test:
      - {eval_time: 0s, alertname: A, exp_alerts: [{exp_labels: {x: y}}]}
    promql_expr_test:
      - {expr: a, exp_samples: [{labels: a, value: 0.30000000000000004}]}
      - {expr: a, exp_samples: [{labels: a, value: 0.31}]}
      - {expr: 'a[5m]', exp_samples: []}
      - {expr: 'a +', exp_samples: []}
      - {expr: 'histogram_count(a)', exp_samples: []}
      - {expr: a, exp_samples: [{labels: a, histogram: '{{schema:0}}'}]}
  - input_series: [{series: h, values: '{{schema:1 sum:4}}x3'}]
    promql_expr_test: [{expr: h, exp_samples: []}]
";
    let found = verdicts(tests, "");
    let wrong = |expected: &[&str], got: &[&str]| Verdict::Wrong {
        expected: expected.iter().map(|line| (*line).to_owned()).collect(),
        got: got.iter().map(|line| (*line).to_owned()).collect(),
    };
    assert_eq!(found[0], wrong(&["{alertname=\"A\",x=\"y\"} {}"], &[]));
    assert_eq!(found[1], Verdict::Passed);
    assert_eq!(found[2], wrong(&["a 0.31"], &["a 0.3"]));
    assert_eq!(found[3], Verdict::Error("the result is no vector or scalar".into()));
    assert!(matches!(&found[4], Verdict::Error(message) if message.starts_with("1:4: parse error")));
    let refused = |verdict: &Verdict, what: &str| match verdict {
        Verdict::Refused(reason) => assert!(reason.contains(what), "{reason}"),
        other => panic!("{other:?}"),
    };
    refused(&found[5], "`histogram_count` needs native histograms");
    refused(&found[6], "native histograms");
    refused(&found[7], "native histograms");
}

#[test]
fn a_rule_that_fails_ends_the_test() {
    let rules = "groups: [{name: g, rules: [{record: r, expr: 'a'}]}]";
    let tests = "
tests:
  - interval: 1m
    input_series: [{series: 'a', values: 1x5}, {series: '{__name__=\"a\",x=\"1\"}', values: 1x5}]
    promql_expr_test: [{expr: 'sum(r)', eval_time: 1m, exp_samples: [{value: 2}]}]
";
    assert_passes(tests, rules);
    let limited = rules.replace("name: g,", "name: g, limit: 1,");
    assert_eq!(
        verdicts(tests, &limited),
        [Verdict::Error("rule r at 0s: the limit of the group is 1, the rule makes 2".into())]
    );
    let doubled = rules.replace("expr: 'a'", "expr: 'label_replace(a, \"x\", \"\", \"\", \"\") or a'");
    assert!(matches!(&verdicts(tests, &doubled)[0], Verdict::Error(_)));
}

#[test]
fn faults_of_a_file_have_their_places() {
    let text = "rule_file: [a]
group_eval_order: [a, a]
tests:
- input_series:
  - series: up{a=
    values: 1 2 foo
  - serie: x
  promql_expr_test:
  - expr: up
    eval_time: 5
    exp_samples:
    - {labels: 'up{a!=\"b\"}', value: NaN}
  alert_rule_test:
  - eval_time: 1m
  start_timestamp: soon
";
    let shown: Vec<String> = read(text).unwrap_err().iter().map(ToString::to_string).collect();
    for (fault, start) in shown.iter().zip([
        "1:1: unknown field `rule_file`, did you mean `rule_files`?",
        "2:23: group `a` is named twice",
        "5:18: ",
        "6:17: expected a value such as",
        "7:5: unknown field `serie`, did you mean `series`?",
        "10:16: `5` is not a duration",
        "12:17: expected `=` after `a`",
        "12:37: expected a number such as",
        "14:5: expected `alertname`",
        "15:20: expected seconds since 1970",
    ]) {
        assert!(fault.starts_with(start), "{fault}\nnot {start}");
    }
    assert_eq!(shown.len(), 10, "{shown:#?}");
}

proptest! {
    #[test]
    fn a_file_with_one_character_changed_never_panics(at in 0usize..TESTS.len(), with in "\\PC|\\n") {
        prop_assume!(TESTS.is_char_boundary(at) && TESTS.is_char_boundary(at + 1));
        if let Ok(file) = read(&format!("{}{with}{}", &TESTS[..at], &TESTS[at + 1..])) {
            let _ = run(&file, &[], &|| false);
        }
    }
}
