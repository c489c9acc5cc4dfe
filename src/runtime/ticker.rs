//! Ticks on whole multiples of an interval of the wall clock.
//!
//! A nominal tick time makes the samples of a second share one timestamp and
//! makes the timestamps of a series evenly spaced, which is what lets the store
//! keep them in almost nothing. A tick that came late (by more than a tenth of the
//! interval) is stamped with the time it really has, and so is the first, which
//! comes at once: whoever starts the agent need not wait for the next second.

use std::sync::Arc;
use std::time::Duration;

use crate::base::time::{Clock, Timestamp};

/// One tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// The time to stamp samples with; strictly later than the tick before.
    pub at: Timestamp,
    /// Whole intervals that passed without a tick.
    pub missed: u64,
    /// How far the wall clock went back since the last tick, if it did.
    pub jumped_back: Option<Duration>,
}

/// See the module.
pub struct Ticker {
    clock: Arc<dyn Clock>,
    interval: Duration,
    last: Option<Timestamp>,
    /// The wall clock as it was at the last tick, to notice a jump.
    seen: Timestamp,
}

impl Ticker {
    /// `interval` of less than 10 ms is taken as 10 ms.
    pub fn new(clock: Arc<dyn Clock>, interval: Duration) -> Self {
        let seen = clock.now();
        Self { clock, interval: interval.max(Duration::from_millis(10)), last: None, seen }
    }

    /// Waits for the next multiple of the interval; the first tick does not wait.
    /// Safe to cancel.
    pub async fn tick(&mut self) -> Tick {
        if self.last.is_none() {
            return self.stamp(self.clock.now().millis());
        }
        let interval = self.interval.as_millis() as i64;
        let now = self.clock.now().millis();
        let next = (now.div_euclid(interval) + 1) * interval;
        tokio::time::sleep(Duration::from_millis((next - now) as u64)).await;
        self.stamp(next)
    }

    fn stamp(&mut self, due: i64) -> Tick {
        let interval = self.interval.as_millis() as i64;
        let now = self.clock.now();
        let jumped_back = (now < self.seen).then(|| self.seen.since(now));
        self.seen = now;
        // Timers round up to a millisecond and the wall clock may be slewed, so a
        // tick a little early or late is on time.
        let on_time = (now.millis() - due).abs() <= interval / 10;
        let mut at = if on_time { due } else { now.millis() };
        let mut missed = 0;
        if let Some(last) = self.last {
            if at <= last.millis() {
                // The wall clock went back: samples keep their order.
                at = last.millis() + 1;
            } else {
                missed = u64::try_from((at - last.millis() - interval / 2) / interval).unwrap_or(0);
            }
        }
        self.last = Some(Timestamp(at));
        Tick { at: Timestamp(at), missed, jumped_back }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::ManualClock;

    #[tokio::test(start_paused = true)]
    async fn ticks_are_whole_multiples_and_survive_a_jump_back() {
        let clock = Arc::new(ManualClock::at(Timestamp(10_250)));
        let mut ticker = Ticker::new(clock.clone(), Duration::from_secs(1));
        let first = Tick { at: Timestamp(10_250), missed: 0, jumped_back: None };
        assert_eq!(ticker.tick().await, first);

        let moved = clock.clone();
        let tick = tokio::join!(ticker.tick(), async move { moved.jump_to(Timestamp(11_004)) }).0;
        assert_eq!(tick, Tick { at: Timestamp(11_000), missed: 0, jumped_back: None });

        let moved = clock.clone();
        let tick = tokio::join!(ticker.tick(), async move { moved.jump_to(Timestamp(15_400)) }).0;
        assert_eq!((tick.at, tick.missed), (Timestamp(15_400), 3));

        clock.jump_to(Timestamp(2_000));
        let tick = ticker.tick().await;
        assert_eq!(tick.at, Timestamp(15_401));
        assert_eq!(tick.jumped_back, Some(Duration::from_millis(13_400)));
    }
}
