//! `[target.<kind>.breaker]`: when the target's breaker opens, and for how long.
//!
//! The defaults are those of the best breakers, see the table in
//! `logic/breaker/mod.rs` for what each key does.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::units::Span;
use crate::config::check::Checker;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Breaker {
    /// Hard failures in a row that open it.
    pub failure_threshold: u32,
    /// What the shares below are over.
    pub window: Span,
    /// Calls in the window before a share counts.
    pub minimum_calls: u32,
    /// Failed calls of all, 0 to 1, that open it.
    pub failure_share: f64,
    /// A call that takes longer is slow.
    pub slow_call: Span,
    /// Slow calls of all, 0 to 1, that open it.
    pub slow_share: f64,
    /// How long it stays open at first; doubles each time.
    pub open_for: Span,
    /// Longest time open.
    pub max_open_for: Span,
    /// Calls at once while half open.
    pub half_open_calls: u32,
    /// Successes in a row that close it again.
    pub close_after: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failure_threshold: 3,
            window: Span::from_secs(300),
            minimum_calls: 10,
            failure_share: 0.5,
            slow_call: Span::from_secs(2),
            slow_share: 0.8,
            open_for: Span::from_secs(60),
            max_open_for: Span::from_secs(600),
            half_open_calls: 2,
            close_after: 2,
        }
    }
}

/// A longer window would take hours to forget an outage.
const LONGEST_WINDOW: Span = Span::from_secs(86_400);
const LONGEST_OPEN: Span = Span::from_secs(86_400);
const MOST_CALLS: u32 = 1_000_000;

impl Breaker {
    /// Says what is wrong; `key` is that of the table.
    pub fn check(&self, key: &str, checker: &mut Checker<'_>) {
        for (name, count) in [
            ("failure_threshold", self.failure_threshold),
            ("minimum_calls", self.minimum_calls),
            ("half_open_calls", self.half_open_calls),
            ("close_after", self.close_after),
        ] {
            if !(1..=MOST_CALLS).contains(&count) {
                checker.say(format!("{key}.{name}"), format!("{count}, expected 1 to {MOST_CALLS}"));
            }
        }
        for (name, share) in [("failure_share", self.failure_share), ("slow_share", self.slow_share)] {
            if !(share > 0.0 && share <= 1.0) {
                checker.say(format!("{key}.{name}"), format!("{share}, expected more than 0 and at most 1"));
            }
        }
        let shortest = Span::from_secs(1);
        for (name, span, most) in
            [("window", self.window, LONGEST_WINDOW), ("max_open_for", self.max_open_for, LONGEST_OPEN)]
        {
            if span < shortest || span > most {
                checker.say(format!("{key}.{name}"), format!("{span}, expected {shortest} to {most}"));
            }
        }
        if self.open_for.0 < Duration::from_millis(100) || self.open_for > self.max_open_for {
            let most = self.max_open_for;
            checker.say(
                format!("{key}.open_for"),
                format!("{}, expected 100ms to `max_open_for`, which is {most}", self.open_for),
            );
        }
        if self.slow_call.0 < Duration::from_millis(1) {
            checker.say(format!("{key}.slow_call"), format!("{}, expected at least 1ms", self.slow_call));
        }
    }
}
