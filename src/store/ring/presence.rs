//! Which of a group's times a series has a value at.
//!
//! Almost always all of them, so only the exceptions are written: as runs,
//! absent and present in turn. A run is a range of positions in the group's
//! times.

use std::ops::Range;

use super::bytes::{Corrupt, Reader, put_varint};

/// Runs of positions, ascending, apart from each other, none empty.
pub(super) type Runs = Vec<Range<u32>>;

/// How many positions the runs have together.
pub(super) fn total(runs: &[Range<u32>]) -> usize {
    runs.iter().map(|run| (run.end - run.start) as usize).sum()
}

/// One run over `count` positions.
pub(super) fn all(count: u32) -> Runs {
    std::iter::once(0..count).collect()
}

/// Adds one position behind all others.
pub(super) fn push(runs: &mut Runs, position: u32) {
    match runs.last_mut() {
        Some(last) if last.end == position => last.end += 1,
        _ => runs.push(position..position + 1),
    }
}

/// Writes runs that cover some but not all positions.
pub(super) fn encode(runs: &[Range<u32>], out: &mut Vec<u8>) {
    put_varint(out, runs.len() as u64);
    let mut before = 0;
    for run in runs {
        put_varint(out, u64::from(run.start - before));
        put_varint(out, u64::from(run.end - run.start));
        before = run.end;
    }
}

/// Reads runs over `count` positions.
pub(super) fn decode(reader: &mut Reader<'_>, count: usize) -> Result<Runs, Corrupt> {
    const DAMAGED: &str = "runs of presence do not fit";
    let number = reader.count(reader.remaining() / 2, DAMAGED)?;
    let mut runs = Runs::with_capacity(number);
    let mut before = 0usize;
    for index in 0..number {
        let gap = reader.count(count, DAMAGED)?;
        let length = reader.count(count, DAMAGED)?;
        let (start, end) = (before + gap, before + gap + length);
        if length == 0 || end > count || (gap == 0 && index > 0) {
            return Err(Corrupt(DAMAGED));
        }
        runs.push(start as u32..end as u32);
        before = end;
    }
    if runs.is_empty() { Err(Corrupt(DAMAGED)) } else { Ok(runs) }
}

/// The part of `runs` inside `window`.
pub(super) fn clip(runs: &[Range<u32>], window: Range<u32>) -> Runs {
    let inside = |run: &Range<u32>| run.start.max(window.start)..run.end.min(window.end);
    runs.iter().map(inside).filter(|run| run.start < run.end).collect()
}
