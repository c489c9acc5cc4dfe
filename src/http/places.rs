//! Room for a bounded number of connections, and who makes room.
//!
//! A connection that waits for a request, its first or its next, is idle. When all places
//! are taken, the one that has been idle longest is closed for the next that comes: so
//! ten thousand connections that say nothing, or a byte a minute, keep nobody out, and a
//! client whose idle connection goes opens another. Wrong would be to refuse the new
//! one: whoever asks `/livez` then learns that the agent is dead.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// See the module.
#[derive(Debug)]
pub struct Places {
    free: Arc<Semaphore>,
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    next: u64,
    /// In the order in which they became idle.
    waiting: BTreeMap<u64, CancellationToken>,
}

impl Places {
    pub fn new(places: usize) -> Arc<Self> {
        Arc::new(Self { free: Arc::new(Semaphore::new(places)), idle: Mutex::default() })
    }

    /// The next place, idle from the start. Waits while all are taken by connections that
    /// are busy. `None` never happens before the process ends.
    pub async fn take(self: &Arc<Self>) -> Option<Place> {
        let permit = match self.free.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                if let Some((_, longest)) = self.lock().waiting.pop_first() {
                    longest.cancel();
                }
                self.free.clone().acquire_owned().await.ok()?
            }
        };
        let (closed, number) = (CancellationToken::new(), Mutex::new(None));
        let place = Place { places: self.clone(), closed, number, _permit: permit };
        place.idle();
        Some(place)
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one connection, until it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    closed: CancellationToken,
    /// Its key among the idle ones.
    number: Mutex<Option<u64>>,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    /// A request is there.
    pub fn busy(&self) {
        let mut number = self.number.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = number.take() {
            self.places.lock().waiting.remove(&number);
        }
    }

    /// It waits for a request from now on.
    pub fn idle(&self) {
        let mut number = self.number.lock().unwrap_or_else(PoisonError::into_inner);
        let mut idle = self.places.lock();
        if let Some(before) = number.take() {
            idle.waiting.remove(&before);
        }
        idle.next += 1;
        let next = idle.next;
        idle.waiting.insert(next, self.closed.clone());
        *number = Some(next);
    }

    /// Ends when another connection needs the place.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.busy();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_closed(place: &Place) -> bool {
        place.closed.is_cancelled()
    }

    #[tokio::test]
    async fn the_longest_idle_gives_way_and_a_busy_one_never() {
        let places = Places::new(3);
        let take = || async { places.take().await.unwrap() };
        let (first, second, third) = (take().await, take().await, take().await);
        first.busy();
        second.busy();
        second.idle();
        // Idle are the third, then the second.
        let (fourth, ()) = tokio::join!(take(), async {
            third.closed().await;
            drop(third);
        });
        assert!(!is_closed(&first) && !is_closed(&second));
        fourth.busy();
        let (fifth, ()) = tokio::join!(take(), async {
            second.closed().await;
            drop(second);
        });
        fifth.busy();
        // All are busy: the next waits for one that ends by itself.
        let waiting = tokio::join!(take(), async { drop(first) }).0;
        assert!(!is_closed(&fourth) && !is_closed(&fifth) && !is_closed(&waiting));
        drop((fourth, fifth, waiting));
        assert!(places.lock().waiting.is_empty());
    }
}
