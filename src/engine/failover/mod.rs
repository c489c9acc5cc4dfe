//! Supervision of failover groups: one task per group, one endpoint or two per group.
//!
//! ```text
//! configuration --> keeper --> per group: task (protocol, members) --routes--> proxies
//! handler --Ask--> keeper --> the group's queue --> task --> answer
//! ```
//! The keeper starts and stops what the configuration names. A proxy lives as long as
//! its address stands in the configuration: a group that is started again, because a
//! member changed or its task failed, takes up the routes where they were and cuts
//! nobody. Two tasks of one group never run at once, whatever order they are told to
//! stop and start in: each holds the group's lock while it runs.

mod actor;
mod group;
pub mod handle;
mod hook;
pub mod keeper;
mod looker;
mod memory;
pub mod news;
mod past;
mod show;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use self::group::Routes;
use self::keeper::Views;
use crate::base::id::Name;
use crate::base::secret::Secret;
use crate::base::time::Monotonic;
use crate::config::failover::{Group, TierChoice};
use crate::config::target::postgres::Postgres;
use crate::logic::failover::{Answer, CallError, CallId, Command, Core, Settings, Watch};
use crate::model::breaker::BreakerState;
use crate::model::failover::group::Refusal;
use crate::model::failover::route::Address;
use crate::model::failover::sighting::{Failure, Sighting};
use crate::model::failover::view::{CheckReport, Finding, GroupView};
use crate::runtime::breakers::Breakers;
use crate::runtime::bus::Bus;
use crate::runtime::seal::Sealer;
use crate::store::Store;
use crate::targets::Surroundings;
use crate::targets::postgres::member::Peer;

/// Between two looks at a member, and the deadline of one: supervision is not gated by
/// the breaker and not slowed by the target's own interval.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOK_WITHIN: Duration = Duration::from_secs(1);

/// What lookers, actors and hooks tell the task of the group.
enum Input {
    Looked {
        member: Name,
        asked: Monotonic,
        sighting: Box<Sighting>,
        conninfo: Option<Secret>,
        problem: Option<String>,
    },
    Lost {
        member: Name,
        why: Failure,
    },
    Done {
        call: CallId,
        result: Result<Answer, CallError>,
    },
    Checked {
        findings: Vec<Finding>,
        /// Whether those that could be asked have a `restore_command`.
        restores: Vec<(Name, bool)>,
    },
}

/// What is asked of one group.
enum Ask {
    Command { command: Command, reply: oneshot::Sender<Result<(), Refusal>> },
    Check { reply: oneshot::Sender<CheckReport> },
}

/// All that the task of a group needs; cloned when it is started again.
#[derive(Clone)]
struct Plan {
    section: Group,
    /// Its members' targets, in the order of their priority.
    members: Vec<Postgres>,
    surroundings: Surroundings,
    store: Store,
    bus: Bus,
    breakers: Breakers,
    sealer: Sealer,
    raise: keeper::RaiseAlert,
    data_dir: PathBuf,
    routes: Routes,
    views: Arc<Views>,
}

impl Plan {
    const fn name(&self) -> &Name {
        &self.section.name
    }

    fn address(&self, member: &Name) -> Option<Address> {
        let section = self.members.iter().find(|section| section.name == *member)?;
        Some(Address { member: member.clone(), host: section.host.clone(), port: section.port })
    }

    fn breaker(&self, member: &Name) -> Option<BreakerState> {
        self.breakers.get(member.as_str()).map(|breaker| breaker.view().state)
    }

    fn show(&self, view: Arc<GroupView>) {
        self.views.show(self.name(), view);
    }

    /// The members as the check of one of them needs to know them.
    fn peers(&self, core: &Core) -> Vec<Peer> {
        let peer = |section: &Postgres| {
            let watch = core.watch(&section.name);
            Peer {
                name: section.name.clone(),
                application_name: watch.and_then(|watch: &Watch| watch.application_name.clone()),
                slot: watch.and_then(|watch| watch.slot.clone()),
            }
        };
        self.members.iter().map(peer).collect()
    }

    fn settings(&self) -> Settings {
        let section = &self.section;
        Settings {
            members: section.members.clone(),
            enabled: section.enabled,
            mode: section.mode,
            switch: section.tier == TierChoice::Switch,
            fenced: section.tier == TierChoice::Fenced,
            sync: section.tier == TierChoice::Sync,
            fence_hook: section.fence_hook.is_some(),
            rejoin_hook: section.rejoin_hook.is_some(),
            max_lag: section.max_lag.0,
            cooldown: section.cooldown.0,
            max_per_day: section.max_per_day,
            restart_grace: section.restart_grace.0,
            path_hold: section.path_hold.0,
            allow_path_failover: section.allow_path_failover,
            fence_on_return: section.fence_on_return,
            failover_on_read_only: section.failover_on_read_only,
            interval: LOOK_EVERY,
            timeout: LOOK_WITHIN,
            hold_max: section.hold_max.0,
        }
    }
}
