//! The local endpoint of a Postgres failover group: a byte proxy that follows a route.
//!
//! ```text
//!  client --> listen --> guest ------------------------------> pump <--> server
//!             (places)   reads the opening, waits for a route,   (bytes, resets)
//!                        dials, waits for the first answer
//! ```
//! The pattern: a connection belongs to the epoch and the member it was begun
//! with, and the route says which of them may go on; nothing else about failover
//! is known here. Until the server has answered for the first time nothing is
//! lost by asking another one, so a connection that meets a restart or a failover
//! there waits and is served, and only what has begun to flow is reset. Wrong
//! would be to let a connection flow on after a change of the route because it
//! still works: its server may no longer be the primary.

pub mod counters;
mod doubt;
mod farewell;
mod guest;
mod listen;
mod packet;
mod pump;
mod reach;
mod sockets;
#[cfg(test)]
mod tests;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use self::counters::{Counters, Snapshot};
use self::doubt::Doubt;
use self::listen::House;
use self::pump::Pump;
use self::reach::Reach;
use crate::base::id::Name;
use crate::model::failover::route::Route;
use crate::runtime::supervisor::{Supervisor, TaskResult};

/// Connections that may wait for a server at once.
const MOST_PARKED: usize = 1024;
/// Connections that may be between dialling and the first answer at once. A server
/// that comes back is not met by a thousand at the same instant.
const MOST_DIALLING: usize = 64;
/// Waiting connections in the kernel, before they are accepted.
const BACKLOG: i32 = 1024;

/// Which of the two ports of a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Endpoint {
    /// To the primary.
    Write,
    /// To standbys in turn.
    Read,
}

impl Endpoint {
    /// The value of the label `endpoint`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Read => "read",
        }
    }

    /// The key of the configuration that names its address.
    const fn setting(self) -> &'static str {
        match self {
            Self::Write => "listen",
            Self::Read => "listen_read",
        }
    }
}

/// What an endpoint is.
#[derive(Clone, Debug)]
pub struct Options {
    pub group: Name,
    pub endpoint: Endpoint,
    /// Host and port, e.g. `127.0.0.1:6432`.
    pub listen: String,
    /// How long a connection waits for a server before it is told that there is none.
    pub hold_max: Duration,
    pub max_connections: usize,
}

/// What of the [`Options`] may change while the endpoint serves.
#[derive(Debug)]
struct Limits {
    /// Milliseconds.
    hold_max: AtomicU64,
    max_connections: AtomicUsize,
}

impl Limits {
    fn new(hold_max: Duration, max_connections: usize) -> Self {
        let limits = Self { hold_max: AtomicU64::new(0), max_connections: AtomicUsize::new(0) };
        limits.set(hold_max, max_connections);
        limits
    }

    fn set(&self, hold_max: Duration, max_connections: usize) {
        self.hold_max.store(hold_max.as_millis() as u64, Ordering::Relaxed);
        self.max_connections.store(max_connections, Ordering::Relaxed);
        sockets::make_room_for(max_connections);
    }

    fn hold_max(&self) -> Duration {
        Duration::from_millis(self.hold_max.load(Ordering::Relaxed))
    }

    fn max_connections(&self) -> usize {
        self.max_connections.load(Ordering::Relaxed)
    }
}

/// The port cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} (failover.group.{group}.{setting}): {source}")]
pub struct BindError {
    address: String,
    group: Name,
    setting: &'static str,
    source: std::io::Error,
}

/// To whom and since which epoch a connection speaks.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Begun {
    epoch: u64,
    member: Name,
}

/// Whether a connection may go on.
fn keeps(route: &Route, begun: &Begun) -> bool {
    begun.epoch >= route.epoch && route.keep.contains(&begun.member)
}

struct Inner {
    options: Options,
    limits: Arc<Limits>,
    listener: TcpListener,
    counters: Arc<Counters>,
    settled: watch::Sender<u64>,
}

/// A bound endpoint; clones are the same one. The port is given back when the last
/// clone is gone and [`Self::run`] has ended.
#[derive(Clone)]
pub struct Proxy {
    inner: Arc<Inner>,
}

impl Proxy {
    /// Takes the port. Clients wait in the kernel's queue until [`Self::run`].
    ///
    /// # Errors
    /// [`BindError`] with the address and the setting it comes from.
    pub fn bind(options: Options) -> Result<Self, BindError> {
        let bound = TcpListener::bind(options.listen.as_str()).and_then(|listener| {
            listener.set_nonblocking(true)?;
            rustix::net::listen(&listener, BACKLOG)?;
            Ok(listener)
        });
        let listener = bound.map_err(|source| BindError {
            address: options.listen.clone(),
            group: options.group.clone(),
            setting: options.endpoint.setting(),
            source,
        })?;
        let limits = Arc::new(Limits::new(options.hold_max, options.max_connections));
        let inner =
            Inner { options, limits, listener, counters: Arc::default(), settled: watch::Sender::new(0) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The address that was bound, with the port the system chose.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.inner.listener.local_addr().ok()
    }

    /// Other limits from now on. Connections that are open or wait already stay.
    pub fn adjust(&self, hold_max: Duration, max_connections: usize) {
        self.inner.limits.set(hold_max, max_connections);
    }

    pub fn counters(&self) -> Snapshot {
        self.inner.counters.snapshot()
    }

    /// The epoch of the last route that was carried out: what it does not keep has
    /// been reset, and nothing of it will flow again.
    pub fn settled(&self) -> watch::Receiver<u64> {
        self.inner.settled.subscribe()
    }

    /// Serves until `stop`, then resets every connection. May be run again after it
    /// has ended, as the supervisor does.
    ///
    /// # Errors
    /// The system refuses what it needs, or the pump failed.
    pub async fn run(
        &self,
        route: watch::Receiver<Route>,
        supervisor: &Supervisor,
        stop: &CancellationToken,
    ) -> TaskResult {
        let inner = &self.inner;
        let listener = tokio::net::TcpListener::from_std(inner.listener.try_clone()?)?;
        let doubt = Arc::new(Doubt::default());
        let pump = Pump::new(inner.counters.clone(), doubt.clone(), inner.settled.clone(), route.clone())?;
        // Guests end with this run, also when the pump fails.
        let stop = stop.child_token();
        let house = Arc::new(House {
            options: inner.options.clone(),
            counters: inner.counters.clone(),
            pump: pump.clone(),
            doubt,
            reach: Reach::default(),
            limits: inner.limits.clone(),
            parking: Arc::new(Semaphore::new(MOST_PARKED)),
            dialling: Arc::new(Semaphore::new(MOST_DIALLING)),
            refusing: Arc::new(Semaphore::new(listen::MOST_REFUSING)),
            stop: stop.clone(),
            supervisor: supervisor.clone(),
        });
        let _end = End { pump: pump.clone(), stop: stop.clone() };
        let worker = pump.clone();
        let thread = format!("proxy {}", inner.options.group);
        let works = Supervisor::apart(&thread, move || worker.work());
        tokio::select! {
            () = listen::accept(&listener, &house, &route) => Ok(()),
            () = listen::follow(&house, route.clone()) => Ok(()),
            ended = works => match ended? {
                Some(worked) => Ok(worked?),
                None => Err("the pump panicked".into()),
            },
        }
    }
}

/// Ends the thread and the guests, however the run ends.
struct End {
    pump: Pump,
    stop: CancellationToken,
}

impl Drop for End {
    fn drop(&mut self) {
        self.stop.cancel();
        self.pump.stop();
    }
}
