//! Range queries, compaction and imports against the naive oracle.

use proptest::prelude::*;

use super::super::*;
use super::rig::{self, Rig, START, points};
use crate::model::query::{NO_VALUE, Resolution, no_value};

/// Some hours of two series with gaps; the slow one misses the lookback.
pub fn history(hours: i64, seed: u64) -> Rig {
    let mut rig = Rig::new();
    let mut state = seed | 1;
    let mut random = move |limit: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % limit
    };
    let mut at = START;
    let mut count = 0.0;
    while at < START + hours * HOUR_MS + HOUR_MS / 3 {
        at += 5000 + random(40) as i64;
        if random(200) == 0 {
            at += 1000 * random(900) as i64;
        }
        count += random(10) as f64;
        let mut values = vec![("count", count), ("noise", random(1000) as f64 / 100.0)];
        if random(10) == 0 {
            values.push(("rare", count));
        }
        if random(3) == 0 {
            values.remove(1);
        }
        rig.tick("host", at, &values);
        if random(20) == 0 {
            rig.flush();
            rig.compact(at);
        }
    }
    rig.compact(at);
    rig
}

fn check(rig: &Rig, name: &str, start: i64, end: i64, step: i64, lookback: i64) {
    let expected = rig.expected(name, start, end, step, lookback);
    let answer = rig.query(name, start, end, step, lookback);
    assert_eq!(points(&answer, expected.len()), expected, "{name} {start} {end} {step} {lookback}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn points_are_those_of_the_oracle(
        seed in any::<u64>(),
        name in prop::sample::select(vec!["count", "noise", "rare"]),
        start in -HOUR_MS..3 * HOUR_MS,
        length in 0..4 * HOUR_MS,
        step in 1000..2 * HOUR_MS,
        lookback in 1000..600_000i64,
    ) {
        let rig = history(3, seed);
        let step = step.max(length / 3000);
        check(&rig, name, START + start, START + start + length, step, lookback);
        // On whole minutes the 1m tier answers, with the same values.
        let minute = |ms: i64| (ms / MINUTE_MS).max(1) * MINUTE_MS;
        let start = START + start / MINUTE_MS * MINUTE_MS;
        check(&rig, name, start, start + length, minute(step), minute(lookback));
    }
}

/// Smallest and largest value inside each step, bit for bit; of equals the first.
fn bands(rig: &Rig, name: &str, start: i64, count: usize, step: i64) -> [Vec<Option<u64>>; 2] {
    let inside = |index: usize| {
        let at = start + index as i64 * step;
        rig.naive[name].range(at - step + 1..=at).map(|(_, value)| *value).filter(|value| !value.is_nan())
    };
    let better: [fn(f64, f64) -> bool; 2] = [|value, kept| value < kept, |value, kept| value > kept];
    better.map(|better| {
        let best = |kept, value| if better(value, kept) { value } else { kept };
        (0..count).map(|index| inside(index).reduce(best).map(f64::to_bits)).collect()
    })
}

/// The same bits, or zeros of either sign: which of them is the smaller is not defined,
/// so it depends on where the samples are cut into chunks.
fn same(value: f64, bits: u64) -> bool {
    value.to_bits() == bits || (value == 0.0 && f64::from_bits(bits) == 0.0)
}

