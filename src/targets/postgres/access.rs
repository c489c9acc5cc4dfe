//! As whom and how a configured server is reached: what its probe and its supervision
//! as a member of a failover group have in common.
//!
//! The password is read and the encryption prepared anew where files may have changed.
//! Wrong would be to keep them in a session: a rotation would need a restart.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::time::Instant;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::session::{self, Opened, Place, Unopened};
use crate::base::secret::Secret;
use crate::config::target::postgres::{Postgres, TlsMode};
use crate::runtime::credential::Credential;
use crate::runtime::dial::Dialer;
use crate::runtime::solitary::Solitary;
use crate::runtime::tls;
use crate::targets::outcome::Outcome;

/// See the module.
pub struct Access {
    pub place: Arc<Place>,
    password: Credential,
    tls_mode: TlsMode,
    tls_ca_file: Option<PathBuf>,
    /// Built at the first use and again after a TLS failure: the file may change.
    tls: Option<MakeRustlsConnect>,
    authorities: Solitary,
}

impl Access {
    pub fn new(section: &Postgres, environment: &BTreeMap<String, Secret>) -> Self {
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
            password: Credential::of(
                section.password.as_ref(),
                section.password_file.as_deref(),
                section.password_env.as_deref(),
                environment,
            ),
            tls_mode: section.tls,
            tls_ca_file: section.tls_ca_file.clone(),
            tls: None,
            authorities: Solitary::default(),
        }
    }

    /// A new session, logged in by `deadline`.
    ///
    /// # Errors
    /// [`Unopened`]
    pub async fn open(&mut self, deadline: Instant) -> Result<Opened, Unopened> {
        self.open_far(deadline, deadline).await
    }

    /// As [`Self::open`]; a server that answers, and is far away, has until `latest`.
    ///
    /// # Errors
    /// [`Unopened`]
    pub async fn open_far(&mut self, deadline: Instant, latest: Instant) -> Result<Opened, Unopened> {
        let (password, tls) = self.credentials(deadline).await.map_err(Unopened::before)?;
        let opened = session::open(self.place.clone(), tls, password, deadline, latest).await;
        self.learn(opened.as_ref().err().map(|unopened| &unopened.outcome));
        opened
    }

    /// Password and encryption as they are now.
    ///
    /// # Errors
    /// The outcome of the operation `connect`.
    pub async fn credentials(
        &mut self,
        deadline: Instant,
    ) -> Result<(Option<Secret>, Option<MakeRustlsConnect>), Outcome> {
        let password = self.password.read(deadline).await;
        let password = password.map_err(|error| Outcome::configuration("password", error.to_string()))?;
        Ok((password, self.tls(deadline).await?))
    }

    /// Reads the authorities again at the next use when connecting failed over them.
    pub fn learn(&mut self, failed: Option<&Outcome>) {
        if failed.is_some_and(|outcome| outcome.code == "tls") {
            self.tls = None;
        }
    }

    /// How to encrypt; `None` where the mode or the socket says not to.
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
