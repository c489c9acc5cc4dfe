//! Everything that happened, in one sequence, for whoever listens.
//!
//! The pattern: a bounded ring of events and a `watch` that holds the newest
//! number. A subscriber is only a cursor into the ring, so it costs nothing while
//! it waits, cannot hold anything back, and resumes by number; what the ring no
//! longer has it is told as a gap. Wrong would be a channel per subscriber: a
//! slow one would either grow without bound or lose events without knowing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::base::time::Clock;
use crate::model::event::{Event, EventType};

/// What a subscriber gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    Event(Arc<Event>),
    /// The events `from..=to` are no longer held.
    Gap {
        from: u64,
        to: u64,
    },
}

struct Ring {
    events: VecDeque<Arc<Event>>,
    /// Number of the next event.
    next: u64,
    /// Number of the first event of this run: what lies before it is unknown here.
    first: u64,
}

struct Inner {
    clock: Arc<dyn Clock>,
    capacity: usize,
    ring: Mutex<Ring>,
    newest: watch::Sender<u64>,
}

/// The publishing side; cheap to clone.
#[derive(Clone)]
pub struct Bus {
    inner: Arc<Inner>,
}

impl Bus {
    /// A bus that keeps the last `capacity` events.
    pub fn new(clock: Arc<dyn Clock>, capacity: usize) -> Self {
        let ring = Ring { events: VecDeque::new(), next: 1, first: 1 };
        let inner = Inner { clock, capacity, ring: Mutex::new(ring), newest: watch::Sender::new(0) };
        Self { inner: Arc::new(inner) }
    }

    /// Continues the sequence of an earlier run: the next event gets at least
    /// the number `next`.
    pub fn resume_at(&self, next: u64) {
        let mut ring = self.lock();
        if next > ring.next {
            ring.next = next;
            ring.first = next;
            ring.events.clear();
            self.inner.newest.send_replace(next - 1);
        }
    }

    /// Appends an event and returns its number.
    pub fn publish(&self, kind: EventType, data: serde_json::Value) -> u64 {
        let timestamp = self.inner.clock.now();
        let mut ring = self.lock();
        let seq = ring.next;
        ring.next += 1;
        if ring.events.len() >= self.inner.capacity {
            ring.events.pop_front();
        }
        ring.events.push_back(Arc::new(Event { seq, kind, timestamp, data }));
        // Inside the lock, so that the newest number never goes backwards.
        self.inner.newest.send_replace(seq);
        seq
    }

    /// Number of the newest event, 0 before the first.
    pub fn last(&self) -> u64 {
        self.lock().next - 1
    }

    /// How many listen at this moment.
    pub fn listeners(&self) -> usize {
        self.inner.newest.receiver_count()
    }

    /// Events after the number `since`, or only new ones for `None`.
    pub fn subscribe(&self, since: Option<u64>) -> Subscription {
        let newest = self.inner.newest.subscribe();
        let next = since.map_or_else(|| self.lock().next, |seq| seq.saturating_add(1));
        Subscription { bus: self.clone(), newest, next }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.inner.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A cursor into the sequence.
pub struct Subscription {
    bus: Bus,
    newest: watch::Receiver<u64>,
    next: u64,
}

impl Subscription {
    /// The next event or gap, waiting for it if need be. Safe to cancel.
    pub async fn next(&mut self) -> Message {
        loop {
            if let Some(message) = self.try_next() {
                return message;
            }
            if self.newest.changed().await.is_err() {
                // The bus lives as long as this handle to it, so this cannot come.
                std::future::pending::<()>().await;
            }
        }
    }

    /// The next event or gap if there is one already.
    pub fn try_next(&mut self) -> Option<Message> {
        self.newest.mark_unchanged();
        let ring = self.bus.lock();
        // A cursor from another life of the sequence (an emptied store) starts anew.
        if self.next > ring.next {
            self.next = ring.next;
        }
        if self.next == ring.next {
            return None;
        }
        let oldest = ring.events.front().map_or(ring.next, |event| event.seq);
        if self.next < oldest {
            let gap = Message::Gap { from: self.next, to: oldest - 1 };
            self.next = oldest;
            return Some(gap);
        }
        let at = usize::try_from(self.next - oldest).ok()?;
        let event = ring.events.get(at).cloned()?;
        self.next = event.seq + 1;
        Some(Message::Event(event))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::time::{ManualClock, Timestamp};

    fn bus(capacity: usize) -> Bus {
        Bus::new(Arc::new(ManualClock::at(Timestamp(0))), capacity)
    }

    fn seqs(subscription: &mut Subscription) -> Vec<Message> {
        std::iter::from_fn(|| subscription.try_next()).collect()
    }

    #[test]
    fn numbers_rise_by_one_and_a_resumed_listener_misses_nothing() {
        let bus = bus(8);
        for n in 1..=5 {
            assert_eq!(bus.publish(EventType::Metrics, json!(n)), n);
        }
        let got = seqs(&mut bus.subscribe(Some(3)));
        assert_eq!(got.len(), 2);
        assert!(matches!(&got[0], Message::Event(event) if event.seq == 4));
    }

    #[test]
    fn what_the_ring_lost_is_a_gap_first() {
        let bus = bus(2);
        for n in 0..5 {
            bus.publish(EventType::System, json!(n));
        }
        let got = seqs(&mut bus.subscribe(Some(0)));
        assert_eq!(got[0], Message::Gap { from: 1, to: 3 });
        assert_eq!(got.len(), 3);
    }

    #[test]
    fn after_an_unclean_stop_the_skipped_numbers_are_a_gap() {
        let bus = bus(8);
        bus.resume_at(1000);
        let mut old = bus.subscribe(Some(7));
        assert_eq!(old.try_next(), Some(Message::Gap { from: 8, to: 999 }));
        assert_eq!(bus.publish(EventType::System, json!(0)), 1000);
        assert_eq!(seqs(&mut old).len(), 1);
    }

    #[tokio::test]
    async fn a_waiting_listener_wakes() {
        let bus = bus(8);
        let mut subscription = bus.subscribe(None);
        let publisher = bus.clone();
        let (message, _) =
            tokio::join!(subscription.next(), async { publisher.publish(EventType::System, json!(1)) });
        assert!(matches!(message, Message::Event(event) if event.seq == 1));
    }
}
