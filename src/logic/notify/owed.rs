//! What is owed: compares an alert with what each channel was told of it, and puts what
//! is missing into rows.

use std::time::Duration;

use super::mute::Muted;
use super::policy::Way;
use super::rows::Message;
use super::subject::Subject;
use super::{LONGEST_LOOKBACK, NEVER, Notifier};
use crate::base::time::Timestamp;
use crate::model::notice::{NoticeAlert, NoticeKind, Told};

/// A row is given up this long after it was made.
pub(super) const LIFE: Duration = Duration::from_secs(24 * 3600);
/// Looks again so soon where a parent is about to be told of.
const SOON: Duration = Duration::from_secs(1);

/// Whether a label set comes and goes, and whether a channel was told so.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flapping {
    No,
    Unknown,
    Known,
}

impl Notifier {
    /// Goes through all alerts; parents first, since they mute the others.
    pub(super) fn owe_all(&mut self) {
        let has_parents = |subject: &Subject| !subject.policy.depends_on.is_empty();
        let (children, parents): (Vec<&Subject>, Vec<&Subject>) =
            self.subjects.values().partition(|s| has_parents(s));
        let ids: Vec<String> =
            parents.iter().chain(&children).map(|subject| subject.id().to_owned()).collect();
        let now = self.now.wall;
        let bounds = self.silences.iter().flat_map(|one| [one.silence.starts_at, one.silence.ends_at]);
        self.wake = bounds.filter(|at| *at > now).min().unwrap_or(NEVER);
        for id in ids {
            self.owe(&id);
        }
    }

    /// Puts into rows what is owed about one alert.
    pub(super) fn owe(&mut self, id: &str) {
        let now = self.now.wall;
        let Some(subject) = self.subjects.get(id) else { return };
        if subject.is_over() && self.is_past(subject) {
            self.remove(id);
            return;
        }
        let muted = if subject.is_live() { self.mutes(subject, now) } else { Muted::default() };
        let mut ways = self.settings.ways(&subject.shown, &subject.policy);
        for told in &subject.telling.channels {
            if ways.iter().all(|way| way.channel != told.channel) && self.settings.is_enabled(&told.channel) {
                ways.push(self.settings.way_of(&told.channel, &subject.shown, &subject.policy));
            }
        }
        let mut wakes =
            vec![muted.waits_until, muted.sees_until, subject.ended.map(|at| at.plus(LONGEST_LOOKBACK))];
        if muted.waits_until.is_some() {
            wakes.push(Some(now.plus(SOON)));
        }
        for way in &ways {
            if let Some(row) = self.rows.of(id, &way.channel) {
                if !row.under_way {
                    self.amend(id, &way.channel);
                }
                continue;
            }
            let Some(subject) = self.subjects.get(id) else { return };
            let told = subject.told(&way.channel);
            let flapping = self.flapping(subject, &way.channel);
            match owed(subject, told, way, &muted, flapping, now) {
                // Whoever is not told of ends is told of them only beside something else.
                Owed::Now(NoticeKind::Resolved) if !self.settings.is_told_of_ends(&way.channel) => {}
                Owed::Now(kind) => self.enqueue(id, way, kind),
                Owed::At(at) => wakes.push(Some(at)),
                Owed::Nothing => {}
            }
        }
        wakes.push(self.escalate(id, &muted));
        let wake = wakes.into_iter().flatten().filter(|at| *at > now).min();
        self.wake = self.wake.min(wake.unwrap_or(NEVER));
    }

    /// Nothing about it is open or owed, and no child looks back at it.
    fn is_past(&self, subject: &Subject) -> bool {
        let unknown = subject.telling.channels.is_empty() && !subject.telling.explained;
        let past = subject.ended.is_none_or(|ended| ended.plus(LONGEST_LOOKBACK) <= self.now.wall);
        let mut knows = subject.telling.channels.iter().filter(|told| told.fired && !told.over);
        let owed = !subject.lapsed && knows.any(|told| self.settings.is_told_of_ends(&told.channel));
        (unknown && !subject.flapping || past && !owed) && self.rows.about(subject.id()).next().is_none()
    }

    fn flapping(&self, subject: &Subject, channel: &str) -> Flapping {
        let knows = |episode: &Subject| episode.told(channel).is_some_and(|told| told.flapping);
        match self.siblings(subject).any(|episode| episode.flapping) {
            false => Flapping::No,
            true if self.siblings(subject).any(knows) => Flapping::Known,
            true => Flapping::Unknown,
        }
    }

