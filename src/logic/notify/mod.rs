//! Who is told what, and when: the policy of notifications, without a world.
//!
//! ```text
//! life cycle -- occurrences --> subjects --owed?--> rows of the outbox --due--> channels
//!                                  ^                    |                          |
//!                        silences, parents              '-------- report <---------'
//! ```
//! The pattern: nothing is decided by the event itself. Every alert is compared with what
//! each channel was told of it ([`Told`](crate::model::notice::Told)), and what is missing
//! becomes a row ([`owed`]). So an alert that was muted when it fired is told of when the
//! silence ends, a resolve is owed exactly where a firing was delivered, and a restart
//! needs no more than the stored rows. What changed is collected and handed to whoever
//! commits it ([`Notifier::take`]), in the transaction of the alerts themselves.
//!
//! | what | mutes |
//! |---|---|
//! | silence, planned work, a parent, waiting for a parent | everything but the end |
//! | acknowledgement | repeats and escalations |
//! | flapping | everything, the end too, until it is steady |
//! | quiet hours | nothing: below critical it waits for one message at their end |
//!
//! A row that exists is owed: what mutes its alert later does not take it back.
//!
//! Times in here are wall times that are shifted whenever the wall clock jumps, told by
//! comparing it with the monotonic one. One would get it wrong by sending from the event:
//! every crash, silence and failing channel would then need a case of its own.

mod deliver;
mod matching;
mod mute;
mod owed;
mod policy;
mod quiet;
mod rows;
mod subject;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub use deliver::{Outcome, Undeliverable};
pub use matching::Matching;
pub use mute::Muted;
pub use policy::{Policy, Settings, Use};
pub use quiet::ends as quiet_ends;
pub use subject::Occurrence;

pub use super::alert::Now;

use self::mute::CompiledSilence;
use self::policy::Compiled;
use self::rows::Rows;
use self::subject::Subject;
use crate::base::time::Timestamp;
use crate::model::alert::{Alert, AlertState};
use crate::model::notice::{Notice, NoticeKind, Telling};
use crate::model::silence::Silence;

/// Rule of the alert that says that somebody could not be told. A message about nothing
/// else never raises another.
pub const UNDELIVERABLE: &str = "notify_undeliverable";

/// A wall clock that moved by more than this against the monotonic one has jumped.
const JUMP: Duration = Duration::from_secs(60);
/// Nobody looks back further at a parent that is over.
const LONGEST_LOOKBACK: Duration = Duration::from_secs(25 * 3600);

/// What is to be written, in one transaction.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub writes: Vec<NoticeWrite>,
    /// An alert is owed for each.
    pub undeliverable: Vec<Undeliverable>,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.undeliverable.is_empty()
    }
}

/// One row to write.
#[derive(Clone, PartialEq, Debug)]
pub enum NoticeWrite {
    Put(Notice),
    Delete {
        id: String,
    },
    /// A finished row, for the log of deliveries.
    Log(Notice),
    PutTelling(Telling),
    DeleteTelling {
        alert: String,
    },
}

/// What was stored before a restart.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// All rows of the outbox.
    pub rows: Vec<Notice>,
    pub tellings: Vec<Telling>,
    pub silences: Vec<Silence>,
}

