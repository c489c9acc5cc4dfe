//! Times of which only rows of a tier are left.

use super::*;
use crate::model::query::TierRow;

/// Minutes 0 to 3 as rows, then samples every ten seconds.
fn aged() -> Memory {
    let row = |minute: i64, min: f64, max: f64, sum: f64, last: f64| TierRow {
        start: minute * 60_000,
        end: (minute + 1) * 60_000,
        min,
        max,
        sum,
        last,
        count: 6,
    };
    let rows = vec![row(0, 1.0, 9.0, 30.0, 4.0), row(1, 2.0, 5.0, 24.0, 5.0), row(2, 5.0, 8.0, 36.0, 6.0)];
    let samples = vec![(190_000, 7.0), (200_000, 3.0)];
    let series = vec![Series { labels: Labels::from_key("m"), rows, samples }];
    Memory { series, ..Memory::default() }
}

#[test]
fn rows_tell_extremes_sums_and_counts() {
    for (text, at, expected) in [
        ("min_over_time(m[2m])", 180, "{} 2"),
        ("max_over_time(m[1h])", 200, "{} 9"),
        ("sum_over_time(m[2m])", 180, "{} 60"),
        ("count_over_time(m[2m])", 180, "{} 12"),
        ("avg_over_time(m[2m])", 180, "{} 5"),
        ("avg_over_time(m[80s])", 200, "{} 5.75"),
        ("present_over_time(m[1h])", 200, "{} 1"),
    ] {
        assert_eq!(shown(&aged(), text, at), [expected], "{text}");
    }
}

#[test]
fn to_all_else_a_row_is_its_last_sample() {
    for (text, at, expected) in [
        ("m", 185, "m 6"),
        ("m", 190, "m 7"),
        ("timestamp(m)", 185, "{} 180"),
        ("last_over_time(m[1h])", 180, "m 6"),
        ("first_over_time(m[1h])", 200, "m 4"),
        ("delta(m[3m])", 180, "{} 3"),
        ("changes(m[1h])", 200, "{} 4"),
        ("resets(m[1h])", 200, "{} 1"),
        ("quantile_over_time(0.5, m[1h])", 200, "{} 5"),
    ] {
        assert_eq!(shown(&aged(), text, at), [expected], "{text}");
    }
    assert_eq!(shown(&aged(), "m", 50), [""; 0], "the row is not over yet");
}

#[test]
fn a_row_longer_than_the_look_back_stands_for_its_time() {
    let hour = TierRow { start: 0, end: 3_600_000, min: 1.0, max: 1.0, sum: 1.0, last: 1.0, count: 1 };
    let series = vec![Series { labels: Labels::from_key("m"), rows: vec![hour], samples: Vec::new() }];
    let memory = Memory { series, ..Memory::default() };
    let expr = parse("m").unwrap();
    let found = range(&expr, 3_600_000, 8_400_000, Duration::from_secs(1200), &memory, &limits()).unwrap();
    let times: Vec<i64> = found.value[0].points.iter().map(|(at, _)| at / 60_000).collect();
    assert_eq!(times, [60, 80, 100]);
}
