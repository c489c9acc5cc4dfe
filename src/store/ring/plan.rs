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

use std::sync::Arc;

use super::head::Head;
use super::line::{Lines, Steps};
use super::recent::Recent;
use super::stored::Reading;
use super::{HOUR_MS, MINUTE_MS};
use crate::base::time::Timestamp;
use crate::model::query::{RangeAnswer, RangeQuery, Resolution};
use crate::store::StoreError;

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

/// The series of a query by ascending id.
#[derive(Debug)]
pub(super) struct Asked {
    pub ids: Vec<u32>,
    /// For each its place in `keys`.
    places: Vec<usize>,
    /// In the order of the answer.
    keys: Vec<String>,
}

impl Asked {
    pub(super) fn new(found: &[(u32, Arc<str>)]) -> Self {
        let keys = found.iter().map(|(_, key)| key.to_string()).collect();
        let mut order: Vec<(u32, usize)> =
            found.iter().enumerate().map(|(place, (id, _))| (*id, place)).collect();
        order.sort_unstable();
        let ids = order.iter().map(|(id, _)| *id).collect();
        Self { ids, places: order.into_iter().map(|(_, place)| place).collect(), keys }
    }

    /// Brings what was made for each id into the order of the answer, with its key.
    pub(super) fn answer<T, A>(&self, made: Vec<T>, finish: impl Fn(T, String) -> Option<A>) -> Vec<A> {
        let mut all: Vec<Option<A>> = self.keys.iter().map(|_| None).collect();
        for (one, place) in made.into_iter().zip(&self.places) {
            all[*place] = finish(one, self.keys[*place].clone());
        }
        all.into_iter().flatten().collect()
    }
}

/// A query with everything the head had to say to it.
#[derive(Debug)]
pub struct RangePlan {
    steps: Steps,
    asked: Asked,
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
        let asked = Asked::new(found);
        let stored_to = self.stored_through;
        let line = self.compacted_through().millis();
        let recent = self.recent(&asked.ids, steps.from().max(line), steps.end());
        Ok(RangePlan { steps, asked, recent, stored_to })
    }
}

impl RangePlan {
    /// Reads what is stored and computes the answer. What cannot be read is left out
    /// and named in it.
    ///
    /// # Errors
    /// What [`Blobs::list`] answers.
    pub fn evaluate(&self, blobs: &dyn Blobs) -> Result<RangeAnswer, StoreError> {
        let ids = &self.asked.ids;
        let mut lines = Lines::new(&self.steps, ids.len());
        let recent = self.recent.feed(ids, &mut lines)?;
        let mut reading = Reading::new(blobs, ids, &mut lines);
        reading.used.extend(recent.then_some(Resolution::Raw));
        let order = if self.steps.on_minutes() {
            [Resolution::Minute, Resolution::Raw, Resolution::Hour]
        } else {
            [Resolution::Raw, Resolution::Minute, Resolution::Hour]
        };
        reading.stretch(self.steps.from()..self.steps.end().min(self.stored_to), order)?;
        let (resolutions, damaged) = reading.finish();
        let series = self.asked.answer(lines.lines, |line, key| line.finish(&self.steps, key));
        Ok(RangeAnswer { series, resolutions, damaged })
    }
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
