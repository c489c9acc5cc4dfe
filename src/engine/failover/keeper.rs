//! Starts and stops groups and endpoints as the configuration names them, hands on what
//! is asked, and shows all groups together.
//!
//! An endpoint outlives its group's task: what the route was stays until the task says
//! otherwise, so starting a group again cuts nobody off.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::group::{self, Routes};
use super::handle::{self, CommandError, Wiring};
use super::{Ask, Plan, past};
use crate::base::id::Name;
use crate::base::secret::Secret;
use crate::config::Config;
use crate::config::failover::Group;
use crate::config::target::postgres::Postgres;
use crate::logic::alert::Raise;
use crate::model::failover::group::Refusal;
use crate::model::failover::route::Route;
use crate::model::failover::view::GroupView;
use crate::model::frame::Frame;
use crate::runtime::breakers::Breakers;
use crate::runtime::bus::Bus;
use crate::runtime::proxy::{Endpoint, Options, Proxy, counters};
use crate::runtime::seal::Sealer;
use crate::runtime::supervisor::{Phase, Policy, TaskResult};
use crate::store::Store;
use crate::store::beside::Beside;
use crate::targets::Surroundings;

/// Asks that wait for one group.
const ASKS: usize = 8;
/// Between two samples of the endpoints' counters.
const COUNT_EVERY: Duration = Duration::from_secs(10);

/// The groups as they were last shown, in the order of the configuration.
pub struct Views {
    wiring: Wiring,
    shown: Mutex<Shown>,
}

/// Names in the order of the configuration, and what each group last showed.
#[derive(Default)]
struct Shown {
    order: Vec<Name>,
    views: BTreeMap<Name, Arc<GroupView>>,
}

impl Views {
    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn show(&self, name: &Name, view: Arc<GroupView>) {
        let mut shown = self.lock();
        if shown.order.contains(name) {
            shown.views.insert(name.clone(), view);
        }
        self.publish(&shown);
    }

    fn order(&self, names: Vec<Name>) {
        let mut shown = self.lock();
        shown.views.retain(|name, _| names.contains(name));
        shown.order = names;
        self.publish(&shown);
    }

    fn publish(&self, shown: &Shown) {
        let views = shown.order.iter().filter_map(|name| shown.views.get(name)).map(|view| (**view).clone());
        self.wiring.show(views.collect());
    }
}

/// Hands an event to whoever keeps alerts.
pub type RaiseAlert = Arc<dyn Fn(Raise) + Send + Sync>;

/// What the keeper is built of.
#[derive(Clone)]
pub struct Parts {
    pub config: watch::Receiver<Arc<Config>>,
    pub surroundings: Surroundings,
    pub store: Store,
    pub bus: Bus,
    pub breakers: Breakers,
    pub sealer: Sealer,
    /// Raises an alert about an event, without waiting.
    pub raise: RaiseAlert,
    pub wiring: Wiring,
}

/// A listener that runs, and where its route comes from.
struct Door {
    listen: String,
    proxy: Proxy,
    removed: CancellationToken,
}

/// A group that runs.
struct Slot {
    section: String,
    removed: CancellationToken,
    asks: mpsc::Sender<Ask>,
    write: Arc<watch::Sender<Route>>,
    read: Arc<watch::Sender<Route>>,
}

/// See the module.
pub struct Keeper {
    parts: Parts,
    views: Arc<Views>,
    slots: BTreeMap<Name, Slot>,
    doors: BTreeMap<(Name, bool), Door>,
    /// Endpoints whose port could not be had, which was told.
    closed: BTreeMap<(Name, bool), String>,
    locks: Locks,
}

/// The lock of each group whose task runs or may still be stopping: a group that is removed
/// and made again at once must wait for the former task, whose last commit may be on its way.
#[derive(Default)]
struct Locks(BTreeMap<Name, Arc<AsyncMutex<()>>>);

impl Locks {
    fn of(&mut self, group: &Name) -> Arc<AsyncMutex<()>> {
        self.0.retain(|_, lock| Arc::strong_count(lock) > 1);
        self.0.entry(group.clone()).or_default().clone()
    }
}

impl Keeper {
    pub fn new(parts: Parts) -> Self {
        let views = Arc::new(Views { wiring: parts.wiring.clone(), shown: Mutex::default() });
        Self {
            parts,
            views,
            slots: BTreeMap::new(),
            doors: BTreeMap::new(),
            closed: BTreeMap::new(),
            locks: Locks::default(),
        }
    }