/// Values of every form a column can take, with what compares oddly.
fn odd(kind: u8, tick: i64, roll: u64) -> f64 {
    match kind {
        0 => 7.25,
        1 => (tick * 3) as f64,
        2 => (roll % 1000) as f64 / 100.0,
        3 => [0.0, -0.0, 1.0, -1.0][roll as usize % 4],
        4 => [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 5.0][roll as usize % 4],
        5 => [no_value(), 1.0, 2.0][roll as usize % 3],
        6 => (roll as f64).sqrt(),
        _ => f64::NAN,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    /// Samples of one second, so that a step has many and chunks are long.
    #[test]
    fn bands_and_points_of_raw_samples_are_exact(
        seed in 1u64..,
        kind in 0..8u8,
        gaps in prop::sample::select(vec![0u64, 2, 50]),
        start in -HOUR_MS..2 * HOUR_MS,
        length in 0..2 * HOUR_MS,
        step in prop::sample::select(vec![1000, 7_777, 60_000, 61_000, 3_600_000]),
        lookback in 1000..600_000i64,
    ) {
        let mut rig = Rig::new();
        let mut state = seed;
        for tick in 1..=5400i64 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let values = [("other", tick as f64), ("x", odd(kind, tick, state >> 11))];
            let gap = gaps > 0 && (state >> 40) % gaps == 0;
            let at = START + tick * 1000 + (state >> 50) as i64 % 40;
            rig.tick("host", at, if gap { &values[..1] } else { &values });
            if tick % 300 == 0 {
                rig.flush();
            }
        }
        rig.compact(START + 2 * HOUR_MS - 1);
        let (start, end) = (START + start, START + start + length);
        let expected = rig.expected("x", start, end, step, lookback);
        let answer = rig.query("x", start, end, step, lookback);
        let shown: Vec<_> = expected.iter().map(|bits| bits.filter(|bits| *bits != NO_VALUE)).collect();
        prop_assert_eq!(points(&answer, expected.len()), shown);
        let Some(line) = answer.series.first().filter(|line| !line.min.is_empty()) else { return Ok(()) };
        let [low, high] = bands(&rig, "x", start, expected.len(), step);
        for index in 0..expected.len() {
            let point = line.points[index].to_bits();
            let (low, high) = (low[index].unwrap_or(point), high[index].unwrap_or(point));
            prop_assert!(same(line.min[index], low), "min {}: {} {}", index, line.min[index], low);
            prop_assert!(same(line.max[index], high), "max {}: {} {}", index, line.max[index], high);
        }
    }
}

#[test]
fn whole_minutes_are_served_by_the_minute_tier() {
    let rig = history(3, 5);
    let day = |start: i64| rig.query("count", start, START + 2 * HOUR_MS, MINUTE_MS, 300_000);
    assert_eq!(day(START).resolutions, [Resolution::Minute]);
    assert_eq!(day(START + 1).resolutions, [Resolution::Raw]);
    let both = rig.query("count", START, START + 4 * HOUR_MS, MINUTE_MS, 300_000);
    assert_eq!(both.resolutions, [Resolution::Raw, Resolution::Minute], "the head is raw");
}

#[test]
fn extremes_of_a_step_are_exact_from_either_tier() {
    let rig = history(3, 11);
    for (start, step) in [(START + HOUR_MS, 5 * MINUTE_MS), (START + HOUR_MS + 17, 5 * MINUTE_MS)] {
        let answer = rig.query("noise", start, start + 2 * HOUR_MS, step, 300_000);
        let line = &answer.series[0];
        for (index, (min, max)) in line.min.iter().zip(&line.max).enumerate() {
            let at = start + index as i64 * step;
            let inside: Vec<f64> =
                rig.naive["noise"].range(at - step + 1..=at).map(|(_, value)| *value).collect();
            if !inside.is_empty() {
                assert_eq!(*min, inside.iter().copied().fold(f64::INFINITY, f64::min));
                assert_eq!(*max, inside.iter().copied().fold(f64::NEG_INFINITY, f64::max));
            }
        }
    }
    let fine = rig.query("noise", START + HOUR_MS + 17, START + HOUR_MS + 60_000, 1000, 300_000);
    assert!(fine.series[0].min.is_empty(), "every sample has a step of its own");
}

