//! A group of series that share their times: one stream's frames.
//!
//! The one layout of everything the ring keeps. A segment of the head, a part
//! of a flush block, an hour's raw chunks and the rows of a tier all are: the
//! times once, the series ids as runs, the exceptions of presence, and a
//! column per series in id order. Columns say their own length, so a segment
//! needs no directory; the big blobs of the file have one (`lengths`), so that
//! one series is read without the others.
//!
//! Layout of the head: varint count of times, [`ints`] of the times; varint
//! count of id runs, each (varint gap, varint length); varint count of
//! exceptions, each (varint gap in columns, [`presence`]).

use std::ops::Range;

use super::bytes::{Corrupt, Reader, put_varint};
use super::column;
use super::column::{Buffers, Effort, Values};
use super::ints;
use super::presence;
use super::presence::Runs;

/// Times in one group. An hour of ten samples a second fits.
pub(super) const MAX_TIMES: usize = 1 << 16;
/// Series in one group, far above the cap on active series.
pub(super) const MAX_COLUMNS: usize = 1 << 20;

/// One series of a group on its way into bytes. `runs` is empty when the
/// series has a value at every time.
#[derive(Clone, Debug, Default)]
pub(super) struct GridColumn {
    pub id: u32,
    pub runs: Runs,
    pub values: Vec<f64>,
}

/// A group on its way into bytes: times ascending, columns by ascending id.
#[derive(Clone, Debug, Default)]
pub(super) struct Grid {
    pub times: Vec<i64>,
    pub columns: Vec<GridColumn>,
}

impl Grid {
    pub(super) fn samples(&self) -> usize {
        self.columns.iter().map(|column| column.values.len()).sum()
    }
}

/// Writes times, ids and exceptions. `columns` are (id, runs), ascending.
pub(super) fn encode_head<'a>(
    times: &[i64],
    columns: impl Iterator<Item = (u32, &'a [Range<u32>])> + Clone,
    out: &mut Vec<u8>,
) {
    put_varint(out, times.len() as u64);
    ints::encode(times, out);
    let mut runs: Runs = Vec::new();
    let mut exceptions = Vec::new();
    let mut exception_count = 0u64;
    let mut before = 0;
    for (index, (id, present)) in columns.enumerate() {
        presence::push(&mut runs, id);
        if !present.is_empty() {
            put_varint(&mut exceptions, (index - before) as u64);
            presence::encode(present, &mut exceptions);
            exception_count += 1;
            before = index;
        }
    }
    put_varint(out, runs.len() as u64);
    let mut after = 0;
    for run in &runs {
        put_varint(out, u64::from(run.start - after));
        put_varint(out, u64::from(run.end - run.start));
        after = run.end;
    }
    put_varint(out, exception_count);
    out.extend_from_slice(&exceptions);
}

/// What [`encode_head`] wrote.
#[derive(Clone, Debug)]
pub(super) struct GroupHead {
    pub times: Vec<i64>,
    ids: Vec<Range<u32>>,
    /// (index of the column, its runs), ascending.
    exceptions: Vec<(u32, Runs)>,
}

