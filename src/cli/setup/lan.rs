//! `holdfast setup --lan`: a host without a screen, reached from its network.
//!
//! The certificate and the first user are made now, not at the first start, because whoever
//! sets the host up sees this terminal and no other: the fingerprint is what the browser's
//! warning is compared with, and a password that we made is shown nowhere else.

use std::net::{IpAddr, UdpSocket};

use serde_json::{Value, json};

use super::SetupArguments;
use crate::app::{FirstUser, prepare};
use crate::base::id::Name;
use crate::base::secret::Secret;
use crate::cli::exit::{FAILED, Failure, USAGE};
use crate::cli::surroundings::Surroundings;
use crate::cli::user;
use crate::config::load::Loaded;

/// Letters and digits that are not taken for each other; 32 of them, so that each is 5 bits.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Of a password that we make: 100 bits.
const LENGTH: usize = 20;

/// What is to be made.
pub struct First {
    pub address: IpAddr,
    user: FirstUser,
    /// Whether the password is ours, so that it must be shown.
    made: bool,
}

/// What was made.
pub struct Made {
    user: String,
    /// Shown once, if it is ours.
    password: Option<Secret>,
    fingerprint: String,
}

impl First {
    /// # Errors
    /// There is no address, no password, or the name is none.
    pub fn of(arguments: &SetupArguments, surroundings: &Surroundings) -> Result<Self, Failure> {
        let name = Name::new(arguments.user.as_str()).map_err(|error| Failure::new(USAGE, error))?;
        let address = match arguments.address {
            Some(address) => address,
            None => own_address().ok_or_else(|| {
                Failure::new(USAGE, "this host has no address on a network: give one with --address")
            })?,
        };
        let (password, made) = if arguments.password_stdin {
            (user::ask(surroundings)?, false)
        } else {
            (random_password()?, true)
        };
        Ok(Self { address, user: FirstUser { name: name.to_string(), password }, made })
    }

    /// # Errors
    /// See [`prepare`].
    pub fn prepare(&self, loaded: &Loaded) -> Result<Made, Failure> {
        let prepared = prepare(&loaded.config, &self.user).map_err(|error| Failure::new(FAILED, error))?;
        Ok(Made {
            user: self.user.name.clone(),
            password: self.made.then(|| self.user.password.clone()),
            fingerprint: prepared.fingerprint.unwrap_or_default(),
        })
    }
}

impl Made {
    pub fn json(&self) -> Value {
        let password = self.password.as_ref().map(|password| password.expose().to_owned());
        json!({ "user": self.user, "password": password, "certificate_sha256": self.fingerprint })
    }

    pub fn text(&self) -> String {
        let password = self.password.as_ref().map_or("(the one that was read)", Secret::expose);
        format!(
            "user            {}\npassword        {password}\ncertificate     sha256 {}\n\nThe browser will warn of the \
             certificate: go on only if it shows this sha256.\n",
            self.user, self.fingerprint
        )
    }
}

/// The address that packets to other networks leave from; no packet is sent to find out.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

fn random_password() -> Result<Secret, Failure> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::new(FAILED, format!("the system gives no random numbers: {error}")))?;
    let letters = bytes.map(|byte| char::from(LETTERS[usize::from(byte & 31)]));
    let groups: Vec<String> = letters.chunks(5).map(|group| group.iter().collect()).collect();
    Ok(Secret::new(groups.join("-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_we_make_is_long_and_another_each_time() {
        let [one, other] = [0, 1].map(|_| random_password().unwrap().expose().to_owned());
        assert!(one.len() == 23 && one.split('-').all(|group| group.len() == 5), "{one}");
        assert_ne!(one, other);
        assert_eq!(LETTERS.iter().collect::<std::collections::BTreeSet<_>>().len(), 32);
    }
}
