//! The thread that moves the bytes of all connections of one endpoint.
//!
//! ```text
//!   accepting tasks --[connections]--> +------+ <--epoll-- sockets
//!   the route --------[a bell]-------> | pump | ---------> counters, `settled`
//! ```
//! The pattern: one thread, one edge-triggered epoll set, one buffer for all. What
//! a socket has is read and sent on in the same turn, so a message costs one read
//! and one write; nothing is registered anew, nobody else is woken, and a
//! connection at rest holds no buffer. Measured with `benches/proxy.py`, that is a
//! third less CPU per transaction than a task per connection on the shared
//! runtime. Wrong would be to wait here for anything but epoll: all connections
//! wait with it. So whatever may take long (names, dialling, the first answer) is
//! done by tasks, and the pump is handed two sockets that are ready.

mod pair;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;
use tokio::sync::watch;

pub use pair::Passage;
use pair::{Course, Pair};

use super::counters::Counters;
use super::doubt::Doubt;
use super::keeps;
use crate::model::failover::route::Route;

/// Bytes that are read at once; also the most that waits for a slow reader.
const BUFFER: usize = 64 << 10;
/// Events taken at once.
const EVENTS: usize = 256;
/// The event of an order; sockets have twice the place of their pair, plus one for the server.
const ORDER: u64 = u64::MAX;
const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// What the tasks want; taken by the thread in one go.
#[derive(Default)]
struct Orders {
    passages: Vec<Passage>,
    stop: bool,
    closed: bool,
}

struct Shared {
    bell: OwnedFd,
    orders: Mutex<Orders>,
    settled: watch::Sender<u64>,
    counters: Arc<Counters>,
    doubt: Arc<Doubt>,
    route: watch::Receiver<Route>,
}

/// The handle of the thread; clones are the same pump.
#[derive(Clone)]
pub struct Pump {
    shared: Arc<Shared>,
}

impl Pump {
    /// A pump whose thread is yet to run [`Self::work`].
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn new(
        counters: Arc<Counters>,
        doubt: Arc<Doubt>,
        settled: watch::Sender<u64>,
        route: watch::Receiver<Route>,
    ) -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let shared = Shared { bell, orders: Mutex::default(), settled, counters, doubt, route };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Takes over a connection. One that the route does not keep any more, or that
    /// comes after the end, is reset.
    pub fn add(&self, passage: Passage) {
        let mut orders = self.shared.lock();
        if orders.closed {
            drop(orders);
            return passage.reset();
        }
        // As many as there are places for connections, so the list is bounded.
        orders.passages.push(passage);
        drop(orders);
        self.shared.ring();
    }

    /// The route has changed: resets what it does not keep, now and whatever is added
    /// later.
    pub fn follow(&self) {
        self.shared.ring();
    }

    /// Ends the thread; its connections are reset.
    pub fn stop(&self) {
        self.shared.lock().stop = true;
        self.shared.ring();
    }

    /// The thread: moves bytes until [`Self::stop`].
    ///
    /// # Errors
    /// The system refuses epoll.
    pub fn work(&self) -> io::Result<()> {
        let _closing = Closing(&self.shared);
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &self.shared.bell, epoll::EventData::new_u64(ORDER), epoll::EventFlags::IN)?;
        let mut room = Room::new(epoll, self.shared.clone());
        let mut events = Vec::with_capacity(EVENTS);
        if !room.obey() {
            return Ok(());
        }
        loop {
            events.clear();
            let patience = if room.again.is_empty() { None } else { Some(&AT_ONCE) };
            match epoll::wait(&room.epoll, spare_capacity(&mut events), patience) {
                Err(Errno::INTR) => continue,
                waited => waited?,
            };
            let mut ordered = false;
            for event in &events {
                match event.data.u64() {
                    ORDER => ordered = true,
                    place => room.event(place, event.flags),
                }
            }
            room.go_on();
            room.count();
            // After the events: a place that became free in this turn may have events
            // in this list still and must not be given away before.
            if ordered && !room.obey() {
                return Ok(());
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails only when it has rung 2^64 times unheard.
    fn ring(&self) {
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
    }
}

/// Resets what is handed over after the thread has ended, however it ended.
struct Closing<'a>(&'a Shared);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        let mut orders = self.0.lock();
        orders.closed = true;
        let left = std::mem::take(&mut orders.passages);
        drop(orders);
        left.into_iter().for_each(Passage::reset);
    }
}

