//! Reading stored blobs for a query: which blob answers for which stretch, and what
//! is in it.
//!
//! The pattern: resolutions are asked in turn for what the ones before left open. A
//! chunk or a directory that is damaged costs its own part: the others of the blob
//! are taken, and the series at hand stays open for the next resolution. One would
//! get it wrong by asking that one for all series again: rows would stand beside the
//! samples they were made from.

use std::ops::Range;
use std::rc::Rc;

use super::blob;
use super::blob::Group;
use super::bytes::{Corrupt, Reader};
use super::column;
use super::column::{Buffers, Values};
use super::hour;
use super::plan::{BlobRef, Blobs};
use super::tier::Row;
use super::{HOUR_MS, MINUTE_MS};
use crate::base::time::Timestamp;
use crate::model::query::{Damage, Resolution};
use crate::store::StoreError;

/// Chunks closer than this are read together.
const READ_GAP: usize = 4096;
/// Longest read; a chunk that is longer is refused as damage.
const READ_MOST: usize = 4 << 20;

/// What takes the samples of a query in. `index` is that of the series in the ids
/// asked for. Errors end the query.
pub(super) trait Sink {
    /// The columns that follow have these times; those in the window (excluded start,
    /// included end) are wanted.
    fn group(&mut self, times: &[i64], window: &Range<i64>);

    /// A column; whether it had a value in the window.
    fn column(
        &mut self,
        index: usize,
        times: &[i64],
        runs: &[Range<u32>],
        values: Values<'_>,
    ) -> Result<bool, StoreError>;

    /// Rows of buckets of `unit` ms that end in the window.
    fn rows(&mut self, index: usize, rows: &[Row], unit: i64) -> Result<(), StoreError>;

    /// One sample that is in the window.
    fn sample(&mut self, index: usize, at: i64, value: f64) -> Result<(), StoreError>;
}

/// A stretch that nothing has answered yet: for these series only, or for all.
#[derive(Clone, Debug)]
struct Open {
    range: Range<i64>,
    only: Option<Rc<[usize]>>,
}

/// Why a chunk was not taken.
enum Missed {
    Damaged(String),
    Refused(StoreError),
}

impl From<Corrupt> for Missed {
    fn from(error: Corrupt) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// See the module.
pub(super) struct Reading<'a> {
    blobs: &'a dyn Blobs,
    /// Ascending.
    ids: &'a [u32],
    sink: &'a mut dyn Sink,
    pub used: Vec<Resolution>,
    damaged: Vec<Damage>,
    buffers: Buffers,
    front: Vec<u8>,
    bytes: Vec<u8>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(blobs: &'a dyn Blobs, ids: &'a [u32], sink: &'a mut dyn Sink) -> Self {
        let (used, damaged) = (Vec::new(), Vec::new());
        let (front, bytes) = (Vec::new(), Vec::new());
        Self { blobs, ids, sink, used, damaged, buffers: Buffers::default(), front, bytes }
    }

    /// Reads `(range.start, range.end]`, preferring resolutions in this order.
    pub(super) fn stretch(&mut self, range: Range<i64>, order: [Resolution; 3]) -> Result<(), StoreError> {
        if range.start >= range.end || self.ids.is_empty() {
            return Ok(());
        }
        let (from, to) = (Timestamp(range.start), Timestamp(range.end));
        let mut open = vec![Open { range, only: None }];
        for resolution in order {
            if open.is_empty() {
                break;
            }
            for stored in self.blobs.list(resolution, from, to)? {
                let mut left = without(&open, &stored);
                for part in overlap(&open, &stored) {
                    let missed = self.blob(&stored, &part)?;
                    if !missed.is_empty() {
                        left.push(Open { range: part.range, only: Some(missed.into()) });
                    }
                }
                open = left;
            }
        }
        Ok(())
    }

    /// What was used, finest first, and what could not be read.
    pub(super) fn finish(mut self) -> (Vec<Resolution>, Vec<Damage>) {
        self.used.sort_unstable();
        self.used.dedup();
        (self.used, self.damaged)
    }

    /// Reads a part of one blob. Answers the series whose samples could not be read.
    fn blob(&mut self, stored: &BlobRef, part: &Open) -> Result<Vec<usize>, StoreError> {
        let mut reasons = Vec::new();
        let mut missed = Vec::new();
        match self.directory(stored) {
            Ok(groups) => {
                for group in &groups {
                    self.group(stored, group, part, &mut missed, &mut reasons)?;
                }
                missed.sort_unstable();
                missed.dedup();
            }
            Err(reason) => {
                reasons.push(reason);
                let all = || (0..self.ids.len()).collect();
                missed = part.only.as_ref().map_or_else(all, |only| only.to_vec());
            }
        }
        if let Some(reason) = reasons.into_iter().next() {
            self.damaged.push(Damage {
                resolution: stored.resolution,
                from: Timestamp(part.range.start),
                to: Timestamp(part.range.end),
                series: missed.len(),
                reason,
            });
        }
        Ok(missed)
    }

