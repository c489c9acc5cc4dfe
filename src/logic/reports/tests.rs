//! What a report comes to, and what is refused.

use proptest::prelude::*;

use super::*;
use crate::model::report::When;

const NOW: Timestamp = Timestamp(1_795_166_565_000);

fn operation(source: &str, operation: &str, duration_ms: f64, success: bool) -> OperationReport {
    let (source, operation) = (source.to_owned(), operation.to_owned());
    OperationReport { source, operation, duration_ms, success, error: None }
}

fn failure(source: &str, kind: &str) -> FailureReport {
    FailureReport { source: source.to_owned(), kind: kind.to_owned(), message: String::new(), at: None }
}

fn figure(name: &str, kind: FigureKind, value: f64) -> FigureReport {
    FigureReport { name: name.to_owned(), kind, value, labels: BTreeMap::new(), timestamp: None, unit: None }
}

fn value(frame: &Frame, key: &str) -> Option<f64> {
    frame.iter().find(|sample| sample.key == key).map(|sample| sample.value)
}

#[test]
fn operations_become_totals_and_a_histogram_that_begin_at_zero() {
    let mut reports = Reports::default();
    reports.operation(&operation("shop", "checkout", 250.0, true), NOW).unwrap();
    reports.operation(&operation("shop", "checkout", 6000.0, false), NOW).unwrap();
    let Frames { zeros, frame } = reports.write(NOW, false);
    let failed = "holdfast_operations_total{operation=\"checkout\",result=\"failure\",source=\"shop\"}";
    let slow =
        "holdfast_operation_duration_seconds_bucket{le=\"5.0\",operation=\"checkout\",source=\"shop\"}";
    let all = "holdfast_operation_duration_seconds_count{operation=\"checkout\",source=\"shop\"}";
    let heartbeat = "holdfast_source_heartbeat_timestamp_seconds{source=\"shop\"}";
    assert_eq!([failed, slow, all].map(|key| value(&frame, key)), [Some(1.0), Some(1.0), Some(2.0)]);
    assert_eq!([failed, slow, all].map(|key| value(&zeros, key)), [Some(0.0); 3]);
    assert_eq!(value(&frame, heartbeat), Some(NOW.seconds()));

    let quiet = reports.write(NOW, false);
    assert!(quiet.frame.is_empty() && quiet.zeros.is_empty(), "nothing changed");
    let whole = reports.write(NOW, true);
    assert_eq!((whole.frame.len(), whole.zeros.len()), (frame.len(), 0));
}

#[test]
fn a_silent_source_is_told_for_a_day_and_then_forgotten() {
    let mut reports = Reports::default();
    reports.restore_source("shop", NOW);
    assert_eq!(reports.write(NOW.plus(FORGOTTEN_AFTER), true).frame.len(), 1);
    assert_eq!(reports.write(NOW.plus(FORGOTTEN_AFTER * 2), true).frame.len(), 0);
}

#[test]
fn failures_are_counted_by_kind_and_cut_to_size() {
    let mut reports = Reports::default();
    let long = FailureReport { message: "\u{fc}".repeat(1000), ..failure("shop", "timeout") };
    let kept = reports.failure(&long, NOW).unwrap();
    assert_eq!((kept.at, kept.message.len()), (NOW, 1024));
    let frame = reports.write(NOW, false).frame;
    assert_eq!(value(&frame, "holdfast_failure_events_total{kind=\"timeout\",source=\"shop\"}"), Some(1.0));

    let early = FailureReport { at: Some(When(NOW.minus(OLDEST_FAILURE * 2))), ..failure("shop", "x") };
    assert!(reports.failure(&early, NOW).unwrap_err().contains("minutes ago"));
    let ahead = FailureReport { at: Some(When(NOW.plus(OLDEST_FAILURE))), ..failure("shop", "x") };
    assert!(reports.failure(&ahead, NOW).unwrap_err().contains("in the future"));
    for number in 0..2 * MOST_FAILURES {
        reports.failure(&failure("shop", &format!("kind{number}")), NOW).unwrap();
    }
    let frame = reports.write(NOW, false).frame;
    let other = value(&frame, "holdfast_failure_events_total{kind=\"other\",source=\"other\"}");
    assert_eq!(other, Some(MOST_FAILURES as f64 + 1.0));
}

