//! The way of a row out of the outbox: handed to its channel, tried again, given up.

use std::time::Duration;

use super::rows::{attempted, remark};
use super::{NoticeKind, Notifier, Now, UNDELIVERABLE};
use crate::base::backoff::Backoff;
use crate::base::time::Timestamp;
use crate::model::notice::{Attempt, Notice, NoticeState};

const SHORTEST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(900);
/// A receiver that asks for more patience is not believed.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// What a row from before a restart gets whose time is over.
const LAST_CHANCE: Duration = Duration::from_secs(900);

/// How an attempt to deliver ended.
#[derive(Clone, PartialEq, Debug)]
pub enum Outcome {
    Delivered {
        answer: String,
        took: Duration,
    },
    /// To be tried again, not before `retry_after` where the receiver asked for that.
    Failed {
        answer: String,
        took: Duration,
        retry_after: Option<Duration>,
    },
    /// It will never be taken.
    Refused {
        answer: String,
        took: Duration,
    },
    /// Not tried: the breaker of the channel is open. Not an attempt.
    Postponed {
        retry_in: Duration,
    },
}

/// Somebody could not be told: an alert of the rule [`UNDELIVERABLE`] is owed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Undeliverable {
    pub channel: String,
    pub notice: String,
    pub state: NoticeState,
    /// Titles of the alerts that it was about, at most ten.
    pub titles: Vec<String>,
    /// What the last attempt met.
    pub reason: String,
}

const MOST_TITLES: usize = 10;

impl Notifier {
    /// Hands out what `channel` is to be sent now, oldest first. Every row is then under
    /// way until [`Self::report`] or [`Self::release`].
    pub fn due(&mut self, channel: &str, now: Now, most: usize) -> Vec<Notice> {
        self.at(now);
        if !self.settings.is_enabled(channel) {
            return Vec::new();
        }
        let due = self.rows.due(channel, now.wall, most);
        for notice in &due {
            self.rows.hand_out(&notice.id);
        }
        due
    }

    /// How sending a row that was handed out ended. `jitter` is a random number in 0..=1.
    pub fn report(&mut self, id: &str, outcome: Outcome, now: Now, jitter: f64) {
        self.at(now);
        let Some(row) = self.rows.get(id) else { return };
        let alerts: Vec<String> = row.notice.alerts.iter().map(|alert| alert.id.clone()).collect();
        let channel = row.notice.channel.clone();
        self.rows.take_back(id, None);
        let attempt = |answer, took: Duration, delivered| Attempt {
            at: now.wall,
            latency_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            answer,
            delivered,
        };
        match outcome {
            Outcome::Delivered { answer, took } => {
                self.finish(id, NoticeState::Delivered, Some(attempt(answer, took, true)));
            }
            Outcome::Failed { answer, took, retry_after } => {
                self.retry(id, attempt(answer, took, false), retry_after, jitter);
            }
            Outcome::Refused { answer, took } => {
                alerts.iter().for_each(|alert| self.amend(alert, &channel));
                let id = self.id_of(&alerts, &channel, id);
                self.finish(&id, NoticeState::Refused, Some(attempt(answer, took, false)));
            }
            Outcome::Postponed { retry_in } => {
                let due_at = now.wall.plus(retry_in.min(LONGEST_WAIT));
                self.rows.take_back(id, Some(due_at));
            }
        }
        for alert in alerts {
            self.owe(&alert);
        }
    }

    /// The id of a row that an amendment may have given another.
    fn id_of(&self, alerts: &[String], channel: &str, before: &str) -> String {
        let row = alerts.first().and_then(|alert| self.rows.of(alert, channel));
        row.map_or_else(|| before.to_owned(), |row| row.notice.id.clone())
    }

    fn retry(&mut self, id: &str, attempt: Attempt, retry_after: Option<Duration>, jitter: f64) {
        let now = self.now.wall;
        self.rows.change(id, |row| {
            let wait = Backoff::new(SHORTEST_WAIT, LONGEST_WAIT).wait(row.notice.tries, jitter);
            let asked = retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
            row.notice.tries = row.notice.tries.saturating_add(1);
            attempted(&mut row.notice, Some(attempt));
            row.notice.due_at = now.plus(wait.max(asked));
        });
    }

