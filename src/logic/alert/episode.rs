//! One episode of one label set: the alert, and what is known of it on the monotonic clock.
//!
//! Every change of an alert goes through [`Episode::enter`] or [`Episode::told`], so that a
//! line of history is numbered once. One would get it wrong by editing the alert elsewhere:
//! two changes under one number are one message too few.

use std::time::Duration;

use super::flap::Flaps;
use super::judge::{Reached, Since};
use super::{Change, News, Now, Texts};
use crate::base::time::{Monotonic, Timestamp};
use crate::model::alert::{Acknowledgement, Alert, AlertState, Happening};
use crate::model::severity::Severity;

/// Why an episode has had no sample yet that its rule as it is now answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unseen {
    /// It had one.
    No,
    SinceStart(Monotonic),
    SinceEdit,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Episode {
    pub alert: Alert,
    /// When it entered its state.
    pub entered: Since,
    pub reached: Reached,
    /// End of the acknowledgement.
    pub ack_until: Option<Monotonic>,
    pub unseen: Unseen,
    /// The rule's texts were edited since they were written.
    pub outdated: bool,
}

impl Episode {
    /// Goes on after a restart. `alive`: when the former process was last known to live;
    /// durations count until then, and on from now.
    pub fn restored(alert: Alert, now: Now, alive: Option<Timestamp>) -> Self {
        let alive = alive.unwrap_or(alert.updated_at);
        let counted = alive.millis().saturating_sub(alert.since.millis()).saturating_sub(alert.uncounted_ms);
        let counted = counted.max(0);
        let entered = Since::with(now.mono, Duration::from_millis(counted.unsigned_abs()));
        let ack_until = alert.acknowledged.as_ref().and_then(|ack| deadline(ack.until, ack.at, now));
        let mut episode = Self {
            entered,
            reached: Reached::up_to(alert.severity, entered),
            ack_until,
            unseen: Unseen::SinceStart(now.mono),
            outdated: false,
            alert,
        };
        if episode.is_timed() {
            let shown = now.wall.millis().saturating_sub(episode.alert.since.millis());
            episode.alert.uncounted_ms = shown.saturating_sub(counted);
        }
        episode
    }

    /// Whether a duration runs that a restart has to go on with.
    pub fn is_timed(&self) -> bool {
        matches!(self.alert.state, AlertState::Pending | AlertState::Recovering) || self.is_held()
    }

    /// Adds a line to the history.
    pub fn told(&mut self, now: Now, what: Happening, by: Option<String>, note: Option<String>) -> Change {
        self.alert.note(now.wall, what, by, note);
        self.change(News::Step(what))
    }

    pub fn change(&self, news: News) -> Change {
        Change { alert: self.alert.clone(), news }
    }

    /// Goes to another state, or anew to this one.
    pub fn enter(&mut self, state: AlertState, now: Now) {
        self.alert.state = state;
        self.alert.since = now.wall;
        self.alert.uncounted_ms = 0;
        self.entered = Since::now(now.mono);
        match state {
            AlertState::Firing if self.alert.fired_at.is_none() => self.alert.fired_at = Some(now.wall),
            AlertState::Resolved => self.alert.resolved_at = Some(now.wall),
            _ => {}
        }
        if state != AlertState::Error {
            self.alert.error = None;
        }
    }

    pub fn set_severity(&mut self, severity: Severity) {
        self.alert.severity = severity;
        self.alert.peak = self.alert.peak.max(severity);
    }

    pub fn write(&mut self, texts: Texts) {
        let alert = &mut self.alert;
        alert.labels = texts.labels;
        alert.annotations = texts.annotations;
        alert.source = texts.source;
        alert.resource_type = texts.resource_type;
        alert.resource_id = texts.resource_id;
        alert.title = texts.title;
        alert.message = texts.message;
        self.outdated = false;
    }

    /// Whether it fired in this episode.
    pub const fn has_fired(&self) -> bool {
        self.alert.fired_at.is_some()
    }

    /// Resolved by hand while its condition stays true.
    pub fn is_held(&self) -> bool {
        self.alert.manual.as_ref().is_some_and(|manual| manual.holds)
    }

    /// The level whose clear point decides: the one that fires, where a value was beyond it.
    pub fn standing(&self) -> Option<Severity> {
        let stands = match self.alert.state {
            AlertState::Firing => true,
            AlertState::Nodata | AlertState::Error => self.has_fired(),
            AlertState::Resolved => self.is_held(),
            AlertState::Inactive | AlertState::Pending | AlertState::Recovering => false,
        };
        (stands && self.alert.value.is_some()).then_some(self.alert.severity)
    }

    /// Lets the next episode begin.
    pub fn release(&mut self, now: Now) -> Change {
        if let Some(manual) = &mut self.alert.manual {
            manual.holds = false;
        }
        self.alert.updated_at = now.wall;
        self.change(News::Touched)
    }

    pub fn acknowledge(&mut self, ack: Acknowledgement, now: Now) -> Change {
        self.ack_until = deadline(ack.until, now.wall, now);
        let (by, comment) = (ack.by.clone(), ack.comment.clone());
        self.alert.acknowledged = Some(ack);
        self.told(now, Happening::Acknowledged, Some(by), (!comment.is_empty()).then_some(comment))
    }

    /// Ends the acknowledgement.
    pub fn rearm(&mut self, now: Now, by: Option<String>, why: &str) -> Change {
        self.alert.acknowledged = None;
        self.ack_until = None;
        self.told(now, Happening::Rearmed, by, Some(why.to_owned()))
    }

    /// Ends an acknowledgement whose time is over.
    pub fn pass_time(&mut self, now: Now) -> Option<Change> {
        let over = self.ack_until.is_some_and(|until| now.mono >= until);
        let live = self.alert.state.is_active();
        (over && live).then(|| self.rearm(now, None, "the time of the acknowledgement is over"))
    }

    /// The wall clock was set forward by `millis`, or back.
    pub fn shift(&mut self, millis: i64) -> Option<Change> {
        if !self.is_timed() {
            return None;
        }
        self.alert.uncounted_ms = self.alert.uncounted_ms.saturating_add(millis);
        Some(self.change(News::Touched))
    }
}

/// When a wall time that somebody named will have come, on the monotonic clock. After a
/// restart the wait is at most the whole time that was meant, whatever the wall clock says.
pub(super) fn deadline(until: Option<Timestamp>, said_at: Timestamp, now: Now) -> Option<Monotonic> {
    let until = until?;
    let wait = until.since(now.wall).min(until.since(said_at));
    Some(Monotonic(now.mono.0.saturating_add(wait)))
}

/// What is kept of a label set.
#[derive(Clone, Debug, Default)]
pub(super) struct Instance {
    /// Number of the last step that had a sample of it.
    pub seen: u64,
    /// Since when there is no data to judge by.
    pub missing: Option<Monotonic>,
    /// None while it is inactive.
    pub live: Option<Box<Episode>>,
    pub flaps: Option<Box<Flaps>>,
}

impl Instance {
    /// Nothing would be lost with it.
    pub const fn is_blank(&self) -> bool {
        self.live.is_none() && self.flaps.is_none()
    }
}
