//! What an endpoint has done, as numbers that may be read at any time.
//!
//! Each is an atomic of its own: a snapshot is not one instant, and nobody on the
//! way of the bytes ever waits for a reader. The pump adds up its bytes and tells
//! them once per turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::OwnedSemaphorePermit;

use super::Endpoint;
use crate::base::id::Name;
use crate::model::frame::Frame;

/// Why a client was refused or let go before its bytes flowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// No server to go to within `hold_max`.
    NoRoute,
    /// The servers did not accept the connection within `hold_max`.
    Unavailable,
    /// `max_connections` are open.
    TooMany,
    /// As many as may are waiting already.
    TooManyParked,
    /// The client did not say what it wants in time.
    HalfOpen,
    /// What it said is not the protocol of PostgreSQL.
    Protocol,
    /// The agent stops.
    Stopping,
}

impl Cause {
    const ALL: [Self; 7] = [
        Self::NoRoute,
        Self::Unavailable,
        Self::TooMany,
        Self::TooManyParked,
        Self::HalfOpen,
        Self::Protocol,
        Self::Stopping,
    ];

    /// The value of the label `reason`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoRoute => "no_route",
            Self::Unavailable => "unavailable",
            Self::TooMany => "too_many",
            Self::TooManyParked => "too_many_parked",
            Self::HalfOpen => "half_open",
            Self::Protocol => "protocol",
            Self::Stopping => "stopping",
        }
    }
}

/// The numbers of one endpoint.
#[derive(Default, Debug)]
pub struct Counters {
    accepted: AtomicU64,
    open: AtomicU64,
    parked: AtomicU64,
    refused: [AtomicU64; Cause::ALL.len()],
    /// Toward the server and toward the client.
    pub(super) bytes: [AtomicU64; 2],
    resets: AtomicU64,
    dial_failures: AtomicU64,
}

/// The numbers at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Snapshot {
    /// Accepted since the start.
    pub connections_total: u64,
    /// Open now, the parked ones among them.
    pub connections: u64,
    pub parked: u64,
    /// By reason, every reason named.
    pub refused: Vec<(&'static str, u64)>,
    pub bytes_to_server: u64,
    pub bytes_to_client: u64,
    /// Connections that a change of the route ended.
    pub resets: u64,
    pub dial_failures: u64,
}

impl Counters {
    pub(super) fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused(&self, cause: Cause) {
        self.refused[cause as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn reset(&self) {
        self.resets.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn dial_failed(&self) {
        self.dial_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    pub fn snapshot(&self) -> Snapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Snapshot {
            connections_total: read(&self.accepted),
            connections: read(&self.open),
            parked: read(&self.parked),
            refused: Cause::ALL.map(|cause| (cause.word(), read(&self.refused[cause as usize]))).to_vec(),
            bytes_to_server: read(&self.bytes[0]),
            bytes_to_client: read(&self.bytes[1]),
            resets: read(&self.resets),
            dial_failures: read(&self.dial_failures),
        }
    }
}

/// Appends the series of all endpoints to `frame`, each family once.
pub fn push_all(frame: &mut Frame, endpoints: &[(Name, Endpoint, Snapshot)]) {
    type Value = fn(&Snapshot) -> u64;
    let plain: [(&str, &str, Value, bool); 5] = [
        ("holdfast_proxy_connections_total", "Connections accepted.", |s| s.connections_total, true),
        ("holdfast_proxy_connections", "Connections open now.", |s| s.connections, false),
        ("holdfast_proxy_parked", "Connections that wait for a server.", |s| s.parked, false),
        ("holdfast_proxy_reset_total", "Connections ended by a change of the route.", |s| s.resets, true),
        (
            "holdfast_proxy_dial_failures_total",
            "Servers that did not take a connection.",
            |s| s.dial_failures,
            true,
        ),
    ];
    if endpoints.is_empty() {
        return;
    }
    for (name, help, value, counts) in plain {
        let family = if counts { frame.counter(name, help) } else { frame.gauge(name, help) };
        for (group, endpoint, snapshot) in endpoints {
            let labels = [("endpoint", endpoint.word()), ("group", group.as_str())];
            family.push(&labels, value(snapshot) as f64);
        }
    }
    let refused = frame.counter("holdfast_proxy_refused_total", "Connections refused or let go, by reason.");
    for (group, endpoint, snapshot) in endpoints {
        for (reason, count) in &snapshot.refused {
            let labels = [("endpoint", endpoint.word()), ("group", group.as_str()), ("reason", *reason)];
            refused.push(&labels, *count as f64);
        }
    }
    let bytes = frame.counter("holdfast_proxy_bytes_total", "Bytes passed on, by direction.");
    for (group, endpoint, snapshot) in endpoints {
        for (direction, count) in
            [("to_server", snapshot.bytes_to_server), ("to_client", snapshot.bytes_to_client)]
        {
            let labels = [("direction", direction), ("endpoint", endpoint.word()), ("group", group.as_str())];
            bytes.push(&labels, count as f64);
        }
    }
}

/// A place among those that may be open, or that may wait; counted while it is held.
#[derive(Debug)]
pub struct Place {
    _permit: Option<OwnedSemaphorePermit>,
    counters: Arc<Counters>,
    gauge: fn(&Counters) -> &AtomicU64,
}

impl Place {
    pub(super) fn open(counters: &Arc<Counters>) -> Self {
        Self::new(None, counters, |counters| &counters.open)
    }

    pub(super) fn parked(permit: OwnedSemaphorePermit, counters: &Arc<Counters>) -> Self {
        Self::new(Some(permit), counters, |counters| &counters.parked)
    }

    fn new(
        permit: Option<OwnedSemaphorePermit>,
        counters: &Arc<Counters>,
        gauge: fn(&Counters) -> &AtomicU64,
    ) -> Self {
        gauge(counters).fetch_add(1, Ordering::Relaxed);
        Self { _permit: permit, counters: counters.clone(), gauge }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        (self.gauge)(&self.counters).fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_has_its_series_below_one_family() {
        let counters = Arc::new(Counters::default());
        counters.accepted();
        counters.refused(Cause::NoRoute);
        let name = |text: &str| Name::new(text).unwrap();
        let mut frame = Frame::new();
        push_all(&mut frame, &[]);
        assert!(frame.is_empty(), "nothing is there where there is no endpoint");
        let both = [
            (name("main"), Endpoint::Write, counters.snapshot()),
            (name("main"), Endpoint::Read, Snapshot::default()),
        ];
        push_all(&mut frame, &both);
        let value = |key: &str| frame.iter().find(|sample| sample.key == key).map(|sample| sample.value);
        assert_eq!(value("holdfast_proxy_connections_total{endpoint=\"write\",group=\"main\"}"), Some(1.0));
        assert_eq!(value("holdfast_proxy_connections_total{endpoint=\"read\",group=\"main\"}"), Some(0.0));
        let refused = "holdfast_proxy_refused_total{endpoint=\"write\",group=\"main\",reason=\"no_route\"}";
        assert_eq!(value(refused), Some(1.0));
    }
}
