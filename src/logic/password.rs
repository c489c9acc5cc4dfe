//! Passwords, kept as what Argon2id makes of them.
//!
//! A person's password can be guessed, so each guess must cost: memory above all, which
//! special hardware has no more of than we do. The costs are stored with every hash, so
//! that they may be raised without anybody losing a password. It would go wrong to hash on
//! a thread that answers requests, or without a bound on how many hash at once: one
//! takes [`MEMORY`] for some tens of milliseconds.

use argon2::{Algorithm, Argon2, Params, Version};
use subtle::ConstantTimeEq as _;

use crate::model::access::PasswordHash;

/// KiB, passes and lanes: the second choice of RFC 9106 is 64 MiB; this is the least that
/// OWASP names (19 MiB, 2 passes), for hosts with little memory.
pub const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// A stored hash that asks for more is damaged, KiB and passes.
const MOST_MEMORY: u32 = 256 * 1024;
const MOST_PASSES: u32 = 64;

/// Fewest characters of a new password, most bytes of any.
pub const SHORTEST: usize = 10;
pub const LONGEST: usize = 1024;

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPassword {
    #[error("the password has fewer than {SHORTEST} characters")]
    Short,
    #[error("the password has more than {LONGEST} bytes")]
    Long,
    #[error("the password is the name of the user")]
    Name,
}

/// Whether `password` may be that of the user `name`.
///
/// # Errors
/// What is wrong with it; never the password.
pub fn check(name: &str, password: &str) -> Result<(), BadPassword> {
    if password.len() > LONGEST {
        Err(BadPassword::Long)
    } else if password.chars().count() < SHORTEST {
        Err(BadPassword::Short)
    } else if password.eq_ignore_ascii_case(name) {
        Err(BadPassword::Name)
    } else {
        Ok(())
    }
}

/// What is stored of `password`. Takes some tens of milliseconds; `None` when the memory
/// for it is not to be had.
pub fn hash(password: &str, salt: [u8; 16]) -> Option<PasswordHash> {
    let mut kept = PasswordHash { salt, digest: [0; 32], memory: MEMORY, passes: PASSES, lanes: LANES };
    kept.digest = derive(password, &kept)?;
    Some(kept)
}

/// Whether `password` is the one that `kept` was made from. Takes as long as [`hash`].
pub fn verify(password: &str, kept: &PasswordHash) -> bool {
    password.len() <= LONGEST
        && derive(password, kept).is_some_and(|digest| bool::from(digest.ct_eq(&kept.digest)))
}

/// A hash that no password has, to spend the same time on a user who does not exist.
pub fn nobody() -> PasswordHash {
    PasswordHash { salt: [0; 16], digest: [0; 32], memory: MEMORY, passes: PASSES, lanes: LANES }
}

fn derive(password: &str, kept: &PasswordHash) -> Option<[u8; 32]> {
    if kept.memory > MOST_MEMORY || kept.passes > MOST_PASSES {
        return None;
    }
    let params = Params::new(kept.memory, kept.passes, kept.lanes, Some(32)).ok()?;
    let mut digest = [0; 32];
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    hasher.hash_password_into(password.as_bytes(), &kept.salt, &mut digest).ok()?;
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_opens_it_and_nobody_has_none() {
        let kept = hash("correct horse battery", [7; 16]).unwrap();
        assert!(verify("correct horse battery", &kept));
        assert!(!verify("correct horse batterx", &kept) && !verify("", &kept));
        assert_ne!(kept.digest, hash("correct horse battery", [8; 16]).unwrap().digest);
        assert!(!verify("", &nobody()));
    }

    #[test]
    fn a_damaged_cost_is_not_paid() {
        let kept = hash("correct horse battery", [7; 16]).unwrap();
        for damaged in [
            PasswordHash { memory: u32::MAX, ..kept.clone() },
            PasswordHash { passes: u32::MAX, ..kept.clone() },
            PasswordHash { memory: 0, ..kept.clone() },
            PasswordHash { lanes: 0, ..kept },
        ] {
            assert!(!verify("correct horse battery", &damaged));
        }
    }

    #[test]
    fn short_long_and_obvious_ones_are_refused() {
        assert_eq!(check("eva", "123456789"), Err(BadPassword::Short));
        assert_eq!(check("eva", &"x".repeat(1025)), Err(BadPassword::Long));
        assert_eq!(check("storageadmin", "StorageAdmin"), Err(BadPassword::Name));
        assert_eq!(check("eva", "1234567890"), Ok(()));
    }
}
