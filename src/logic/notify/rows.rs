//! The open rows of the outbox, and what of them is not stored yet.
//!
//! Of one alert there is at most one open row per channel: news about an alert whose row
//! is still waiting changes that row. A row that is under way is left alone, because what
//! was sent can no longer be changed; and one that was ever under way gets the id of its
//! newest step when it changes, because a receiver that did get it drops what comes
//! again under the same id.
//!
//! One would get it wrong by handing out a row before it is stored: after a crash
//! nobody would know that it was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::base::time::Timestamp;
use crate::model::notice::{Attempt, MOST_ATTEMPTS, Notice, NoticeAlert, NoticeKind, NoticeState};

/// Alerts in one message, as long as there may be further rows: more are not shown in full.
pub const MOST_ALERTS: usize = 50;
/// Open rows; what comes beyond joins those that are there.
pub const MOST_ROWS: usize = 10_000;

/// See the module.
#[derive(Clone, Debug)]
pub struct Row {
    pub notice: Notice,
    /// Its channel has it right now.
    pub under_way: bool,
    /// Its channel had it before, or may have had before a restart.
    pub tried: bool,
    /// Further alerts may join until then.
    pub open_until: Timestamp,
}

/// What rows are looked for by: channel, kind and group.
type Place = (String, NoticeKind, String);

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    all: BTreeMap<String, Row>,
    /// Row of an alert (first) and a channel.
    of: BTreeMap<(String, String), String>,
    /// The newest row of each place.
    open: BTreeMap<Place, String>,
    /// Ids whose rows changed, came or went.
    changed: BTreeSet<String>,
    finished: Vec<Notice>,
}

/// A message for one channel that a row is to be found for.
pub struct Message {
    pub channel: String,
    pub kind: NoticeKind,
    pub group: String,
    pub id: String,
    pub alert: NoticeAlert,
    /// Not sent before; further alerts may join until then.
    pub due_at: Timestamp,
}

fn place(notice: &Notice) -> Place {
    (notice.channel.clone(), notice.kind, notice.group.clone())
}

