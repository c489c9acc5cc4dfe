//! The servers' end of the agent's looks and calls: parked, late, lost and answered.

use holdfast::logic::failover::{Answer, CallError};
use holdfast::model::failover::sighting::{Facts, Failure, FailureClass, Sighting};

use crate::node::{Host, Process, Time, Waiter};
use crate::server::{conninfo, no};
use crate::world::{Ev, World};

/// What waits at a server that does not run, or on a way that is blocked.
#[derive(Default)]
pub struct Parked {
    pub looks: Vec<(Host, u64)>,
    pub calls: Vec<(Host, u64)>,
    /// Calls whose packets did not get through, and the incarnation they were meant for.
    pub limbo: Vec<(Host, u64, u64)>,
}

impl World {
    pub fn look_arrive(&mut self, host: Host, look: u64) {
        let history = self.history_known(host);
        let back = self.way(host, self.here());
        let incarnation = self.nodes[host].incarnation;
        let process = self.nodes[host].process;
        let Some(known) = self.agent.looks.get_mut(&look) else { return };
        if process != Process::Off && back.is_some() {
            known.tcp = true;
        }
        let stale = known.kept.is_some_and(|kept| kept != incarnation);
        let failed = match process {
            Process::Off => return,
            Process::Hung => {
                self.parked.looks.push((host, look));
                return;
            }
            _ if stale => Some(FailureClass::Reset),
            Process::Down => Some(FailureClass::Refused),
            Process::Starting => Some(FailureClass::Recovering),
            Process::Up if self.nodes[host].full && known.fresh => Some(FailureClass::Configuration),
            Process::Up => None,
        };
        if let Some(class) = failed {
            let failure = Failure { class, detail: format!("{class:?}") };
            self.send_sighting(host, look, Sighting::Failed(failure));
            return;
        }
        let asks_canary = known.canary;
        known.conninfo = self.nodes[host].follows.map(conninfo).filter(|_| self.nodes[host].standby);
        let facts = self.facts(host, history);
        if asks_canary && facts.is_primary() {
            self.canary(host, look, facts);
        } else {
            self.send_sighting(host, look, Sighting::Answered(facts));
        }
    }

    fn send_sighting(&mut self, host: Host, look: u64, sighting: Sighting) {
        let Some(way) = self.way(host, self.here()) else { return };
        let (life, late) = (self.agent.life, self.nodes[host].late);
        self.after(way + late, Ev::LookReply { life, look, sighting: Box::new(sighting) });
    }

    fn canary(&mut self, host: Host, look: u64, mut facts: Facts) {
        if self.nodes[host].disk_full {
            facts.canary = Some(false);
            self.send_sighting(host, look, Sighting::Answered(facts));
            return;
        }
        if let Some(known) = self.agent.looks.get_mut(&look) {
            known.facts = Some(facts);
        }
        let len = self.own_record(host);
        self.nodes[host].waiters.push((len, Waiter::Canary { look }));
        let wait = self.setup.settings.timeout.as_micros() as Time / 2;
        self.after(wait, Ev::CanaryDeadline { host, look });
        self.release(host);
    }

    pub fn canary_done(&mut self, host: Host, look: u64, ok: bool) {
        let Some(known) = self.agent.looks.get_mut(&look) else { return };
        let Some(mut facts) = known.facts.take() else { return };
        facts.canary = Some(ok);
        self.send_sighting(host, look, Sighting::Answered(facts));
    }

    pub fn canary_deadline(&mut self, host: Host, look: u64) {
        self.nodes[host].waiters.retain(|(_, waiter)| *waiter != Waiter::Canary { look });
        if self.nodes[host].is_up() {
            self.canary_done(host, look, false);
        }
    }

    pub fn call_arrive(&mut self, host: Host, call: u64) {
        match self.nodes[host].process {
            Process::Off => {}
            Process::Up if self.nodes[host].deaf => {}
            Process::Hung => self.parked.calls.push((host, call)),
            Process::Down => self.answer(host, call, no("refused", false)),
            Process::Starting => self.answer(host, call, no("starting up", false)),
            Process::Up if self.nodes[host].full => self.answer(host, call, no("too many clients", false)),
            Process::Up => {
                let Some(known) = self.agent.calls.get(&call) else { return };
                let action = known.action.clone();
                self.obey(host, call, &action);
            }
        }
    }

    /// The answer to a call sets out.
    pub fn answer(&mut self, host: Host, call: u64, result: Result<Answer, CallError>) {
        let Some(known) = self.agent.calls.get(&call) else { return };
        let life = known.life;
        let Some(way) = self.way(host, self.here()) else { return };
        let late = self.nodes[host].late;
        self.after(way + late, Ev::CallReply { life, call, result: Box::new(result) });
    }

    pub fn limbo(&mut self, host: Host, call: u64) {
        if self.random.chance(50) {
            let incarnation = self.nodes[host].incarnation;
            self.parked.limbo.push((host, incarnation, call));
        }
    }

    /// The way to `host` is open: packets that were sent again and again get through.
    pub fn late_calls(&mut self, host: Host) {
        let (due, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.parked.limbo).into_iter().partition(|(there, ..)| *there == host);
        self.parked.limbo = rest;
        for (_, incarnation, call) in due {
            if self.nodes[host].incarnation == incarnation {
                let wait = self.random.between(1, 200_000);
                self.after(wait, Ev::CallArrive { host, call });
            }
        }
    }

    /// The process goes on: what waited in its sockets is done.
    pub fn unpark(&mut self, host: Host) {
        let (looks, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.parked.looks).into_iter().partition(|(there, _)| *there == host);
        self.parked.looks = rest;
        let (calls, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.parked.calls).into_iter().partition(|(there, _)| *there == host);
        self.parked.calls = rest;
        for (_, look) in looks {
            self.at(self.now, Ev::LookArrive { host, look });
        }
        for (_, call) in calls {
            self.at(self.now, Ev::CallArrive { host, call });
        }
        if let Some(receiver) = self.nodes[host].receiver {
            let have = self.nodes[host].log.len();
            if let Some(own) = &mut self.nodes[host].receiver {
                own.sent = have;
            }
            self.ship(receiver.from);
        }
    }

    /// The process is gone, and what waited for it.
    pub fn drop_parked(&mut self, host: Host, talks: bool) {
        let calls: Vec<_> = self.parked.calls.iter().filter(|(there, _)| *there == host).copied().collect();
        self.parked.looks.retain(|(there, _)| *there != host);
        self.parked.calls.retain(|(there, _)| *there != host);
        if !talks {
            return;
        }
        for (_, call) in calls {
            self.answer(host, call, no("the connection ended", true));
        }
        // Calls that were being carried out.
        if let Some(call) = self.agent.busy[host] {
            self.answer(host, call, no("the connection ended", true));
        }
        if let Some(look) = self.agent.slots[host].running {
            let reset = Failure { class: FailureClass::Reset, detail: String::from("reset") };
            self.send_sighting(host, look, Sighting::Failed(reset));
        }
    }
}
