//! How often one client may ask.
//!
//! A count per client and minute, in memory, of a bounded number of clients. It is against
//! a client that went wild, not against an attacker with many addresses; those find the
//! bounds on connections, bodies and hashing. Not counted are this host itself, whose own
//! tools it would break, and questions about health, which must be answered then above all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::auth::peer::Client;
use super::error::Limit;
use crate::base::time::Monotonic;

const WINDOW: Duration = Duration::from_secs(60);
/// Clients that are counted; beyond, the one whose minute began first is forgotten.
const CLIENTS: usize = 4096;
/// Never counted.
const HEALTH: [&str; 6] =
    ["/livez", "/readyz", "/health", "/api/v1/health", "/api/health", "/api/monitoring/health"];

/// What is left to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub limit: Limit,
    pub left: u32,
    /// Seconds until it is whole again.
    pub reset: u64,
    /// Whether this request is one too many.
    pub exceeded: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Rates {
    clients: Mutex<HashMap<IpAddr, (Monotonic, u32)>>,
}

impl Rates {
    /// Counts a request; `None` where nothing is counted. `most` a minute, 0: no limit.
    pub fn count(&self, client: &Client, path: &str, most: u32, now: Monotonic) -> Option<Quota> {
        let Client::Network { address, local: false } = client else { return None };
        if most == 0 || HEALTH.contains(&path) {
            return None;
        }
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let address = network(*address);
        if clients.len() >= CLIENTS && !clients.contains_key(&address) {
            clients.retain(|_, (since, _)| now.since(*since) < WINDOW);
            let oldest = clients.iter().min_by_key(|(_, (since, _))| *since).map(|(address, _)| *address);
            if let Some(oldest) = oldest.filter(|_| clients.len() >= CLIENTS) {
                clients.remove(&oldest);
            }
        }
        let (since, count) = clients.entry(address).or_insert((now, 0));
        if now.since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        let exceeded = *count >= most;
        *count = count.saturating_add(1).min(most);
        let left = WINDOW.saturating_sub(now.since(*since));
        Some(Quota {
            limit: Limit { name: "requests", quota: most as usize, window_seconds: WINDOW.as_secs() },
            left: most - *count,
            reset: left.as_secs() + u64::from(left.subsec_nanos() > 0),
            exceeded,
        })
    }
}

/// A host has as many addresses of a /64 as it likes.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> Client {
        Client::Network { address: address.parse().unwrap(), local: false }
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    #[test]
    fn one_client_too_many_times_a_minute_and_the_others_not() {
        let rates = Rates::default();
        let ask = |address: &str, second| rates.count(&from(address), "/x", 2, at(second)).unwrap();
        let [first, second, third] = [0, 10, 20].map(|second| ask("192.0.2.1", second));
        assert_eq!([first, second, third].map(|quota| quota.left), [1, 0, 0]);
        assert_eq!([first, second, third].map(|quota| quota.exceeded), [false, false, true]);
        assert_eq!([first, second, third].map(|quota| quota.reset), [60, 50, 40]);
        assert!(!ask("192.0.2.2", 20).exceeded);
        assert!(ask("192.0.2.1", 59).exceeded && !ask("192.0.2.1", 60).exceeded);
        // One host, whatever it calls itself.
        ask("2001:db8::1", 0);
        ask("2001:db8::2", 0);
        assert!(ask("2001:db8::3", 0).exceeded && !ask("2001:db8:0:1::1", 0).exceeded);
    }

    #[test]
    fn this_host_and_health_are_not_counted() {
        let rates = Rates::default();
        let local = Client::Network { address: "127.0.0.1".parse().unwrap(), local: true };
        assert_eq!(rates.count(&local, "/x", 1, at(0)), None);
        assert_eq!(rates.count(&Client::Socket { uid: 1 }, "/x", 1, at(0)), None);
        assert_eq!(rates.count(&from("192.0.2.1"), "/livez", 1, at(0)), None);
        assert_eq!(rates.count(&from("192.0.2.1"), "/x", 0, at(0)), None);
    }

    #[test]
    fn a_bounded_number_of_clients_is_counted() {
        let rates = Rates::default();
        for n in 0..10_000u32 {
            let client = Client::Network { address: IpAddr::from(n.to_be_bytes()), local: false };
            rates.count(&client, "/x", 9, at(0));
        }
        assert_eq!(rates.clients.lock().unwrap().len(), CLIENTS);
    }
}
