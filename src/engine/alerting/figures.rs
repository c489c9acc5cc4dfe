//! What alerting says of itself, as series: the rules that watch the watcher look at them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::time::Timestamp;
use crate::logic::alert::Now;
use crate::logic::notify::owed_since;
use crate::model::alert::AlertState;
use crate::model::frame::Frame;
use crate::model::notice::Notice;
use crate::model::severity::Severity;
use crate::store::{Store, StoreCondition};

use super::Shown;

/// Between two frames of these series.
pub const EVERY: Duration = Duration::from_secs(5);
/// The clock was set when the wall and the monotonic clock differ by more.
const JUMP_MS: u64 = 10_000;

/// How the rounds go since the process began.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundFigures {
    pub rounds_total: u64,
    pub missed_total: u64,
    pub last_seconds: f64,
    pub clock_jumps_total: u64,
    /// The last moment that was seen, for jumps.
    seen: Option<Seen>,
    said: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    wall: Timestamp,
    mono: Duration,
}

impl RoundFigures {
    /// Counts a round that began at `now`.
    pub fn round(&mut self, now: Now, took: Duration, interval: Duration) {
        self.rounds_total += 1;
        self.last_seconds = took.as_secs_f64();
        if took > interval {
            self.missed_total += u64::try_from(took.as_millis() / interval.as_millis().max(1)).unwrap_or(1);
        }
        if let Some(seen) = self.seen {
            let passed = now.mono.0.saturating_sub(seen.mono);
            let expected = seen.wall.plus(passed).millis();
            self.clock_jumps_total += u64::from(now.wall.millis().abs_diff(expected) > JUMP_MS);
        }
        self.seen = Some(Seen { wall: now.wall, mono: now.mono.0 });
    }

    /// Whether a frame is due, which then is not due for a while.
    pub fn is_due(&mut self, now: Now) -> bool {
        let due = self.said.is_none_or(|said| now.mono.0.saturating_sub(said) >= EVERY);
        if due {
            self.said = Some(now.mono.0);
        }
        due
    }
}

/// The frame of this moment.
pub fn frame<'a>(
    figures: &RoundFigures,
    shown: &[Shown],
    outbox: impl Iterator<Item = &'a Notice>,
    store: &Store,
    config_valid: bool,
    now: Timestamp,
) -> Frame {
    let mut frame = Frame::new();
    let mut counts: BTreeMap<(Severity, bool), u32> = BTreeMap::new();
    for shown in
        shown.iter().filter(|shown| shown.alert.state.is_active() || shown.alert.state == AlertState::Pending)
    {
        let pending = shown.alert.state == AlertState::Pending;
        *counts.entry((shown.alert.severity, pending)).or_default() += 1;
    }
    let mut family =
        frame.gauge("holdfast_alerts", "Alerts by their severity, and whether they are pending.");
    for severity in Severity::ALL {
        let count = counts.get(&(severity, false)).copied().unwrap_or(0);
        family = family.push(&[("severity", severity.word()), ("state", "active")], f64::from(count));
    }
    let pending: u32 = counts.iter().filter(|((_, pending), _)| *pending).map(|(_, count)| count).sum();
    family.push(&[("severity", "any"), ("state", "pending")], f64::from(pending));
    let (mut queued, mut oldest) = (0u32, None::<Timestamp>);
    for notice in outbox {
        queued += 1;
        // What waits for its time is not late.
        let late = notice.tries > 0 || notice.due_at <= now;
        oldest = if late {
            let since = owed_since(notice);
            Some(oldest.map_or(since, |at| at.min(since)))
        } else {
            oldest
        };
    }
    let waits = oldest.map_or(0.0, |at| now.since(at).as_secs_f64());
    let gauges = [
        ("holdfast_outbox_queued", "Messages that wait to be sent.", f64::from(queued)),
        (
            "holdfast_outbox_oldest_seconds",
            "How long the oldest message waits that could have been sent.",
            waits,
        ),
        ("holdfast_rule_round_seconds", "How long the last round of rules took.", figures.last_seconds),
        (
            "holdfast_store_writable",
            "Whether alerts and configuration can be stored.",
            f64::from(u8::from(store.condition() == StoreCondition::Ok)),
        ),
        (
            "holdfast_config_valid",
            "Whether the configuration that was last loaded is in force.",
            f64::from(u8::from(config_valid)),
        ),
    ];
    for (name, help, value) in gauges {
        frame.gauge(name, help).push(&[], value);
    }
    let counters = [
        ("holdfast_rule_rounds_total", "Rounds of rules since the agent started.", figures.rounds_total),
        ("holdfast_rule_rounds_missed_total", "Rounds that a slow one left out.", figures.missed_total),
        (
            "holdfast_clock_jumps_total",
            "How often the wall clock was set by more than 10 s.",
            figures.clock_jumps_total,
        ),
    ];
    for (name, help, value) in counters {
        frame.counter(name, help).push(&[], value as f64);
    }
    frame
}
