//! As whom and how to connect to one server: what the probe and the supervision of a
//! failover group share.
//!
//! The password is read at each connection and the certificates again after a TLS
//! failure, because files change while the agent runs.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::time::Instant;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::session::{self, Opened, Place};
use crate::base::secret::Secret;
use crate::config::target::postgres::{Postgres, TlsMode};
use crate::runtime::credential::Credential;
use crate::runtime::dial::Dialer;
use crate::runtime::solitary::Solitary;
use crate::runtime::tls;
use crate::targets::Surroundings;
use crate::targets::outcome::Outcome;

/// See the module.
pub struct Access {
    place: Arc<Place>,
    password: Credential,
    tls_mode: TlsMode,
    tls_ca_file: Option<PathBuf>,
    /// Built at the first use and again after a TLS failure.
    tls: Option<MakeRustlsConnect>,
    authorities: Solitary,
}

/// What to log in with.
pub struct Login {
    pub password: Option<Secret>,
    /// How to encrypt; `None` where the mode or the socket says not to.
    pub tls: Option<MakeRustlsConnect>,
}

impl Access {
    pub fn new(section: &Postgres, surroundings: &Surroundings) -> Self {
        let password = Credential::of(
            section.password.as_ref(),
            section.password_file.as_deref(),
            section.password_env.as_deref(),
            &surroundings.environment,
        );
        let place = Place {
            dialer: Dialer::new(section.host.clone(), section.port),
            host: section.host.clone(),
            port: section.port,
            database: section.database.clone(),
            user: section.user.clone(),
            ssl_mode: match section.tls {
                TlsMode::Disable => SslMode::Disable,
                TlsMode::Prefer => SslMode::Prefer,
                TlsMode::Require | TlsMode::VerifyFull => SslMode::Require,
            },
        };
        Self {
            place: Arc::new(place),
            password,
            tls_mode: section.tls,
            tls_ca_file: section.tls_ca_file.clone(),
            tls: None,
            authorities: Solitary::default(),
        }
    }

    pub const fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// Connects and logs in by `deadline`.
    ///
    /// # Errors
    /// The outcome of the operation `connect`.
    pub async fn open(&mut self, deadline: Instant) -> Result<Opened, Outcome> {
        let login = self.login(deadline).await?;
        let opened = session::open(self.place.clone(), login.tls, login.password, deadline).await;
        self.learn(opened.as_ref().err());
        opened
    }

    /// After a TLS failure the certificates are read again.
    pub fn learn(&mut self, failed: Option<&Outcome>) {
        if failed.is_some_and(|outcome| outcome.code == "tls") {
            self.tls = None;
        }
    }

    /// # Errors
    /// The password or the certificates cannot be read: an outcome of the configuration.
    pub async fn login(&mut self, deadline: Instant) -> Result<Login, Outcome> {
        let password = self.password.read(deadline).await;
        let password = password.map_err(|error| Outcome::configuration("password", error.to_string()))?;
        Ok(Login { password, tls: self.tls(deadline).await? })
    }

    async fn tls(&mut self, deadline: Instant) -> Result<Option<MakeRustlsConnect>, Outcome> {
        if self.tls_mode == TlsMode::Disable || self.place.host.starts_with('/') {
            return Ok(None);
        }
        if self.tls.is_none() {
            let (mode, file) = (self.tls_mode, self.tls_ca_file.clone());
            let make = move || match mode {
                TlsMode::VerifyFull => tls::verified(file.as_deref()),
                _ => tls::unverified(),
            };
            let made = self.authorities.run("authorities", Instant::now(), deadline, make).await;
            let made = made.map_err(|error| {
                Outcome::configuration("tls_ca_file", format!("the certificates are not read: {error}"))
            })?;
            let config = made.map_err(|error| Outcome::configuration("tls_ca_file", error.to_string()))?;
            self.tls = Some(MakeRustlsConnect::new(Arc::unwrap_or_clone(config)));
        }
        Ok(self.tls.clone())
    }
}