    /// Rows of `channel` that were handed out and never reported are due again: whoever
    /// had them is gone.
    pub fn release(&mut self, channel: &str) {
        self.rows.change_all(|row| {
            if row.notice.channel == channel {
                row.under_way = false;
            }
            false
        });
    }

    /// A person wants a row tried now; whether there is one that waits.
    pub fn retry_now(&mut self, id: &str, now: Now) -> bool {
        self.at(now);
        let waits = self.rows.get(id).is_some_and(|row| !row.under_way);
        if waits {
            self.rows.change(id, |row| row.notice.due_at = now.wall);
        }
        waits
    }

    /// Gives up what nobody took in its time.
    pub(super) fn expire(&mut self) {
        let now = self.now.wall;
        let over = self.rows.iter().filter(|row| !row.under_way && row.notice.expires_at <= now);
        let over: Vec<String> = over.map(|row| row.notice.id.clone()).collect();
        for id in over {
            self.finish(&id, NoticeState::Expired, remark(now, String::from("not delivered in its time")));
        }
    }

    /// Rows of channels that are gone.
    pub(super) fn refuse_unknown(&mut self) {
        let now = self.now.wall;
        let known = &self.settings.channels;
        let gone = self.rows.iter().filter(|row| !known.contains_key(&row.notice.channel));
        let gone: Vec<(String, String)> =
            gone.map(|row| (row.notice.id.clone(), row.notice.channel.clone())).collect();
        for (id, channel) in gone {
            let why = format!("the channel `{channel}` does not exist any more");
            self.finish(&id, NoticeState::Refused, remark(now, why));
        }
    }

    /// After a restart: no row waits longer than it would have, and none is given up that
    /// this run did not try.
    pub(super) fn revive(&mut self) {
        let now = self.now.wall;
        let (most, least) = (now.plus(super::owed::LIFE), now.plus(LAST_CHANCE));
        self.rows.change_all(|row| {
            let before = (row.notice.due_at, row.notice.expires_at);
            if row.notice.kind != NoticeKind::Digest || row.notice.tries > 0 {
                row.notice.due_at = row.notice.due_at.min(now.plus(LONGEST_RETRY_AFTER));
            }
            row.notice.expires_at = row.notice.expires_at.clamp(least, most);
            before != (row.notice.due_at, row.notice.expires_at)
        });
        self.end_digests();
    }

    /// A row leaves the outbox, and what its channel knows changes.
    fn finish(&mut self, id: &str, state: NoticeState, attempt: Option<Attempt>) {
        let now = self.now.wall;
        let Some(notice) = self.rows.finish(id, state, attempt, now) else { return };
        // More may be owed now, and what its channel knows may mute or free others.
        self.wake = self.wake.min(now);
        for entry in &notice.alerts {
            self.told(&entry.id, &notice.channel, |told| {
                told.fired |= state == NoticeState::Delivered;
                told.over |= entry.resolved_at.is_some();
                told.at = now;
            });
        }
        if state != NoticeState::Delivered && notice.alerts.iter().any(|alert| alert.rule != UNDELIVERABLE) {
            self.undeliverable.push(undeliverable(&notice));
        }
    }
}

fn undeliverable(notice: &Notice) -> Undeliverable {
    Undeliverable {
        channel: notice.channel.clone(),
        notice: notice.id.clone(),
        state: notice.state,
        titles: notice.alerts.iter().take(MOST_TITLES).map(|alert| alert.title.clone()).collect(),
        reason: notice.attempts.last().map(|attempt| attempt.answer.clone()).unwrap_or_default(),
    }
}

/// The earliest of what is open for a channel; for tests and figures.
impl Notifier {
    pub fn next_due(&self, channel: &str) -> Option<Timestamp> {
        let rows = self.rows.iter().filter(|row| row.notice.channel == channel && !row.under_way);
        rows.map(|row| row.notice.due_at).min()
    }
}
