//! What is probed: one module per kind, registered in [`configured`] and nowhere else.
//!
//! The pattern: the configuration becomes a [`Plan`] per target, and a plan makes
//! a [`Target`] as often as its worker is started. A target takes its
//! configuration and returns data; it knows no store, no HTTP surface and no other
//! target. A probe never fails: what went wrong is in its record, under the class
//! its own kind's table gives it. Wrong would be a probe without a bound: each has
//! one deadline over everything it does.

pub mod course;
pub mod door;
pub mod grpc;
pub mod http;
pub mod nostr;
pub mod object_store;
pub mod outcome;
pub mod postgres;
pub mod record;
pub mod redis;
pub mod systemd;
pub mod tcp;
pub mod trust;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::base::id::Name;
use crate::base::secret::Secret;
use crate::base::time::Clock;
use crate::config::Config;
use crate::config::listed::fingerprint;
use crate::config::target::breaker::Breaker;
use crate::config::target::{Common, Section};
use crate::model::connections::Connections;
use crate::model::frame::Frame;
use crate::model::probe::ProbeRecord;
use crate::runtime::supervisor::Supervisor;

/// One finished probe: the record for people, the frame for the ring.
#[derive(Debug)]
pub struct Probed {
    pub record: ProbeRecord,
    pub frame: Frame,
}

/// How much of a probe is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Every configured operation, and statistics where they are due.
    Full,
    /// The cheapest operation that shows whether the target serves, and nothing else:
    /// what is sent to a target behind an open breaker.
    Light,
}

/// A thing that is probed.
pub trait Target: Send {
    /// `postgres`, `object_store`: the section, the file and the label.
    fn kind(&self) -> &'static str;
    /// Address for people, without credentials.
    fn address(&self) -> String;
    /// The total deadline of a probe.
    fn timeout(&self) -> Duration;
    /// Probes once within the target's total deadline. Never fails: what went
    /// wrong is in the record.
    fn probe(&mut self, depth: Depth) -> Pin<Box<dyn Future<Output = Probed> + Send + '_>>;
    /// The connections it keeps between two probes, where it keeps any.
    fn connections(&self) -> Option<Connections> {
        None
    }
}

/// What targets need besides their own section.
#[derive(Clone)]
pub struct Surroundings {
    /// Names this agent among those that probe the same bucket.
    pub agent: String,
    pub clock: Arc<dyn Clock>,
    pub supervisor: Supervisor,
    /// The process environment as it was at the start, for `*_env` keys.
    pub environment: Arc<BTreeMap<String, Secret>>,
}

/// A target as configured.
#[derive(Clone)]
pub struct Plan {
    pub name: Name,
    pub kind: &'static str,
    pub address: String,
    /// Whether it is to be probed.
    pub enabled: bool,
    pub interval: Duration,
    pub timeout: Duration,
    pub breaker: Breaker,
    /// Differs when anything in the target's section differs, secrets included.
    pub fingerprint: [u8; 32],
    make: Arc<dyn Fn() -> Box<dyn Target> + Send + Sync>,
}

impl Plan {
    /// A target that has probed nothing yet.
    pub fn make(&self) -> Box<dyn Target> {
        (self.make)()
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} at {}", self.kind, self.name, self.address)
    }
}

/// What is to be probed: every configured target, or nothing while collecting is
/// switched off.
pub fn plans(config: &Config, surroundings: &Surroundings) -> Vec<Plan> {
    if config.collect.enabled { configured(config, surroundings) } else { Vec::new() }
}

/// Every configured target, in the order of the configuration. The one list that
/// registers a kind.
fn configured(config: &Config, surroundings: &Surroundings) -> Vec<Plan> {
    let mut plans = Vec::new();
    let target = &config.target;
    plan_all(&mut plans, &target.postgres, surroundings, postgres::PostgresTarget::new);
    plan_all(&mut plans, &target.object_store, surroundings, object_store::ObjectStoreTarget::new);
    plan_all(&mut plans, &target.redis, surroundings, redis::RedisTarget::new);
    plan_all(&mut plans, &target.grpc, surroundings, grpc::GrpcTarget::new);
    plan_all(&mut plans, &target.nostr, surroundings, nostr::NostrTarget::new);
    plan_all(&mut plans, &target.http, surroundings, http::HttpTarget::new);
    plan_all(&mut plans, &target.tcp, surroundings, tcp::TcpTarget::new);
    plan_all(&mut plans, &target.systemd, surroundings, systemd::SystemdTarget::new);
    plans
}

/// Every configured target, made.
pub fn build(config: &Config, surroundings: &Surroundings) -> Vec<Box<dyn Target>> {
    configured(config, surroundings).iter().map(Plan::make).collect()
}

fn plan_all<S, T>(
    plans: &mut Vec<Plan>,
    sections: &[S],
    surroundings: &Surroundings,
    new: fn(S, &Surroundings) -> T,
) where
    S: Section + serde::Serialize + Clone + Send + Sync + 'static,
    T: Target + 'static,
{
    for section in sections {
        let Common { name, enabled, interval, timeout, breaker } = section.common();
        let (made, surroundings) = (section.clone(), surroundings.clone());
        plans.push(Plan {
            name: name.clone(),
            kind: section.kind(),
            address: new(made.clone(), &surroundings).address(),
            enabled,
            interval: interval.0,
            timeout: timeout.0,
            breaker: breaker.clone(),
            fingerprint: fingerprint(section, &section.secrets()),
            make: Arc::new(move || Box::new(new(made.clone(), &surroundings))),
        });
    }
}