    /// Follows the configuration until `stop`.
    pub async fn run(mut self, stop: CancellationToken) -> TaskResult {
        let mut config = self.parts.config.clone();
        let mut count = tokio::time::interval(COUNT_EVERY);
        loop {
            let wanted = config.borrow_and_update().clone();
            self.forget(&wanted).await;
            self.follow(&wanted);
            loop {
                let wiring = self.parts.wiring.clone();
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    changed = config.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => {
                            stop.cancelled().await;
                            return Ok(());
                        }
                    },
                    Some(ask) = wiring.next_ask() => self.hand_on(ask),
                    _ = count.tick() => {
                        self.count();
                        self.open_all(&wanted);
                    }
                }
            }
        }
    }

    /// A group that is removed keeps its epochs, for the day on which it is made again.
    async fn forget(&self, config: &Config) {
        let configured: Vec<_> = config.failover.group.iter().map(|group| group.name.clone()).collect();
        let beside = Beside::new(&config.data_dir);
        if let Err(error) = past::forget(&self.parts.store, &beside, &configured).await {
            tracing::warn!(error, "failover groups that were removed are not forgotten");
        }
    }

    /// Makes what runs what `config` names.
    fn follow(&mut self, config: &Config) {
        let groups = &config.failover.group;
        self.views.order(groups.iter().map(|group| group.name.clone()).collect());
        let gone: Vec<_> = self
            .slots
            .keys()
            .filter(|name| groups.iter().all(|group| group.name != **name))
            .cloned()
            .collect();
        for name in gone {
            if let Some(slot) = self.slots.remove(&name) {
                slot.removed.cancel();
            }
        }
        self.doors.retain(|(name, reading), door| {
            let wanted = groups
                .iter()
                .find(|group| group.name == *name)
                .and_then(|group| if *reading { group.listen_read.as_ref() } else { Some(&group.listen) });
            let same = wanted == Some(&door.listen);
            if !same {
                door.removed.cancel();
            }
            same
        });
        for group in groups {
            self.start(group, config);
            for ((name, _), door) in &self.doors {
                if *name == group.name {
                    door.proxy.adjust(group.hold_max.0, group.max_connections as usize);
                }
            }
        }
        self.open_all(config);
    }

    /// Opens what is not open: also a port that somebody else had, or that a door which was just
    /// removed has for a moment more.
    fn open_all(&mut self, config: &Config) {
        for group in &config.failover.group {
            self.open(group, false, Some(&group.listen));
            self.open(group, true, group.listen_read.as_ref());
        }
    }

    fn start(&mut self, group: &Group, config: &Config) {
        let members: Vec<_> = group
            .members
            .iter()
            .filter_map(|name| config.target.postgres.iter().find(|section| section.name == *name))
            .cloned()
            .collect();
        let section = fingerprint(group, &members);
        if self.slots.get(&group.name).is_some_and(|slot| slot.section == section) {
            return;
        }
        let former = self.slots.remove(&group.name);
        let (write, read) = match former {
            Some(slot) => {
                slot.removed.cancel();
                (slot.write, slot.read)
            }
            None => (closed_door(), closed_door()),
        };
        let lock = self.locks.of(&group.name);
        let routes = Routes { write: write.clone(), read: read.clone() };
        let plan = Plan {
            section: group.clone(),
            members,
            surroundings: self.parts.surroundings.clone(),
            store: self.parts.store.clone(),
            bus: self.parts.bus.clone(),
            breakers: self.parts.breakers.clone(),
            sealer: self.parts.sealer.clone(),
            raise: self.parts.raise.clone(),
            data_dir: config.data_dir.clone(),
            routes,
            views: self.views.clone(),
        };
        let (asks, asked) = mpsc::channel(ASKS);
        let asked = Arc::new(AsyncMutex::new(asked));
        let removed = CancellationToken::new();
        let (held, ended) = (lock, removed.clone());
        let name = format!("failover {}", group.name);
        self.parts.surroundings.supervisor.spawn(name, Policy::Restart, Phase::Engine, move |stop| {
            let (plan, asked, held, ended) = (plan.clone(), asked.clone(), held.clone(), ended.clone());
            async move {
                let _alone = held.lock().await;
                let mut asked = asked.lock().await;
                let until = CancellationToken::new();
                let run = group::run(plan, &mut asked, &until);
                tokio::pin!(run);
                tokio::select! {
                    result = &mut run => return result,
                    () = stop.cancelled() => {}
                    () = ended.cancelled() => {}
                }
                until.cancel();
                run.await
            }
        });
        let slot = Slot { section, removed, asks, write, read };
        self.slots.insert(group.name.clone(), slot);
    }

    /// Opens an endpoint that is not open yet. A port that is taken is told of once, and tried
    /// again from time to time.
    fn open(&mut self, group: &Group, reading: bool, listen: Option<&String>) {
        let key = (group.name.clone(), reading);
        let Some(listen) = listen.filter(|_| !self.doors.contains_key(&key)) else { return };
        let Some(slot) = self.slots.get(&group.name) else { return };
        let route = if reading { slot.read.clone() } else { slot.write.clone() };
        let options = Options {
            group: group.name.clone(),
            endpoint: if reading { Endpoint::Read } else { Endpoint::Write },
            listen: listen.clone(),
            hold_max: group.hold_max.0,
            max_connections: group.max_connections as usize,
        };
        let supervisor = self.parts.surroundings.supervisor.clone();
        let proxy = match Proxy::bind(options) {
            Ok(proxy) => proxy,
            Err(error) => {
                if self.closed.insert(key, listen.clone()).as_ref() != Some(listen) {
                    tracing::error!(group = %group.name, %error, "the endpoint of a failover group is closed");
                }
                return;
            }
        };
        self.closed.remove(&key);
        let removed = CancellationToken::new();
        let (running, routes, ended) = (proxy.clone(), route.clone(), removed.clone());
        let name = format!("endpoint {} {listen}", group.name);
        let spawner = supervisor.clone();
        supervisor.spawn(name, Policy::Restart, Phase::Serve, move |stop| {
            let (proxy, routes, ended) = (running.clone(), routes.subscribe(), ended.clone());
            let spawner = spawner.clone();
            async move {
                tokio::select! {
                    ended = proxy.run(routes, &spawner, &stop) => ended,
                    () = ended.cancelled() => Ok(()),
                }
            }
        });
        let door = Door { listen: listen.clone(), proxy, removed };
        self.doors.insert(key, door);
    }

    /// The counters of the endpoints, as series.
    fn count(&self) {
        let endpoints: Vec<_> = self
            .doors
            .iter()
            .map(|((group, reading), door)| {
                let endpoint = if *reading { Endpoint::Read } else { Endpoint::Write };
                (group.clone(), endpoint, door.proxy.counters())
            })
            .collect();
        let mut frame = Frame::new();
        counters::push_all(&mut frame, &endpoints);
        if !endpoints.is_empty() {
            self.parts.store.append("failover", self.parts.surroundings.clock.now(), &frame);
        }
    }

    fn hand_on(&self, ask: handle::Ask) {
        let (group, ask) = match ask {
            handle::Ask::Command { group, command, reply } => {
                let (answer, answered) = oneshot::channel();
                self.forward(answered, reply, |refused: Result<(), Refusal>| {
                    refused.map_err(CommandError::Refused)
                });
                (group, Ask::Command { command, reply: answer })
            }
            handle::Ask::Check { group, reply } => {
                let (answer, answered) = oneshot::channel();
                self.forward(answered, reply, Ok);
                (group, Ask::Check { reply: answer })
            }
        };
        // A queue that is full or gone drops the ask, which tells whoever waits.
        let _ = self.slots.get(&group).map(|slot| slot.asks.try_send(ask));
    }

    /// Hands the answer of a group's task on to whoever asked.
    fn forward<A, B>(
        &self,
        from: oneshot::Receiver<A>,
        to: oneshot::Sender<Result<B, CommandError>>,
        turn: impl FnOnce(A) -> Result<B, CommandError> + Send + 'static,
    ) where
        A: Send + 'static,
        B: Send + 'static,
    {
        self.parts.surroundings.supervisor.spawn_once(Phase::Engine, async move {
            let answer = match from.await {
                Ok(answer) => turn(answer),
                Err(_) => Err(CommandError::NoGroup),
            };
            let _ = to.send(answer);
        });
    }
}