#[test]
fn where_raw_is_gone_the_tiers_answer_and_say_so() {
    let mut rig = history(3, 3);
    let first = START;
    rig.shelf.0.retain(|(tier, start), _| *start > first || *tier == Resolution::Hour);
    let answer = rig.query("count", START + MINUTE_MS, START + 3 * HOUR_MS, MINUTE_MS, 300_000);
    assert_eq!(answer.resolutions, [Resolution::Minute, Resolution::Hour]);
    let at_hour = answer.series[0].points[59];
    let (_, last) = rig.naive["count"].range(..=START + HOUR_MS).next_back().unwrap();
    assert_eq!(at_hour, *last);
}

#[test]
fn a_staleness_marker_ends_a_series() {
    let mut rig = Rig::new();
    rig.tick("host", START + 1000, &[("a", 1.0)]);
    rig.tick("host", START + 2000, &[("a", crate::model::query::no_value())]);
    let answer = rig.query("a", START, START + 4000, 1000, 300_000);
    assert_eq!(points(&answer, 5), [None, Some(1f64.to_bits()), None, None, None]);
}

#[test]
fn limits_are_errors_and_wild_ranges_do_not_overflow() {
    use crate::model::query::RangeQuery;
    use crate::model::selector::Selector;
    use crate::store::StoreError;
    use std::time::Duration;
    let rig = history(1, 1);
    let query = |start: i64, end: i64, step: u64, max_series: usize| RangeQuery {
        selector: Selector::default(),
        start: Timestamp(start),
        end: Timestamp(end),
        step: Duration::from_millis(step),
        lookback: Duration::MAX,
        max_series,
        max_points: 1000,
    };
    let plan =
        |query: RangeQuery| rig::plan(&rig.head, &query).map(|plan| plan.evaluate(&rig.shelf).unwrap());
    assert!(matches!(plan(query(0, 10, 1, 2)), Err(StoreError::TooManySeries { found: 3, limit: 2 })));
    assert!(matches!(plan(query(0, 400, 1, 9)), Err(StoreError::TooManyPoints { found: 1203, limit: 1000 })));
    assert!(plan(query(i64::MIN, i64::MAX, 1, 9)).is_err());
    plan(query(i64::MIN, i64::MAX, u64::MAX, 9)).unwrap();
    assert!(plan(query(10, 0, 0, 9)).unwrap().series.is_empty());
    plan(query(i64::MAX - 5, i64::MAX, 1, 9)).unwrap();
}

#[test]
fn rows_of_a_day_join_into_one_blob() {
    let mut rig = history(6, 8);
    let before = rig.query("noise", START + HOUR_MS, START + 6 * HOUR_MS, HOUR_MS, 2 * HOUR_MS);
    rig.shelf.0.retain(|(tier, _), _| *tier == Resolution::Hour);
    let parts: Vec<Vec<u8>> = rig.shelf.0.values().map(|(_, bytes)| bytes.clone()).collect();
    let end = rig.shelf.0.values().map(|(end, _)| *end).max().unwrap();
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let joined = merge_rows(&parts).unwrap();
    assert_eq!(merge_rows(&[&joined]).unwrap(), joined);
    rig.shelf.0.clear();
    rig.shelf.0.insert((Resolution::Hour, START), (end, joined));
    let after = rig.query("noise", START + HOUR_MS, START + 6 * HOUR_MS, HOUR_MS, 2 * HOUR_MS);
    assert_eq!(after.resolutions, [Resolution::Hour]);
    assert_eq!(before.series[0].points, after.series[0].points);
}

