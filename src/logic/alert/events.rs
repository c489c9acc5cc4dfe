//! Events: alerts that no expression answers. They fire from the moment they are raised
//! until their time is over or their sender ends them.
//!
//! Raised again while it is active, an event is the same alert with the same id, as senders
//! of alerts expect who repeat theirs every minute. What was resolved by hand is kept until
//! its time is over, so that its sender does not bring it back; where there is no room, the
//! oldest of those gives way to news. When it ends is a wall time that its
//! sender meant; the wait for it is measured on the monotonic clock from when it was said,
//! so that a jump ends nothing. One would get it wrong by letting a repeated event undo a
//! manual resolve: that holds until the event was over once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::episode::{Episode, Unseen, deadline};
use super::judge::{Reached, Since};
use super::operate::{Command, Refused, obey};
use super::{Change, News, Now, Texts};
use crate::base::time::{Monotonic, Timestamp};
use crate::model::alert::{Alert, AlertState, Happening};
use crate::model::severity::Severity;

/// What somebody raises.
#[derive(Clone, PartialEq, Debug)]
pub struct Raise {
    /// Its identity while it is active.
    pub key: String,
    /// The kind of event, where a rule would have its name.
    pub kind: String,
    pub texts: Texts,
    pub severity: Severity,
    pub value: Option<f64>,
    /// When it began, where the sender knows.
    pub started_at: Option<Timestamp>,
    /// When it ends by itself; not in the future: it has ended.
    pub expires_at: Timestamp,
}

/// There is no room for another event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0} events are active already, and no more are taken")]
pub struct Full(pub usize);

#[derive(Clone, Debug)]
struct Event {
    live: Box<Episode>,
    ends: Monotonic,
}

/// The active events.
#[derive(Clone, Debug)]
pub struct Events {
    most: usize,
    active: HashMap<Box<str>, Event>,
}

impl Events {
    /// None yet, and at most `most` at a time.
    pub fn new(most: usize) -> Self {
        Self { most, active: HashMap::new() }
    }

    /// Those that are active, and those that were resolved by hand before their time.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.active.values().map(|event| &event.live.alert)
    }

    pub fn find(&self, id: &str) -> Option<&Alert> {
        self.alerts().find(|alert| alert.id == id)
    }

    /// Begins an event, or brings an active one up to date. `id` names a new one.
    ///
    /// # Errors
    /// [`Full`] of events that nobody resolved; what is active stays.
    pub fn raise(
        &mut self,
        raise: Raise,
        now: Now,
        id: &mut dyn FnMut() -> String,
    ) -> Result<Vec<Change>, Full> {
        if raise.expires_at <= now.wall {
            return Ok(self.end(&raise.key, now));
        }
        let ends = deadline(Some(raise.expires_at), now.wall, now).unwrap_or(now.mono);
        let mut changes = Vec::new();
        if self.active.len() >= self.most && !self.active.contains_key(raise.key.as_str()) {
            changes.push(self.make_room(now).ok_or(Full(self.most))?);
        }
        match self.active.entry(Box::from(raise.key.as_str())) {
            Entry::Occupied(mut known) => {
                let event = known.get_mut();
                event.ends = ends;
                Ok(update(&mut event.live, raise, now))
            }
            Entry::Vacant(place) => {
                let mut live = begin(raise, now, id());
                changes.push(live.told(now, Happening::Fired, None, None));
                place.insert(Event { live, ends });
                Ok(changes)
            }
        }
    }

    /// Lets go of the event that was resolved by hand the longest time ago, if there is one.
    fn make_room(&mut self, now: Now) -> Option<Change> {
        let held = self.active.iter().filter(|(_, event)| event.live.is_held());
        let resolved_at = |event: &Event| event.live.alert.manual.as_ref().map(|manual| manual.at);
        let oldest = held.min_by_key(|(_, event)| resolved_at(event))?;
        let key = oldest.0.clone();
        self.active.remove(&key).map(|mut event| event.live.release(now))
    }

    /// Its sender says that it is over.
    pub fn end(&mut self, key: &str, now: Now) -> Vec<Change> {
        let ended = self.active.remove(key);
        ended.map(|event| close(event.live, Happening::Resolved, now)).into_iter().collect()
    }

    /// Ends those whose time is over, and acknowledgements.
    pub fn step(&mut self, now: Now) -> Vec<Change> {
        let mut changes = Vec::new();
        for event in self.active.values_mut() {
            changes.extend(event.live.pass_time(now));
        }
        let over = self.active.extract_if(|_, event| now.mono >= event.ends);
        changes.extend(over.map(|(_, event)| close(event.live, Happening::Expired, now)));
        changes
    }

    /// Does what an operator wants with the event `id`.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed then.
    pub fn command(&mut self, id: &str, command: Command, now: Now) -> Result<Vec<Change>, Refused> {
        let event = self.active.values_mut().find(|event| event.live.alert.id == id);
        obey(&mut event.ok_or(Refused::Unknown)?.live, command, now, true)
    }

    /// Takes up events after a start: those that [`super::goes_on`] names.
    pub fn restore(&mut self, alerts: Vec<Alert>, now: Now) {
        for alert in alerts {
            let ends = deadline(alert.expires_at, alert.updated_at, now).unwrap_or(now.mono);
            let key = Box::from(alert.key.as_str());
            let live = Box::new(Episode::restored(alert, now, None));
            self.active.insert(key, Event { live, ends });
        }
    }
}

fn begin(raise: Raise, now: Now, id: String) -> Box<Episode> {
    let started_at = raise.started_at.unwrap_or(now.wall).min(now.wall);
    let alert = Alert {
        id,
        key: raise.key,
        rule: raise.kind,
        state: AlertState::Firing,
        severity: raise.severity,
        peak: raise.severity,
        value: raise.value,
        since: now.wall,
        started_at,
        fired_at: Some(now.wall),
        updated_at: now.wall,
        expires_at: Some(raise.expires_at),
        ..Alert::default()
    };
    let mut live = Box::new(Episode {
        alert,
        entered: Since::now(now.mono),
        reached: Reached::default(),
        ack_until: None,
        unseen: Unseen::No,
        outdated: false,
    });
    live.write(raise.texts);
    live
}

fn update(live: &mut Episode, raise: Raise, now: Now) -> Vec<Change> {
    let before = live.alert.clone();
    live.alert.expires_at = Some(raise.expires_at);
    if live.is_held() {
        let moved = live.alert.expires_at != before.expires_at;
        live.alert.updated_at = now.wall;
        return moved.then(|| live.change(News::Touched)).into_iter().collect();
    }
    live.alert.value = raise.value;
    live.set_severity(raise.severity);
    live.write(raise.texts);
    if live.alert == before {
        return Vec::new();
    }
    if raise.severity == before.severity {
        live.alert.updated_at = now.wall;
        return vec![live.change(News::Touched)];
    }
    let worse = raise.severity > before.severity;
    let what = if worse { Happening::Worsened } else { Happening::Eased };
    let mut changes = vec![live.told(now, what, None, None)];
    let outgrown = live.alert.acknowledged.as_ref().is_some_and(|ack| raise.severity > ack.severity);
    if outgrown {
        changes.push(live.rearm(now, None, "the level rose"));
    }
    changes
}

/// Ends an event; of one that was resolved by hand only the hold is left to end.
fn close(mut live: Box<Episode>, what: Happening, now: Now) -> Change {
    if live.is_held() {
        return live.release(now);
    }
    live.enter(AlertState::Resolved, now);
    live.told(now, what, None, None)
}
