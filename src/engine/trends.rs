//! Expressions over hours, at even steps: how something went, for whoever looks at a day.
//!
//! A day is read in rows of a minute, see the store's source. One would get it wrong by
//! taking the value at each step: half an hour of load is not its last second.

use std::time::Duration;

use crate::base::time::{Clock, Monotonic, Timestamp};
use crate::promql::eval::{self, Limits, RangeSeries};
use crate::promql::parse;
use crate::store::{Store, StoreSource};

/// All expressions of one look may take so long together.
const DEADLINE: Duration = Duration::from_secs(10);
const MOST_SAMPLES: usize = 2_000_000;

/// Even steps, the last at `end`.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    pub start: Timestamp,
    pub end: Timestamp,
    pub step: Duration,
}

/// Reads expressions of one look; blocking.
pub struct Trends<'a> {
    source: StoreSource,
    clock: &'a dyn Clock,
    started: Monotonic,
    steps: Steps,
}

impl<'a> Trends<'a> {
    pub fn new(store: Store, clock: &'a dyn Clock, steps: Steps) -> Self {
        Self { source: StoreSource::new(store), clock, started: clock.monotonic(), steps }
    }

    /// The series of an expression; what cannot be evaluated in time is none, and said in
    /// the log.
    pub fn read(&self, expr: &str) -> Vec<RangeSeries> {
        let stop = || self.clock.monotonic().since(self.started) > DEADLINE;
        let limits = Limits { max_samples: MOST_SAMPLES, ..Limits::new(&stop) };
        let Steps { start, end, step } = self.steps;
        let found = parse(expr).map_err(|error| error.to_string()).and_then(|expr| {
            let range = eval::range(&expr, start.millis(), end.millis(), step, &self.source, &limits);
            range.map_err(|error| error.to_string())
        });
        match found {
            Ok(answer) => answer.value,
            Err(error) => {
                tracing::warn!(expr, %error, "a trend is missing");
                Vec::new()
            }
        }
    }
}