    fn enqueue(&mut self, id: &str, way: &Way, kind: NoticeKind) {
        let now = self.now.wall;
        let Some(subject) = self.subjects.get_mut(id) else { return };
        let step = subject.shown.step;
        let (shown, severity) = if kind == NoticeKind::Resolved {
            (subject.shown_over(now), subject.peak)
        } else {
            (NoticeAlert { resolved_at: None, ..subject.shown.clone() }, subject.shown.severity)
        };
        let flapped =
            kind == NoticeKind::Resolved && subject.told(&way.channel).is_some_and(|told| told.flapping);
        let told = note(subject, &way.channel, now);
        // No message about a step twice, whatever the life cycle does.
        // What the time alone brings has none: it is told apart by a number. Nor has the end
        // of an episode that was over before its flapping was.
        let over = kind == NoticeKind::Resolved && step <= told.step;
        let own = over || matches!(kind, NoticeKind::Repeat | NoticeKind::Escalation);
        if !own && step <= told.step {
            return;
        }
        let mut message_id = format!("{}.{id}.{step}", way.channel);
        if own {
            told.repeats = told.repeats.saturating_add(1);
            message_id.push_str(&format!(".{}-{}", kind.word(), told.repeats));
        }
        told.step = step;
        told.severity = shown.severity;
        told.flapping = kind == NoticeKind::Flapping;
        told.at = now;
        self.changed.insert(id.to_owned());
        let quiet = self.settings.quiet_until(severity, now);
        // It ended flapping, and fires: one message says both.
        let fires = |id| self.subjects.get(id).is_some_and(|own| self.siblings(own).any(Subject::is_live));
        let kind = if flapped && fires(id) { NoticeKind::Firing } else { kind };
        let message = Message {
            channel: way.channel.clone(),
            kind: if quiet.is_some() { NoticeKind::Digest } else { kind },
            group: if quiet.is_some() { String::from("quiet hours") } else { way.group.clone() },
            id: message_id,
            alert: shown,
            due_at: quiet.unwrap_or_else(|| now.plus(way.window)),
        };
        self.rows.add(message, now, LIFE);
    }

    /// Brings a row that waits up to date: the alert got worse, or is over.
    pub(super) fn amend(&mut self, id: &str, channel: &str) {
        let now = self.now.wall;
        let Some(subject) = self.subjects.get(id) else { return };
        let rearmed = subject.telling.rearmed;
        if subject.told(channel).is_some_and(|told| told.step < rearmed) {
            // Whoever reads the row reads it after that.
            self.told(id, channel, |told| told.step = rearmed);
        }
        let Some(subject) = self.subjects.get(id) else { return };
        let Some(row) = self.rows.of(id, channel) else { return };
        let Some(entry) = row.notice.alerts.iter().find(|entry| entry.id == id) else { return };
        let flaps = self.flapping(subject, channel) != Flapping::No;
        let over = subject.is_over() && !flaps && !subject.lapsed && entry.resolved_at.is_none();
        let worse = subject.is_live() && subject.shown.severity > entry.severity;
        if !over && !worse {
            return;
        }
        let shown = if over { subject.shown_over(now) } else { subject.shown.clone() };
        let (step, severity) = (shown.step, shown.severity);
        let newer = format!("{channel}.{id}.{step}");
        let (row_id, tried, kind) = (row.notice.id.clone(), row.tried, row.notice.kind);
        let (told_step, knew) = subject.told(channel).map_or((0, false), |told| (told.step, told.fired));
        let passes = || self.settings.quiet_until(severity, now).is_none();
        if worse && kind == NoticeKind::Digest && step > told_step && passes() {
            let way = self.settings.way_of(channel, &shown, &subject.policy);
            self.rows.take_out(&row_id, id, &newer, now);
            self.enqueue(id, &way, if knew { NoticeKind::Worsened } else { NoticeKind::Firing });
            return;
        }
        self.rows.change(&row_id, |row| {
            if let Some(entry) = row.notice.alerts.iter_mut().find(|entry| entry.id == id) {
                *entry = shown;
            }
        });
        let all_over = self
            .rows
            .get(&row_id)
            .is_some_and(|row| row.notice.alerts.iter().all(|a| a.resolved_at.is_some()));
        if all_over && kind != NoticeKind::Digest {
            self.rows.set_kind(&row_id, NoticeKind::Resolved);
        }
        if tried {
            self.rows.rename(&row_id, newer);
        }
        self.told(id, channel, |told| (told.step, told.severity) = (step, severity));
    }

