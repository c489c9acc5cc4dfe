//! An alert as the notifier keeps it: what a message shows, and what decides about it.

use std::sync::Arc;

use super::policy::Policy;
use crate::base::time::Timestamp;
use crate::model::alert::{Alert, AlertState, Happening};
use crate::model::notice::{NoticeAlert, Telling, Told};
use crate::model::severity::Severity;

/// News of an alert: as it is after `what`, whose step is its last one; `None` where only
/// fields changed.
#[derive(Clone, Debug)]
pub struct Occurrence<'a> {
    pub alert: &'a Alert,
    pub policy: &'a Arc<Policy>,
    pub what: Option<Happening>,
}

/// Times are shifted when the wall clock jumps, other than those that are shown.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    /// Which label set of its rule it is about; its episodes follow each other.
    pub key: String,
    pub shown: NoticeAlert,
    pub state: AlertState,
    /// The worst level so far.
    pub peak: Severity,
    pub acknowledged: bool,
    pub flapping: bool,
    /// Its time ran out: nobody is told of the end of an event.
    pub lapsed: bool,
    pub fired: Timestamp,
    pub ended: Option<Timestamp>,
    pub policy: Arc<Policy>,
    pub telling: Telling,
}

impl Subject {
    pub fn new(alert: &Alert, policy: &Arc<Policy>, telling: Telling, now: Timestamp) -> Self {
        let over = matches!(alert.state, AlertState::Resolved | AlertState::Inactive);
        let last = alert.steps.last().map(|step| step.what);
        Self {
            key: alert.key.clone(),
            shown: shown(alert),
            state: alert.state,
            peak: alert.peak.max(alert.severity),
            acknowledged: alert.acknowledged.is_some(),
            flapping: alert.flapping,
            lapsed: over && last == Some(Happening::Expired),
            fired: alert.fired_at.unwrap_or(alert.since).min(now),
            ended: over.then(|| alert.resolved_at.unwrap_or(now).min(now)),
            policy: policy.clone(),
            telling: Telling { alert: alert.id.clone(), ..telling },
        }
    }

    /// Takes over what is new. When it fired or ended is now, whatever the wall clock
    /// said: intervals count from here.
    pub fn take(&mut self, occurrence: &Occurrence<'_>, now: Timestamp) {
        let alert = occurrence.alert;
        let (before, was_over) = (self.state, self.is_over());
        self.shown = shown(alert);
        self.state = alert.state;
        self.peak = self.peak.max(alert.peak).max(alert.severity);
        self.acknowledged = alert.acknowledged.is_some();
        self.flapping = alert.flapping;
        self.policy = occurrence.policy.clone();
        if matches!(before, AlertState::Pending | AlertState::Inactive) && self.is_live() {
            self.fired = now;
        }
        self.ended = self.is_over().then(|| if was_over { self.ended.unwrap_or(now) } else { now });
        self.lapsed = self.is_over() && (self.lapsed || occurrence.what == Some(Happening::Expired));
        if occurrence.what == Some(Happening::Rearmed) {
            self.telling.rearmed = alert.last_step;
            self.telling.counted_from = Some(now);
        }
    }

    pub fn id(&self) -> &str {
        &self.shown.id
    }

    /// Rule and label set.
    pub fn place(&self) -> (String, String) {
        (self.shown.rule.clone(), self.key.clone())
    }

    /// There is something to tell.
    pub const fn is_live(&self) -> bool {
        matches!(self.state, AlertState::Firing | AlertState::Nodata | AlertState::Error)
    }

    pub const fn is_over(&self) -> bool {
        matches!(self.state, AlertState::Resolved | AlertState::Inactive)
    }

    pub fn told(&self, channel: &str) -> Option<&Told> {
        self.telling.channels.iter().find(|told| told.channel == channel)
    }

    pub fn told_mut(&mut self, channel: &str) -> Option<&mut Told> {
        self.telling.channels.iter_mut().find(|told| told.channel == channel)
    }

    /// How a message about its end shows it.
    pub fn shown_over(&self, now: Timestamp) -> NoticeAlert {
        NoticeAlert { resolved_at: self.shown.resolved_at.or(Some(now)), ..self.shown.clone() }
    }
}

fn shown(alert: &Alert) -> NoticeAlert {
    NoticeAlert {
        id: alert.id.clone(),
        step: alert.last_step,
        rule: alert.rule.clone(),
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        severity: alert.severity,
        title: alert.title.clone(),
        message: alert.message.clone(),
        value: alert.value,
        threshold: alert.threshold,
        fired_at: alert.fired_at.unwrap_or(alert.since),
        resolved_at: alert.resolved_at,
    }
}
