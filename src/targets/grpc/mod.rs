//! `[[target.grpc]]`: one server, by the health service of gRPC.
//!
//! A probe opens a fresh connection (`connect`, `tls`) and calls
//! `grpc.health.v1.Health/Check` on it (`check`). There is nothing cheaper that shows
//! whether the server serves, so a light probe is the same.

mod call;
mod outcome;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout_at;

use self::call::Answer;
use super::course::Course;
use super::door::Door;
use super::outcome::Outcome;
use super::record::Recorder;
use super::{Depth, Probed, Surroundings, Target};
use crate::base::time::Clock;
use crate::config::address::Address;
use crate::config::target::grpc::Grpc;

const KIND: &str = "grpc";

/// See the module.
pub struct GrpcTarget {
    address: Address,
    service: String,
    tls: bool,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    recorder: Recorder,
    door: Door,
}

impl GrpcTarget {
    pub fn new(section: Grpc, surroundings: &Surroundings) -> Self {
        // What is no address was refused when the configuration was read.
        let address = Address::of_pair(&section.address).unwrap_or_default();
        Self {
            recorder: Recorder::new(section.name, KIND),
            door: Door::new(&address, section.tls, section.tls_ca_file, &["h2"]),
            address,
            service: section.service,
            tls: section.tls,
            timeout: section.timeout.0,
            clock: surroundings.clock.clone(),
        }
    }

    async fn probe_once(&mut self) -> Probed {
        let mut course = Course::start(&self.clock, self.timeout);
        self.check(&mut course).await;
        course.finish(&mut self.recorder)
    }

    async fn check(&mut self, course: &mut Course) -> Option<()> {
        let watch = course.watch();
        let line = self.door.open(course, &self.recorder).await?;
        let connect_ms = watch.read();
        let watch = course.watch();
        let scheme = if self.tls { "https" } else { "http" };
        let authority = self.address.authority();
        let asked = call::check(line, scheme, &authority, &self.service);
        let answer = timeout_at(course.deadline, asked)
            .await
            .unwrap_or_else(|_| Err(Outcome::timeout("no answer to the health check in time")));
        if let Ok(answer) = &answer {
            self.write(answer, course);
        }
        let outcome = answer.map_or_else(|outcome| outcome, |answer| outcome::of(&answer));
        let check_ms = course.note("check", &watch, outcome);
        let [kind, target] = self.recorder.labels();
        course.frame.gauge("probe_grpc_duration_seconds", "Duration of gRPC request by phase");
        for (phase, ms) in [("connect", connect_ms), ("check", check_ms)] {
            course.frame.push(&[kind, ("phase", phase), target], ms / 1000.0);
        }
        Some(())
    }

    /// What the server answered, under blackbox_exporter's names.
    fn write(&self, answer: &Answer, course: &mut Course) {
        let [kind, target] = self.recorder.labels();
        course
            .frame
            .gauge("probe_grpc_ssl", "Indicates if SSL was used for the connection")
            .push(&[kind, target], f64::from(u8::from(self.tls)));
        let Answer::Status { code, serving, .. } = answer else { return };
        course
            .frame
            .gauge("probe_grpc_status_code", "Response gRPC status code")
            .push(&[kind, target], f64::from(*code))
            .gauge("probe_grpc_healthcheck_response", "Response HealthCheck response");
        // A refusal may come with an empty message, which says nothing of the health.
        let word = serving.filter(|_| *code == 0).map(outcome::serving_word);
        for known in outcome::SERVING {
            let is = f64::from(u8::from(word == Some(known)));
            course.frame.push(&[kind, ("serving_status", known), target], is);
        }
    }
}

impl Target for GrpcTarget {
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