impl Drop for Keeper {
    /// A keeper that failed is built anew, and takes the ports again.
    fn drop(&mut self) {
        self.slots.values().for_each(|slot| slot.removed.cancel());
        self.doors.values().for_each(|door| door.removed.cancel());
    }
}

fn closed_door() -> Arc<watch::Sender<Route>> {
    let reason = String::from("looking which member is the primary");
    Arc::new(watch::Sender::new(Route { reason, ..Route::default() }))
}

/// Differs when anything of the group or its members does, secrets included.
fn fingerprint(group: &Group, members: &[Postgres]) -> String {
    let secrets: Vec<_> =
        members.iter().flat_map(|member| member.password.iter().map(Secret::expose)).collect();
    let text = serde_json::to_string(&(group, members)).unwrap_or_default();
    let mut hash = sha2::Sha256::default();
    sha2::Digest::update(&mut hash, text);
    for secret in secrets {
        sha2::Digest::update(&mut hash, secret);
    }
    format!("{:x?}", sha2::Digest::finalize(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_is_made_again_waits_for_its_former_task() {
        let (main, other) = (Name::new("main").unwrap(), Name::new("other").unwrap());
        let mut locks = Locks::default();
        let former = locks.of(&main);
        let running = former.try_lock().unwrap();
        assert!(locks.of(&main).try_lock().is_err() && locks.of(&other).try_lock().is_ok());
        drop(running);
        drop(former);
        assert!(locks.of(&other).try_lock().is_ok() && locks.0.len() == 1, "nobody holds the other's");
    }
}