    /// Changes what a channel knows of an alert.
    pub(super) fn told(&mut self, id: &str, channel: &str, change: impl FnOnce(&mut Told)) {
        if let Some(told) = self.subjects.get_mut(id).and_then(|subject| subject.told_mut(channel)) {
            change(told);
            self.changed.insert(id.to_owned());
        }
    }

    /// Tells further channels; when the next escalation is due.
    fn escalate(&mut self, id: &str, muted: &Muted) -> Option<Timestamp> {
        let now = self.now.wall;
        let subject = self.subjects.get(id)?;
        let policy = subject.policy.clone();
        let silent = muted.is_muted() || subject.acknowledged || subject.flapping;
        if silent || !subject.is_live() {
            return None;
        }
        let base = subject.telling.counted_from.unwrap_or(subject.fired);
        let done = subject.telling.escalated as usize;
        for escalation in policy.escalate.iter().skip(done) {
            let due = base.plus(escalation.after);
            if due > now {
                return Some(due);
            }
            let all = || self.settings.enabled().cloned().collect();
            let channels: Vec<String> =
                if escalation.channels.is_empty() { all() } else { escalation.channels.clone() };
            for channel in channels {
                if self.settings.is_enabled(&channel) && self.rows.of(id, &channel).is_none() {
                    let subject = self.subjects.get(id)?;
                    let way = self.settings.way_of(&channel, &subject.shown, &policy);
                    self.enqueue(id, &way, NoticeKind::Escalation);
                }
            }
            let telling = &mut self.subjects.get_mut(id)?.telling;
            telling.escalated = telling.escalated.saturating_add(1);
            self.changed.insert(id.to_owned());
        }
        None
    }
}

/// What a channel knows of an alert, from now on.
fn note<'a>(subject: &'a mut Subject, channel: &str, now: Timestamp) -> &'a mut Told {
    let channels = &mut subject.telling.channels;
    let at = channels.iter().position(|told| told.channel == channel).unwrap_or_else(|| {
        channels.push(Told {
            channel: channel.to_owned(),
            fired: false,
            over: false,
            flapping: false,
            step: 0,
            severity: subject.shown.severity,
            repeats: 0,
            at: now,
        });
        channels.len() - 1
    });
    &mut channels[at]
}

enum Owed {
    Nothing,
    Now(NoticeKind),
    At(Timestamp),
}

/// What one channel is owed that has no row about the alert.
fn owed(
    subject: &Subject,
    told: Option<&Told>,
    way: &Way,
    muted: &Muted,
    flapping: Flapping,
    now: Timestamp,
) -> Owed {
    if subject.is_over() {
        let knows = told.is_some_and(|told| told.fired && !told.over) && !subject.lapsed;
        return match flapping {
            Flapping::No if knows => Owed::Now(NoticeKind::Resolved),
            // It was about to be told that this is over, when it began to flap.
            Flapping::Unknown if knows && subject.flapping => Owed::Now(NoticeKind::Flapping),
            _ => Owed::Nothing,
        };
    }
    if !subject.is_live() || muted.is_muted() {
        return Owed::Nothing;
    }
    match (flapping, told) {
        (Flapping::Unknown, _) => Owed::Now(NoticeKind::Flapping),
        (Flapping::Known, _) => Owed::Nothing,
        (Flapping::No, Some(told)) if !told.flapping => owed_again(subject, told, way, now),
        (Flapping::No, _) => Owed::Now(NoticeKind::Firing),
    }
}

/// What one channel is owed that was told before.
fn owed_again(subject: &Subject, told: &Told, way: &Way, now: Timestamp) -> Owed {
    let rearmed = subject.telling.rearmed > told.step && !subject.acknowledged;
    if subject.shown.severity > told.severity || rearmed {
        return Owed::Now(if told.fired { NoticeKind::Worsened } else { NoticeKind::Firing });
    }
    if subject.acknowledged {
        return Owed::Nothing;
    }
    let due = told.at.plus(way.repeat);
    if due <= now { Owed::Now(NoticeKind::Repeat) } else { Owed::At(due) }
}