impl Rows {
    pub fn get(&self, id: &str) -> Option<&Row> {
        self.all.get(id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Row> {
        self.all.values()
    }

    /// The open row that tells `channel` of `alert`.
    pub fn of(&self, alert: &str, channel: &str) -> Option<&Row> {
        self.of.get(&(alert.to_owned(), channel.to_owned())).and_then(|id| self.all.get(id))
    }

    /// The rows that tell of `alert`.
    pub fn about(&self, alert: &str) -> impl Iterator<Item = &Row> {
        let from = (alert.to_owned(), String::new());
        let of = self.of.range(from..).take_while(move |((id, _), _)| id == alert);
        of.filter_map(|(_, row)| self.all.get(row))
    }

    /// Changes a row; it is stored again.
    pub fn change(&mut self, id: &str, change: impl FnOnce(&mut Row)) {
        if let Some(row) = self.all.get_mut(id) {
            change(row);
            self.changed.insert(id.to_owned());
        }
    }

    /// Changes every row; those are stored again of which `change` says so.
    pub fn change_all(&mut self, mut change: impl FnMut(&mut Row) -> bool) {
        for (id, row) in &mut self.all {
            if change(row) {
                self.changed.insert(id.clone());
            }
        }
    }

    /// A row from the store. One that is due may have been sent before the restart.
    pub fn restore(&mut self, notice: Notice, now: Timestamp) {
        for alert in &notice.alerts {
            self.of.insert((alert.id.clone(), notice.channel.clone()), notice.id.clone());
        }
        self.open.insert(place(&notice), notice.id.clone());
        let tried = notice.tries > 0 || notice.due_at <= now;
        let open_until = if tried { now } else { notice.due_at };
        self.all.insert(notice.id.clone(), Row { notice, under_way: false, tried, open_until });
    }

    /// Puts a message into a row that waits for it, or into a new one.
    pub fn add(&mut self, message: Message, now: Timestamp, life: Duration) {
        let of = (message.alert.id.clone(), message.channel.clone());
        if let Some(id) = self.joinable(&message, now) {
            self.of.insert(of, id.clone());
            let tried = self.all.get(&id).is_some_and(|row| row.tried);
            let newer = message.id;
            self.change(&id, |row| row.notice.alerts.push(message.alert));
            if tried {
                self.rename(&id, newer);
            }
            return;
        }
        let counted = if message.kind == NoticeKind::Digest { message.due_at } else { now };
        let notice = Notice {
            id: message.id,
            channel: message.channel,
            kind: message.kind,
            group: message.group,
            alerts: vec![message.alert],
            created_at: now,
            due_at: message.due_at,
            expires_at: counted.plus(life),
            state: NoticeState::Queued,
            tries: 0,
            attempts: Vec::new(),
            finished_at: None,
        };
        self.changed.insert(notice.id.clone());
        self.of.insert(of, notice.id.clone());
        self.open.insert(place(&notice), notice.id.clone());
        let open_until = notice.due_at;
        self.all.insert(notice.id.clone(), Row { notice, under_way: false, tried: false, open_until });
    }

    fn joinable(&self, message: &Message, now: Timestamp) -> Option<String> {
        let wanted = (message.channel.clone(), message.kind, message.group.clone());
        let waits = |id: &&String| self.all.get(*id).is_some_and(|row| !row.under_way);
        let fits = |id: &&String| {
            let fits =
                |row: &Row| !row.tried && now < row.open_until && row.notice.alerts.len() < MOST_ALERTS;
            self.all.get(*id).is_some_and(fits)
        };
        if let Some(id) = self.open.get(&wanted).filter(waits).filter(fits) {
            return Some(id.clone());
        }
        if self.all.len() < MOST_ROWS {
            return None;
        }
        // Too many: any row of its group, then any of its channel and kind.
        let from = (wanted.0.clone(), wanted.1, String::new());
        let mut near = self
            .open
            .range(from..)
            .take_while(|((channel, kind, _), _)| *channel == wanted.0 && *kind == wanted.1);
        let own = self.open.get(&wanted).filter(waits);
        own.or_else(|| near.find_map(|(_, id)| waits(&id).then_some(id))).cloned()
    }

    /// Gives a row another id.
    pub fn rename(&mut self, id: &str, newer: String) {
        if id == newer || self.all.contains_key(&newer) {
            return;
        }
        let Some(mut row) = self.all.remove(id) else { return };
        self.unlist(&row);
        row.notice.id = newer.clone();
        for alert in &row.notice.alerts {
            self.of.insert((alert.id.clone(), row.notice.channel.clone()), newer.clone());
        }
        self.open.entry(place(&row.notice)).or_insert_with(|| newer.clone());
        self.all.insert(newer.clone(), row);
        self.changed.extend([id.to_owned(), newer]);
    }

    /// Of a row of another kind: it is found as that from now on.
    pub fn set_kind(&mut self, id: &str, kind: NoticeKind) {
        let Some(before) = self.all.get(id).map(|row| place(&row.notice)) else { return };
        if self.open.get(&before).is_some_and(|listed| listed == id) {
            self.open.remove(&before);
        }
        self.change(id, |row| row.notice.kind = kind);
    }

    /// Takes one alert out of a row, because another row is to tell of it. A row that is
    /// empty then goes to the log, which names the other.
    pub fn take_out(&mut self, id: &str, alert: &str, into: &str, now: Timestamp) {
        let Some(channel) = self.all.get(id).map(|row| row.notice.channel.clone()) else { return };
        self.of.remove(&(alert.to_owned(), channel));
        let mut left = 0;
        let mut taken = None;
        self.change(id, |row| {
            let at = row.notice.alerts.iter().position(|shown| shown.id == alert);
            taken = at.map(|at| row.notice.alerts.remove(at));
            left = row.notice.alerts.len();
        });
        if left == 0 {
            self.change(id, |row| row.notice.alerts.extend(taken));
            let attempt = remark(now, format!("told by {into}"));
            self.finish(id, NoticeState::Collapsed, attempt, now);
        }
    }

    /// Moves a row to the log.
    pub fn finish(
        &mut self,
        id: &str,
        state: NoticeState,
        attempt: Option<Attempt>,
        now: Timestamp,
    ) -> Option<Notice> {
        let row = self.all.remove(id)?;
        self.unlist(&row);
        self.changed.insert(id.to_owned());
        let mut notice = row.notice;
        attempted(&mut notice, attempt);
        if state == NoticeState::Delivered {
            notice.tries = notice.tries.saturating_add(1);
        }
        (notice.state, notice.finished_at) = (state, Some(now));
        self.finished.push(notice.clone());
        Some(notice)
    }

    fn unlist(&mut self, row: &Row) {
        let id = &row.notice.id;
        for alert in &row.notice.alerts {
            let of = (alert.id.clone(), row.notice.channel.clone());
            if self.of.get(&of) == Some(id) {
                self.of.remove(&of);
            }
        }
        let place = place(&row.notice);
        if self.open.get(&place) == Some(id) {
            self.open.remove(&place);
        }
    }

    /// What `channel` is to be told now, the oldest first, at most `most`.
    pub fn due(&self, channel: &str, now: Timestamp, most: usize) -> Vec<Notice> {
        let is_due =
            |row: &&Row| row.notice.channel == channel && row.notice.due_at <= now && self.is_stored(row);
        let mut due: Vec<&Row> = self.all.values().filter(is_due).collect();
        due.sort_by_key(|row| (row.notice.created_at, row.notice.due_at));
        due.into_iter().take(most).map(|row| row.notice.clone()).collect()
    }

    fn is_stored(&self, row: &Row) -> bool {
        !row.under_way && !self.changed.contains(&row.notice.id)
    }

    /// A row that is handed out; not a change of what is stored.
    pub fn hand_out(&mut self, id: &str) {
        if let Some(row) = self.all.get_mut(id) {
            (row.under_way, row.tried) = (true, true);
        }
    }

    /// A row that its channel no longer has, for a reason that is not stored.
    pub fn take_back(&mut self, id: &str, due_at: Option<Timestamp>) {
        if let Some(row) = self.all.get_mut(id) {
            row.under_way = false;
            row.notice.due_at = due_at.unwrap_or(row.notice.due_at);
        }
    }

    /// What is to be stored since the last call: rows, ids that are gone, finished rows.
    pub fn unsaved(&mut self) -> (Vec<Notice>, Vec<String>, Vec<Notice>) {
        let (mut rows, mut gone) = (Vec::new(), Vec::new());
        for id in std::mem::take(&mut self.changed) {
            match self.all.get(&id) {
                Some(row) => rows.push(row.notice.clone()),
                None => gone.push(id),
            }
        }
        (rows, gone, std::mem::take(&mut self.finished))
    }

    /// What [`Self::unsaved`] gave was not stored after all.
    pub fn still_unsaved(&mut self, ids: impl IntoIterator<Item = String>, finished: Vec<Notice>) {
        self.changed.extend(ids);
        self.finished.splice(..0, finished);
    }
}

/// A line of the log that no channel answered.
pub fn remark(at: Timestamp, answer: String) -> Option<Attempt> {
    Some(Attempt { at, latency_ms: 0, answer, delivered: false })
}

/// Adds an attempt; of too many the oldest go.
pub fn attempted(notice: &mut Notice, attempt: Option<Attempt>) {
    notice.attempts.extend(attempt);
    let excess = notice.attempts.len().saturating_sub(MOST_ATTEMPTS);
    notice.attempts.drain(..excess);
}
