//! Reaching the members: who is next, by which address.
//!
//! The pattern: an address that just served is dialled again without asking the
//! name server; every [`FRESH`] one connection asks, and the others go on with what
//! is known. So a name server that hangs delays one client, by half of its dial
//! timeout, and not all of them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::sockets;
use crate::model::failover::route::{Address, Route};
use crate::runtime::dial::{DialError, Dialer};
use crate::runtime::network_failure::NetworkFailure;

/// How long a resolved address is used unasked.
const FRESH: Duration = Duration::from_secs(10);
/// Addresses that are remembered; a group has a handful.
const MOST: usize = 64;

/// One address of a member.
struct Way {
    host: String,
    port: u16,
    dialer: Dialer,
    known: Mutex<Option<(SocketAddr, Instant)>>,
}

impl Way {
    /// The address that served last. Whoever finds it old asks anew, alone.
    fn known(&self) -> Option<SocketAddr> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (address, asked) = known.as_mut()?;
        if asked.elapsed() < FRESH {
            return Some(*address);
        }
        *asked = Instant::now();
        None
    }

    fn learn(&self, address: Option<SocketAddr>) {
        let now = address.map(|address| (address, Instant::now()));
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    async fn dial(&self, deadline: Instant) -> Result<TcpStream, DialError> {
        if let Some(address) = self.known() {
            return match timeout_at(deadline, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => Ok(stream),
                Ok(Err(source)) => {
                    // It may have moved: the next one asks.
                    self.learn(None);
                    Err(DialError::Connect { address, source })
                }
                Err(_) => {
                    self.learn(None);
                    Err(DialError::Timeout { address, waited: super::guest::DIAL })
                }
            };
        }
        let dialled = self.dialer.dial(deadline).await?;
        self.learn(dialled.stream.peer_addr().ok());
        Ok(dialled.stream)
    }
}

/// See the module.
#[derive(Default)]
pub struct Reach {
    ways: Mutex<Vec<Arc<Way>>>,
    turn: AtomicUsize,
    /// Where connections went last, for cancellations while there is no route.
    last: Mutex<Vec<Address>>,
}

impl Reach {
    /// The number of the next connection, for taking members in turn.
    pub fn turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// Connects to `address` by `deadline`.
    ///
    /// # Errors
    /// Why not, in the words clients are told.
    pub async fn dial(&self, address: &Address, deadline: Instant) -> Result<TcpStream, String> {
        let way = self.way(address);
        let stream = way.dial(deadline).await.map_err(|error| words(&error))?;
        sockets::toward_server(&stream);
        Ok(stream)
    }

    pub fn remember(&self, route: &Route) {
        if !route.to.is_empty() {
            lock(&self.last).clone_from(&route.to);
        }
    }

    /// Where a statement that is to be cancelled may run.
    pub fn running(&self, route: &Route) -> Vec<Address> {
        let mut found = route.to.clone();
        let last = lock(&self.last).clone();
        let kept = last.into_iter().filter(|address| route.keep.contains(&address.member));
        found.extend(kept.filter(|address| !route.to.contains(address)));
        found
    }

    fn way(&self, address: &Address) -> Arc<Way> {
        let mut ways = lock(&self.ways);
        let same = |way: &&Arc<Way>| way.host == address.host && way.port == address.port;
        if let Some(way) = ways.iter().find(same) {
            return way.clone();
        }
        if ways.len() >= MOST {
            ways.remove(0);
        }
        let dialer = Dialer::new(address.host.as_str(), address.port);
        let known = Mutex::default();
        let way = Arc::new(Way { host: address.host.clone(), port: address.port, dialer, known });
        ways.push(way.clone());
        way
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn words(error: &DialError) -> String {
    match error.failure() {
        NetworkFailure::Refused => String::from("connection refused"),
        NetworkFailure::Reset => String::from("connection reset"),
        NetworkFailure::Timeout => String::from("no answer to the connection attempt"),
        NetworkFailure::Unreachable => String::from("no route to the host"),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::Name;

    fn address(member: &str, port: u16) -> Address {
        Address { member: Name::new(member).unwrap(), host: String::from("127.0.0.1"), port }
    }

    #[tokio::test]
    async fn an_address_that_served_is_dialled_again_unasked_and_forgotten_when_it_fails() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let one = address("pg1", listener.local_addr().unwrap().port());
        let reach = Reach::default();
        let soon = Instant::now() + Duration::from_secs(5);
        reach.dial(&one, soon).await.unwrap();
        assert_eq!(reach.way(&one).known(), Some(listener.local_addr().unwrap()));
        reach.dial(&one, soon).await.unwrap();
        drop(listener);
        assert_eq!(reach.dial(&one, soon).await.unwrap_err(), "connection refused");
        assert_eq!(reach.way(&one).known(), None);
    }

    #[test]
    fn a_statement_is_looked_for_where_connections_are_kept() {
        let (one, two) = (address("pg1", 1), address("pg2", 2));
        let reach = Reach::default();
        let mut route =
            Route { epoch: 1, to: vec![one.clone()], keep: vec![one.member.clone()], reason: String::new() };
        reach.remember(&route);
        route.to = Vec::new();
        reach.remember(&route);
        assert_eq!(reach.running(&route), std::slice::from_ref(&one), "held, and still running");
        route.to = vec![two.clone()];
        assert_eq!(reach.running(&route), [two.clone(), one]);
        route.keep = Vec::new();
        assert_eq!(reach.running(&route), [two]);
    }
}