    /// Reads the front of a blob, which stays in `self.front`.
    fn directory(&mut self, stored: &BlobRef) -> Result<Vec<Group>, String> {
        let text = |error: Corrupt| error.to_string();
        let read = |offset, length, out: &mut Vec<u8>| {
            self.blobs.read(stored, offset, length, out).map_err(|error| error.to_string())
        };
        read(0, blob::FRONT, &mut self.front)?;
        let length = blob::front_length(&self.front).map_err(text)?;
        if length > READ_MOST {
            return Err(text(Corrupt("a directory is too long")));
        }
        if length > self.front.len() {
            read(0, length, &mut self.front)?;
        }
        blob::directory(&self.front).map_err(text)
    }

    fn group(
        &mut self,
        stored: &BlobRef,
        group: &Group,
        part: &Open,
        missed: &mut Vec<usize>,
        reasons: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        let wanted = |index: &usize| part.only.as_ref().is_none_or(|only| only.binary_search(index).is_ok());
        let ids = self.ids.iter().enumerate().filter(|(index, _)| wanted(index));
        let found: Vec<Found<'_>> =
            ids.filter_map(|(index, id)| group.find(*id).map(|(runs, place)| (index, runs, place))).collect();
        if found.is_empty() {
            return Ok(());
        }
        self.sink.group(&group.head.times, &part.range);
        for batch in batches(&found) {
            let start = batch[0].2.start;
            if let Err(reason) = self.batch(stored, start..batch[batch.len() - 1].2.end) {
                missed.extend(batch.iter().map(|(index, ..)| *index));
                reasons.push(reason);
                continue;
            }
            for (index, runs, place) in batch {
                match self.chunk(stored.resolution, group, (*index, runs, place), start, &part.range) {
                    Ok(taken) => self.used.extend(taken.then_some(stored.resolution)),
                    Err(Missed::Refused(error)) => return Err(error),
                    Err(Missed::Damaged(reason)) => {
                        missed.push(*index);
                        reasons.push(reason);
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads the bytes of some chunks into `self.bytes`.
    fn batch(&mut self, stored: &BlobRef, place: Range<usize>) -> Result<(), String> {
        if place.end - place.start > READ_MOST {
            return Err(Corrupt("a chunk is too long").to_string());
        }
        if let Some(there) = self.front.get(place.clone()) {
            self.bytes.clear();
            self.bytes.extend_from_slice(there);
            return Ok(());
        }
        let length = place.end - place.start;
        self.blobs.read(stored, place.start, length, &mut self.bytes).map_err(|error| error.to_string())
    }

    /// Takes the chunk of one series, which lies in `self.bytes`, `start` being their
    /// place in the blob; whether it had anything in the window.
    fn chunk(
        &mut self,
        resolution: Resolution,
        group: &Group,
        (index, runs, place): (usize, &[Range<u32>], &Range<usize>),
        start: usize,
        window: &Range<i64>,
    ) -> Result<bool, Missed> {
        let chunk = self.bytes.get(place.start - start..place.end - start);
        let chunk = chunk.ok_or(Corrupt("a chunk is cut off"))?;
        let unit = match resolution {
            Resolution::Raw => {
                let count = group.head.values_of(runs);
                let values = column::read(&mut Reader::new(chunk), count, &mut self.buffers)?;
                return self.sink.column(index, &group.head.times, runs, values).map_err(Missed::Refused);
            }
            Resolution::Minute => MINUTE_MS,
            Resolution::Hour => HOUR_MS,
        };
        let rows = hour::read_rows(group, runs, chunk)?;
        // Labels ascend.
        let from = rows.partition_point(|row| row.end <= window.start);
        let to = rows.partition_point(|row| row.end <= window.end).max(from);
        self.sink.rows(index, &rows[from..to], unit).map_err(Missed::Refused)?;
        Ok(from < to)
    }
}

type Found<'a> = (usize, &'a [Range<u32>], Range<usize>);

/// Chunks that are read together: near each other and not too much at once.
fn batches<'a, 'b>(found: &'b [Found<'a>]) -> impl Iterator<Item = &'b [Found<'a>]> {
    let mut rest = found;
    std::iter::from_fn(move || {
        let first = rest.first()?.2.start;
        let near = rest.windows(2).take_while(|pair| {
            pair[1].2.start <= pair[0].2.end.saturating_add(READ_GAP)
                && pair[1].2.end - first <= READ_MOST / 4
        });
        let (batch, after) = rest.split_at(near.count() + 1);
        rest = after;
        Some(batch)
    })
}

fn overlap(open: &[Open], stored: &BlobRef) -> Vec<Open> {
    let cut = |one: &Open| Open {
        range: one.range.start.max(stored.start)..one.range.end.min(stored.end),
        only: one.only.clone(),
    };
    open.iter().map(cut).filter(|one| one.range.start < one.range.end).collect()
}

fn without(open: &[Open], stored: &BlobRef) -> Vec<Open> {
    let pieces = open.iter().flat_map(|one| {
        let before = one.range.start..one.range.end.min(stored.start);
        let after = one.range.start.max(stored.end)..one.range.end;
        [before, after].map(|range| Open { range, only: one.only.clone() })
    });
    pieces.filter(|one| one.range.start < one.range.end).collect()
}
