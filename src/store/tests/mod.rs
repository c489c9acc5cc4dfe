//! Tests of the whole store, one file per promise. Jobs are awaited on a small
//! runtime per test; time stands still unless a test moves it.

mod backup;
mod basics;
mod cap;
mod checks;
mod clock;
mod clock_ahead;
mod damage;
mod failover;
mod faults;
mod full;
mod memory;
mod model;
mod notices;
mod sealed;
mod upkeep;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::base::time::{ManualClock, Timestamp};
use crate::model::frame::Frame;
use crate::model::query::{RangeAnswer, RangeQuery};
use crate::model::selector::Selector;

use super::file::Backing;
use super::{AppendReport, OpenReport, Store, StoreError, StoreOptions};

/// A full hour of the epoch, so that tests know where hours end.
pub const START: i64 = 1_795_165_200_000;
pub const SECOND: i64 = 1000;
pub const HOUR: i64 = 3_600_000;

pub fn options(path: &Path) -> StoreOptions {
    StoreOptions {
        path: path.to_owned(),
        cap: 64 << 20,
        raw_retention: Duration::from_secs(24 * 3600),
        minute_retention: Duration::from_secs(30 * 86_400),
        hour_retention: Duration::from_secs(730 * 86_400),
        max_series: 5000,
        cache: 2 << 20,
        tail: Some(None),
    }
}

pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp(START)))
}

pub fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub fn open(options: &StoreOptions, clock: &Arc<ManualClock>) -> (Store, OpenReport) {
    try_open(options, clock).unwrap()
}

pub fn try_open(options: &StoreOptions, clock: &Arc<ManualClock>) -> Result<(Store, OpenReport), StoreError> {
    Store::open(options.clone(), Arc::<ManualClock>::clone(clock), &mut |_| {})
}

pub fn open_on(
    options: &StoreOptions,
    clock: &Arc<ManualClock>,
    backing: Arc<dyn Backing>,
) -> Result<(Store, OpenReport), StoreError> {
    Store::open_on(options.clone(), Arc::<ManualClock>::clone(clock), backing, 4 << 20, &mut |_| {})
}

/// `count` series of one family; series `n` has the value `value + n`.
pub fn frame(count: usize, value: f64) -> Frame {
    let mut frame = Frame::new();
    frame.gauge("test_value", "A value.");
    for number in 0..count {
        frame.push(&[("n", &number.to_string())], value + number as f64);
    }
    frame
}

pub fn append(store: &Store, at: i64, count: usize, value: f64) -> AppendReport {
    store.append("host", Timestamp(at), &frame(count, value))
}

pub fn query(store: &Store, start: i64, end: i64, step: i64) -> Result<RangeAnswer, StoreError> {
    store.query_range(&RangeQuery {
        selector: Selector::name("test_value"),
        start: Timestamp(start),
        end: Timestamp(end),
        step: Duration::from_millis(step as u64),
        lookback: Duration::from_secs(300),
        max_series: 10_000,
        max_points: 10_000_000,
    })
}

/// A number that nothing compresses.
pub fn noise(tick: i64, number: u64) -> f64 {
    let mut mixed = (tick as u64) << 20 ^ number;
    for _ in 0..2 {
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed ^= mixed >> 27;
    }
    (mixed >> 12) as f64
}

pub fn noisy_frame(tick: i64, series: u64) -> Frame {
    let mut frame = Frame::new();
    frame.gauge("test_value", "A value.");
    for number in 0..series {
        frame.push(&[("n", &number.to_string())], noise(tick, number));
    }
    frame
}
