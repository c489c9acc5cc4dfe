//! The object a probe writes, reads back and deletes, and the names of its like.
//!
//! Keys are `.holdfast/canary/<agent>/<16 hex: ms since 1970>-<16 hex: random>`,
//! so that they sort by age and a leftover of a crashed cycle can be told from
//! the canary of a cycle that is under way. **Invariant:** only names of exactly
//! this form are ever deleted.

use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::request::hex;
use crate::base::time::Timestamp;

/// Size of the object, bytes.
const SIZE: usize = 256;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    pub key: String,
    pub body: Bytes,
}

impl Canary {
    /// A new one for a cycle that starts at `now`. Where canaries are not deleted
    /// they all have one name, `standing`, so that there is one.
    pub fn new(prefix: &str, now: Timestamp, standing: bool) -> Self {
        let mut random = [0; SIZE];
        if getrandom::fill(&mut random).is_err() {
            // Without randomness the time still tells one canary from the next.
            random[..8].copy_from_slice(&now.millis().to_be_bytes());
        }
        let (id, nonce) = random.split_at(8);
        let key = if standing {
            format!("{prefix}standing")
        } else {
            format!("{prefix}{:016x}-{}", now.millis().max(0), hex(id))
        };
        let nonce = hex(&nonce[..32]);
        let body =
            format!("holdfast canary\nnonce {nonce}\nsha256 {}\n", hex(&Sha256::digest(nonce.as_bytes())));
        Self { key, body: Bytes::from(body) }
    }
}

/// `.holdfast/canary/<agent>/`, with an agent's name that needs no escapes.
pub fn prefix(agent: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let agent: String = agent.chars().take(64).map(plain).collect();
    // `.` and `..` are not names of folders everywhere.
    let agent = if agent.trim_matches('.').is_empty() { String::from("agent") } else { agent };
    format!(".holdfast/canary/{agent}/")
}

/// Whether `key` is the canary of a cycle that can no longer be under way at `now`.
pub fn is_leftover(prefix: &str, key: &str, now: Timestamp, longest_cycle: Duration) -> bool {
    let Some((time, random)) = key.strip_prefix(prefix).and_then(|name| name.split_once('-')) else {
        return false;
    };
    let is_hex = |text: &str| {
        text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
    };
    if !is_hex(time) || !is_hex(random) {
        return false;
    }
    let made = i64::from_str_radix(time, 16).map(Timestamp);
    // One from the future was made before the clock was set back.
    made.is_ok_and(|made| now.since(made) > longest_cycle || made.since(now) > longest_cycle)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(60);

    #[test]
    fn only_old_canaries_are_leftovers() {
        let prefix = prefix("nas");
        let canary = Canary::new(&prefix, Timestamp(1_000_000), false);
        let at = |millis| is_leftover(&prefix, &canary.key, Timestamp(millis), LONGEST);
        assert!(!at(1_000_000) && !at(1_050_000) && at(1_100_000) && at(900_000));
        for foreign in ["", "backup.tar", ".holdfast/canary/nas/standing", ".holdfast/canary/nas/notes-1"] {
            assert!(!is_leftover(&prefix, foreign, Timestamp(i64::MAX), LONGEST), "{foreign}");
        }
        let other = canary.key.replace("nas", "other");
        assert!(!is_leftover(&prefix, &other, Timestamp(i64::MAX), LONGEST));
    }

    #[test]
    fn an_agent_cannot_leave_its_folder() {
        assert_eq!(prefix("../x y"), ".holdfast/canary/..-x-y/");
        assert_eq!(prefix(".."), ".holdfast/canary/agent/");
    }

    #[test]
    fn no_two_canaries_are_equal() {
        let (a, b) = (Canary::new("", Timestamp(1), false), Canary::new("", Timestamp(1), false));
        assert!(a.key != b.key && a.body != b.body && a.body.len() <= SIZE);
        assert_eq!(Canary::new("p/", Timestamp(1), true).key, "p/standing");
    }
}
