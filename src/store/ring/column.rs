//! A column of sample values, exact to the last bit.
//!
//! Most values are short decimals (counts, seconds with two digits), so a
//! column is first tried as whole numbers on a [`SCALES`] entry; what does not
//! come back bit for bit that way (`NaN`s, -0.0, infinities, long fractions)
//! is stored by its bits. Long columns are also given to pco, which wins from
//! some hundred values on. One would get it wrong by testing the decimal form
//! with `==`: -0.0 equals 0.0 and no `NaN` equals itself.
//!
//! Layout: one byte (form in bits 0-2, scale in bits 3-6), then
//! `Same`: zigzag varint, all values are it; `SameBits`: eight bytes;
//! `Decimal`: [`ints`]; `Bits`: one byte of shift, [`ints`];
//! `PcoDecimal`, `PcoFloat`: varint length, crc32, a standalone pco file. The
//! checksum stands there because pco's reader should not meet damaged input.

use super::bytes::{Corrupt, Reader, put_varint, put_zigzag};
use super::ints;

const SAME: u8 = 0;
const SAME_BITS: u8 = 1;
const DECIMAL: u8 = 2;
const BITS: u8 = 3;
const PCO_DECIMAL: u8 = 4;
const PCO_FLOAT: u8 = 5;

/// How a whole number becomes a value: `number * factor / first / second`.
///
/// Dividing is how decimal text is read. Multiplying is how exporters turn
/// ticks and milliseconds into seconds (`x * 0.001` is not always `x / 1000`),
/// and dividing twice is how node_exporter turns microseconds into seconds.
/// The positions are part of the stored form.
const SCALES: [(f64, f64, f64); 16] = [
    (1.0, 1e0, 1.0),
    (1.0, 1e1, 1.0),
    (1.0, 1e2, 1.0),
    (1.0, 1e3, 1.0),
    (1.0, 1e4, 1.0),
    (1.0, 1e5, 1.0),
    (1.0, 1e6, 1.0),
    (1.0, 1e7, 1.0),
    (1.0, 1e8, 1.0),
    (1.0, 1e9, 1.0),
    (0.1, 1.0, 1.0),
    (0.01, 1.0, 1.0),
    (0.001, 1.0, 1.0),
    (1e-6, 1.0, 1.0),
    (1e-9, 1.0, 1.0),
    (1.0, 1e3, 1e3),
];
/// Above this not every whole number is an `f64`.
const WHOLE_LIMIT: f64 = 9_007_199_254_740_992.0;
/// Shorter columns never gain from pco.
const PCO_FROM: usize = 256;

/// How much time a column is worth.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// Bit packing only: a few nanoseconds a value.
    Quick,
    /// Also pco: some hundred nanoseconds a value.
    Small,
}

/// The value of a whole number on a scale below 16.
#[inline]
pub(super) fn value_of(number: i64, scale: u8) -> f64 {
    let (factor, first, second) = SCALES[usize::from(scale & 15)];
    number as f64 * factor / first / second
}

/// The whole number that gives `value` exactly.
fn whole(value: f64, scale: u8) -> Option<i64> {
    let (factor, first, second) = SCALES[usize::from(scale & 15)];
    let scaled = value * (first * second / factor);
    // A NaN is not a whole number either.
    if scaled.is_nan() || scaled.abs() >= WHOLE_LIMIT {
        return None;
    }
    let whole = scaled.round() as i64;
    (value_of(whole, scale).to_bits() == value.to_bits()).then_some(whole)
}

/// Writes `values` as whole numbers to `out` when one scale makes all of them
/// so; answers the scale.
pub(super) fn decimal(values: &[f64], out: &mut Vec<i64>) -> Option<u8> {
    let mut scale = 0;
    'again: loop {
        out.clear();
        for value in values {
            match whole(*value, scale) {
                Some(number) => out.push(number),
                None => {
                    // A value that fits no scale fails here and not after a
                    // column's worth of work.
                    scale = (scale + 1..16).find(|scale| whole(*value, *scale).is_some())?;
                    continue 'again;
                }
            }
        }
        return Some(scale);
    }
}

/// Appends `values`, of which there is at least one.
pub(super) fn encode(values: &[f64], effort: Effort, out: &mut Vec<u8>) {
    debug_assert!(!values.is_empty());
    let mut numbers = Vec::new();
    let first = values[0].to_bits();
    if values.iter().all(|value| value.to_bits() == first) {
        match decimal(&values[..1], &mut numbers) {
            Some(scale) => {
                out.push(SAME | scale << 3);
                put_zigzag(out, numbers[0]);
            }
            None => {
                out.push(SAME_BITS);
                out.extend_from_slice(&first.to_le_bytes());
            }
        }
        return;
    }
    let start = out.len();
    numbers.reserve(values.len());
    let scale = decimal(values, &mut numbers);
    match scale {
        Some(scale) => out.push(DECIMAL | scale << 3),
        None => {
            numbers.clear();
            numbers.extend(values.iter().map(|value| value.to_bits() as i64));
            let shift = numbers.iter().fold(0, |all, bits| all | bits).trailing_zeros();
            numbers.iter_mut().for_each(|bits| *bits >>= shift);
            out.extend_from_slice(&[BITS, shift as u8]);
        }
    }
    ints::encode(&numbers, out);
    if effort == Effort::Small && values.len() >= PCO_FROM {
        if let Some(scale) = scale {
            replace_by_pco(PCO_DECIMAL | scale << 3, &numbers, start, out);
        }
        replace_by_pco(PCO_FLOAT, values, start, out);
    }
}

