//! Whom a target trusts: the system's authorities and those in its own file.
//!
//! Read at the first use and again after a failed handshake, because the file may
//! have changed; on a thread of its own, because it may hang.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use tokio::time::Instant;

use super::outcome::Outcome;
use crate::runtime::certificate::{Chain, Seen};
use crate::runtime::solitary::Solitary;
use crate::runtime::tls;

/// See the module.
pub struct Trust {
    file: Option<PathBuf>,
    /// Protocols that are offered.
    alpn: &'static [&'static str],
    reader: Solitary,
    made: Option<(Arc<ClientConfig>, Seen)>,
}

impl Trust {
    pub fn new(file: Option<PathBuf>, alpn: &'static [&'static str]) -> Self {
        Self { file, alpn, reader: Solitary::default(), made: None }
    }

    /// How to encrypt, and what peers present.
    ///
    /// # Errors
    /// The file is not read: an outcome about the configuration.
    pub async fn config(&mut self, deadline: Instant) -> Result<(Arc<ClientConfig>, Seen), Outcome> {
        if let Some(made) = &self.made {
            return Ok(made.clone());
        }
        let (file, alpn) = (self.file.clone(), self.alpn);
        let make = move || tls::witnessed(file.as_deref(), alpn);
        let made = self.reader.run("authorities", Instant::now(), deadline, make).await;
        let made = made.map_err(|error| {
            Outcome::configuration("tls_ca_file", format!("the certificates are not read: {error}"))
        })?;
        let made = made.map_err(|error| Outcome::configuration("tls_ca_file", error.to_string()))?;
        Ok(self.made.insert(made).clone())
    }

    /// The chain that was presented last.
    pub fn seen(&self) -> Option<Chain> {
        self.made.as_ref().and_then(|(_, seen)| seen.last())
    }

    /// The next use reads the file again.
    pub fn forget(&mut self) {
        self.made = None;
    }
}
