//! The life cycle of alerts as a pure state machine: one [`RuleState`] per rule, one
//! instance in it per label set.
//!
//! ```text
//!                   for is over             clear                clear_for is over
//!  inactive -> pending -------> firing(level) -------> recovering ----------------> resolved
//!     ^          |  false         ^   ^ |  ^               |  beyond again              |
//!     |<---------'                |   | |  '---------------'  (relapsed, same episode)  |
//!     |                 data back |   | | worsened, eased                               |
//!     |                           |   '-'                                               |
//!     |   no data for the grace   v                                                     |
//!     | any ----------------> nodata | error ------- data back, and it never fired ---->|
//!     |                                                                                 |
//!     '---------- at once; after a manual resolve once the condition was false ---------'
//!
//!  expression edited: firing, recovering, nodata, error -> pending, the same episode
//!  rule disabled or gone: anything told -> resolved (rule_changed); only pending -> dropped
//! ```
//! The pattern: [`RuleState::step`] takes what the expression answered and the time, and
//! says what changed, one [`Change`] per line of history. Who evaluates, stores and tells
//! is not known here; texts and ids are asked for only when something begins or changes.
//!
//! What the usual machines get wrong, and how it is met here. They take the wall clock for
//! durations: here `for`, `clear_for`, the graces, flapping and `re_raise_after` run on the
//! monotonic clock, and what people gave as a wall time (the end of an acknowledgement, of
//! an event) is turned into a monotonic one when it is set. They take an empty answer for
//! "all is well": here that is so in the Prometheus form alone, and not before the series
//! had time to come back after a start. They let a flag decide: here an acknowledged,
//! flapping or silenced alert goes through the same states, and only a manual resolve of a
//! condition that stays true holds the next episode back, which is what it is for.
//!
//! An error of the expression is one alert of the rule, under the key [`WHOLE_RULE`]; the
//! instances stand still meanwhile. A rule that its owner wrote and that never had a series
//! says so under the same key; a shipped one stays inactive.

mod course;
mod episode;
mod events;
mod flap;
mod instances;
mod judge;
mod operate;
#[cfg(test)]
mod tests;

pub use self::events::{Events, Full, Raise};
pub use self::instances::RuleState;
pub use self::operate::{Command, Refused};
use crate::base::time::{Monotonic, Timestamp};
use crate::model::alert::{Alert, AlertState, Happening, Step};
use crate::model::rule::Rule;
use crate::model::severity::Severity;

use std::collections::BTreeMap;
use std::time::Duration;

/// The key of the alert that is about a rule as a whole. No label set may have it.
pub const WHOLE_RULE: &str = "*";

/// One moment on both clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// What people read; no duration is measured by it.
    pub wall: Timestamp,
    /// What durations are measured by.
    pub mono: Monotonic,
}

/// What holds for every rule.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Settings {
    /// Label sets per rule; more are refused, and none that is there is dropped for them.
    pub most_instances: usize,
    /// How long series may take to come back after a start: so long a restored alert that
    /// has no sample yet stays as it is. Also the grace of errors in the Prometheus form.
    pub lookback: Duration,
    /// In the Prometheus form smaller values are the worse ones (its comparison says so).
    /// Needed for `ack_rearm` alone.
    pub falling: bool,
    /// In the Prometheus form: the number it compares with, for people to see.
    pub threshold: Option<f64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { most_instances: 10_000, lookback: Duration::from_secs(300), falling: false, threshold: None }
    }
}

/// One element of what the expression answered.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sample<'a> {
    /// The label set in one canonical form; not [`WHOLE_RULE`].
    pub key: &'a str,
    pub value: f64,
    /// The window held as many samples as the rule asks for.
    pub enough: bool,
}

/// How an evaluation ended.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Input<'a> {
    Samples(&'a [Sample<'a>]),
    /// It could not be evaluated, and why.
    Failed(&'a str),
}

/// What a text is asked for.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    pub rule: &'a Rule,
    /// The label set, or [`WHOLE_RULE`].
    pub key: &'a str,
    /// Its place among the samples of this step; none where it has none.
    pub sample: Option<usize>,
    pub state: AlertState,
    pub severity: Severity,
    pub value: Option<f64>,
    pub threshold: Option<f64>,
    /// What is wrong with the data or the expression.
    pub error: Option<&'a str>,
}

/// What an alert says.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Texts {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub source: String,
    pub resource_type: Option<String>,
    pub resource_id: Option<String>,
    pub title: String,
    pub message: String,
}

/// Who names alerts and writes what they say.
pub trait Author {
    /// A fresh id; sorts by time.
    fn id(&mut self) -> String;
    /// Called only when an alert begins or changes.
    fn texts(&mut self, about: About<'_>) -> Texts;
}

/// What a change is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum News {
    /// The alert has a new line of history: its last.
    Step(Happening),
    /// Fields changed, and nobody is to be told.
    Touched,
    /// It was only pending and is no more: its row goes.
    Dropped,
}

/// Something to store, and maybe to tell.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// As it is just after this change.
    pub alert: Alert,
    pub news: News,
}

impl Change {
    /// The new line of history.
    pub fn step(&self) -> Option<&Step> {
        match self.news {
            News::Step(_) => self.alert.steps.last(),
            News::Touched | News::Dropped => None,
        }
    }

    /// A crash before it is stored loses nothing that anybody was told.
    pub fn can_wait(&self) -> bool {
        self.alert.state == AlertState::Pending && self.alert.fired_at.is_none()
    }
}

/// What came of a step.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Outcome {
    /// In the order in which they happened.
    pub changes: Vec<Change>,
    /// Label sets that found no room.
    pub refused: usize,
    /// Samples whose label set the same answer had already; the first counts.
    pub duplicates: usize,
}

/// Whether [`RuleState::restore`] needs this alert after a restart: it is not over, or its
/// end still has a say.
pub fn goes_on(alert: &Alert) -> bool {
    let ended = matches!(alert.state, AlertState::Resolved | AlertState::Inactive);
    !ended || alert.flapping || alert.manual.as_ref().is_some_and(|manual| manual.holds)
}
