//! A range query: from which resolution each stretch of time is read.
//!
//! ```text
//!        from                    compacted through          end
//!          |  hour rows | minute rows | raw hours  |   head   |
//! ```
//!
//! The head answers for what no raw hour holds. Before that, every stretch is
//! read from the first tier that has it: raw, 1m, 1h; with start, step and
//! lookback on whole minutes 1m comes first, because its `last` is then
//! exactly what raw would give, at a sixtieth of the work. One would get it
//! wrong by preferring 1m at any step of a minute: with a start at :30 every
//! value would be up to half a minute old.

use std::ops::Range;
use std::sync::Arc;

use super::blob;
use super::blob::Group;
use super::bytes::Corrupt;
use super::head::Head;
use super::hour;
use super::line::{Line, Steps};
use super::recent::Recent;
use super::segment;
use super::{HOUR_MS, MINUTE_MS};
use crate::base::time::Timestamp;
use crate::model::query::{RangeAnswer, RangeQuery, RangeSeries, Resolution};
use crate::store::StoreError;

/// Chunks closer than this are read together.
const READ_GAP: usize = 4096;
/// Longest read; a chunk that is longer is refused as damage.
const READ_MOST: usize = 4 << 20;

/// One stored blob.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlobRef {
    pub resolution: Resolution,
    /// The stretch it is about, ms: excluded start, included end.
    pub start: i64,
    pub end: i64,
}

/// Where blobs are read from.
pub trait Blobs {
    /// Blobs of one resolution that overlap `(from, to]`.
    fn list(
        &self,
        resolution: Resolution,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<BlobRef>, StoreError>;

    /// Replaces `out` by `length` bytes from `offset`; fewer where the blob ends.
    fn read(&self, blob: &BlobRef, offset: usize, length: usize, out: &mut Vec<u8>)
    -> Result<(), StoreError>;
}

/// A query with everything the head had to say to it.
#[derive(Debug)]
pub struct RangePlan {
    steps: Steps,
    /// Ascending, and for each its place in `keys`.
    ids: Vec<u32>,
    places: Vec<usize>,
    /// In the order of the answer.
    keys: Vec<String>,
    recent: Recent,
    /// Stored blobs answer up to here.
    stored_to: i64,
}

impl Head {
    /// Takes a snapshot of the samples in memory of the series that a
    /// [`Search`](super::Search) for `query.selector` found.
    ///
    /// # Errors
    /// More points than the query allows.
    pub fn plan(&self, query: &RangeQuery, found: &[(u32, Arc<str>)]) -> Result<RangePlan, StoreError> {
        let steps = Steps::new(query);
        let points = steps.count.saturating_mul(found.len().max(1));
        if points > query.max_points {
            return Err(StoreError::TooManyPoints { found: points, limit: query.max_points });
        }
        let keys = found.iter().map(|(_, key)| key.to_string()).collect();
        let mut order: Vec<(u32, usize)> =
            found.iter().enumerate().map(|(place, (id, _))| (*id, place)).collect();
        order.sort_unstable();
        let ids: Vec<u32> = order.iter().map(|(id, _)| *id).collect();
        let places = order.into_iter().map(|(_, place)| place).collect();
        let stored_to = self.stored_through;
        let line = self.compacted_through().millis();
        let recent = self.recent(&ids, steps.from().max(line), steps.end());
        Ok(RangePlan { steps, ids, places, keys, recent, stored_to })
    }
}

impl RangePlan {
    /// Reads what is stored and computes the answer.
    ///
    /// # Errors
    /// What [`Blobs`] answers; [`StoreError::Unavailable`] for a damaged blob.
    pub fn evaluate(&self, blobs: &dyn Blobs) -> Result<RangeAnswer, StoreError> {
        let mut lines: Vec<Line> = self.ids.iter().map(|_| Line::new(&self.steps)).collect();
        let mut used = Vec::new();
        let mut recent = false;
        self.recent.each(&self.ids, |index, at, value| {
            lines[index].take(&self.steps, at, value);
            recent = true;
        });
        used.extend(recent.then_some(Resolution::Raw));
        if !self.ids.is_empty() {
            self.stored(blobs, &mut lines, &mut used)?;
        }
        used.sort_unstable();
        used.dedup();
        let mut series: Vec<Option<RangeSeries>> = self.keys.iter().map(|_| None).collect();
        for (line, place) in lines.into_iter().zip(&self.places) {
            series[*place] = line.finish(&self.steps, self.keys[*place].clone());
        }
        Ok(RangeAnswer { series: series.into_iter().flatten().collect(), resolutions: used })
    }

