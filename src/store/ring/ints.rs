//! A column of whole numbers: differences, bit-packed.
//!
//! Differences of order 0, 1 or 2 are taken, then coded in one of three ways,
//! and the smallest result wins: packed at the width of the widest above the
//! smallest (`Packed`), Exp-Golomb above the smallest (`Above`, for counters
//! that mostly stand still), Exp-Golomb of either sign (`Signed`, for gauges
//! around a mean). Numbers that are all a multiple apart (pages of memory) are
//! divided first. Source of the code: Exp-Golomb of order k as in ITU-T H.264
//! section 9.1. All arithmetic wraps, so any `i64` survives.
//!
//! Layout: one byte (order in bits 0-1, coding in bits 2-3, bit 4: divided);
//! if divided, zigzag varint of the first number and varint of the divisor, and
//! all that follows is about (number - first) / divisor; per order one zigzag
//! varint that starts the sums; then
//! `Packed`: zigzag varint of the smallest, one byte of width, the bits;
//! `Above`: zigzag varint of the smallest, one byte k, varint length, the bits;
//! `Signed`: one byte k, varint length, the bits.

use super::bytes::{BitReader, BitWriter, Corrupt, Reader, put_varint, put_zigzag, unzigzag, zigzag};

const PACKED: u8 = 0;
const ABOVE: u8 = 1;
const SIGNED: u8 = 2;
const DIVIDED: u8 = 16;
/// Exp-Golomb codes of larger values would be longer than a bit window.
const GOLOMB_LIMIT: u64 = 1 << 48;

/// How one order of differences would be written.
#[derive(Clone, Copy)]
struct Plan {
    bits: u64,
    order: u8,
    coding: u8,
    smallest: i64,
    parameter: u32,
}

/// Writes `values`, of which there is at least one.
pub(super) fn encode(values: &[i64], out: &mut Vec<u8>) {
    debug_assert!(!values.is_empty());
    let head = out.len();
    out.push(0);
    match divisor(values) {
        Some(divisor) => {
            put_zigzag(out, values[0]);
            put_varint(out, divisor as u64);
            let quotients: Vec<i64> = values.iter().map(|value| (value - values[0]) / divisor).collect();
            out[head] = DIVIDED | encode_rest(&quotients, out);
        }
        None => out[head] = encode_rest(values, out),
    }
}

/// What all numbers are a multiple of apart, when that is worth writing.
fn divisor(values: &[i64]) -> Option<i64> {
    let mut common = 0u64;
    for value in values {
        let mut left = value.checked_sub(values[0])?.unsigned_abs();
        while left != 0 {
            (common, left) = (left, common % left);
        }
        if common == 1 {
            return None;
        }
    }
    // The divisor and the first number take some bytes themselves.
    let saved = u64::from(common.checked_ilog2()?) * values.len() as u64;
    (saved > 64).then(|| i64::try_from(common).ok()).flatten()
}

/// Writes all but the head byte, which it answers.
fn encode_rest(values: &[i64], out: &mut Vec<u8>) -> u8 {
    let mut best: Option<(Plan, Vec<i64>)> = None;
    let mut rest = values.to_vec();
    for order in 0..=2u8.min((values.len() - 1) as u8) {
        if order > 0 {
            rest = rest.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
        }
        let plan = plan(&rest, order);
        if best.as_ref().is_none_or(|(chosen, _)| plan.bits < chosen.bits) {
            best = Some((plan, rest.clone()));
        }
    }
    let Some((plan, rest)) = best else { return 0 };
    if plan.order > 0 {
        put_zigzag(out, values[0]);
    }
    if plan.order > 1 {
        put_zigzag(out, values[1].wrapping_sub(values[0]));
    }
    write(&plan, &rest, out);
    plan.order | plan.coding << 2
}

fn write(plan: &Plan, rest: &[i64], out: &mut Vec<u8>) {
    if plan.coding != SIGNED {
        put_zigzag(out, plan.smallest);
    }
    out.push(plan.parameter as u8);
    if plan.coding == PACKED {
        let mut bits = BitWriter::new(out);
        for value in rest {
            bits.put(value.wrapping_sub(plan.smallest) as u64, plan.parameter);
        }
        bits.finish();
        return;
    }
    put_varint(out, plan.bits_of_codes(rest).div_ceil(8));
    let mut bits = BitWriter::new(out);
    for value in rest {
        let value = plan.unsigned(*value);
        let quotient = (value >> plan.parameter) + 1;
        let width = u64::BITS - quotient.leading_zeros();
        bits.put(1 << (width - 1), width);
        bits.put(quotient, width - 1);
        bits.put(value, plan.parameter);
    }
    bits.finish();
}

impl Plan {
    fn unsigned(&self, value: i64) -> u64 {
        if self.coding == SIGNED { zigzag(value) } else { value.wrapping_sub(self.smallest) as u64 }
    }

    fn bits_of_codes(&self, rest: &[i64]) -> u64 {
        golomb_bits(rest.iter().map(|value| self.unsigned(*value)), self.parameter)
    }
}

fn golomb_bits(values: impl Iterator<Item = u64>, k: u32) -> u64 {
    values.map(|value| u64::from(2 * (u64::BITS - ((value >> k) + 1).leading_zeros()) - 1 + k)).sum()
}

