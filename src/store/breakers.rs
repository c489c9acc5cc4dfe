//! Breakers as they are stored: one row per target, written at every change of state.
//!
//! A row is small and its table is touched only when a breaker changes, so it costs
//! the budget of written bytes nothing at rest. One would get it wrong by saving what
//! counts calls: that changes with every call, and a restart may forget it.

use std::collections::BTreeMap;

use redb::{ReadTransaction, ReadableTable as _};
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::record::Record;
use super::tables::BREAKERS;
use crate::base::time::Timestamp;
use crate::model::breaker::{BreakerReason, BreakerState, BreakerTransition, SavedBreaker};

/// States and reasons as their places in `BreakerState::ALL` and `BreakerReason::ALL`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct BreakerRecord {
    identity: String,
    generation: u64,
    state: u8,
    attempt: u32,
    failures: u32,
    entered: i64,
    until: Option<i64>,
    last_failure: Option<i64>,
    transitions: Vec<StoredTransition>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct StoredTransition {
    from: u8,
    to: u8,
    reason: u8,
    by: Option<String>,
    at: i64,
}

impl Record for BreakerRecord {
    const NAME: &'static str = "holdfast::Breaker";
    const VERSION: u8 = 1;
}

fn number<T: PartialEq>(all: &[T], one: &T) -> u8 {
    all.iter().position(|known| known == one).unwrap_or(0) as u8
}

/// `None` for what a newer version wrote.
fn of_number<T: Copy>(all: &[T], number: u8) -> Option<T> {
    all.get(usize::from(number)).copied()
}

impl BreakerRecord {
    pub fn of(identity: &str, saved: &SavedBreaker) -> Self {
        let transition = |done: &BreakerTransition| StoredTransition {
            from: number(&BreakerState::ALL, &done.from),
            to: number(&BreakerState::ALL, &done.to),
            reason: number(&BreakerReason::ALL, &done.reason),
            by: done.by.clone(),
            at: done.at.millis(),
        };
        Self {
            identity: identity.to_owned(),
            generation: saved.generation,
            state: number(&BreakerState::ALL, &saved.state),
            attempt: saved.attempt,
            failures: saved.failures,
            entered: saved.entered.millis(),
            until: saved.until.map(Timestamp::millis),
            last_failure: saved.last_failure.map(Timestamp::millis),
            transitions: saved.transitions.iter().map(transition).collect(),
        }
    }

    /// Identity and state; `None` when the state is one of a newer version.
    pub fn saved(self) -> Option<(String, SavedBreaker)> {
        let transition = |stored: StoredTransition| {
            Some(BreakerTransition {
                from: of_number(&BreakerState::ALL, stored.from)?,
                to: of_number(&BreakerState::ALL, stored.to)?,
                reason: of_number(&BreakerReason::ALL, stored.reason)?,
                by: stored.by,
                at: Timestamp(stored.at),
            })
        };
        let saved = SavedBreaker {
            generation: self.generation,
            state: of_number(&BreakerState::ALL, self.state)?,
            attempt: self.attempt,
            failures: self.failures,
            entered: Timestamp(self.entered),
            until: self.until.map(Timestamp),
            last_failure: self.last_failure.map(Timestamp),
            transitions: self.transitions.into_iter().filter_map(transition).collect(),
        };
        Some((self.identity, saved))
    }
}

/// Every breaker that can be read; the others are told of and start anew.
pub fn read(tx: &ReadTransaction) -> Result<BTreeMap<String, (String, SavedBreaker)>, Fault> {
    let mut all = BTreeMap::new();
    for row in tx.open_table(BREAKERS)?.iter()? {
        let (name, value) = row?;
        match value.value().decode().map(BreakerRecord::saved) {
            Ok(Some(saved)) => drop(all.insert(name.value().to_owned(), saved)),
            Ok(None) => tracing::warn!(target_name = name.value(), "a breaker of a newer version is skipped"),
            Err(error) => tracing::warn!(target_name = name.value(), %error, "a stored breaker is skipped"),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::{Raw, decode};

    fn saved() -> SavedBreaker {
        SavedBreaker {
            generation: 7,
            state: BreakerState::Open,
            attempt: 2,
            failures: 3,
            entered: Timestamp(64),
            until: Some(Timestamp(65)),
            last_failure: None,
            transitions: vec![BreakerTransition {
                from: BreakerState::HalfOpen,
                to: BreakerState::Open,
                reason: BreakerReason::FailedAgain,
                by: Some(String::from("a")),
                at: Timestamp(64),
            }],
        }
    }

    #[test]
    fn breaker_v1() {
        let record = BreakerRecord::of("i", &saved());
        let bytes = [1, 1, b'i', 7, 1, 2, 3, 128, 1, 1, 130, 1, 0, 1, 2, 1, 6, 1, 1, b'a', 128, 1];
        assert_eq!(Raw::encode(&record).bytes(), bytes);
        assert_eq!(
            decode::<BreakerRecord>(&bytes).map(BreakerRecord::saved),
            Ok(Some((String::from("i"), saved())))
        );
    }

    #[test]
    fn a_state_of_a_newer_version_is_no_breaker() {
        let record = BreakerRecord { state: 77, ..BreakerRecord::of("i", &saved()) };
        assert_eq!(record.saved(), None);
    }
}
