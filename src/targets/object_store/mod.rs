//! `[[target.object_store]]`: one bucket of an S3 server.
//!
//! A probe is one canary cycle ([`cycle`]) under one deadline, each request signed
//! by the key as it is in its file now. The client is made at the first probe and
//! again after a TLS failure, because the file of authorities may have changed.

mod canary;
mod cycle;
mod outcome;
mod request;
pub mod shelf;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::time::Instant;

use self::cycle::{Cycle, Ran};
use self::request::Bucket;
use super::outcome::Outcome;
use super::record::Recorder;
use super::{Depth, Probed, Surroundings, Target};
use crate::base::secret::Secret;
use crate::base::time::{Clock, Timestamp};
use crate::config::target::object_store::{ObjectStore, Operation};
use crate::model::frame::Frame;
use crate::runtime::credential::Credential;
use crate::runtime::http_client::HttpClient;
use crate::runtime::solitary::Solitary;
use crate::runtime::supervisor::{Phase, Supervisor};
use crate::runtime::tls::{self, TlsError};

const KIND: &str = "object_store";
/// Where listing is not an operation, leftovers are looked for in the first cycle
/// and then in every one of so many.
const CYCLES_PER_LOOK: u64 = 20;

/// See the module.
pub struct ObjectStoreTarget {
    bucket: Arc<Bucket>,
    secret: Credential,
    prefix: String,
    operations: Vec<Operation>,
    timeout: Duration,
    tls_ca_file: Option<PathBuf>,
    clock: Arc<dyn Clock>,
    supervisor: Supervisor,
    recorder: Recorder,
    client: Option<HttpClient>,
    authorities: Solitary,
    cycles: u64,
}

impl ObjectStoreTarget {
    pub fn new(section: ObjectStore, surroundings: &Surroundings) -> Self {
        let secret = Credential::of(
            section.secret_access_key.as_ref(),
            section.secret_access_key_file.as_deref(),
            section.secret_access_key_env.as_deref(),
            &surroundings.environment,
        );
        Self {
            bucket: Arc::new(Bucket::of(&section)),
            recorder: Recorder::new(section.name, KIND),
            secret,
            prefix: canary::prefix(&surroundings.agent),
            operations: section.operations,
            timeout: section.timeout.0,
            tls_ca_file: section.tls_ca_file,
            clock: surroundings.clock.clone(),
            supervisor: surroundings.supervisor.clone(),
            client: None,
            authorities: Solitary::default(),
            cycles: 0,
        }
    }

    async fn probe_once(&mut self, depth: Depth) -> Probed {
        let now = self.clock.now();
        let deadline = Instant::now() + self.timeout;
        let ran = match self.cycle(depth, now, deadline).await {
            Ok(cycle) => cycle.run().await,
            Err(outcome) => self.none_ran(&outcome),
        };
        if ran.operations.iter().any(|done| done.code == "tls") {
            self.client = None;
        }
        let mut frame = Frame::new();
        let record = self.recorder.finish(now, ran.latency_ms, ran.operations, &mut frame);
        Probed { record, frame }
    }

    async fn cycle(&mut self, depth: Depth, now: Timestamp, deadline: Instant) -> Result<Cycle, Outcome> {
        let secret = self.secret.read(deadline).await;
        let secret =
            secret.map_err(|error| Outcome::configuration("secret_access_key", error.to_string()))?;
        let (operations, looks_for_leftovers) = match depth {
            // HEAD of the bucket: nothing is written to a store that may be half dead.
            Depth::Light => (vec![Operation::Head], false),
            Depth::Full => {
                self.cycles += 1;
                (self.operations.clone(), (self.cycles - 1).is_multiple_of(CYCLES_PER_LOOK))
            }
        };
        Ok(Cycle {
            bucket: self.bucket.clone(),
            client: self.client(deadline).await?,
            secret: secret.unwrap_or_else(|| Secret::new("")),
            prefix: self.prefix.clone(),
            operations,
            clock: self.clock.clone(),
            now,
            timeout: self.timeout,
            deadline,
            looks_for_leftovers,
        })
    }

    async fn client(&mut self, deadline: Instant) -> Result<HttpClient, Outcome> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let (endpoint, file) = (self.bucket.endpoint.clone(), self.tls_ca_file.clone());
        let make = move || trust(&endpoint, file.as_deref());
        let made = self.authorities.run("authorities", Instant::now(), deadline, make).await;
        let made = made.map_err(|error| {
            Outcome::configuration("tls_ca_file", format!("the certificates are not read: {error}"))
        })?;
        let made = made.map_err(|error| Outcome::configuration("tls_ca_file", error.to_string()))?;
        let client = HttpClient::new(&self.supervisor, Phase::Collect, made);
        self.client = Some(client.clone());
        Ok(client)
    }

    /// No request could be made: every operation failed for that one reason.
    fn none_ran(&self, outcome: &Outcome) -> Ran {
        let failed = |operation: &Operation| outcome.clone().named(operation.word(), 0.0);
        Ran { operations: self.operations.iter().map(failed).collect(), latency_ms: 0.0 }
    }
}

/// What verifies the peer at `endpoint`. Blocking: reads files.
fn trust(endpoint: &str, authorities: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    // Without https nobody is asked for a certificate: the roots stay unread.
    if endpoint.starts_with("https:") { tls::verified(authorities) } else { tls::trusting_nobody() }
}

impl Bucket {
    /// The bucket of a section.
    fn of(section: &ObjectStore) -> Self {
        Self {
            endpoint: plain_endpoint(&section.endpoint),
            name: section.bucket.clone(),
            region: section.region.clone(),
            access_key_id: section.access_key_id.clone(),
        }
    }
}

/// The endpoint without a slash at the end and without `user:password@`, which S3
/// does not use and which would show in addresses.
fn plain_endpoint(endpoint: &str) -> String {
    let endpoint = endpoint.trim_end_matches('/');
    let Some((scheme, rest)) = endpoint.split_once("://") else { return endpoint.to_owned() };
    let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

impl Target for ObjectStoreTarget {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn address(&self) -> String {
        format!("{}/{}", self.bucket.endpoint, self.bucket.name)
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn probe(&mut self, depth: Depth) -> Pin<Box<dyn Future<Output = Probed> + Send + '_>> {
        Box::pin(self.probe_once(depth))
    }
}

#[cfg(test)]
mod tests {
    use super::plain_endpoint;

    #[test]
    fn an_endpoint_shows_no_password() {
        for (written, plain) in [
            ("http://127.0.0.1:3900/", "http://127.0.0.1:3900"),
            ("https://user:secret@host:9000", "https://host:9000"),
            ("https://host/path@x", "https://host/path@x"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(plain_endpoint(written), plain);
        }
    }
}