fn plan(rest: &[i64], order: u8) -> Plan {
    let smallest = rest.iter().copied().min().unwrap_or(0);
    let largest = rest.iter().copied().max().unwrap_or(0);
    let range = largest.wrapping_sub(smallest) as u64;
    let width = u64::BITS - range.leading_zeros();
    // The numbers that start the sums cost bytes too: about two per order.
    let start = u64::from(order) * 16;
    let packed = u64::from(width) * rest.len() as u64 + varint_bits(smallest) + start;
    let mut best = Plan { bits: packed, order, coding: PACKED, smallest, parameter: width };
    if range >= GOLOMB_LIMIT
        || zigzag(smallest) >= GOLOMB_LIMIT
        || zigzag(largest) >= GOLOMB_LIMIT
        || range == 0
    {
        return best;
    }
    for coding in [ABOVE, SIGNED] {
        let mut candidate = Plan { bits: 0, order, coding, smallest, parameter: 0 };
        let sum: u64 = rest.iter().map(|value| candidate.unsigned(*value) >> 8).fold(0, u64::saturating_add);
        let low: u64 = rest.iter().map(|value| candidate.unsigned(*value) & 0xff).sum();
        let mean = (sum.saturating_mul(256).saturating_add(low)) / rest.len() as u64;
        let guess = (u64::BITS - mean.leading_zeros()).saturating_sub(1);
        for k in guess.saturating_sub(2)..=guess {
            candidate.parameter = k;
            let head = 8 + start + if coding == ABOVE { varint_bits(smallest) } else { 0 };
            candidate.bits = candidate.bits_of_codes(rest) + head;
            if candidate.bits < best.bits {
                best = candidate;
            }
        }
    }
    best
}

fn varint_bits(value: i64) -> u64 {
    8 * u64::from((u64::BITS - zigzag(value).leading_zeros()).max(1).div_ceil(7))
}

/// The pieces of a column before its bits are unpacked.
struct Parts<'a> {
    order: usize,
    coding: u8,
    /// First number and divisor, (0, 1) when nothing was divided.
    divided: (i64, i64),
    starts: [i64; 2],
    smallest: i64,
    parameter: u32,
    bits: &'a [u8],
}

fn parts<'a>(reader: &mut Reader<'a>, count: usize) -> Result<Parts<'a>, Corrupt> {
    let head = reader.byte()?;
    let (order, coding) = (usize::from(head & 3), head >> 2 & 3);
    if order > 2 || order >= count || coding > SIGNED || head >= DIVIDED * 2 {
        return Err(Corrupt("an unknown coding of whole numbers"));
    }
    let divided = if head & DIVIDED == 0 { (0, 1) } else { (reader.zigzag()?, reader.varint()? as i64) };
    let mut starts = [0; 2];
    for start in &mut starts[..order] {
        *start = reader.zigzag()?;
    }
    let smallest = if coding == SIGNED { 0 } else { reader.zigzag()? };
    let parameter = u32::from(reader.byte()?);
    let bits = if coding == PACKED {
        if parameter > 64 {
            return Err(Corrupt("a width above 64 bits"));
        }
        reader.take(((count - order) * parameter as usize).div_ceil(8))?
    } else {
        if parameter > 48 {
            return Err(Corrupt("a bit code is too long"));
        }
        reader.block()?
    };
    Ok(Parts { order, coding, divided, starts, smallest, parameter, bits })
}

/// Passes over a column of `count` numbers.
pub(super) fn skip(reader: &mut Reader<'_>, count: usize) -> Result<(), Corrupt> {
    parts(reader, count).map(drop)
}

/// Reads `count` numbers (at least one) and appends them to `out`.
pub(super) fn decode(reader: &mut Reader<'_>, count: usize, out: &mut Vec<i64>) -> Result<(), Corrupt> {
    let parts = parts(reader, count)?;
    // A coded number takes a bit at least, so memory is bounded by the input.
    if parts.coding != PACKED && parts.bits.len() * 8 < count - parts.order {
        return Err(Corrupt("too few bits for the numbers"));
    }
    let from = out.len();
    out.reserve(count);
    out.extend_from_slice(&parts.starts[..parts.order]);
    // One loop per coding and one per order: deciding for each number would cost as
    // much as reading it.
    unpack(&parts, count - parts.order, out)?;
    let numbers = &mut out[from..];
    match parts.order {
        0 => {}
        1 => sum_up(numbers),
        _ => {
            sum_up(&mut numbers[1..]);
            sum_up(numbers);
        }
    }
    let (first, divisor) = parts.divided;
    if (first, divisor) != (0, 1) {
        for number in numbers {
            *number = first.wrapping_add(number.wrapping_mul(divisor));
        }
    }
    Ok(())
}

/// Appends the coded differences.
fn unpack(parts: &Parts<'_>, count: usize, out: &mut Vec<i64>) -> Result<(), Corrupt> {
    let mut bits = BitReader::new(parts.bits);
    let (smallest, width) = (parts.smallest, parts.parameter);
    match parts.coding {
        PACKED if width == 0 => out.resize(out.len() + count, smallest),
        PACKED => out.extend((0..count).map(|_| smallest.wrapping_add(bits.get(width) as i64))),
        ABOVE => {
            for _ in 0..count {
                out.push(smallest.wrapping_add(bits.golomb(width)? as i64));
            }
        }
        _ => {
            for _ in 0..count {
                out.push(unzigzag(bits.golomb(width)?));
            }
        }
    }
    if bits.is_past_end() { Err(Corrupt("too few bits for the numbers")) } else { Ok(()) }
}

/// Differences become what they are differences of; the first number stays.
fn sum_up(numbers: &mut [i64]) {
    let mut sum = 0i64;
    for number in numbers {
        sum = sum.wrapping_add(*number);
        *number = sum;
    }
}
