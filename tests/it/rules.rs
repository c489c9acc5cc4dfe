//! Rule files and their tests, as a user checks them.

use serde_json::Value;

use crate::support::command::Home;

const RULES: &str = "groups:
- name: node
  rules:
  - record: job:up:sum
    expr: sum by (job) (up)
  - alert: Down
    expr: up == 0
    for: 2m
    labels: {severity: page}
    annotations:
      summary: '{{ $labels.instance }} is down, {{ $value | humanize }}'
";

const TESTS: &str = "rule_files: [rules/*.yml]
tests:
- name: a host goes
  interval: 1m
  input_series:
  - {series: 'up{job=\"node\",instance=\"a\"}', values: '1 0x9'}
  alert_rule_test:
  - eval_time: 3m
    alertname: Down
    exp_alerts:
    - exp_labels: {severity: page, job: node, instance: a}
      exp_annotations: {summary: 'a is down, 0'}
  promql_expr_test:
  - expr: job:up:sum
    eval_time: 2m
    exp_samples: [{labels: 'job:up:sum{job=\"node\"}', value: 0}]
";

#[test]
fn tests_run_against_the_rule_files_beside_them() {
    let home = Home::new();
    home.write("suite/rules/node.yml", RULES);
    home.write("suite/tests.yml", TESTS);
    let ran = home.run(&["rules", "test", "suite/tests.yml"]);
    assert_eq!(
        (ran.code, ran.output.as_str(), ran.error.as_str()),
        (0, "2 passed, 0 refused, 0 failed\n", "")
    );
}

#[test]
fn a_failed_case_shows_what_was_expected_and_what_came() {
    let home = Home::new();
    home.write("rules/node.yml", RULES);
    let wrong = TESTS.replace("value: 0}", "value: 1}").replace("eval_time: 3m", "eval_time: 2m");
    let path = home.write("tests.yml", &wrong);
    let path = path.to_str().unwrap();
    let ran = home.run(&["rules", "test", path]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let expected = format!(
        "{path}:8:5: a host goes
    alertname: Down, time: 2m,
        exp: {{alertname=\"Down\",instance=\"a\",job=\"node\",severity=\"page\"}} {{summary=\"a is down, 0\"}}
        got: nothing
{path}:14:11: a host goes
    expr: \"job:up:sum\", time: 2m,
        exp: job:up:sum{{job=\"node\"}} 1
        got: job:up:sum{{job=\"node\"}} 0
0 passed, 0 refused, 2 failed
"
    );
    assert_eq!(ran.output, expected);

    let ran = home.run(&["rules", "test", path, "--json"]);
    let answer: Value = serde_json::from_str(&ran.output).unwrap();
    assert_eq!((ran.code, answer["failed"].as_u64()), (1, Some(2)));
    let case = &answer["files"][0]["cases"][1];
    assert_eq!(case["verdict"], "failed");
    assert_eq!(
        (case["line"].as_u64(), case["kind"].as_str(), case["time"].as_str()),
        (Some(14), Some("expr"), Some("2m"))
    );
    assert_eq!(case["got"][0], "job:up:sum{job=\"node\"} 0");
}

#[test]
fn what_is_not_supported_is_counted_apart() {
    let home = Home::new();
    let tests = "tests:
- promql_expr_test:
  - {expr: 'histogram_count(x)', exp_samples: []}
  - {expr: '1', exp_samples: [{labels: '{}', value: 1}]}
";
    home.write("tests.yml", tests);
    let ran = home.run(&["rules", "test", "tests.yml"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.output.contains("refused: function `histogram_count`"), "{ran:?}");
    assert!(ran.output.ends_with("1 passed, 1 refused (native histograms), 0 failed\n"), "{ran:?}");
}

#[test]
fn files_that_are_wrong_are_shown_with_line_and_column() {
    let home = Home::new();
    home.write("rules/node.yml", &RULES.replace("expr: up == 0", "expr: up = 0"));
    home.write("tests.yml", TESTS);
    let ran = home.run(&["rules", "test", "tests.yml"]);
    assert_eq!(ran.code, 78, "{ran:?}");
    assert!(ran.error.starts_with("rules/node.yml:7:14: expression: "), "{ran:?}");

    home.write("tests.yml", "testz: []\n");
    let ran = home.run(&["rules", "test", "tests.yml"]);
    assert_eq!(ran.code, 78);
    assert_eq!(ran.error, "tests.yml:1:1: unknown field `testz`, did you mean `tests`?\n");

    home.write("tests.yml", "rule_files: [none-*.yml]\n");
    let ran = home.run(&["rules", "test", "tests.yml"]);
    assert_eq!(
        (ran.code, ran.error.as_str()),
        (0, "warning: tests.yml:1:14: no file matches `none-*.yml`\n")
    );

    let ran = home.run(&["rules", "test", "absent.yml"]);
    assert_eq!(ran.code, 1);
    assert!(ran.error.contains("cannot read absent.yml"), "{ran:?}");
}

#[test]
fn rule_files_are_linted() {
    let home = Home::new();
    home.write("good.yml", RULES);
    home.write("twice.yml", "groups: [{name: g, rules: [{record: a, expr: 1}, {record: a, expr: 2}]}]\n");
    home.write("bad.yml", "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    fro: 5m\n");
    let ran = home.run(&["rules", "lint", "good.yml"]);
    assert_eq!((ran.code, ran.output.as_str()), (0, "good.yml: 2 rules in 1 group\n"));
    let ran = home.run(&["rules", "lint", "twice.yml"]);
    assert_eq!(ran.code, 0);
    assert!(
        ran.error.contains("warning: twice.yml:1:50: record `a` with the same labels stands at 1:28"),
        "{ran:?}"
    );
    let ran = home.run(&["rules", "lint", "good.yml", "bad.yml", "--json"]);
    assert_eq!(ran.code, 78);
    let answer: Value = serde_json::from_str(&ran.output).unwrap();
    assert_eq!(answer["files"][0]["valid"], true);
    let problem = &answer["files"][1]["problems"][0];
    assert_eq!((problem["line"].as_u64(), problem["column"].as_u64()), (Some(6), Some(5)));
    assert_eq!(problem["message"], "unknown field `fro`, did you mean `for`?");
}