#[test]
fn imported_samples_are_found_and_doubles_are_counted() {
    let mut rig = history(3, 21);
    let hour = Hour::of(Timestamp(START + HOUR_MS + 1));
    let id =
        rig.head.intern("count", "count", crate::model::series::Kind::Gauge, "", Timestamp(START)).unwrap();
    let new = rig.head.intern("new", "new", crate::model::series::Kind::Gauge, "", Timestamp(START)).unwrap();
    let held: Vec<i64> =
        rig.naive["count"].range(hour.start().millis() + 1..).take(5).map(|(at, _)| *at).collect();
    let mut samples: Vec<(SeriesId, Sample)> =
        held.iter().map(|at| (id, Sample { at: *at, value: -1.0 })).collect();
    let mut put = |id, name: &str, at: i64, value: f64| {
        samples.push((id, Sample { at, value }));
        rig.naive.entry(name.to_owned()).or_default().insert(at, value);
    };
    for second in (0..360).rev().map(|tick| tick * 10) {
        put(new, "new", hour.start().millis() + 1 + second * 1000, second as f64);
    }
    put(id, "count", held[0] + 1, 123.0);
    let raw = rig.shelf.0[&(Resolution::Raw, hour.start().millis())].1.clone();
    let (made, report) = merge_hour(Some(&raw), hour, &samples).unwrap();
    assert_eq!((report.accepted, report.duplicate), (361, 5));
    rig.shelf.put(&made);
    for name in ["count", "noise", "rare", "new"] {
        check(&rig, name, START + 1, START + 3 * HOUR_MS, 7000, 300_000);
        check(&rig, name, START, START + 3 * HOUR_MS, MINUTE_MS, 300_000);
    }
    // Again: all are doubles, and the blob is the same.
    let (again, report) = merge_hour(Some(&made.raw), hour, &samples).unwrap();
    assert_eq!((report.accepted, report.duplicate), (0, 366));
    assert_eq!(again.minute, made.minute);
}

#[test]
fn recent_samples_are_inserted_beside_the_live_ones() {
    let mut rig = history(2, 33);
    let line = rig.head.compacted_through().millis();
    let id = rig.head.intern("late", "late", crate::model::series::Kind::Gauge, "", Timestamp(line)).unwrap();
    let samples: Vec<(SeriesId, Sample)> =
        (1..=600).rev().map(|tick| (id, Sample { at: line + tick * 1000, value: tick as f64 })).collect();
    for (_, sample) in &samples {
        rig.naive.entry(String::from("late")).or_default().insert(sample.at, sample.value);
    }
    assert_eq!(rig.head.insert(&samples), Inserted { accepted: 600, duplicate: 0 });
    assert_eq!(rig.head.insert(&samples), Inserted { accepted: 0, duplicate: 600 });
    check(&rig, "late", line, line + 700_000, 3000, 60_000);
    rig.flush();
    let restarted = rig.restarted();
    assert_eq!(restarted.samples("late", Timestamp(0), Timestamp(i64::MAX)).len(), 600);
    rig.compact(line + 2 * HOUR_MS);
    check(&rig, "late", line, line + 700_000, 3000, 60_000);
    check(&rig, "count", line, line + 700_000, 3000, 60_000);
}

#[test]
fn a_series_of_two_streams_is_one_series() {
    let mut rig = Rig::new();
    for tick in 1..3000 {
        rig.tick(if tick % 2 == 0 { "a" } else { "b" }, START + tick * 1000, &[("x", tick as f64)]);
    }
    rig.flush();
    check(&rig, "x", START, START + 3_000_000, 500, 1000);
    rig.compact(START + 2 * HOUR_MS);
    assert_eq!(rig.head.compacted_through().millis(), START + HOUR_MS);
    check(&rig, "x", START + 1, START + 3_000_000, 500, 1000);
    check(&rig, "x", START, START + 3_000_000, MINUTE_MS, MINUTE_MS);
}

/// A backfill sample by sample: no two series share their times.
#[test]
fn an_hour_of_many_lone_samples_is_readable() {
    let hour = Hour::of(Timestamp(START + 1));
    let lone = |number: u32| {
        let at = hour.start().millis() + 1 + i64::from(number);
        (SeriesId(number), Sample { at, value: f64::from(number) })
    };
    let samples: Vec<_> = (0..6000).map(lone).collect();
    let (made, report) = merge_hour(None, hour, &samples).unwrap();
    assert_eq!(report.accepted, 6000);
    let (again, _) = merge_hour(Some(&made.raw), hour, &samples[..1]).unwrap();
    assert_eq!(again.samples, made.samples);
}
