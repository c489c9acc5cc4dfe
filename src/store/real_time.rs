//! What time it really is, as far as that decides about data.
//!
//! The wall clock may leap: by a month when a board without a battery hears of a
//! wrong time server, and back a minute later. What retires history by it loses
//! everything. So two things are asked here instead of of the clock: a leap closes
//! hours only when the next flush still sees it, and retires nothing until it has
//! lasted for a day of monotonic time. One would get it wrong by trusting the
//! samples: they are stamped by the same clock.

use std::time::Duration;

use crate::base::time::{Monotonic, Timestamp};

/// Clocks may disagree by this much before one is doubted.
const SLACK: Duration = Duration::from_secs(3600);
/// A leap that lasts so long is believed.
const BELIEVED_AFTER: Duration = Duration::from_secs(86_400);

/// A wall time, and what the monotonic clock said then.
type Reading = (Timestamp, Monotonic);

/// See the module.
#[derive(Debug)]
pub struct RealTime {
    /// At the last flush, whatever it said.
    seen: Reading,
    /// At the last flush that was not doubted.
    trusted: Reading,
    /// Since when the wall clock is ahead of what can be.
    doubted: Option<Monotonic>,
}

/// The furthest that the wall clock can be at `monotonic`.
fn reach(from: Reading, monotonic: Monotonic) -> Timestamp {
    from.0.plus(monotonic.since(from.1)).plus(SLACK)
}

impl RealTime {
    /// `newest`: the last sample of the run before. A long stop looks like a leap
    /// and is believed a day later.
    pub fn new(newest: Option<Timestamp>, now: Timestamp, monotonic: Monotonic) -> Self {
        let trusted = newest.map_or(now, |newest| newest.min(now));
        Self { seen: (now, monotonic), trusted: (trusted, monotonic), doubted: None }
    }

    /// The time that closes hours, at a flush.
    pub fn closing(&mut self, now: Timestamp, monotonic: Monotonic) -> Timestamp {
        let closing = self.peek(now, monotonic);
        self.seen = (now, monotonic);
        closing
    }

    /// The same between two flushes.
    pub fn peek(&self, now: Timestamp, monotonic: Monotonic) -> Timestamp {
        if now > reach(self.seen, monotonic) { self.seen.0.plus(monotonic.since(self.seen.1)) } else { now }
    }

    /// The time that retires, at a flush.
    pub fn retiring(&mut self, now: Timestamp, monotonic: Monotonic) -> Timestamp {
        let reach = reach(self.trusted, monotonic);
        if now > reach {
            let since = *self.doubted.get_or_insert(monotonic);
            if monotonic.since(since) < BELIEVED_AFTER {
                return reach;
            }
        }
        self.doubted = None;
        self.trusted = (now, monotonic);
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn monotonic(hours: u64) -> Monotonic {
        Monotonic(Duration::from_secs(hours * 3600))
    }

    #[test]
    fn a_leap_closes_at_the_second_flush_and_retires_a_day_later() {
        let mut time = RealTime::new(None, Timestamp(0), monotonic(0));
        let leapt = |hours: i64| Timestamp((1000 + hours) * HOUR);
        assert_eq!(time.closing(leapt(1), monotonic(1)), Timestamp(HOUR));
        assert_eq!(time.closing(leapt(2), monotonic(2)), leapt(2));
        for hours in 1..25 {
            let retiring = time.retiring(leapt(hours), monotonic(hours as u64));
            assert_eq!(retiring, Timestamp((hours + 1) * HOUR));
        }
        assert_eq!(time.retiring(leapt(25), monotonic(25)), leapt(25));
    }

    #[test]
    fn a_clock_that_goes_back_is_followed() {
        let mut time = RealTime::new(Some(Timestamp(50 * HOUR)), Timestamp(50 * HOUR), monotonic(0));
        assert_eq!(time.retiring(Timestamp(20 * HOUR), monotonic(1)), Timestamp(20 * HOUR));
        assert_eq!(time.closing(Timestamp(20 * HOUR), monotonic(1)), Timestamp(20 * HOUR));
        assert_eq!(time.retiring(Timestamp(50 * HOUR), monotonic(2)), Timestamp(22 * HOUR));
    }
}
