//! Wrong tokens are answered ten times a minute per address, then no more.
//!
//! Tokens have 256 random bits, so this is not against guessing but against
//! noise and work. Loopback is never closed for the right token (the caller sees
//! to that), else any local user could lock the owner out.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::base::time::Monotonic;
use crate::http::error::Limit;

const WINDOW: Duration = Duration::from_secs(60);
/// The wrong token with this number locks.
const LIMIT: usize = 10;
/// What a caller is told of it.
pub const POLICY: Limit = Limit { name: "wrong-tokens", quota: LIMIT, window_seconds: WINDOW.as_secs() };
/// Addresses remembered; beyond, the one that was quiet longest is forgotten.
const ADDRESSES: usize = 4096;

/// See the module.
#[derive(Debug, Default)]
pub struct Lockout {
    /// Times of the last wrong tokens, at most [`LIMIT`] each.
    wrong: Mutex<HashMap<IpAddr, VecDeque<Monotonic>>>,
}

impl Lockout {
    /// How long the address is still locked out, if it is.
    pub fn locked(&self, address: IpAddr, now: Monotonic) -> Option<Duration> {
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.get(&address).and_then(|times| left(times, now))
    }

    /// Takes note of a wrong token; `Some` when the address is locked out by it.
    pub fn wrong(&self, address: IpAddr, now: Monotonic) -> Option<Duration> {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if wrong.len() >= ADDRESSES && !wrong.contains_key(&address) {
            wrong.retain(|_, times| times.back().is_some_and(|last| now.since(*last) < WINDOW));
            let quietest = wrong.iter().min_by_key(|(_, times)| times.back().copied());
            if let Some(address) = quietest.map(|(address, _)| *address)
                && wrong.len() >= ADDRESSES
            {
                wrong.remove(&address);
            }
        }
        let times = wrong.entry(address).or_default();
        if times.len() >= LIMIT {
            times.pop_front();
        }
        times.push_back(now);
        left(times, now)
    }
}

/// Locked while the last [`LIMIT`] wrong tokens all lie within the window.
fn left(times: &VecDeque<Monotonic>, now: Monotonic) -> Option<Duration> {
    let oldest = times.front().filter(|_| times.len() >= LIMIT)?;
    WINDOW.checked_sub(now.since(*oldest)).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    #[test]
    fn the_tenth_locks_for_the_rest_of_the_minute() {
        let lockout = Lockout::default();
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        for second in 0..9 {
            assert_eq!(lockout.wrong(address, at(second)), None);
        }
        assert_eq!(lockout.locked(address, at(9)), None);
        assert_eq!(lockout.wrong(address, at(9)), Some(Duration::from_secs(51)));
        assert!(lockout.locked(address, at(59)).is_some());
        assert_eq!(lockout.locked(address, at(60)), None);
        assert_eq!(lockout.locked("192.0.2.2".parse().unwrap(), at(9)), None);
    }

    #[test]
    fn remembers_a_bounded_number_of_addresses() {
        let lockout = Lockout::default();
        for n in 0..10_000u32 {
            lockout.wrong(IpAddr::from(n.to_be_bytes()), at(0));
        }
        assert_eq!(lockout.wrong.lock().unwrap().len(), ADDRESSES);
    }
}