#[test]
fn figures_add_up_by_their_type() {
    let mut reports = Reports::default();
    for (kind, name) in [
        (FigureKind::Counter, "jobs"),
        (FigureKind::Gauge, "depth"),
        (FigureKind::Histogram, "size"),
        (FigureKind::Timer, "took"),
    ] {
        reports.figure(&figure(name, kind, 2.0), NOW).unwrap();
        reports.figure(&figure(name, kind, 3.0), NOW).unwrap();
    }
    let millis = FigureReport { unit: Some(String::from("ms")), ..figure("took", FigureKind::Timer, 20.0) };
    reports.figure(&millis, NOW).unwrap();
    let Frames { zeros, frame } = reports.write(NOW, false);
    for (key, expected) in [
        ("jobs", 5.0),
        ("depth", 3.0),
        ("size_sum", 5.0),
        ("size_bucket{le=\"2.5\"}", 1.0),
        ("took_count", 3.0),
        ("took_sum", 5.02),
        ("took_bucket{le=\"0.025\"}", 1.0),
    ] {
        assert_eq!(value(&frame, key), Some(expected), "{key}");
        let begins = (key != "depth").then_some(0.0);
        assert_eq!(value(&zeros, key), begins, "{key}");
    }
    assert_eq!(value(&reports.write(NOW, true).frame, "depth"), None, "not known since");

    let late = FigureReport {
        timestamp: Some(When(NOW.minus(OLDEST_FIGURE))),
        ..figure("depth", FigureKind::Gauge, 9.0)
    };
    assert!(reports.figure(&late, NOW).unwrap_err().contains("newer"));
}

#[test]
fn what_is_wrong_with_a_figure_is_named() {
    let mut reports = Reports::default();
    reports.figure(&figure("jobs", FigureKind::Counter, 1.0), NOW).unwrap();
    let labelled = |name: &str, text: &str| FigureReport {
        labels: BTreeMap::from([(name.to_owned(), text.to_owned())]),
        ..figure("t", FigureKind::Timer, 1.0)
    };
    for (report, part) in [
        (figure("1x", FigureKind::Gauge, 1.0), "`name` is `1x`"),
        (figure("holdfast_check_up", FigureKind::Gauge, 1.0), "the agent's own"),
        (figure("x", FigureKind::Gauge, f64::NAN), "not a number"),
        (figure("x", FigureKind::Counter, -1.0), "never goes down"),
        (figure("jobs", FigureKind::Gauge, 1.0), "is reported as a counter"),
        (labelled("le", "1"), "its own"),
        (labelled("__x", "1"), "not the name of a label"),
        (labelled("x", "a\nb"), "control character"),
        (FigureReport { unit: Some("days".into()), ..figure("t", FigureKind::Timer, 1.0) }, "expected s, ms"),
    ] {
        let error = reports.figure(&report, NOW).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
    for (report, part) in [
        (operation("", "x", 1.0, true), "`source` has 0 bytes"),
        (operation("s", &"x".repeat(129), 1.0, true), "`operation` has 129 bytes"),
        (operation("s", "x", -1.0, true), "`duration_ms` is -1"),
    ] {
        let error = reports.operation(&report, NOW).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn every_list_is_bounded() {
    let mut reports = Reports::default();
    for number in 0..2 * MOST_OPERATIONS {
        let taken = reports.operation(&operation("shop", &number.to_string(), 1.0, true), NOW);
        assert_eq!(taken.is_ok(), number < MOST_OPERATIONS);
    }
    for number in 0..2 * MOST_SOURCES {
        let taken = reports.failure(&failure(&number.to_string(), "x"), NOW);
        assert_eq!(taken.is_ok(), number < MOST_SOURCES - 1, "{number}");
    }
    for number in 0..100 {
        let _ = reports.figure(&figure(&format!("h{number}"), FigureKind::Histogram, 1.0), NOW);
        let _ = reports.figure(&figure(&format!("g{number}"), FigureKind::Gauge, 1.0), NOW);
    }
    let held: usize = reports.figures.values().map(|figure| series_of(&figure.value.sum)).sum();
    assert!(held <= MOST_FIGURES && held > MOST_FIGURES - 20, "{held}");
}

proptest! {
    #[test]
    fn no_report_panics(
        name in "\\PC{0,20}|[a-z_]{1,9}",
        label in "\\PC{0,9}",
        number: f64,
        at: i64,
        kind in prop::sample::select(vec![
            FigureKind::Counter, FigureKind::Gauge, FigureKind::Histogram, FigureKind::Timer,
        ]),
    ) {
        let mut reports = Reports::default();
        let labels = BTreeMap::from([(label.clone(), name.clone())]);
        let timestamp = Some(When(Timestamp(at)));
        let _ = reports.figure(&FigureReport { labels, timestamp, ..figure(&name, kind, number) }, NOW);
        let _ = reports.figure(&figure(&name, kind, number), NOW);
        let _ = reports.operation(&operation(&name, &label, number, true), NOW);
        let _ = reports.failure(&FailureReport { message: label, at: timestamp, ..failure(&name, &name) }, NOW);
        reports.write(NOW, true);
    }
}
