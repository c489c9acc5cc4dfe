//! What is written comes back, to the last bit.

use proptest::prelude::*;

use super::super::bytes::Reader;
use super::super::column;
use super::super::column::Effort;
use super::super::ints;
use super::super::presence;
use super::super::presence::Runs;
use super::super::segment;
use super::super::segment::{Grid, GridColumn};
use super::super::tier;
use super::super::*;
use super::rig::START;
use crate::model::series::Kind;

/// Values of the kinds that occur, and of those that should not.
fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-1000i64..1000).prop_map(|number| number as f64),
        2 => (0i64..1_000_000).prop_map(|number| number as f64 / 100.0),
        2 => (0i64..1_000_000).prop_map(|number| number as f64 * 0.001),
        1 => any::<u64>().prop_map(f64::from_bits),
        1 => prop::sample::select(vec![
            0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, f64::MAX, f64::MIN,
            crate::model::query::no_value(), f64::from_bits(0x7ff8_dead_beef_0001), 9_007_199_254_740_993.0,
        ]),
    ]
}

/// Columns of one kind, and mixed ones.
fn column(length: impl Into<prop::collection::SizeRange> + Clone) -> impl Strategy<Value = Vec<f64>> {
    let length = length.into();
    prop_oneof![
        prop::collection::vec(value(), length.clone()),
        prop::collection::vec(-50i64..50, length.clone())
            .prop_map(|all| all.iter().map(|n| *n as f64).collect()),
        (prop::collection::vec(0i64..5, length.clone()), 1i64..1 << 40).prop_map(|(steps, mut sum)| {
            steps
                .iter()
                .map(|step| {
                    sum += step * 4096;
                    sum as f64
                })
                .collect()
        }),
        (prop::collection::vec(0i64..900, length.clone()), 1i64..1 << 30).prop_map(|(steps, mut sum)| {
            steps
                .iter()
                .map(|step| {
                    sum += step;
                    sum as f64 / 1000.0 / 1000.0
                })
                .collect()
        }),
        (value(), prop::collection::vec(any::<bool>(), length))
            .prop_map(|(value, all)| vec![value; all.len()]),
    ]
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// A grid of few series, some with gaps, ids with holes.
pub fn grid() -> impl Strategy<Value = Grid> {
    (1usize..40, prop::collection::btree_map(0u32..50, (any::<u64>(), 0usize..4), 1..8)).prop_flat_map(
        |(count, ids)| {
            let times = prop::collection::vec(1i64..5000, count).prop_map(|steps| {
                let mut at = START;
                steps
                    .iter()
                    .map(|step| {
                        at += step;
                        at
                    })
                    .collect::<Vec<_>>()
            });
            let columns: Vec<_> = ids
                .into_iter()
                .map(|(id, (mask, gaps))| {
                    let mut runs = Runs::new();
                    for position in 0..count as u32 {
                        if gaps > 0 && position > 0 && mask >> (position % 64) & 1 == 1 {
                            continue;
                        }
                        presence::push(&mut runs, position);
                    }
                    let present = presence::total(&runs);
                    if present == count {
                        runs.clear();
                    }
                    column(present..present + 1).prop_map(move |values| GridColumn {
                        id,
                        runs: runs.clone(),
                        values,
                    })
                })
                .collect();
            (times, columns).prop_map(|(times, columns)| Grid { times, columns })
        },
    )
}

fn same(left: &Grid, right: &Grid) -> bool {
    left.times == right.times
        && left.columns.len() == right.columns.len()
        && left.columns.iter().zip(&right.columns).all(|(left, right)| {
            left.id == right.id && left.runs == right.runs && bits(&left.values) == bits(&right.values)
        })
}

/// (id, time, bits) of every sample.
fn samples(grid: &Grid) -> Vec<(u32, i64, u64)> {
    let mut all = Vec::new();
    for column in &grid.columns {
        segment::each(&grid.times, &column.runs, &column.values, |at, value| {
            all.push((column.id, at, value.to_bits()));
        });
    }
    all
}

proptest! {
    #[test]
    fn whole_numbers(values in prop::collection::vec(prop_oneof![any::<i64>(), -9i64..9, 0i64..1 << 50], 1..300)) {
        let mut bytes = Vec::new();
        ints::encode(&values, &mut bytes);
        let (mut reader, mut out) = (Reader::new(&bytes), Vec::new());
        ints::decode(&mut reader, values.len(), &mut out).unwrap();
        prop_assert_eq!((out, reader.remaining()), (values.clone(), 0));
        let mut reader = Reader::new(&bytes);
        ints::skip(&mut reader, values.len()).unwrap();
        prop_assert_eq!(reader.remaining(), 0);
    }

    #[test]
    fn columns_keep_every_bit(values in column(1..700), small in any::<bool>()) {
        let effort = if small { Effort::Small } else { Effort::Quick };
        let mut bytes = Vec::new();
        column::encode(&values, effort, &mut bytes);
        let (mut reader, mut out) = (Reader::new(&bytes), Vec::new());
        column::decode(&mut reader, values.len(), &mut Vec::new(), &mut out).unwrap();
        prop_assert_eq!((bits(&out), reader.remaining()), (bits(&values), 0));
        let mut reader = Reader::new(&bytes);
        column::skip(&mut reader, values.len()).unwrap();
        prop_assert_eq!(reader.remaining(), 0);
    }

    #[test]
    fn segments_and_their_gaps(grid in grid()) {
        let mut bytes = Vec::new();
        segment::encode(&grid, Effort::Quick, &mut bytes);
        prop_assert!(same(&segment::decode(&bytes).unwrap(), &grid));
    }

    #[test]
    fn joining_loses_and_moves_nothing(first in grid(), second in grid()) {
        let mut second = second;
        let after = first.times[first.times.len() - 1] - START;
        second.times.iter_mut().for_each(|at| *at += after);
        let mut expected = [samples(&first), samples(&second)].concat();
        expected.sort_unstable();
        let joined = segment::join(first, second);
        let mut bytes = Vec::new();
        segment::encode(&joined, Effort::Quick, &mut bytes);
        prop_assert_eq!(samples(&segment::decode(&bytes).unwrap()), expected);
    }

    #[test]
    fn rows_of_a_tier(values in column(1..400)) {
        let samples: Vec<Sample> =
            values.iter().enumerate().map(|(at, value)| Sample { at: START + 1 + at as i64 * 700, value: *value }).collect();
        let rows = tier::rows(&samples, MINUTE_MS);
        let labels: Vec<i64> = rows.iter().map(|row| row.end).collect();
        let mut bytes = Vec::new();
        tier::encode(&rows, &mut bytes);
        let back = tier::decode(&bytes, &labels).unwrap();
        let flat = |rows: &[Row]| -> Vec<(i64, u32, Vec<u64>)> {
            rows.iter().map(|row| (row.end, row.count, bits(&[row.min, row.max, row.sum, row.last]))).collect()
        };
        prop_assert_eq!(flat(&back), flat(&rows));
    }

    #[test]
    fn index_rows(id in any::<u32>(), key in ".*", help in ".*", last_value in value(), first in any::<i64>()) {
        let record = SeriesRecord {
            id: SeriesId(id), key: key.clone(), family: key, kind: Kind::Histogram, help, first, last: first, last_value,
        };
        let back = SeriesRecord::decode(&record.encode()).unwrap();
        prop_assert_eq!(back.last_value.to_bits(), record.last_value.to_bits());
        prop_assert_eq!(format!("{back:?}"), format!("{record:?}"));
    }
}

#[test]
fn rows_are_what_a_plain_loop_computes() {
    let value = |at: usize| ((at * 7919) % 1000) as f64 / 100.0;
    let samples: Vec<Sample> =
        (0..500).map(|at| Sample { at: START + at as i64 * 1000, value: value(at) }).collect();
    let rows = tier::rows(&samples, MINUTE_MS);
    // The first sample lies on the full minute and belongs to the one before.
    assert_eq!((rows[0].end, rows[0].count, rows[0].last), (START, 1, 0.0));
    for row in &rows {
        let inside: Vec<f64> = samples
            .iter()
            .filter(|sample| sample.at > row.end - MINUTE_MS && sample.at <= row.end)
            .map(|sample| sample.value)
            .collect();
        assert_eq!(row.count as usize, inside.len());
        assert_eq!(row.last, inside[inside.len() - 1]);
        assert_eq!(row.min, inside.iter().copied().fold(f64::INFINITY, f64::min));
        assert_eq!(row.max, inside.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        assert!((row.sum - inside.iter().sum::<f64>()).abs() < 1e-9);
    }
    assert_eq!(rows.iter().map(|row| row.count).sum::<u32>(), 500);
}

#[test]
fn nan_counts_but_gives_way_in_min_and_max() {
    let samples = [1.0, f64::NAN, 3.0].map(|value| Sample { at: START + 5, value });
    let row = tier::rows(&samples, MINUTE_MS)[0];
    assert_eq!((row.min, row.max, row.count, row.last), (1.0, 3.0, 3, 3.0));
    assert!(row.sum.is_nan());
}