/// Since when a row could have been sent, but for its group's window: since it was made,
/// or since the quiet hours ended that held it back. Told by when it is given up, because
/// that is moved along when the clock is set.
pub fn owed_since(notice: &Notice) -> Timestamp {
    notice.expires_at.minus(owed::LIFE)
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Notifier {
    settings: Compiled,
    silences: Vec<CompiledSilence>,
    subjects: BTreeMap<String, Subject>,
    /// Ids of the alerts of each rule and label set.
    episodes: BTreeMap<(String, String), BTreeSet<String>>,
    /// Rules whose alerts hang on those of a rule, or did.
    children: BTreeMap<String, BTreeSet<String>>,
    rows: Rows,
    /// Alerts whose telling changed.
    changed: BTreeSet<String>,
    undeliverable: Vec<Undeliverable>,
    now: Now,
    /// When something is owed that is not now; the past after every change.
    wake: Timestamp,
}

const AT_ONCE: Timestamp = Timestamp(i64::MIN);
const NEVER: Timestamp = Timestamp(i64::MAX);

impl Notifier {
    /// One that goes on from what was stored. `alerts` are those that are stored, the ones
    /// that ended lately included. A row whose time is over gets one more try: the host
    /// may have been off.
    pub fn restore<'a>(
        settings: Settings,
        restored: Restored,
        alerts: impl IntoIterator<Item = (&'a Alert, &'a Arc<Policy>)>,
        now: Now,
    ) -> Self {
        let mut notifier = Self {
            settings: Compiled::new(settings),
            silences: restored.silences.into_iter().map(CompiledSilence::new).collect(),
            subjects: BTreeMap::new(),
            episodes: BTreeMap::new(),
            children: BTreeMap::new(),
            rows: Rows::default(),
            changed: BTreeSet::new(),
            undeliverable: Vec::new(),
            now,
            wake: AT_ONCE,
        };
        let mut tellings: BTreeMap<String, Telling> =
            restored.tellings.into_iter().map(|telling| (telling.alert.clone(), telling)).collect();
        for notice in restored.rows {
            notifier.rows.restore(notice, now.wall);
        }
        for (alert, policy) in alerts {
            let telling = tellings.remove(&alert.id).unwrap_or_default();
            notifier.insert(Subject::new(alert, policy, telling, now.wall));
        }
        // Of alerts that are gone nothing is left to say but what stands in the outbox.
        notifier.changed.extend(tellings.into_keys());
        notifier.revive();
        notifier.refuse_unknown();
        notifier
    }

    /// Other channels, routes or quiet hours from now on. Rows of a channel that is gone
    /// are refused.
    pub fn configure(&mut self, settings: Settings, now: Now) {
        self.at(now);
        self.settings = Compiled::new(settings);
        self.refuse_unknown();
        self.end_digests();
        self.wake = AT_ONCE;
    }

    /// The silences that there are from now on.
    pub fn set_silences(&mut self, silences: Vec<Silence>, now: Now) {
        self.at(now);
        self.silences = silences.into_iter().map(CompiledSilence::new).collect();
        self.wake = AT_ONCE;
    }

    /// News from the life cycle. What is owed about them is decided at the next
    /// [`Self::tick`], when those of all rules are known: a parent may be among them.
    pub fn apply(&mut self, occurrences: &[Occurrence<'_>], now: Now) {
        self.at(now);
        for occurrence in occurrences {
            self.take_in(occurrence);
        }
        self.wake = AT_ONCE;
    }

    /// The rule of an alert says something else now.
    pub fn set_policy(&mut self, alert: &str, policy: &Arc<Policy>) {
        if let Some(subject) = self.subjects.get_mut(alert) {
            subject.policy = policy.clone();
            let rule = subject.shown.rule.clone();
            self.note_parents(&rule, policy);
            self.wake = AT_ONCE;
        }
    }

    /// The alert is no longer stored: it was only pending, or is over for long.
    pub fn forget(&mut self, alert: &str) {
        self.wake = AT_ONCE;
        self.remove(alert);
    }

    fn remove(&mut self, alert: &str) {
        let Some(subject) = self.subjects.remove(alert) else { return };
        let place = subject.place();
        if let Some(ids) = self.episodes.get_mut(&place) {
            ids.remove(alert);
            if ids.is_empty() {
                self.episodes.remove(&place);
            }
        }
        if subject.telling != (Telling { alert: alert.to_owned(), ..Telling::default() }) {
            self.changed.insert(alert.to_owned());
        }
    }

    /// Does what is due by the time alone. To be called at [`Self::next`] and at least
    /// once a minute.
    pub fn tick(&mut self, now: Now) {
        self.at(now);
        self.expire();
        if self.wake <= now.wall {
            self.owe_all();
        }
    }

    /// When [`Self::tick`] has something to do, or a channel has.
    pub fn next(&self) -> Timestamp {
        let rows = self.rows.iter().filter(|row| !row.under_way).map(|row| &row.notice);
        let due = rows.map(|notice| {
            let due_at = if self.settings.is_enabled(&notice.channel) { notice.due_at } else { NEVER };
            due_at.min(notice.expires_at)
        });
        let due = due.min();
        self.wake.min(due.unwrap_or(NEVER))
    }

    /// What changed since the last call, to be committed. Rows that are in it are not
    /// handed out before this was called.
    pub fn take(&mut self) -> Plan {
        let (rows, gone, finished) = self.rows.unsaved();
        let mut writes: Vec<NoticeWrite> = gone.into_iter().map(|id| NoticeWrite::Delete { id }).collect();
        writes.extend(rows.into_iter().map(NoticeWrite::Put));
        writes.extend(finished.into_iter().map(NoticeWrite::Log));
        for alert in std::mem::take(&mut self.changed) {
            let telling = self.subjects.get(&alert).map(|subject| &subject.telling);
            writes.push(match telling {
                Some(telling) => NoticeWrite::PutTelling(telling.clone()),
                None => NoticeWrite::DeleteTelling { alert },
            });
        }
        Plan { writes, undeliverable: std::mem::take(&mut self.undeliverable) }
    }

    /// The plan could not be committed; the next one holds all of it again.
    pub fn not_committed(&mut self, plan: Plan) {
        let (mut ids, mut finished) = (Vec::new(), Vec::new());
        for write in plan.writes {
            match write {
                NoticeWrite::Put(notice) => ids.push(notice.id),
                NoticeWrite::Delete { id } => ids.push(id),
                NoticeWrite::Log(notice) => finished.push(notice),
                NoticeWrite::PutTelling(telling) => drop(self.changed.insert(telling.alert)),
                NoticeWrite::DeleteTelling { alert } => drop(self.changed.insert(alert)),
            }
        }
        self.rows.still_unsaved(ids, finished);
        self.undeliverable.splice(..0, plan.undeliverable);
    }

    /// The open rows.
    pub fn rows(&self) -> impl Iterator<Item = &Notice> {
        self.rows.iter().map(|row| &row.notice)
    }

    /// The channels that are told of an alert, in no matter which state it is.
    pub fn channels(&self, alert: &str) -> Vec<String> {
        let Some(subject) = self.subjects.get(alert) else { return Vec::new() };
        let ways = self.settings.ways(&subject.shown, &subject.policy);
        ways.into_iter().map(|way| way.channel).collect()
    }

    /// What all channels know of an alert.
    pub fn telling(&self, alert: &str) -> Option<&Telling> {
        self.subjects.get(alert).map(|subject| &subject.telling)
    }

    fn note_parents(&mut self, rule: &str, policy: &Policy) {
        for parent in &policy.depends_on {
            let children = self.children.entry(parent.rule.clone()).or_default();
            if !children.contains(rule) {
                children.insert(rule.to_owned());
            }
        }
    }

    fn insert(&mut self, subject: Subject) {
        self.note_parents(&subject.shown.rule, &subject.policy);
        let ids = self.episodes.entry(subject.place()).or_default();
        ids.insert(subject.id().to_owned());
        self.subjects.insert(subject.id().to_owned(), subject);
    }

    /// All episodes of the label set that `subject` is about, itself included.
    fn siblings<'a>(&'a self, subject: &Subject) -> impl Iterator<Item = &'a Subject> {
        let ids = self.episodes.get(&subject.place()).into_iter().flatten();
        ids.filter_map(|id| self.subjects.get(id))
    }

    /// All alerts of a rule.
    fn of_rule<'a>(&'a self, rule: &'a str) -> impl Iterator<Item = &'a Subject> {
        let places = self.episodes.range((rule.to_owned(), String::new())..);
        let ids = places.take_while(move |((other, _), _)| other == rule).flat_map(|(_, ids)| ids);
        ids.filter_map(|id| self.subjects.get(id))
    }

    fn take_in(&mut self, occurrence: &Occurrence<'_>) {
        let (alert, now) = (occurrence.alert, self.now.wall);
        let Some(subject) = self.subjects.get_mut(&alert.id) else {
            if alert.state != AlertState::Inactive {
                self.insert(Subject::new(alert, occurrence.policy, Telling::default(), now));
            }
            return;
        };
        let before = subject.state;
        let telling = subject.telling.clone();
        subject.take(occurrence, now);
        let ended = matches!(before, AlertState::Firing | AlertState::Recovering) && subject.is_over();
        if !subject.is_over() {
            subject.telling.explained = false;
        }
        if ended {
            let explained = self.subjects.get(&alert.id).is_some_and(|subject| self.explains(subject, now));
            if let Some(subject) = self.subjects.get_mut(&alert.id) {
                subject.telling.explained = explained;
            }
        }
        if self.telling(&alert.id) != Some(&telling) {
            self.changed.insert(alert.id.clone());
        }
    }

    /// Takes the time. Where the wall clock jumped, everything that waits is moved along
    /// with it: nothing comes at once, is given up at once, or waits for years.
    fn at(&mut self, now: Now) {
        let passed = now.mono.since(self.now.mono);
        let expected = self.now.wall.plus(passed);
        self.now = now;
        let by = now.wall.millis().saturating_sub(expected.millis());
        if by.unsigned_abs() > JUMP.as_millis() as u64 {
            self.shift(by);
        }
    }

    fn shift(&mut self, by: i64) {
        let shift = |at: &mut Timestamp| *at = Timestamp(at.millis().saturating_add(by));
        self.rows.change_all(|row| {
            shift(&mut row.notice.due_at);
            shift(&mut row.notice.expires_at);
            shift(&mut row.open_until);
            true
        });
        for (id, subject) in &mut self.subjects {
            shift(&mut subject.fired);
            subject.ended.iter_mut().for_each(shift);
            let telling = &mut subject.telling;
            telling.counted_from.iter_mut().for_each(shift);
            telling.channels.iter_mut().for_each(|told| shift(&mut told.at));
            if *telling != (Telling { alert: id.clone(), ..Telling::default() }) {
                self.changed.insert(id.clone());
            }
        }
        self.end_digests();
        self.wake = AT_ONCE;
    }

    /// What waits for the end of quiet hours waits for the one that there is now.
    fn end_digests(&mut self) {
        let now = self.now.wall;
        let settings = &self.settings;
        self.rows.change_all(|row| {
            if row.notice.kind != NoticeKind::Digest || row.notice.tries > 0 {
                return false;
            }
            let due_at = settings.quiet_until(row.notice.severity(), now).unwrap_or(now);
            let changed = due_at != row.notice.due_at;
            row.notice.due_at = due_at;
            changed
        });
    }
}