impl GroupHead {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let count = reader.count(MAX_TIMES, "a group has too many times")?;
        if count == 0 {
            return Err(Corrupt("a group has no times"));
        }
        let mut times = Vec::new();
        ints::decode(reader, count, &mut times)?;
        if !times.is_sorted() {
            return Err(Corrupt("times go backwards"));
        }
        let mut ids = Vec::new();
        let mut columns = 0usize;
        let mut after = 0u32;
        for _ in 0..reader.count(reader.remaining() / 2, "too many runs of ids")? {
            let gap = reader.count(u32::MAX as usize, "a series id is too large")? as u32;
            let length = reader.count(MAX_COLUMNS, "a group has too many series")?;
            let start = after.checked_add(gap).ok_or(Corrupt("a series id is too large"))?;
            after = start.checked_add(length as u32).ok_or(Corrupt("a series id is too large"))?;
            columns += length;
            if columns > MAX_COLUMNS || length == 0 {
                return Err(Corrupt("a group has too many series"));
            }
            ids.push(start..after);
        }
        let mut exceptions: Vec<(u32, Runs)> = Vec::new();
        let mut index = 0usize;
        for number in 0..reader.count(columns.min(reader.remaining()), "too many exceptions")? {
            let gap = reader.count(columns, "an exception without a series")?;
            index += gap;
            if index >= columns || (number > 0 && gap == 0) {
                return Err(Corrupt("an exception without a series"));
            }
            exceptions.push((index as u32, presence::decode(reader, count)?));
        }
        Ok(Self { times, ids, exceptions })
    }

    /// (id, runs) of every column in order; empty runs mean everywhere.
    pub(super) fn columns(&self) -> impl Iterator<Item = (u32, &[Range<u32>])> {
        let mut exceptions = self.exceptions.iter().peekable();
        self.ids.iter().flat_map(|run| run.clone()).enumerate().map(move |(index, id)| {
            match exceptions.next_if(|(at, _)| *at as usize == index) {
                Some((_, runs)) => (id, runs.as_slice()),
                None => (id, &[][..]),
            }
        })
    }

    /// How many values a column with `runs` has.
    pub(super) fn values_of(&self, runs: &[Range<u32>]) -> usize {
        if runs.is_empty() { self.times.len() } else { presence::total(runs) }
    }

    /// Index of the column of `id` and its runs.
    pub(super) fn find(&self, id: u32) -> Option<(usize, &[Range<u32>])> {
        let mut before = 0;
        for run in &self.ids {
            if run.contains(&id) {
                let index = before + (id - run.start) as usize;
                let found = self.exceptions.binary_search_by_key(&(index as u32), |(at, _)| *at);
                return Some((index, found.map_or(&[][..], |at| self.exceptions[at].1.as_slice())));
            }
            before += (run.end - run.start) as usize;
        }
        None
    }

    pub(super) fn column_count(&self) -> usize {
        self.ids.iter().map(|run| (run.end - run.start) as usize).sum()
    }
}

/// Calls `visit(time, value)` for the values of a column.
pub(super) fn each(times: &[i64], runs: &[Range<u32>], values: &[f64], mut visit: impl FnMut(i64, f64)) {
    if runs.is_empty() {
        times.iter().zip(values).for_each(|(at, value)| visit(*at, *value));
        return;
    }
    let positions = runs.iter().flat_map(|run| run.start as usize..run.end as usize);
    for (position, value) in positions.zip(values) {
        if let Some(at) = times.get(position) {
            visit(*at, *value);
        }
    }
}

/// Writes a whole group, columns behind the head.
pub(super) fn encode(grid: &Grid, effort: Effort, out: &mut Vec<u8>) {
    encode_head(&grid.times, grid.columns.iter().map(|column| (column.id, column.runs.as_slice())), out);
    for column in &grid.columns {
        column::encode(&column.values, effort, out);
    }
}

