//! `[[target.tcp]]`: anything that listens.
//!
//! A probe connects (`connect`), encrypts where it is told to (`tls`), and waits for
//! what the server must say by itself (`banner`, where something is expected). A
//! kernel accepts connections for a program that hangs: only `tls` and `expect` show
//! that somebody is there. So a light probe leaves nothing out.
//!
//! | class | when |
//! |---|---|
//! | hard | refused, reset, timeout; TLS fails or the certificate is not trusted; the banner is another or does not come |
//! | alive | the file of authorities is not read, the server's name is none; the name is not resolved while the last address serves |

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::timeout_at;

use super::course::Course;
use super::door::{self, Door, Line};
use super::outcome::Outcome;
use super::record::Recorder;
use super::{Depth, Probed, Surroundings, Target};
use crate::base::time::Clock;
use crate::config::address::Address;
use crate::config::target::tcp::Tcp;
use crate::model::probe::OutcomeClass;
use crate::runtime::network_failure::NetworkFailure;

const KIND: &str = "tcp";
/// What is read of a banner, bytes.
const MAX_BANNER: usize = 4 << 10;
/// What is told of a banner that is another, characters.
const SHOWN: usize = 80;

/// See the module.
pub struct TcpTarget {
    address: Address,
    expect: Option<String>,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    recorder: Recorder,
    door: Door,
}

impl TcpTarget {
    pub fn new(section: Tcp, surroundings: &Surroundings) -> Self {
        // What is no address was refused when the configuration was read.
        let address = Address::of_pair(&section.address).unwrap_or_default();
        let door = Door::new(&address, section.tls, section.tls_ca_file, &[]);
        Self {
            recorder: Recorder::new(section.name, KIND),
            door: door.named(section.server_name),
            address,
            expect: section.expect,
            timeout: section.timeout.0,
            clock: surroundings.clock.clone(),
        }
    }

    async fn probe_once(&mut self) -> Probed {
        let mut course = Course::start(&self.clock, self.timeout);
        let line = self.door.open(&mut course, &self.recorder).await;
        if let (Some(mut line), Some(expect)) = (line, &self.expect) {
            let (watch, mut heard) = (course.watch(), Vec::new());
            let hearing = hear(&mut line, expect.as_bytes(), &mut heard);
            let outcome = timeout_at(course.deadline, hearing).await;
            let outcome = outcome.unwrap_or_else(|_| match heard.as_slice() {
                [] => Outcome::timeout("the server did not say a word in time"),
                other => another(other),
            });
            course.note("banner", &watch, outcome);
        }
        course.finish(&mut self.recorder)
    }
}

/// Reads until `expect` was said.
async fn hear(line: &mut Line, expect: &[u8], heard: &mut Vec<u8>) -> Outcome {
    let mut part = [0; 512];
    while heard.len() < MAX_BANNER {
        match line.read(&mut part).await {
            Ok(0) if heard.is_empty() => {
                return Outcome::network(NetworkFailure::Reset, "the server hung up without a word");
            }
            Ok(0) => break,
            Ok(length) => heard.extend_from_slice(part.get(..length).unwrap_or_default()),
            Err(error) => return door::of_io(&error, NetworkFailure::Io),
        }
        if heard.windows(expect.len().max(1)).any(|window| window == expect) {
            return Outcome::ok();
        }
    }
    another(heard)
}

fn another(heard: &[u8]) -> Outcome {
    let said: String = String::from_utf8_lossy(heard).chars().take(SHOWN).collect();
    Outcome::new(OutcomeClass::Hard, "banner", format!("the server said something else: {}", said.trim()))
}

impl Target for TcpTarget {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn address(&self) -> String {
        self.address.shown()
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn probe(&mut self, _depth: Depth) -> Pin<Box<dyn Future<Output = Probed> + Send + '_>> {
        Box::pin(self.probe_once())
    }
}
