//! Compaction: an hour out of the head becomes three blobs.
//!
//! Raw chunks (every sample, pco where it wins), one row per minute and one
//! row for the hour, each with a directory (see [`blob`]). Works through the
//! series one after the other, with a cursor per segment, because a decoded
//! hour of 500 series would be 15 MB.

use std::ops::Range;

use super::blob;
use super::blob::{Group, GroupWriter};
use super::bytes::{Corrupt, Reader};
use super::column;
use super::column::Effort;
use super::head::HourInput;
use super::index::SeriesRecord;
use super::presence;
use super::presence::Runs;
use super::segment;
use super::segment::{Cursor, Grid, GridColumn, MAX_TIMES};
use super::tier;
use super::tier::Row;
use super::{HOUR_MS, Hour, MINUTE_MS, Sample};

/// Frames per segment when samples come back into memory.
const SLICE: usize = 256;

/// What compaction writes, in one transaction.
#[derive(Clone, Debug)]
pub struct HourBlobs {
    pub hour: Hour,
    /// Every sample. Readable by ranges.
    pub raw: Vec<u8>,
    /// Rows of a minute. Readable by ranges.
    pub minute: Vec<u8>,
    /// The row of the hour; see [`super::merge_rows`]. Readable by ranges.
    pub hour_row: Vec<u8>,
    /// Index rows to put again: the last sample of series that fell silent.
    pub series: Vec<SeriesRecord>,
    /// Zero: nothing to write.
    pub samples: u64,
}

/// The three blobs while they grow, series by series.
#[derive(Debug)]
pub(super) struct HourWriter {
    hour: Hour,
    pub groups: Vec<GroupWriter>,
    minute: GroupWriter,
    hour_row: GroupWriter,
    samples: u64,
}

impl HourWriter {
    pub(super) fn new(hour: Hour) -> Self {
        let minutes = HOUR_MS / MINUTE_MS;
        let labels = (1..=minutes).map(|minute| hour.start().millis() + minute * MINUTE_MS).collect();
        Self {
            hour,
            groups: Vec::new(),
            minute: GroupWriter::new("", labels),
            hour_row: GroupWriter::new("", vec![hour.end().millis()]),
            samples: 0,
        }
    }

    /// Adds the tier rows of a series whose raw chunks are in the groups.
    /// Samples may be out of order and doubled.
    pub(super) fn add_rows(&mut self, id: u32, samples: &mut Vec<Sample>) {
        if !samples.is_sorted_by(|left, right| left.at < right.at) {
            samples.sort_by_key(|sample| sample.at);
            samples.dedup_by_key(|sample| sample.at);
        }
        // A damaged hour may have times of another; they have no minute here.
        let (from, to) = (self.hour.start().millis(), self.hour.end().millis());
        samples.retain(|sample| sample.at > from && sample.at <= to);
        if samples.is_empty() {
            return;
        }
        self.samples += samples.len() as u64;
        let rows = tier::rows(samples, MINUTE_MS);
        let start = self.hour.start().millis();
        let mut runs = Runs::new();
        for row in &rows {
            presence::push(&mut runs, ((row.end - start) / MINUTE_MS - 1) as u32);
        }
        if rows.len() == self.minute.times.len() {
            runs.clear();
        }
        self.minute.add(id, runs, |out| tier::encode(&rows, out));
        let rows = tier::rows(samples, HOUR_MS);
        self.hour_row.add(id, Runs::new(), |out| tier::encode(&rows, out));
    }

    pub(super) fn finish(self, series: Vec<SeriesRecord>) -> HourBlobs {
        HourBlobs {
            hour: self.hour,
            raw: blob::encode(&self.groups),
            minute: blob::encode(&[self.minute]),
            hour_row: blob::encode(&[self.hour_row]),
            series,
            samples: self.samples,
        }
    }
}

/// Segments that follow each other in time and become one group.
struct Part<'a> {
    /// Each with the window of its times inside the hour.
    cursors: Vec<(Cursor<'a>, Range<u32>)>,
}

fn window(times: &[i64], hour: Hour) -> Range<u32> {
    let from = times.partition_point(|at| *at <= hour.start().millis());
    let to = times.partition_point(|at| *at <= hour.end().millis());
    from as u32..to as u32
}

/// Encodes an hour. Some hundred milliseconds for 500 series at 1 s: call it
/// outside the lock, on a blocking thread.
pub fn encode_hour(input: &HourInput) -> HourBlobs {
    let mut writer = HourWriter::new(input.hour);
    let mut parts: Vec<Part<'_>> = Vec::new();
    for (name, segments) in &input.streams {
        let mut newest = i64::MAX;
        for held in segments {
            // The head made these bytes itself; a segment that cannot be read
            // cannot be kept either.
            let Ok(cursor) = Cursor::new(&held.bytes) else { continue };
            let window = window(&cursor.head.times, input.hour);
            let times = &cursor.head.times[window.start as usize..window.end as usize];
            let full = writer.groups.last().is_some_and(|group| group.times.len() + times.len() > MAX_TIMES);
            if held.first <= newest || full {
                writer.groups.push(GroupWriter::new(name, Vec::new()));
                parts.push(Part { cursors: Vec::new() });
            }
            newest = held.last;
            if let (Some(group), Some(part)) = (writer.groups.last_mut(), parts.last_mut()) {
                group.times.extend_from_slice(times);
                part.cursors.push((cursor, window));
            }
        }
    }
    let next = |parts: &[Part<'_>]| {
        parts.iter().flat_map(|part| part.cursors.iter()).filter_map(|(cursor, _)| cursor.id()).min()
    };
    let mut samples = Vec::new();
    while let Some(id) = next(&parts) {
        samples.clear();
        for (number, part) in parts.iter_mut().enumerate() {
            let (runs, values) = gather(part, id);
            if values.is_empty() {
                continue;
            }
            let group = &mut writer.groups[number];
            segment::each(&group.times, &runs, &values, |at, value| samples.push(Sample { at, value }));
            group.add(id, runs, |out| column::encode(&values, Effort::Small, out));
        }
        writer.add_rows(id, &mut samples);
    }
    writer.finish(input.idle.clone())
}

