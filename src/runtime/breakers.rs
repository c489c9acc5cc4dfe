//! The breaker of every target, by its name.
//!
//! The pattern: one registry that all who call targets share (probes now, data paths
//! beside them), so that there is one breaker per target and not one per caller. Who
//! saves and shows changes subscribes; the registry itself writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::breaker::{Breaker, Unsaved};
use crate::base::time::Clock;
use crate::logic::breaker::Settings;
use crate::model::breaker::SavedBreaker;

struct Held {
    /// Kind and address: another one is another server.
    identity: String,
    breaker: Arc<Breaker>,
}

/// A breaker that changed since it was saved.
#[derive(Debug)]
pub struct Changed {
    pub name: String,
    pub breaker: Arc<Breaker>,
    pub unsaved: Unsaved,
}

#[derive(Default)]
struct Inner {
    held: BTreeMap<String, Held>,
    /// From the last run, with identity, for targets that were not asked for yet.
    saved: BTreeMap<String, (String, SavedBreaker)>,
    /// Rows that are to be deleted.
    gone: BTreeSet<String>,
}

/// See the module; cheap to clone.
#[derive(Clone)]
pub struct Breakers {
    clock: Arc<dyn Clock>,
    changes: Arc<watch::Sender<u64>>,
    inner: Arc<Mutex<Inner>>,
    seed: u64,
}

impl Breakers {
    /// `saved` is what [`Self::unsaved`] told in the last run.
    pub fn new(clock: Arc<dyn Clock>, saved: BTreeMap<String, (String, SavedBreaker)>) -> Self {
        let mut seed = [0; 8];
        // Waits need to differ between hosts, not to be secret.
        let _ = getrandom::fill(&mut seed);
        let inner = Inner { saved, ..Inner::default() };
        Self {
            clock,
            changes: Arc::new(watch::Sender::new(0)),
            inner: Arc::new(Mutex::new(inner)),
            seed: u64::from_le_bytes(seed),
        }
    }

    /// The breaker of `name`, made if there is none, with these settings from now on.
    /// A former one of another `identity` is forgotten.
    pub fn of(&self, name: &str, identity: &str, settings: Settings) -> Arc<Breaker> {
        let mut inner = self.lock();
        inner.gone.remove(name);
        if let Some(held) = inner.held.get(name).filter(|held| held.identity == identity) {
            held.breaker.configure(settings);
            return held.breaker.clone();
        }
        let saved = inner.saved.remove(name).filter(|(saved, _)| saved == identity).map(|(_, saved)| saved);
        let changes = self.changes.clone();
        let changed = move || changes.send_modify(|count| *count = count.wrapping_add(1));
        let seed = name.bytes().fold(self.seed, |seed, byte| seed.rotate_left(7) ^ u64::from(byte));
        let breaker = Arc::new(Breaker::new(settings, saved, self.clock.clone(), seed, changed));
        inner.held.insert(name.to_owned(), Held { identity: identity.to_owned(), breaker: breaker.clone() });
        breaker
    }

    pub fn get(&self, name: &str) -> Option<Arc<Breaker>> {
        self.lock().held.get(name).map(|held| held.breaker.clone())
    }

    /// Kind and address of the target whose breaker it is.
    pub fn identity(&self, name: &str) -> Option<String> {
        self.lock().held.get(name).map(|held| held.identity.clone())
    }

    /// Forgets the breakers of all targets but these.
    pub fn keep_only(&self, names: &BTreeSet<&str>) {
        let mut inner = self.lock();
        let known = inner.held.keys().chain(inner.saved.keys());
        let gone: Vec<String> = known.filter(|name| !names.contains(name.as_str())).cloned().collect();
        for name in gone {
            inner.held.remove(&name);
            inner.saved.remove(&name);
            inner.gone.insert(name);
        }
        if !inner.gone.is_empty() {
            self.changes.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// Hears of every change of every breaker.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Breakers that changed since they were saved, and targets whose row is to go.
    pub fn unsaved(&self) -> (Vec<Changed>, Vec<String>) {
        let inner = self.lock();
        let unsaved = inner.held.iter().filter_map(|(name, held)| {
            let (name, breaker) = (name.clone(), held.breaker.clone());
            held.breaker.unsaved().map(|unsaved| Changed { name, breaker, unsaved })
        });
        (unsaved.collect(), inner.gone.iter().cloned().collect())
    }

    /// The rows of these targets are deleted.
    pub fn deleted(&self, names: &[String]) {
        let mut inner = self.lock();
        for name in names {
            inner.gone.remove(name);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::time::{ManualClock, Timestamp};
    use crate::model::breaker::{BreakerCommand, BreakerState};

    const SETTINGS: Settings = Settings {
        failure_threshold: 3,
        window: Duration::from_secs(300),
        minimum_calls: 10,
        failure_share: 0.5,
        slow_call: Duration::from_secs(2),
        slow_share: 0.8,
        open_for: Duration::from_secs(60),
        max_open_for: Duration::from_secs(600),
        half_open_calls: 2,
        close_after: 2,
        call_timeout: Duration::from_secs(5),
    };

    #[test]
    fn the_state_of_another_server_is_not_resumed() {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let first = Breakers::new(clock.clone(), BTreeMap::new());
        first.of("pg1", "postgres/a", SETTINGS).tell(BreakerCommand::ForceOpen, "test");
        let (changed, _) = first.unsaved();
        let saved = |name: &str| {
            let state = changed[0].unsaved.saved.clone();
            BTreeMap::from([(name.to_owned(), (first.identity("pg1").unwrap(), state))])
        };
        let resumed =
            |identity| Breakers::new(clock.clone(), saved("pg1")).of("pg1", identity, SETTINGS).state();
        assert_eq!(resumed("postgres/a"), BreakerState::ForcedOpen);
        assert_eq!(resumed("postgres/b"), BreakerState::Closed);
    }

    #[test]
    fn what_is_no_longer_configured_is_to_be_deleted_unless_it_comes_back() {
        let breakers = Breakers::new(Arc::new(ManualClock::at(Timestamp(0))), BTreeMap::new());
        breakers.of("pg1", "a", SETTINGS);
        breakers.of("pg2", "a", SETTINGS);
        breakers.keep_only(&BTreeSet::from(["pg2"]));
        assert_eq!(breakers.unsaved().1, ["pg1"]);
        assert!(breakers.get("pg1").is_none());
        breakers.of("pg1", "a", SETTINGS);
        assert!(breakers.unsaved().1.is_empty());
    }
}
