//! Rows of the 1m and 1h tiers: min, max, sum, count and last of a bucket.
//!
//! Buckets are left-open and right-closed and labelled by their end, so that
//! `last` at a label is what an instant query at that time sees. `NaN`s count
//! and can be last, but are not min or max while there are other values; the
//! sum of a bucket with a `NaN` is `NaN`, as in Prometheus.
//!
//! When all values of a series are whole numbers on one scale, the
//! sum is that of the whole numbers (more exact than adding `f64`s), and a
//! chunk holds differences that are mostly zero or small: max - last,
//! last - min or min - last of the row before, and twice the sum less
//! count * (min + max).
//!
//! Layout of a chunk: one byte (form in bits 0-1, min's form in bit 2, scale
//! in bits 3-6); counts as [`ints`]; form 0: last, max, min, sum as
//! [`ints`] of those differences; form 1: last, max, min, sum as [`column`]s.

use super::Sample;
use super::bytes::{Corrupt, Reader};
use super::column;
use super::column::Effort;
use super::ints;

const DECIMAL: u8 = 0;
const FLOATS: u8 = 1;
/// `min` is stored as its difference to the row before's `last`.
const MIN_FROM_BEFORE: u8 = 4;
/// Every whole number up to here is an `f64`.
const EXACT: i128 = 1 << 53;

/// One bucket of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Its label: the included end, ms.
    pub end: i64,
    pub min: f64,
    pub max: f64,
    pub sum: f64,
    pub count: u32,
    pub last: f64,
}

/// The rows of samples in time order, for buckets of `unit` ms.
pub(super) fn rows(samples: &[Sample], unit: i64) -> Vec<Row> {
    let values: Vec<f64> = samples.iter().map(|sample| sample.value).collect();
    let mut numbers = Vec::new();
    let scale = column::decimal(&values, &mut numbers);
    let mut rows: Vec<Row> = Vec::new();
    let mut start = 0;
    for bucket in samples.chunk_by(|left, right| label(left.at, unit) == label(right.at, unit)) {
        let range = start..start + bucket.len();
        start = range.end;
        let mut row = row_of(label(bucket[0].at, unit), bucket);
        if let Some(scale) = scale {
            let sum: i128 = numbers[range].iter().map(|number| i128::from(*number)).sum();
            if sum.abs() < EXACT {
                row.sum = column::value_of(sum as i64, scale);
            }
        }
        rows.push(row);
    }
    rows
}

/// The label of the bucket `at` lies in.
pub(super) fn label(at: i64, unit: i64) -> i64 {
    at.saturating_sub(1).div_euclid(unit).saturating_add(1).saturating_mul(unit)
}

fn row_of(end: i64, bucket: &[Sample]) -> Row {
    let mut row = Row {
        end,
        min: f64::NAN,
        max: f64::NAN,
        sum: 0.0,
        count: bucket.len() as u32,
        last: bucket.last().map_or(f64::NAN, |sample| sample.value),
    };
    for sample in bucket {
        widen(&mut row.min, &mut row.max, sample.value, sample.value);
        row.sum += sample.value;
    }
    row
}

/// Takes another bucket's extremes in; `NaN` gives way to any number.
pub(super) fn widen(min: &mut f64, max: &mut f64, low: f64, high: f64) {
    if low < *min || (min.is_nan() && !low.is_nan()) {
        *min = low;
    }
    if high > *max || (max.is_nan() && !high.is_nan()) {
        *max = high;
    }
}

/// Appends a chunk of at least one row. Labels are not part of it.
pub(super) fn encode(rows: &[Row], out: &mut Vec<u8>) {
    let count = rows.len();
    let counts: Vec<i64> = rows.iter().map(|row| i64::from(row.count)).collect();
    let fields: [fn(&Row) -> f64; 4] = [|row| row.last, |row| row.max, |row| row.min, |row| row.sum];
    let values: Vec<f64> = fields.iter().flat_map(|field| rows.iter().map(field)).collect();
    let mut numbers = Vec::new();
    let Some(scale) = column::decimal(&values, &mut numbers) else {
        out.push(FLOATS);
        ints::encode(&counts, out);
        values.chunks(count).for_each(|column| column::encode(column, Effort::Quick, out));
        return;
    };
    let (last, rest) = numbers.split_at(count);
    let (max, rest) = rest.split_at(count);
    let (min, sum) = rest.split_at(count);
    let difference = |left: &[i64], right: &[i64]| -> Vec<i64> {
        left.iter().zip(right).map(|(left, right)| left.wrapping_sub(*right)).collect()
    };
    let mut below = Vec::new();
    ints::encode(&difference(last, min), &mut below);
    let before: Vec<i64> = std::iter::once(last[0]).chain(last.iter().copied()).take(count).collect();
    let mut above = Vec::new();
    ints::encode(&difference(min, &before), &mut above);
    let (flag, min_bytes) = if above.len() < below.len() { (MIN_FROM_BEFORE, above) } else { (0, below) };
    out.push(DECIMAL | flag | scale << 3);
    ints::encode(&counts, out);
    ints::encode(last, out);
    ints::encode(&difference(max, last), out);
    out.extend_from_slice(&min_bytes);
    let sums: Vec<i64> = (0..count)
        .map(|at| sum[at].wrapping_mul(2).wrapping_sub(middle(counts[at], min[at], max[at])))
        .collect();
    ints::encode(&sums, out);
}

/// Twice the sum a bucket would have if its values lay around the middle.
fn middle(count: i64, min: i64, max: i64) -> i64 {
    min.wrapping_add(max).wrapping_mul(count)
}

/// Reads a chunk whose rows have these labels.
pub(super) fn decode(bytes: &[u8], labels: &[i64]) -> Result<Vec<Row>, Corrupt> {
    let count = labels.len();
    let mut reader = Reader::new(bytes);
    let head = reader.byte()?;
    let scale = head >> 3;
    if scale > 15 {
        return Err(Corrupt("an unknown scale"));
    }
    let mut counts = Vec::new();
    ints::decode(&mut reader, count, &mut counts)?;
    let mut columns = [const { Vec::<f64>::new() }; 4];
    match head & 3 {
        DECIMAL => {
            let mut numbers = [const { Vec::<i64>::new() }; 4];
            for column in &mut numbers {
                ints::decode(&mut reader, count, column)?;
            }
            let [last, max, min, sum] = &mut numbers;
            for at in 0..count {
                max[at] = max[at].wrapping_add(last[at]);
                min[at] = if head & MIN_FROM_BEFORE == 0 {
                    last[at].wrapping_sub(min[at])
                } else {
                    min[at].wrapping_add(last[at.saturating_sub(1)])
                };
                sum[at] = sum[at].wrapping_add(middle(counts[at], min[at], max[at])) / 2;
            }
            for (column, numbers) in columns.iter_mut().zip(&numbers) {
                column.extend(numbers.iter().map(|number| column::value_of(*number, scale)));
            }
        }
        FLOATS => {
            let mut scratch = Vec::new();
            for column in &mut columns {
                column::decode(&mut reader, count, &mut scratch, column)?;
            }
        }
        _ => return Err(Corrupt("an unknown form of rows")),
    }
    let [last, max, min, sum] = columns;
    let row = |at: usize| Row {
        end: labels[at],
        min: min[at],
        max: max[at],
        sum: sum[at],
        count: u32::try_from(counts[at]).unwrap_or(u32::MAX),
        last: last[at],
    };
    Ok((0..count).map(row).collect())
}