/// The values of one series in a part, and where they are in its group's times.
fn gather(part: &mut Part<'_>, id: u32) -> (Runs, Vec<f64>) {
    let (mut runs, mut values, mut scratch) = (Runs::new(), Vec::new(), Vec::new());
    let mut offset = 0;
    for (cursor, window) in &mut part.cursors {
        let length = window.end - window.start;
        if cursor.id() == Some(id) {
            let times = cursor.head.times.len() as u32;
            let Ok(found) = cursor.read(&mut scratch) else { continue };
            let everywhere = presence::all(times);
            let found = if found.is_empty() { &everywhere } else { found };
            let before = presence::total(&presence::clip(found, 0..window.start));
            for run in presence::clip(found, window.clone()) {
                let run = run.start - window.start + offset..run.end - window.start + offset;
                match runs.last_mut() {
                    Some(last) if last.end == run.start => last.end = run.end,
                    _ => runs.push(run),
                }
            }
            values.extend_from_slice(&scratch[before..before + presence::total(&runs) - values.len()]);
        }
        offset += length;
    }
    if values.len() == offset as usize {
        runs.clear();
    }
    (runs, values)
}

/// Reads the chunk of a raw hour into `values` (replaced).
pub(super) fn read_raw(
    group: &Group,
    runs: &[Range<u32>],
    chunk: &[u8],
    scratch: &mut Vec<i64>,
    values: &mut Vec<f64>,
) -> Result<(), Corrupt> {
    values.clear();
    column::decode(&mut Reader::new(chunk), group.head.values_of(runs), scratch, values)
}

/// Calls `visit(stream, frames)` with the last `keep` frames of every group of
/// a raw hour, in pieces.
pub(super) fn last_frames(raw: &[u8], keep: usize, visit: &mut dyn FnMut(&str, Grid)) -> Result<(), Corrupt> {
    let (mut scratch, mut values) = (Vec::new(), Vec::new());
    for group in blob::directory(raw)? {
        let count = group.head.times.len();
        let mut from = count.saturating_sub(keep);
        while from < count {
            let to = count.min(from + SLICE);
            let piece = from as u32..to as u32;
            let mut grid = Grid { times: group.head.times[from..to].to_vec(), columns: Vec::new() };
            for (index, (id, runs)) in group.head.columns().enumerate() {
                let chunk = raw.get(group.chunk(index)).ok_or(Corrupt("a chunk is cut off"))?;
                read_raw(&group, runs, chunk, &mut scratch, &mut values)?;
                grid.columns.extend(cut(id, runs, &values, piece.clone()));
            }
            visit(&group.name, grid);
            from = to;
        }
    }
    Ok(())
}

/// The part of a column inside `piece`; `None` when nothing is.
fn cut(id: u32, runs: &[Range<u32>], values: &[f64], piece: Range<u32>) -> Option<GridColumn> {
    let length = (piece.end - piece.start) as usize;
    if runs.is_empty() {
        let values = values.get(piece.start as usize..piece.end as usize)?.to_vec();
        return Some(GridColumn { id, runs: Runs::new(), values });
    }
    let before = presence::total(&presence::clip(runs, 0..piece.start));
    let mut inside = presence::clip(runs, piece.clone());
    let values = values.get(before..before + presence::total(&inside))?.to_vec();
    for run in &mut inside {
        *run = run.start - piece.start..run.end - piece.start;
    }
    if values.len() == length {
        inside.clear();
    }
    (!values.is_empty()).then_some(GridColumn { id, runs: inside, values })
}

/// Cuts a grid into pieces of a size segments have.
pub(super) fn slices(grid: Grid) -> Vec<Grid> {
    let count = grid.times.len();
    (0..count)
        .step_by(SLICE)
        .map(|from| {
            let to = count.min(from + SLICE);
            let piece = from as u32..to as u32;
            let columns = grid.columns.iter();
            Grid {
                times: grid.times[from..to].to_vec(),
                columns: columns.filter_map(|c| cut(c.id, &c.runs, &c.values, piece.clone())).collect(),
            }
        })
        .collect()
}

/// The rows of a chunk of a tier blob.
pub(super) fn read_rows(group: &Group, runs: &[Range<u32>], chunk: &[u8]) -> Result<Vec<Row>, Corrupt> {
    let times = &group.head.times;
    if runs.is_empty() {
        return tier::decode(chunk, times);
    }
    let positions = runs.iter().flat_map(|run| run.start as usize..run.end as usize);
    let labels: Vec<i64> = positions.filter_map(|at| times.get(at).copied()).collect();
    tier::decode(chunk, &labels)
}
