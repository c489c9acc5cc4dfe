//! Samples of a window against the naive oracle, over every boundary there is.

use proptest::prelude::*;

use super::super::*;
use super::queries::history;
use super::rig::{self, Rig, START};
use crate::model::query::{Resolution, RunValues, SamplesAnswer, SamplesQuery, SeriesSamples, TierRow};
use crate::model::selector::Selector;
use crate::store::StoreError;

fn question(name: &str, from: i64, to: i64) -> SamplesQuery {
    SamplesQuery {
        selector: Selector::name(name),
        from: Timestamp(from),
        to: Timestamp(to),
        finest: Resolution::Raw,
        max_series: 100,
        max_samples: 1_000_000,
    }
}

fn ask(rig: &Rig, query: &SamplesQuery) -> Result<SamplesAnswer, StoreError> {
    let search = Search::new(std::slice::from_ref(&query.selector))?;
    let found = search.among(&rig.head.keys(), query.max_series)?;
    rig.head.plan_samples(query, &found).evaluate(&rig.shelf)
}

/// The only series of an answer; nothing when there is none.
fn only(answer: SamplesAnswer) -> SeriesSamples {
    assert!(answer.series.len() <= 1 && answer.damaged.is_empty(), "{:?}", answer.damaged);
    answer.series.into_iter().next().unwrap_or_default()
}

fn bits(samples: impl Iterator<Item = (i64, f64)>) -> Vec<(i64, u64)> {
    samples.map(|(at, value)| (at, value.to_bits())).collect()
}

fn naive(rig: &Rig, name: &str, from: i64, to: i64) -> Vec<(i64, u64)> {
    let held = rig.naive.get(name).into_iter().flatten();
    bits(held.map(|(at, value)| (*at, *value)).filter(|(at, _)| *at > from && *at <= to))
}

