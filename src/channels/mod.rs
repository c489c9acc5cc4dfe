//! Where notifications go: one module per kind, registered in [`configured`] and nowhere
//! else.
//!
//! The pattern: the configuration becomes a [`Plan`] per channel, and a plan makes a
//! [`Channel`] as often as its worker is started. A channel takes a notice and says what
//! became of it; it keeps no queue, tries nothing twice and knows no other channel: when
//! to come again is decided by whoever has the outbox. A delivery never fails: what went
//! wrong is in its [`Outcome`]. Wrong would be a delivery without a bound, or one whose
//! answer shows a secret.

pub mod alertmanager;
pub mod console;
pub mod discord;
pub mod email;
pub mod exec;
pub mod file;
pub mod gotify;
pub mod heartbeat;
pub mod look;
pub mod ntfy;
pub mod outcome;
pub mod pagerduty;
pub mod slack;
pub mod telegram;
pub mod web;
pub mod webhook;
pub mod wording;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use self::outcome::{Exchange, Outcome, Verdict};
use crate::base::id::Name;
use crate::base::secret::Secret;
use crate::base::time::Clock;
use crate::config::Config;
use crate::config::channel::{Common, Section};
use crate::config::listed::fingerprint;
pub use crate::model::message::Context;
use crate::model::notice::Notice;
use crate::runtime::supervisor::Supervisor;

/// A delivery under way.
pub type Delivery<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// A way to tell somebody.
pub trait Channel: Send {
    /// `webhook`, `email`: the section, the file and the label.
    fn kind(&self) -> &'static str;
    /// Delivers `notice` once, within the channel's deadline. The test of a channel is the
    /// same with a notice of that kind: what was really sent and answered is in the
    /// outcome's exchange. A heartbeat pings, whatever the notice says.
    fn deliver<'a>(&'a mut self, notice: &'a Notice, context: &'a Context) -> Delivery<'a>;
}

/// What channels need besides their own section.
#[derive(Clone)]
pub struct Surroundings {
    pub clock: Arc<dyn Clock>,
    pub supervisor: Supervisor,
    /// The process environment as it was at the start, for `*_env` keys.
    pub environment: Arc<BTreeMap<String, Secret>>,
    /// The agent's own directory, where files of notices go that have no folder.
    pub data_dir: PathBuf,
}

/// A channel as configured.
#[derive(Clone)]
pub struct Plan {
    pub name: Name,
    pub kind: &'static str,
    /// Where it leads, for people; without secrets.
    pub address: String,
    /// Whether anything is to go there.
    pub enabled: bool,
    pub timeout: Duration,
    /// Whether it is told that an alert is over.
    pub send_resolved: bool,
    /// Of a heartbeat: between two pings. No notice goes to such a channel.
    pub heartbeat: Option<Duration>,
    /// Differs when anything in the channel's section differs, secrets included.
    pub fingerprint: [u8; 32],
    make: Arc<dyn Fn() -> Box<dyn Channel> + Send + Sync>,
}

impl Plan {
    /// A channel that has delivered nothing yet.
    pub fn make(&self) -> Box<dyn Channel> {
        (self.make)()
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} at {}", self.kind, self.name, self.address)
    }
}

/// What a kind makes of its section.
struct Made {
    address: String,
    channel: Box<dyn Channel>,
}

/// The credential of the fields `key`, `key_file` and `key_env` of a section.
macro_rules! credential {
    ($section:expr, $key:ident, $file:ident, $variable:ident, $surroundings:expr) => {
        $crate::runtime::credential::Credential::of(
            $section.$key.as_ref(),
            $section.$file.as_deref(),
            $section.$variable.as_deref(),
            &$surroundings.environment,
        )
    };
}
use credential;

/// Every configured channel, in the order of the configuration. The one list that
/// registers a kind.
pub fn configured(config: &Config, surroundings: &Surroundings) -> Vec<Plan> {
    let mut plans = Vec::new();
    let channel = &config.channel;
    plan_all(&mut plans, &channel.console, surroundings, console::make);
    plan_all(&mut plans, &channel.file, surroundings, file::make);
    plan_all(&mut plans, &channel.email, surroundings, email::make);
    plan_all(&mut plans, &channel.webhook, surroundings, webhook::make);
    plan_all(&mut plans, &channel.slack, surroundings, slack::make);
    plan_all(&mut plans, &channel.ntfy, surroundings, ntfy::make);
    plan_all(&mut plans, &channel.gotify, surroundings, gotify::make);
    plan_all(&mut plans, &channel.telegram, surroundings, telegram::make);
    plan_all(&mut plans, &channel.discord, surroundings, discord::make);
    plan_all(&mut plans, &channel.pagerduty, surroundings, pagerduty::make);
    plan_all(&mut plans, &channel.alertmanager, surroundings, alertmanager::make);
    plan_all(&mut plans, &channel.exec, surroundings, exec::make);
    plan_all(&mut plans, &channel.heartbeat, surroundings, heartbeat::make);
    plans
}

fn plan_all<S>(
    plans: &mut Vec<Plan>,
    sections: &[S],
    surroundings: &Surroundings,
    make: fn(&S, &Surroundings) -> Made,
) where
    S: Section + serde::Serialize + Clone + Send + Sync + 'static,
{
    for section in sections {
        let Common { name, enabled, timeout, send_resolved, heartbeat, .. } = section.common();
        let (made, surroundings) = (section.clone(), surroundings.clone());
        plans.push(Plan {
            name: name.clone(),
            kind: section.kind(),
            address: make(section, &surroundings).address,
            enabled,
            timeout: timeout.0,
            send_resolved,
            heartbeat: heartbeat.map(|interval| interval.0),
            fingerprint: fingerprint(section, &section.secrets()),
            make: Arc::new(move || make(&made, &surroundings).channel),
        });
    }
}