/// Puts the pco form in place of what stands from `start` when it is smaller.
fn replace_by_pco<T: pco::data_types::Number + PartialEq>(
    head: u8,
    values: &[T],
    start: usize,
    out: &mut Vec<u8>,
) {
    let config = pco::ChunkConfig::default();
    let Ok(packed) = pco::standalone::simple_compress(values, &config) else { return };
    if packed.len() + 7 < out.len() - start {
        out.truncate(start);
        out.push(head);
        put_varint(out, packed.len() as u64);
        out.extend_from_slice(&crc32fast::hash(&packed).to_le_bytes());
        out.extend_from_slice(&packed);
    }
}

/// The values of a column as they are stored: what asks for extremes and the last
/// of many needs no `f64` for each.
#[derive(Clone, Copy, Debug)]
pub(super) enum Values<'a> {
    Same(f64),
    /// Whole numbers and their scale; [`value_of`] never falls as they rise.
    Numbers(&'a [i64], u8),
    Floats(&'a [f64]),
}

impl Values<'_> {
    pub(super) fn at(&self, place: usize) -> Option<f64> {
        match self {
            Self::Same(value) => Some(*value),
            Self::Numbers(numbers, scale) => numbers.get(place).map(|number| value_of(*number, *scale)),
            Self::Floats(floats) => floats.get(place).copied(),
        }
    }
}

/// Room for [`read`], used again and again.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    numbers: Vec<i64>,
    floats: Vec<f64>,
}

/// What a column turned out to be; numbers and floats are in the caller's buffers.
enum Form {
    Same(f64),
    Numbers(u8),
    Floats,
}

/// Reads `count` values (at least one) and appends them to `out`.
pub(super) fn decode(
    reader: &mut Reader<'_>,
    count: usize,
    scratch: &mut Vec<i64>,
    out: &mut Vec<f64>,
) -> Result<(), Corrupt> {
    match unpack(reader, count, scratch, out)? {
        Form::Same(value) => out.resize(out.len() + count, value),
        Form::Numbers(scale) => out.extend(scratch.iter().map(|number| value_of(*number, scale))),
        Form::Floats => {}
    }
    Ok(())
}

/// Reads `count` values (at least one).
pub(super) fn read<'a>(
    reader: &mut Reader<'_>,
    count: usize,
    buffers: &'a mut Buffers,
) -> Result<Values<'a>, Corrupt> {
    let Buffers { numbers, floats } = buffers;
    floats.clear();
    Ok(match unpack(reader, count, numbers, floats)? {
        Form::Same(value) => Values::Same(value),
        Form::Numbers(scale) => Values::Numbers(numbers, scale),
        Form::Floats => Values::Floats(floats),
    })
}

/// Replaces `numbers`, or appends to `floats`.
fn unpack(
    reader: &mut Reader<'_>,
    count: usize,
    numbers: &mut Vec<i64>,
    floats: &mut Vec<f64>,
) -> Result<Form, Corrupt> {
    let head = reader.byte()?;
    let scale = head >> 3;
    if scale > 15 {
        return Err(Corrupt("an unknown scale"));
    }
    match head & 7 {
        SAME => return Ok(Form::Same(value_of(reader.zigzag()?, scale))),
        SAME_BITS => return Ok(Form::Same(f64::from_bits(reader.u64()?))),
        DECIMAL => {
            numbers.clear();
            ints::decode(reader, count, numbers)?;
            return Ok(Form::Numbers(scale));
        }
        BITS => {
            let shift = u32::from(reader.byte()?).min(63);
            numbers.clear();
            ints::decode(reader, count, numbers)?;
            floats.extend(numbers.iter().map(|bits| f64::from_bits((*bits as u64) << shift)));
        }
        PCO_DECIMAL => {
            numbers.resize(count, 0);
            unpack_pco(reader, numbers)?;
            return Ok(Form::Numbers(scale));
        }
        PCO_FLOAT => {
            let start = floats.len();
            floats.resize(start + count, 0.0);
            unpack_pco(reader, &mut floats[start..])?;
        }
        _ => return Err(Corrupt("an unknown form of a column")),
    }
    Ok(Form::Floats)
}

fn unpack_pco<T: pco::data_types::Number>(reader: &mut Reader<'_>, out: &mut [T]) -> Result<(), Corrupt> {
    let packed = pco_bytes(reader)?;
    match pco::standalone::simple_decompress_into(packed, out) {
        Ok(progress) if progress.n_processed == out.len() => Ok(()),
        _ => Err(Corrupt("a pco column does not hold what it should")),
    }
}

fn pco_bytes<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Corrupt> {
    let length = reader.count(reader.remaining(), "a length runs past the end")?;
    let expected = reader.u32()?;
    let packed = reader.take(length)?;
    if crc32fast::hash(packed) == expected { Ok(packed) } else { Err(Corrupt("a column fails its checksum")) }
}

/// Passes over a column of `count` values.
pub(super) fn skip(reader: &mut Reader<'_>, count: usize) -> Result<(), Corrupt> {
    let head = reader.byte()?;
    match head & 7 {
        SAME => reader.varint().map(drop),
        SAME_BITS => reader.take(8).map(drop),
        DECIMAL => ints::skip(reader, count),
        BITS => {
            reader.byte()?;
            ints::skip(reader, count)
        }
        _ => {
            let length = reader.count(reader.remaining(), "a length runs past the end")?;
            reader.take(length.saturating_add(4)).map(drop)
        }
    }
}
