//! What HTTP holds and gives back when memory is short: answers that are kept, and turns.
//!
//! A range or an expression takes up to some hundred megabytes while it is answered, which
//! is more than all caches: under pressure they are answered one after the other. One would
//! get it wrong by refusing them: whoever asks wants to see why memory is short.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::state::AppState;
use crate::engine::memory_keeper::Shrinks;
use crate::model::memory::Pressure;

/// All of it.
pub fn caches(app: &AppState) -> Vec<Arc<dyn Shrinks>> {
    let answers: Arc<dyn Shrinks> = Arc::new(Answers(app.clone()));
    let turns = |name, turns: &Arc<Semaphore>| -> Arc<dyn Shrinks> {
        Arc::new(Turns { name, turns: turns.clone(), held: Mutex::default() })
    };
    vec![answers, turns("evaluations", &app.evaluations), turns("ranges", &app.ranges)]
}

struct Answers(AppState);

impl Shrinks for Answers {
    fn name(&self) -> &'static str {
        "answers"
    }

    fn bytes(&self) -> u64 {
        self.0.answers.bytes() as u64
    }

    fn fit(&self, pressure: Pressure) {
        self.0.answers.fit(pressure);
    }
}

/// Holds a turn back while memory is short, so that no two are taken at once.
struct Turns {
    name: &'static str,
    turns: Arc<Semaphore>,
    held: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Shrinks for Turns {
    fn name(&self) -> &'static str {
        self.name
    }

    /// Nothing between two answers.
    fn bytes(&self) -> u64 {
        0
    }

    fn fit(&self, pressure: Pressure) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if pressure < Pressure::High {
            *held = None;
        } else if held.is_none() {
            // One that is taken is held back at the next look.
            *held = self.turns.clone().try_acquire_owned().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_held_back_under_pressure_and_given_back_after() {
        let turns = Arc::new(Semaphore::new(2));
        let spare = Turns { name: "ranges", turns: turns.clone(), held: Mutex::default() };
        let busy = turns.clone().try_acquire_many_owned(2).unwrap();
        spare.fit(Pressure::High);
        drop(busy);
        assert_eq!(turns.available_permits(), 2, "none was free");
        for (pressure, left) in
            [(Pressure::Critical, 1), (Pressure::High, 1), (Pressure::Low, 2), (Pressure::None, 2)]
        {
            spare.fit(pressure);
            assert_eq!(turns.available_permits(), left, "{pressure:?}");
        }
    }
}