/// Walks over the columns of an encoded group, in id order.
pub(super) struct Cursor<'a> {
    pub head: GroupHead,
    reader: Reader<'a>,
    /// Column the reader stands at.
    index: usize,
    /// Position in `head.ids` and inside that run.
    run: usize,
    inside: u32,
    exception: usize,
    scratch: Vec<i64>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::new(bytes);
        let head = GroupHead::decode(&mut reader)?;
        Ok(Self { head, reader, index: 0, run: 0, inside: 0, exception: 0, scratch: Vec::new() })
    }

    /// Series id of the column at hand, `None` behind the last.
    pub(super) fn id(&self) -> Option<u32> {
        self.head.ids.get(self.run).map(|run| run.start + self.inside)
    }

    fn step(&mut self) {
        if self.head.exceptions.get(self.exception).is_some_and(|(at, _)| *at as usize == self.index) {
            self.exception += 1;
        }
        self.index += 1;
        self.inside += 1;
        if self.head.ids.get(self.run).is_some_and(|run| run.start + self.inside == run.end) {
            self.run += 1;
            self.inside = 0;
        }
    }

    fn runs(&self) -> &[Range<u32>] {
        match self.head.exceptions.get(self.exception) {
            Some((at, runs)) if *at as usize == self.index => runs,
            _ => &[],
        }
    }

    /// Passes over the column at hand.
    pub(super) fn skip(&mut self) -> Result<(), Corrupt> {
        let count = self.head.values_of(self.runs());
        column::skip(&mut self.reader, count)?;
        self.step();
        Ok(())
    }

    /// Moves to the column of `id`; false when there is none.
    pub(super) fn seek(&mut self, id: u32) -> Result<bool, Corrupt> {
        while let Some(at) = self.id() {
            if at >= id {
                return Ok(at == id);
            }
            self.skip()?;
        }
        Ok(false)
    }

    /// Reads the column at hand into `values` (replaced) and passes over it.
    /// Answers its runs.
    pub(super) fn read(&mut self, values: &mut Vec<f64>) -> Result<&[Range<u32>], Corrupt> {
        let count = self.head.values_of(self.runs());
        values.clear();
        column::decode(&mut self.reader, count, &mut self.scratch, values)?;
        Ok(self.passed())
    }

    /// The same without making an `f64` of each value.
    pub(super) fn read_stored<'b>(
        &mut self,
        buffers: &'b mut Buffers,
    ) -> Result<(&[Range<u32>], Values<'b>), Corrupt> {
        let count = self.head.values_of(self.runs());
        let values = column::read(&mut self.reader, count, buffers)?;
        Ok((self.passed(), values))
    }

    /// Steps over the column that was read and answers its runs.
    fn passed(&mut self) -> &[Range<u32>] {
        let (index, exception) = (self.index, self.exception);
        self.step();
        match self.head.exceptions.get(exception) {
            Some((at, runs)) if *at as usize == index => runs,
            _ => &[],
        }
    }
}

/// Reads a whole group.
pub(super) fn decode(bytes: &[u8]) -> Result<Grid, Corrupt> {
    let mut cursor = Cursor::new(bytes)?;
    let mut columns = Vec::new();
    while let Some(id) = cursor.id() {
        let mut values = Vec::new();
        let runs = cursor.read(&mut values)?.to_vec();
        columns.push(GridColumn { id, runs, values });
    }
    Ok(Grid { times: cursor.head.times, columns })
}

/// One group after the other in time. Series that one of them lacks become
/// exceptions.
pub(super) fn join(first: Grid, second: Grid) -> Grid {
    let (offset, added) = (first.times.len() as u32, second.times.len() as u32);
    let mut times = first.times;
    times.extend(second.times);
    let mut columns: Vec<GridColumn> = Vec::with_capacity(first.columns.len());
    let mut left = first.columns.into_iter().peekable();
    let mut right = second.columns.into_iter().peekable();
    let shifted = |runs: Runs| -> Runs {
        if runs.is_empty() {
            return std::iter::once(offset..offset + added).collect();
        }
        runs.into_iter().map(|run| run.start + offset..run.end + offset).collect()
    };
    loop {
        let id = match (left.peek(), right.peek()) {
            (Some(left), Some(right)) => left.id.min(right.id),
            (Some(only), None) | (None, Some(only)) => only.id,
            (None, None) => break,
        };
        let before = left.next_if(|column| column.id == id);
        let after = right.next_if(|column| column.id == id);
        let mut joined = before.unwrap_or_else(|| GridColumn { id, runs: Runs::new(), values: Vec::new() });
        if joined.runs.is_empty() && !joined.values.is_empty() {
            joined.runs.push(0..offset);
        }
        if let Some(after) = after {
            for run in shifted(after.runs) {
                match joined.runs.last_mut() {
                    Some(last) if last.end == run.start => last.end = run.end,
                    _ => joined.runs.push(run),
                }
            }
            joined.values.extend(after.values);
        }
        if joined.runs == presence::all(offset + added) {
            joined.runs.clear();
        }
        columns.push(joined);
    }
    Grid { times, columns }
}
