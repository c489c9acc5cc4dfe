//! The failures that applications reported: a log in memory and what of it is saved.
//!
//! Bounded in number and in bytes, the oldest go. What was not saved is known by number,
//! so a commit that failed is simply made again with what came since.

use std::collections::VecDeque;

use crate::model::report::FailureEvent;
use crate::store::Write;

pub const MOST: usize = 10_000;
const MOST_BYTES: usize = 2 << 20;
/// Events in one commit.
const AT_ONCE: usize = 1000;
/// What an event takes beside its texts.
const FIXED: usize = 96;

#[derive(Debug, Default)]
pub struct FailureLog {
    events: VecDeque<FailureEvent>,
    bytes: usize,
    last: u64,
    /// Numbers up to this one are in the store, and none below `removed`.
    saved: u64,
    removed: u64,
}

/// What is to be committed, and what it covers.
#[derive(Debug)]
pub struct Batch {
    pub writes: Vec<Write>,
    through: u64,
    below: u64,
}

fn size(event: &FailureEvent) -> usize {
    FIXED + event.source.len() + event.kind.len() + event.message.len()
}

impl FailureLog {
    /// As it was saved, by number.
    pub fn restored(events: Vec<FailureEvent>) -> Self {
        let removed = events.first().map_or(0, |event| event.number);
        let mut log = Self { removed, ..Self::default() };
        for event in events {
            log.saved = event.number;
            log.keep(event);
        }
        log
    }

    /// Adds an event under the next number.
    pub fn push(&mut self, event: FailureEvent) {
        let number = self.last + 1;
        self.keep(FailureEvent { number, ..event });
    }

    fn keep(&mut self, event: FailureEvent) {
        self.last = event.number;
        self.bytes += size(&event);
        self.events.push_back(event);
        while self.events.len() > MOST || self.bytes > MOST_BYTES {
            let Some(oldest) = self.events.pop_front() else { return };
            self.bytes -= size(&oldest);
        }
    }

    /// The oldest that are not saved; `None` when all are.
    pub fn unsaved(&self) -> Option<Batch> {
        let fresh = self.events.iter().filter(|event| event.number > self.saved).take(AT_ONCE);
        let mut writes: Vec<Write> = fresh.cloned().map(Write::PutFailure).collect();
        let Some(Write::PutFailure(last)) = writes.last() else { return None };
        let through = last.number;
        let below = self.events.front().map_or(0, |event| event.number);
        if below > self.removed {
            writes.push(Write::DeleteFailuresBelow { number: below });
        }
        Some(Batch { writes, through, below })
    }

    /// The batch is durable.
    pub fn saved(&mut self, batch: &Batch) {
        self.saved = self.saved.max(batch.through);
        self.removed = self.removed.max(batch.below);
    }

    /// Newest first.
    pub fn newest(&self) -> impl Iterator<Item = &FailureEvent> {
        self.events.iter().rev()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::time::Timestamp;

    fn event(message: &str) -> FailureEvent {
        let [source, kind] = ["shop", "timeout"].map(String::from);
        FailureEvent { number: 0, at: Timestamp(1), source, kind, message: message.to_owned() }
    }

    #[test]
    fn what_is_saved_comes_back_and_goes_on() {
        let mut log = FailureLog::default();
        (0..3).for_each(|_| log.push(event("x")));
        let batch = log.unsaved().unwrap();
        assert_eq!(batch.writes.len(), 3 + 1);
        log.push(event("while it was saved"));
        log.saved(&batch);
        assert_eq!(log.unsaved().unwrap().writes.len(), 1);
        let mut restored =
            FailureLog::restored(log.newest().cloned().collect::<Vec<_>>().into_iter().rev().collect());
        assert!(restored.unsaved().is_none());
        restored.push(event("y"));
        assert_eq!(restored.newest().next().map(|event| event.number), Some(5));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn memory_and_store_agree_whatever_fails(steps in prop::collection::vec((0..2500_usize, 0..2000_usize, any::<bool>()), 1..20)) {
            let mut log = FailureLog::default();
            let mut stored = std::collections::BTreeMap::new();
            let commit = |log: &mut FailureLog, stored: &mut std::collections::BTreeMap<u64, FailureEvent>| {
                let Some(batch) = log.unsaved() else { return false };
                for write in &batch.writes {
                    match write {
                        Write::PutFailure(event) => drop(stored.insert(event.number, event.clone())),
                        Write::DeleteFailuresBelow { number } => stored.retain(|known, _| known >= number),
                        _ => {}
                    }
                }
                log.saved(&batch);
                true
            };
            for (count, length, works) in steps {
                (0..count).for_each(|_| log.push(event(&"m".repeat(length))));
                prop_assert!(log.events.len() <= MOST && log.bytes <= MOST_BYTES);
                if works {
                    commit(&mut log, &mut stored);
                }
                prop_assert!(stored.len() <= MOST + AT_ONCE);
            }
            while commit(&mut log, &mut stored) {}
            let kept: Vec<u64> = log.newest().map(|event| event.number).collect();
            prop_assert!(kept.iter().all(|number| stored.contains_key(number)));
        }
    }
}
