//! The ring store's pure heart: what is kept in memory and the bytes of
//! everything the ring writes. No database, no files, no clock.
//!
//! How a store drives it:
//!
//! ```text
//! open     Head::new(HeadOptions)
//!          head.restore_series(SeriesRecord)                   every row of the index
//!          head.set_compacted_through(hour.end())              newest raw hour in the file, if any
//!          head.restore_hour(raw blob)                         newest raw hour: refills the last 1,000 values
//!          head.restore_block(flush block)                     every block not compacted, oldest first
//!          head.replay_tail(tail bytes, store id)              twice for two files; repeats are skipped
//! tick     head.append(stream, at, &frame, Some(&mut tail))    `tail` receives the records to append to the tail file
//! flush    head.seal() -> Option<FlushBlock>                   one blob + index rows to put + its time range; commit them, keep
//!                                                              the block and try again when that failed (it is no longer in `seal`)
//!          tail::header(store id, generation)                  starts the next tail file; the old one goes after the commit
//! compact  head.closed_hour(now) -> Option<Hour>               oldest hour with data that is over and not compacted
//!          head.hour_input(hour) -> HourInput                  cheap, under the lock
//!          input.add_stored(raw blob)                          only where the file has that hour: the clock went back into it
//!          encode_hour(&input) -> HourBlobs                    costly, outside the lock: raw, minute, hour blobs, index rows to put
//!          head.compacted(hour)                                after the commit; flush blocks with last <= hour.end() may go
//! import   head.intern(key, family, kind, help, at) -> Option<SeriesId>
//!          merge_hour(raw blob or None, hour, &[(SeriesId, Sample)]) -> HourBlobs     for hours up to compacted_through
//!          head.insert(&[(SeriesId, Sample)])                  for later times (and earlier ones the head still holds)
//! query    Search::new(selectors), head.keys()                 compiled outside the lock; the keys are one pointer, under it
//!          search.among(&keys, limit) -> found                 outside the lock: expressions may be slow
//!          head.plan(&query, &found) -> RangePlan              cheap, under the lock: recent samples of the series that were found
//!          plan.evaluate(&dyn Blobs) -> RangeAnswer            outside the lock, reads blobs by ranges
//!          head.plan_samples(&query, &found) -> SamplesPlan    the same for all samples of a window
//! retire   head.retire(before) -> Vec<SeriesId>                idle series whose data left the ring: delete their index rows
//! ```
//!
//! Hours are left-open and right-closed, (start, end], like the buckets of the
//! tiers and the lookback of a query, so that a tier row labelled by its end
//! holds exactly what an instant query at that time sees. One would get it
//! wrong by cutting at `at / 3600`: the sample on the full hour would be in the
//! wrong bucket of every tier.

mod blob;
mod block;
mod bytes;
mod column;
mod cuts;
mod head;
mod hour;
mod index;
mod ints;
mod line;
mod lookup;
mod matcher;
mod merge;
mod plan;
mod presence;
mod recent;
mod restore;
mod samples;
mod segment;
mod stored;
mod stream;
pub mod tail;
mod tier;

#[cfg(test)]
mod tests;

pub use bytes::Corrupt;
pub use head::{Appended, FlushBlock, Head, HeadOptions, HeadStats, HourInput, Inserted};
pub use hour::{HourBlobs, encode_hour};
pub use index::SeriesRecord;
pub use lookup::{Keys, Search};
pub use merge::{merge_hour, merge_rows};
pub use plan::{BlobRef, Blobs, RangePlan};
pub use samples::SamplesPlan;
pub use tier::Row;

use crate::base::time::Timestamp;

/// Milliseconds in the buckets of the tiers.
pub const MINUTE_MS: i64 = 60_000;
pub const HOUR_MS: i64 = 3_600_000;

/// Number of a series in the index; never used again for another key while
/// data of the old one is held.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SeriesId(pub u32);

/// One value and its time in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub at: i64,
    pub value: f64,
}

/// The hour that covers `(number * 1 h, (number + 1) * 1 h]` of the epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Hour(pub i64);

impl Hour {
    /// The hour `at` lies in; a time on the full hour ends the hour before it.
    pub fn of(at: Timestamp) -> Self {
        Self(at.millis().saturating_sub(1).div_euclid(HOUR_MS))
    }

    /// Excluded start.
    pub fn start(self) -> Timestamp {
        Timestamp(self.0.saturating_mul(HOUR_MS))
    }

    /// Included end.
    pub fn end(self) -> Timestamp {
        Timestamp(self.0.saturating_add(1).saturating_mul(HOUR_MS))
    }
}
