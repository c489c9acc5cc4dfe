//! `[[target.nostr]]`: one relay, as its clients use it.
//!
//! A probe opens a WebSocket (`connect`, `tls`, `upgrade`), asks for one stored note
//! and waits for the end of what is stored (`req`, NIP-01), and reads what the relay
//! tells of itself (`info`, NIP-11). A relay may tell nothing of itself, so `info` is
//! never worse than alive. A light probe leaves it out.

mod information;
mod outcome;
mod subscription;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout_at;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::course::Course;
use super::door::{Door, Line};
use super::outcome::Outcome;
use super::record::Recorder;
use super::trust::Trust;
use super::{Depth, Probed, Surroundings, Target};
use crate::base::id::Name;
use crate::base::time::Clock;
use crate::config::address::Address;
use crate::config::target::nostr::Nostr;
use crate::runtime::http_client::HttpClient;
use crate::runtime::supervisor::{Phase, Supervisor};

const KIND: &str = "nostr";
/// Longest message that is read, bytes: relays bound events far below.
const MAX_MESSAGE: usize = 1 << 20;

/// See the module.
pub struct NostrTarget {
    name: Name,
    address: Address,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    supervisor: Supervisor,
    recorder: Recorder,
    door: Door,
    /// For `info`, which is asked over HTTP.
    trust: Trust,
    client: Option<HttpClient>,
}

impl NostrTarget {
    pub fn new(section: Nostr, surroundings: &Surroundings) -> Self {
        // What is no address was refused when the configuration was read.
        let address = section.place().unwrap_or_default();
        Self {
            recorder: Recorder::new(section.name.clone(), KIND),
            name: section.name,
            door: Door::new(&address, address.scheme == "wss", section.tls_ca_file.clone(), &[]),
            address,
            timeout: section.timeout.0,
            clock: surroundings.clock.clone(),
            supervisor: surroundings.supervisor.clone(),
            trust: Trust::new(section.tls_ca_file, &[]),
            client: None,
        }
    }

    async fn probe_once(&mut self, depth: Depth) -> Probed {
        let mut course = Course::start(&self.clock, self.timeout);
        let asked = self.subscribe(&mut course).await;
        course
            .frame
            .gauge("holdfast_nostr_up", "Whether the relay sent what it has stored at the last probe.")
            .push(&[("target", self.name.as_str())], f64::from(u8::from(asked == Some(true))));
        if asked.is_some() && depth == Depth::Full {
            course.served();
            let watch = course.watch();
            let read = self.inform(&course).await;
            if let Some(document) = course.step("info", &watch, read) {
                information::write(&document, self.name.as_str(), &mut course.frame);
            }
        }
        course.finish(&mut self.recorder)
    }

    /// Everything up to `req`: whether it went well, `None` where it was not tried.
    async fn subscribe(&mut self, course: &mut Course) -> Option<bool> {
        let line = self.door.open(course, &self.recorder).await?;
        let watch = course.watch();
        let upgraded = timeout_at(course.deadline, upgrade(&self.address, line)).await;
        let upgraded = upgraded.unwrap_or_else(|_| Err(Outcome::timeout("no WebSocket within the deadline")));
        let mut socket = course.step("upgrade", &watch, upgraded)?;
        let watch = course.watch();
        let outcome = subscription::run(&mut socket, course.deadline).await;
        let served = outcome.is_ok();
        let milliseconds = course.note("req", &watch, outcome);
        if served {
            course
                .frame
                .gauge(
                    "holdfast_nostr_eose_seconds",
                    "From the question to the end of what is stored, in seconds.",
                )
                .push(&[("target", self.name.as_str())], milliseconds / 1000.0);
            subscription::farewell(socket, course.deadline).await;
        }
        Some(served)
    }

    async fn inform(&mut self, course: &Course) -> Result<serde_json::Value, Outcome> {
        let client = match &self.client {
            Some(client) => client.clone(),
            None => {
                let (config, _) = self.trust.config(course.deadline).await?;
                self.client.insert(HttpClient::new(&self.supervisor, Phase::Collect, config)).clone()
            }
        };
        let read = information::read(&client, &self.address, course.deadline).await;
        if read.as_ref().is_err_and(|outcome| outcome.code == "tls") {
            self.client = None;
            self.trust.forget();
        }
        read
    }
}

async fn upgrade(address: &Address, line: Line) -> Result<WebSocketStream<Line>, Outcome> {
    let path = if address.path.is_empty() { "/" } else { &address.path };
    let url = format!("{}://{}{path}", address.scheme, address.authority());
    let request = url.into_client_request().map_err(|_| Outcome::configuration("url", "it is no address"))?;
    let bounds =
        WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
    let made = client_async_with_config(request, line, Some(bounds)).await;
    made.map(|(socket, _)| socket).map_err(|error| outcome::of_error(&error))
}

impl Target for NostrTarget {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn address(&self) -> String {
        self.address.shown()
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn probe(&mut self, depth: Depth) -> Pin<Box<dyn Future<Output = Probed> + Send + '_>> {
        Box::pin(self.probe_once(depth))
    }
}
