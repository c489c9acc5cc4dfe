//! Wall time for what people read, monotonic time for intervals; both injected.
//!
//! The pattern: everything that needs the time takes a [`Clock`]. The one place
//! that asks the operating system is [`SystemClock`]; tests hold a
//! [`ManualClock`] and move it, backwards too. Wrong would be to measure an
//! interval as a difference of two [`Timestamp`]s: the wall clock jumps.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The largest time the calendar library can show (late in the year 9999).
    const LAST: i64 = 253_402_207_200_000;

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch, with the fraction.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// This time moved by `by`, clamped to the range of the type.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis_of(by)))
    }

    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis_of(by)))
    }

    /// Time from `earlier` to this, zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).max(0) as u64)
    }

    /// RFC 3339 in UTC with milliseconds, e.g. `2026-01-31T08:00:00.250Z`.
    /// Times outside the years 0 to 9999 are clamped to them.
    pub fn rfc3339(self) -> String {
        let clamped = self.0.clamp(0, Self::LAST);
        match jiff::Timestamp::from_millisecond(clamped) {
            Ok(time) => format!("{time:.3}"),
            Err(_) => String::from("1970-01-01T00:00:00.000Z"),
        }
    }

    /// Reads RFC 3339, epoch seconds with a fraction, or epoch milliseconds
    /// (whole numbers of 12 digits and more).
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(whole) = text.parse::<i64>() {
            return Some(if whole.abs() >= 100_000_000_000 { Self(whole) } else { Self(whole * 1000) });
        }
        if let Ok(seconds) = text.parse::<f64>() {
            return (seconds.is_finite() && seconds.abs() < 1e12)
                .then(|| Self((seconds * 1000.0).round() as i64));
        }
        text.parse::<jiff::Timestamp>().ok().map(|time| Self(time.as_millisecond()))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

fn millis_of(by: Duration) -> i64 {
    i64::try_from(by.as_millis()).unwrap_or(i64::MAX)
}

/// A point on the monotonic clock: time since the clock was made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Monotonic(pub Duration);

impl Monotonic {
    /// Time from `earlier` to this, zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Where the time comes from.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Timestamp;
    fn monotonic(&self) -> Monotonic;
}

/// The operating system's clocks.
#[derive(Debug)]
pub struct SystemClock {
    origin: std::time::Instant,
}

impl SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one home of the real clock")]
    pub fn new() -> Self {
        Self { origin: std::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one home of the real clock")]
    fn now(&self) -> Timestamp {
        match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => Timestamp(millis_of(since)),
            Err(before) => Timestamp(-millis_of(before.duration())),
        }
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic(self.origin.elapsed())
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    state: Mutex<(Timestamp, Monotonic)>,
}

impl ManualClock {
    pub fn at(start: Timestamp) -> Self {
        Self { state: Mutex::new((start, Monotonic::default())) }
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let mut state = self.lock();
        state.0 = state.0.plus(by);
        state.1 = Monotonic(state.1.0 + by);
    }

    /// Sets the wall clock alone, as an administrator or NTP would.
    pub fn jump_to(&self, wall: Timestamp) {
        self.lock().0 = wall;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Timestamp, Monotonic)> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.lock().0
    }

    fn monotonic(&self) -> Monotonic {
        self.lock().1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_and_reads_back() {
        let time = Timestamp(1_795_166_565_250);
        assert_eq!(time.rfc3339(), "2026-11-20T09:22:45.250Z");
        for text in ["2026-11-20T09:22:45.250Z", "1795166565250", "1795166565.25"] {
            assert_eq!(Timestamp::parse(text), Some(time), "{text}");
        }
        assert_eq!(Timestamp::parse("1795166565"), Some(Timestamp(1_795_166_565_000)));
        for bad in ["", "yesterday", "NaN", "1e40"] {
            assert_eq!(Timestamp::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn extremes_do_not_overflow() {
        assert_eq!(Timestamp(i64::MAX).plus(Duration::MAX), Timestamp(i64::MAX));
        assert_eq!(Timestamp(i64::MIN).since(Timestamp(i64::MAX)), Duration::ZERO);
        assert!(Timestamp(i64::MAX).rfc3339().starts_with("9999-12-30"));
    }

    #[test]
    fn a_manual_clock_jumps_only_its_wall_time() {
        let clock = ManualClock::at(Timestamp(10_000));
        clock.advance(Duration::from_secs(5));
        clock.jump_to(Timestamp(0));
        assert_eq!(clock.now(), Timestamp(0));
        assert_eq!(clock.monotonic().since(Monotonic::default()), Duration::from_secs(5));
    }
}