/// What a row says is what a plain loop finds in its time.
fn check_row(rig: &Rig, name: &str, row: &TierRow) {
    let inside: Vec<f64> = rig.naive[name].range(row.start + 1..=row.end).map(|(_, value)| *value).collect();
    assert_eq!(row.count as usize, inside.len(), "{row:?}");
    assert_eq!(row.last, inside[inside.len() - 1]);
    assert_eq!(row.min, inside.iter().copied().fold(f64::INFINITY, f64::min));
    assert_eq!(row.max, inside.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    assert!((row.sum - inside.iter().sum::<f64>()).abs() < 1e-6 * row.sum.abs().max(1.0));
}

/// Rows, nothing twice, and samples: together they are all that was appended.
fn check_all(rig: &Rig, name: &str, found: &SeriesSamples, from: i64, to: i64) {
    for row in &found.rows {
        check_row(rig, name, row);
        assert!(row.end > from && row.end <= to, "{row:?}");
    }
    assert!(found.rows.is_sorted_by(|left, right| left.end <= right.start), "rows overlap");
    let begin = found.rows.first().map_or(from, |row| row.start.min(from));
    let covered = |at: i64| found.rows.iter().any(|row| at > row.start && at <= row.end);
    let mut expected = naive(rig, name, begin, to);
    expected.retain(|(at, _)| !covered(*at));
    assert_eq!(bits(found.samples()), expected, "{name} {from} {to}");
    assert_eq!(found.sample_count(), expected.len());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn samples_are_those_of_the_oracle(
        seed in any::<u64>(),
        name in prop::sample::select(vec!["count", "noise", "rare"]),
        from in -HOUR_MS..4 * HOUR_MS,
        length in 0..5 * HOUR_MS,
    ) {
        let rig = history(3, seed);
        let (from, to) = (START + from, START + from + length);
        let found = only(ask(&rig, &question(name, from, to)).unwrap());
        prop_assert!(found.rows.is_empty());
        prop_assert_eq!(bits(found.samples()), naive(&rig, name, from, to));
    }

    /// Raw hours and rows of minutes went, as retention takes them, at full hours.
    #[test]
    fn tiers_stand_in_where_raw_is_gone(
        seed in any::<u64>(),
        name in prop::sample::select(vec!["count", "noise", "rare"]),
        minutes in 0..3i64,
        raw in 0..3i64,
        hour in -1..4i64,
        length in 0..5 * HOUR_MS,
    ) {
        let mut rig = history(3, seed);
        rig.shelf.0.retain(|(tier, start), _| match tier {
            Resolution::Raw => *start >= START + raw.max(minutes) * HOUR_MS,
            Resolution::Minute => *start >= START + minutes * HOUR_MS,
            Resolution::Hour => true,
        });
        // From a full hour, so that every sample has its row inside the window.
        let (from, to) = (START + hour * HOUR_MS, START + hour * HOUR_MS + length);
        // A row that ends after the window is not in it.
        let end = if to < START + raw.max(minutes) * HOUR_MS { to / HOUR_MS * HOUR_MS } else { to };
        let found = only(ask(&rig, &question(name, from, end)).unwrap());
        check_all(&rig, name, &found, from, end);
    }
}

#[test]
fn a_window_inside_an_hour_has_the_rows_that_end_in_it() {
    let mut rig = history(3, 6);
    rig.shelf.0.retain(|(tier, _), _| *tier != Resolution::Raw);
    let (from, to) = (START + 90_000, START + 5 * MINUTE_MS + 10_000);
    let answer = ask(&rig, &question("count", from, to)).unwrap();
    assert_eq!(answer.resolutions, [Resolution::Minute]);
    let found = only(answer);
    let ends: Vec<i64> = found.rows.iter().map(|row| (row.end - START) / MINUTE_MS).collect();
    assert_eq!(ends, [2, 3, 4, 5]);
    assert!(found.rows.iter().all(|row| row.end - row.start == MINUTE_MS) && found.runs.is_empty());
    // An hour's row is longer than the window: there is none that ends in it.
    rig.shelf.0.retain(|(tier, _), _| *tier == Resolution::Hour);
    assert!(ask(&rig, &question("count", from, to)).unwrap().series.is_empty());
}

#[test]
fn the_answer_says_from_what_it_was_made() {
    let mut rig = history(3, 9);
    rig.shelf.0.retain(|(tier, start), _| match tier {
        Resolution::Raw => *start >= START + 2 * HOUR_MS,
        Resolution::Minute => *start >= START + HOUR_MS,
        Resolution::Hour => true,
    });
    let of =
        |from: i64| ask(&rig, &question("count", START + from, START + 4 * HOUR_MS)).unwrap().resolutions;
    assert_eq!(of(0), [Resolution::Raw, Resolution::Minute, Resolution::Hour]);
    assert_eq!(of(HOUR_MS), [Resolution::Raw, Resolution::Minute]);
    assert_eq!(of(2 * HOUR_MS), [Resolution::Raw]);
}

#[test]
fn a_series_that_began_late_has_only_its_own() {
    let mut rig = Rig::new();
    for tick in 1..5000 {
        let values = [("old", 1.0), ("young", tick as f64)];
        rig.tick("host", START + tick * 1000, if tick > 2000 { &values } else { &values[..1] });
    }
    rig.compact(START + 2 * HOUR_MS);
    for name in ["old", "young"] {
        let found = only(ask(&rig, &question(name, START, START + HOUR_MS)).unwrap());
        check_all(&rig, name, &found, START, START + HOUR_MS);
    }
    let before = ask(&rig, &question("young", START, START + 2_000_000)).unwrap();
    assert!(before.series.is_empty());
}

#[test]
fn times_are_shared_and_what_stands_still_is_one_value() {
    let mut rig = Rig::new();
    for tick in 1..3700 {
        let at = tick as f64;
        rig.tick("host", START + tick * 1000, &[("still", 4.0), ("a", at), ("b", at * 3.0)]);
    }
    rig.compact(START + 2 * HOUR_MS);
    let query = SamplesQuery { selector: Selector::default(), ..question("", START, START + HOUR_MS) };
    let answer = ask(&rig, &query).unwrap();
    let runs: Vec<_> = answer.series.iter().map(|series| &series.runs[0]).collect();
    assert_eq!(runs.len(), 3);
    assert!(runs.iter().all(|run| std::ptr::eq(run.times(), runs[0].times()) && run.times().len() == 3600));
    let still = answer.series.iter().find(|series| series.key == "still").unwrap();
    assert!(matches!(still.runs[0].values(), RunValues::Same(4.0)));
}

#[test]
fn a_series_of_two_streams_is_sorted_and_has_no_double() {
    let mut rig = Rig::new();
    for tick in 1..3000 {
        rig.tick(if tick % 2 == 0 { "a" } else { "b" }, START + tick * 1000, &[("x", tick as f64)]);
    }
    let all = |rig: &Rig| only(ask(rig, &question("x", START, START + HOUR_MS)).unwrap());
    assert_eq!(bits(all(&rig).samples()), naive(&rig, "x", START, START + HOUR_MS));
    rig.flush();
    rig.compact(START + 2 * HOUR_MS);
    assert_eq!(bits(all(&rig).samples()), naive(&rig, "x", START, START + HOUR_MS));
}

#[test]
fn limits_are_errors_and_wild_windows_do_not_overflow() {
    let rig = history(2, 4);
    let exact = only(ask(&rig, &question("count", START, START + 2 * HOUR_MS)).unwrap()).sample_count();
    let limited = |max_samples| {
        ask(&rig, &SamplesQuery { max_samples, ..question("count", START, START + 2 * HOUR_MS) })
    };
    assert!(limited(exact).is_ok());
    let refused = limited(exact - 1).unwrap_err();
    assert!(matches!(refused, StoreError::TooManySamples { limit } if limit == exact - 1), "{refused}");
    let all = SamplesQuery { selector: Selector::default(), max_series: 2, ..question("", 0, 1) };
    assert!(matches!(ask(&rig, &all), Err(StoreError::TooManySeries { found: 3, limit: 2 })));
    for (from, to) in [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (i64::MAX - 1, i64::MAX), (START, START)] {
        ask(&rig, &question("count", from, to)).unwrap();
    }
}

#[test]
fn what_is_damaged_costs_its_own_part_and_is_named() {
    let mut rig = history(3, 15);
    let hour = START + HOUR_MS;
    let to = START + 3 * HOUR_MS;
    // The last byte of the last chunk, which is that of the series that came last.
    rig.shelf.0.get_mut(&(Resolution::Raw, hour)).unwrap().1.pop();
    let query = SamplesQuery { selector: Selector::default(), ..question("", START, to) };
    let answer = ask(&rig, &query).unwrap();
    let damage = &answer.damaged[0];
    assert_eq!((answer.damaged.len(), damage.series, damage.resolution), (1, 1, Resolution::Raw));
    assert_eq!((damage.from, damage.to), (Timestamp(hour), Timestamp(hour + HOUR_MS)));
    assert!(damage.to_string().starts_with("raw samples of 1 series from 2026-11-20T01:00:00"), "{damage}");
    for series in &answer.series {
        check_all(&rig, &series.key, series, START, to);
        assert_eq!(series.rows.is_empty(), series.key != "rare", "{}", series.key);
    }
    // The same for a range: only the damaged series is seen through its minutes.
    for name in ["count", "noise"] {
        let expected = rig.expected(name, START + 17, to, 60_000, 300_000);
        let answer = rig.query(name, START + 17, to, 60_000, 300_000);
        assert_eq!(rig::points(&answer, expected.len()), expected);
        assert!(answer.damaged.is_empty());
    }
    let rare = rig.query("rare", START + 17, to, 60_000, 300_000);
    assert_eq!((rare.damaged.len(), rare.resolutions), (1, vec![Resolution::Raw, Resolution::Minute]));
}

#[test]
fn a_directory_that_is_damaged_leaves_the_other_hours() {
    let mut rig = history(3, 16);
    for resolution in [Resolution::Raw, Resolution::Minute, Resolution::Hour] {
        rig.shelf.0.get_mut(&(resolution, START + HOUR_MS)).unwrap().1[12] ^= 0x40;
    }
    let answer = ask(&rig, &question("count", START, START + 3 * HOUR_MS)).unwrap();
    assert_eq!(answer.damaged.len(), 3);
    let mut expected = naive(&rig, "count", START, START + HOUR_MS);
    expected.extend(naive(&rig, "count", START + 2 * HOUR_MS, START + 3 * HOUR_MS));
    assert_eq!(bits(answer.series[0].samples()), expected);
    let range = rig.query("count", START + HOUR_MS, START + 3 * HOUR_MS, MINUTE_MS, 300_000);
    assert_eq!((range.damaged.len(), range.series.len()), (3, 1));
}

#[test]
fn minutes_are_enough_where_that_is_said() {
    let rig = history(3, 7);
    let (from, to) = (START, START + 4 * HOUR_MS);
    let whole = question("noise", from, to);
    let fine = only(ask(&rig, &whole).unwrap());
    let coarse = only(ask(&rig, &SamplesQuery { finest: Resolution::Minute, ..whole }).unwrap());
    assert!(fine.rows.is_empty() && coarse.rows.len() > 60, "{} rows", coarse.rows.len());
    check_all(&rig, "noise", &coarse, from, to);
}

#[test]
fn the_newest_sample_says_whether_it_is_the_only_new_one() {
    let mut rig = Rig::new();
    rig.tick("a", START, &[("x", 1.0), ("y", 2.0)]);
    let ids: Vec<u32> = rig.head.keys().iter().map(|(id, _)| *id).collect();
    let newest = |rig: &Rig| {
        let mut seen = Vec::new();
        rig.head.newest(&ids, &mut |index, sample| seen.push((index, sample.at, sample.value, sample.count)));
        seen
    };
    assert_eq!(newest(&rig), [(0, START, 1.0, 1), (1, START, 2.0, 1)]);
    let keys = rig.head.keys();
    rig.tick("a", START + 1000, &[("x", 3.0)]);
    assert_eq!(newest(&rig), [(0, START + 1000, 3.0, 2), (1, START, 2.0, 1)]);
    assert!(std::sync::Arc::ptr_eq(&keys, &rig.head.keys()), "no series came or went");
    rig.tick("a", START + 2000, &[("z", 0.0)]);
    assert!(!std::sync::Arc::ptr_eq(&keys, &rig.head.keys()));
}