/// What the thread owns.
struct Room {
    epoll: OwnedFd,
    shared: Arc<Shared>,
    route: Option<Route>,
    pairs: Vec<Option<Box<Pair>>>,
    free: Vec<usize>,
    /// Those that had their share of this turn and have more.
    again: Vec<usize>,
    buffer: Vec<u8>,
    /// Bytes since the last count, toward the server and toward the client.
    moved: [u64; 2],
}

impl Room {
    fn new(epoll: OwnedFd, shared: Arc<Shared>) -> Self {
        Self {
            epoll,
            shared,
            route: None,
            pairs: Vec::new(),
            free: Vec::new(),
            again: Vec::new(),
            buffer: vec![0; BUFFER],
            moved: [0; 2],
        }
    }

    fn event(&mut self, place: u64, flags: epoll::EventFlags) {
        let (at, side) = ((place / 2) as usize, (place % 2) as usize);
        let Some(Some(pair)) = self.pairs.get_mut(at) else { return };
        let course = pair.event(side, flags, &mut self.buffer, &mut self.moved);
        self.after(at, course);
    }

    fn go_on(&mut self) {
        for at in std::mem::take(&mut self.again) {
            let Some(Some(pair)) = self.pairs.get_mut(at) else { continue };
            let course = pair.go_on(&mut self.buffer, &mut self.moved);
            self.after(at, course);
        }
    }

    fn after(&mut self, at: usize, course: Course) {
        match course {
            Course::Wait => {}
            Course::More => self.again.push(at),
            Course::Done => {
                // Before the place is given back, which says that it is over.
                self.count();
                drop(self.take(at));
            }
            Course::Broken => {
                self.count();
                if let Some(pair) = self.take(at) {
                    pair.reset();
                }
            }
        }
    }

    /// Closing the sockets takes them out of the epoll set.
    fn take(&mut self, at: usize) -> Option<Box<Pair>> {
        let pair = self.pairs.get_mut(at)?.take()?;
        self.free.push(at);
        Some(pair)
    }

    fn count(&mut self) {
        for (counter, moved) in self.shared.counters.bytes.iter().zip(&mut self.moved) {
            if *moved > 0 {
                counter.fetch_add(std::mem::take(moved), std::sync::atomic::Ordering::Relaxed);
            }
        }
    }

    /// `false` when it is over.
    fn obey(&mut self) -> bool {
        let mut unheard = [0; 8];
        let _ = rustix::io::read(&self.shared.bell, &mut unheard[..]);
        let mut orders = self.shared.lock();
        let (passages, stop) = (std::mem::take(&mut orders.passages), orders.stop);
        drop(orders);
        // Looked up after the passages were taken, so it is at least as new as the one
        // that each of them was begun with: an older one would not know their member.
        let now = self.shared.route.borrow().clone();
        if self.route.as_ref() != Some(&now) {
            self.follow(now);
        }
        for passage in passages {
            self.admit(passage);
        }
        if stop {
            self.pairs.drain(..).flatten().for_each(|pair| pair.reset());
        }
        !stop
    }

    fn follow(&mut self, route: Route) {
        for at in 0..self.pairs.len() {
            let Some(pair) = &self.pairs[at] else { continue };
            if !keeps(&route, &pair.begun)
                && let Some(pair) = self.take(at)
            {
                self.shared.counters.reset();
                pair.reset();
            }
        }
        let epoch = route.epoch;
        self.route = Some(route);
        self.shared.settled.send_replace(epoch);
    }

    fn admit(&mut self, passage: Passage) {
        if self.route.as_ref().is_some_and(|route| !keeps(route, &passage.begun)) {
            self.shared.counters.reset();
            return passage.reset();
        }
        let at = self.free.pop().unwrap_or_else(|| {
            self.pairs.push(None);
            self.pairs.len() - 1
        });
        match Pair::begin(passage, &self.epoll, at as u64 * 2, self.shared.doubt.clone()) {
            Ok(mut pair) => {
                // The first events come by themselves; what is owed already is sent now.
                let course = pair.go_on(&mut self.buffer, &mut self.moved);
                self.pairs[at] = Some(pair);
                self.after(at, course);
                self.count();
            }
            Err(error) => {
                tracing::warn!(%error, "cannot watch a connection");
                self.free.push(at);
            }
        }
    }
}