    fn stored(
        &self,
        blobs: &dyn Blobs,
        lines: &mut [Line],
        used: &mut Vec<Resolution>,
    ) -> Result<(), StoreError> {
        let (from, to) = (self.steps.from(), self.steps.end().min(self.stored_to));
        let mut open: Vec<Range<i64>> = Vec::new();
        if from < to {
            open.push(from..to);
        }
        let order = if self.steps.on_minutes() {
            [Resolution::Minute, Resolution::Raw, Resolution::Hour]
        } else {
            [Resolution::Raw, Resolution::Minute, Resolution::Hour]
        };
        for resolution in order {
            if open.is_empty() {
                break;
            }
            for stored in blobs.list(resolution, Timestamp(from), Timestamp(to))? {
                for window in overlap(&open, &stored) {
                    let taken = self.read(blobs, &stored, &window, lines)?;
                    used.extend(taken.then_some(resolution));
                }
                open = without(open, &stored);
            }
        }
        Ok(())
    }

    /// Reads the part of one blob inside a window; whether there was any.
    fn read(
        &self,
        blobs: &dyn Blobs,
        stored: &BlobRef,
        window: &Range<i64>,
        lines: &mut [Line],
    ) -> Result<bool, StoreError> {
        let damaged = |error: Corrupt| StoreError::Unavailable {
            reason: format!(
                "{:?} samples up to {}: {error}",
                stored.resolution,
                Timestamp(stored.end).rfc3339()
            ),
        };
        let mut front = Vec::new();
        blobs.read(stored, 0, blob::FRONT, &mut front)?;
        let length = blob::front_length(&front).map_err(damaged)?;
        if length > READ_MOST {
            return Err(damaged(Corrupt("a directory is too long")));
        }
        if length > front.len() {
            blobs.read(stored, 0, length, &mut front)?;
        }
        let mut taken = false;
        let mut buffer = Vec::new();
        for group in blob::directory(&front).map_err(damaged)? {
            let found = self
                .ids
                .iter()
                .enumerate()
                .filter_map(|(index, id)| group.find(*id).map(|(runs, place)| (index, runs, place)));
            let found: Vec<_> = found.collect();
            for batch in batches(&found) {
                let (start, end) = (batch[0].2.start, batch[batch.len() - 1].2.end);
                if end - start > READ_MOST {
                    return Err(damaged(Corrupt("a chunk is too long")));
                }
                if end > front.len() {
                    blobs.read(stored, start, end - start, &mut buffer)?;
                } else {
                    buffer.clear();
                    buffer.extend_from_slice(&front[start..end]);
                }
                for (index, runs, place) in batch {
                    let chunk = buffer.get(place.start - start..place.end - start);
                    let chunk = chunk.ok_or(Corrupt("a chunk is cut off")).map_err(damaged)?;
                    let line = &mut lines[*index];
                    taken |=
                        self.take(stored.resolution, &group, runs, chunk, window, line).map_err(damaged)?;
                }
            }
        }
        Ok(taken)
    }

    fn take(
        &self,
        resolution: Resolution,
        group: &Group,
        runs: &[Range<u32>],
        chunk: &[u8],
        window: &Range<i64>,
        line: &mut Line,
    ) -> Result<bool, Corrupt> {
        let mut taken = false;
        let inside = |at: i64| at > window.start && at <= window.end;
        if resolution == Resolution::Raw {
            let (mut scratch, mut values) = (Vec::new(), Vec::new());
            hour::read_raw(group, runs, chunk, &mut scratch, &mut values)?;
            segment::each(&group.head.times, runs, &values, |at, value| {
                if inside(at) {
                    taken = true;
                    line.take(&self.steps, at, value);
                }
            });
            return Ok(taken);
        }
        for row in hour::read_rows(group, runs, chunk)?.iter().filter(|row| inside(row.end)) {
            taken = true;
            line.take_row(&self.steps, row);
        }
        Ok(taken)
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

fn overlap(open: &[Range<i64>], stored: &BlobRef) -> Vec<Range<i64>> {
    let cut = |range: &Range<i64>| range.start.max(stored.start)..range.end.min(stored.end);
    open.iter().map(cut).filter(|range| range.start < range.end).collect()
}

fn without(open: Vec<Range<i64>>, stored: &BlobRef) -> Vec<Range<i64>> {
    let pieces = open.into_iter().flat_map(|range| {
        let before = range.start..range.end.min(stored.start);
        let after = range.start.max(stored.end)..range.end;
        [before, after]
    });
    pieces.filter(|range| range.start < range.end).collect()
}

impl Steps {
    /// Rows of a minute give exactly what the samples would.
    fn on_minutes(&self) -> bool {
        [self.start, self.step, self.lookback].iter().all(|ms| ms % MINUTE_MS == 0)
    }

    /// Nothing at or before this is looked at.
    fn from(&self) -> i64 {
        // A row of the hour is looked back to for an hour.
        self.start.saturating_sub(self.lookback.max(self.step.min(HOUR_MS)))
    }
}
