//! Directed scenarios: one story each, with the times and refusals that users rely on.

use std::time::Duration;

use holdfast::logic::failover::{Command, Happening};
use holdfast::model::failover::durable::Durable;
use holdfast::model::failover::group::{LossBasis, Mode, RefusalCode, State};

use crate::faults::{Fault, defaults};
use crate::node::{Host, MS, SECOND, Time};
use crate::world::{Setup, World};

const STEADY: Time = 3 * SECOND;

pub fn calm() -> Setup {
    Setup {
        servers: 3,
        settings: defaults(3),
        sync_names: String::new(),
        serial: true,
        steady_writes: true,
        writers: 1,
        direct: 0,
        pause: 50 * MS,
        retry: 100 * MS,
        receiver_timeout: 60 * SECOND,
        eager_history: true,
        torn: false,
    }
}

pub fn synchronous() -> Setup {
    Setup { sync_names: String::from("ANY 1 (n2, n3)"), ..calm() }
}

pub fn started(setup: Setup) -> World {
    let mut world = World::new(7, setup, true);
    world.run_until(STEADY);
    world
}

impl World {
    pub fn holds(&self, what: bool, text: &str) {
        assert!(what, "{text}\n{}", self.trace());
        assert_eq!(self.ledger.broken, None, "{}", self.trace());
    }

    fn refusal(&self) -> Option<RefusalCode> {
        self.agent.core.as_ref()?.refusal_now().map(|refusal| refusal.code)
    }

    pub fn state(&self) -> State {
        let core = self.agent.core.as_ref().expect("the agent runs");
        core.state(self.monotonic(), self.wall())
    }

    /// Time until there is a route to a member other than `old`.
    pub fn outage(&mut self, old: Host, limit: Time) -> Option<Time> {
        let from = self.now;
        self.run_while(limit, |w| w.routed_to().is_none_or(|to| to == old)).then(|| self.now - from)
    }

    pub fn refused(&self, code: RefusalCode) -> bool {
        self.agent.tells.iter().any(|(_, tell)| matches!(tell, Happening::Refused(no) if no.code == code))
    }
}

#[test]
fn a_killed_primary_is_replaced_within_half_a_second() {
    for setup in [calm(), synchronous()] {
        let mut world = started(setup);
        world.fault(Fault::Kill(0));
        let outage = world.outage(0, 5 * SECOND);
        world.holds(outage.is_some_and(|outage| outage < 500 * MS), &format!("{outage:?}"));
        let bound = world.agent.disk.last.as_ref().and_then(|last| last.lost_bytes_bound);
        world.holds(bound.is_some(), "the loss is bounded");
        world.settle(60 * SECOND);
        world.holds(world.routed_to() == Some(1), "nothing goes back by itself");
    }
}

/// A primary whose disk is full, or that is killed, ends within a record. The one that is
/// promoted drops the piece, and its sister that holds the same piece follows it.
#[test]
fn a_piece_of_a_record_is_no_history_of_its_own() {
    for setup in [calm(), synchronous()] {
        let mut world = started(Setup { torn: true, ..setup });
        world.fault(Fault::Kill(0));
        let outage = world.outage(0, 5 * SECOND);
        world.holds(outage.is_some_and(|outage| outage < 500 * MS), &format!("{outage:?}"));
        world.run_for(5 * SECOND);
        let to = world.routed_to().expect("a route");
        let other = 3 - to;
        let follows = world.nodes[other].receiver.is_some_and(|receiver| receiver.from == to);
        world.holds(follows, "the other standby follows without a rejoin");
        let core = world.agent.core.as_ref().expect("the agent runs");
        world.holds(!core.needs_rejoin(&world.members[other]), "it lacks nothing");
    }
}

#[test]
fn a_hanging_primary_is_replaced_within_four_seconds() {
    for setup in [calm(), synchronous()] {
        let mut world = started(setup);
        world.fault(Fault::Hang(0, 600 * SECOND));
        let outage = world.outage(0, 10 * SECOND);
        world.holds(outage.is_some_and(|outage| outage < 4 * SECOND), &format!("{outage:?}"));
        world.settle(60 * SECOND);
        world.holds(true, "settled");
    }
}

#[test]
fn a_planned_restart_is_waited_for() {
    let mut world = started(calm());
    for round in 0..20 {
        let down = (20 + 90 * round) * MS;
        world.fault(Fault::Restart { host: 0, down, recovery: 40 * (round + 1) * MS });
        world.run_for(6 * SECOND);
        world.holds(world.ledger.promotions == 0 && world.routed_to() == Some(0), "no failover");
    }
}

#[test]
fn stalls_of_a_second_and_a_half_cause_no_failover() {
    let mut world = started(Setup { direct: 1, ..calm() });
    for round in 0..100 {
        world.fault(Fault::Hang(0, 1500 * MS));
        world.run_for(2500 * MS + round * 17 * MS);
    }
    world.holds(world.ledger.begun == 0 && world.routed_to() == Some(0), "no failover");
}

#[test]
fn a_broken_path_is_held_and_only_a_quorum_takes_over() {
    let mut world = started(Setup { direct: 1, ..calm() });
    world.fault(Fault::Block(3, 0, 60 * SECOND));
    world.run_for(40 * SECOND);
    world.holds(world.ledger.begun == 0, "asynchronous: only we cannot reach it");
    world.holds(world.refusal() == Some(RefusalCode::PathHold), "and it says so");
    world.settle(60 * SECOND);
    world.holds(world.routed_to() == Some(0), "as before");

    let mut world = started(Setup { direct: 1, ..synchronous() });
    world.fault(Fault::Block(3, 0, 60 * SECOND));
    let outage = world.outage(0, 30 * SECOND);
    world.holds(outage.is_some_and(|outage| outage > 15 * SECOND), &format!("held, then taken: {outage:?}"));
    world.settle(60 * SECOND);
    world.holds(true, "nothing acknowledged is lost");
}

#[test]
fn an_isolated_agent_promotes_nobody_and_says_so() {
    let mut world = started(calm());
    world.fault(Fault::Isolate(30 * SECOND));
    world.run_for(10 * SECOND);
    world.holds(world.refused(RefusalCode::AgentIsolated), "told within 10 s");
    world.run_for(19 * SECOND);
    world.holds(world.ledger.begun == 0, "no failover");
    world.settle(60 * SECOND);
    world.holds(world.routed_to() == Some(0) && world.ledger.promotions == 0, "as before");
}

#[test]
fn a_group_that_is_down_is_left_alone() {
    let mut world = started(calm());
    (0..3).for_each(|host| world.fault(Fault::Kill(host)));
    world.run_for(10 * SECOND);
    world.holds(
        world.refusal() == Some(RefusalCode::NoCandidate) && world.ledger.begun == 0,
        "nobody is there",
    );
    world.settle(60 * SECOND);
    world.holds(world.routed_to() == Some(0), "as before");
}

#[test]
fn what_was_measured_while_the_agent_stood_still_says_nothing() {
    let mut world = started(calm());
    for _ in 0..10 {
        world.fault(Fault::AgentStall(5 * SECOND));
        world.fault(Fault::Hang(0, 4800 * MS));
        world.run_for(9 * SECOND);
    }
    world.holds(world.ledger.begun == 0 && world.routed_to() == Some(0), "no failover");
}

#[test]
fn an_old_primary_that_returns_is_a_split_brain_only_when_its_fence_does_not_hold() {
    let shown = |w: &World| {
        let split = |tell: &Happening| matches!(tell, Happening::State { to, .. } if *to == "split_brain");
        w.agent.tells.iter().any(|(_, tell)| split(tell)) || w.state() == State::SplitBrain
    };
    for hang in [false, true] {
        let mut world = started(calm());
        world.fault(if hang { Fault::Hang(0, 20 * SECOND) } else { Fault::Kill(0) });
        let outage = world.outage(0, 6 * SECOND);
        world.holds(outage.is_some(), "a failover");
        world.fault(Fault::Start(0));
        let came = world.run_while(25 * SECOND, |w| !w.nodes[0].is_up());
        let fenced = came && world.run_while(2 * SECOND, |w| !w.nodes[0].read_only);
        world.holds(fenced, "fenced within 2 s");
        world.run_for(5 * SECOND);
        world.holds(!shown(&world), "there never were two");
    }
    // Its fence never comes: no session for a call.
    let mut world = started(calm());
    world.fault(Fault::Hang(0, 6 * SECOND));
    let outage = world.outage(0, 6 * SECOND);
    world.holds(outage.is_some(), "a failover");
    world.nodes[0].deaf = true;
    world.run_while(10 * SECOND, |w| !w.nodes[0].is_up());
    world.run_for(1500 * MS);
    world.holds(!shown(&world), "the fence has its time");
    let seen = world.run_while(3 * SECOND, |w| w.state() != State::SplitBrain);
    world.holds(seen, "and then it is told");
    world.nodes[0].deaf = false;
    world.run_for(6 * SECOND);
    world.holds(world.nodes[0].read_only && world.state() == State::Steady, "until it is fenced");
    // Nobody will fence it.
    let mut setup = calm();
    setup.settings.mode = Mode::Manual;
    let mut world = started(setup);
    world.fault(Fault::PromoteByHand(1));
    world.run_for(SECOND);
    world.holds(world.state() == State::SplitBrain, "told at once");
}

#[test]
fn who_never_followed_may_not_take_over() {
    let mut setup = calm();
    setup.settings = defaults(2);
    setup.servers = 2;
    let mut world = World::new(7, setup, true);
    world.nodes[1].follows = None;
    world.run_until(STEADY);
    world.fault(Fault::Kill(0));
    world.run_for(10 * SECOND);
    world.holds(world.refusal() == Some(RefusalCode::NotAttached) && world.ledger.begun == 0, "refused");
}

#[test]
fn a_standby_that_is_too_far_behind_is_not_promoted() {
    let mut setup = calm();
    setup.settings = defaults(2);
    setup.servers = 2;
    let mut world = started(setup);
    world.fault(Fault::Block(0, 1, 30 * SECOND));
    world.fault(Fault::Burst(2 << 20));
    world.run_for(SECOND);
    world.fault(Fault::Kill(0));
    world.run_for(10 * SECOND);
    world.holds(world.refused(RefusalCode::LagExceeded) && world.ledger.promotions == 0, "refused");
    world.settle(60 * SECOND);
    world.holds(world.nodes[1].follows == Some(0), "the cut is undone");
}

#[test]
fn a_member_of_another_history_may_not_take_over() {
    let mut setup = calm();
    setup.settings = defaults(2);
    setup.servers = 2;
    let mut world = started(setup);
    world.fault(Fault::PromoteByHand(1));
    world.run_for(3 * SECOND);
    world.holds(world.routed_to() == Some(0) && world.nodes[1].read_only, "the rival is fenced");
    world.fault(Fault::Kill(0));
    world.run_for(10 * SECOND);
    world.holds(world.refusal() == Some(RefusalCode::Lineage) && world.ledger.begun == 0, "refused");
}

#[test]
fn paused_and_manual_wait() {
    for mode in [Mode::Auto, Mode::Manual] {
        let mut setup = calm();
        setup.settings.mode = mode;
        let mut world = started(setup);
        if mode == Mode::Auto {
            world.command(Command::Pause { until: None });
            world.run_for(SECOND);
        }
        world.fault(Fault::Kill(0));
        world.run_for(10 * SECOND);
        let code = if mode == Mode::Auto { RefusalCode::Paused } else { RefusalCode::Manual };
        world.holds(world.refusal() == Some(code) && world.ledger.begun == 0, "it waits");
        world.command(if mode == Mode::Auto {
            Command::Resume
        } else {
            Command::Failover { to: None, force: false, accept_data_loss: false }
        });
        let outage = world.outage(0, 5 * SECOND);
        world.holds(
            outage.is_some_and(|outage| outage < 3 * SECOND),
            &format!("then judged at once: {outage:?}"),
        );
    }
}

#[test]
fn a_router_follows_whom_others_promote() {
    let mut setup = calm();
    setup.settings.mode = Mode::Router;
    let mut world = started(setup);
    world.fault(Fault::Kill(0));
    world.run_for(2 * SECOND);
    world.holds(world.routed_to().is_none() && world.ledger.begun == 0, "it does nothing");
    world.fault(Fault::PromoteByHand(1));
    world.run_for(2 * SECOND);
    world.holds(world.routed_to() == Some(1), "it follows");
}

#[test]
fn the_cool_down_and_the_day_are_kept() {
    let mut setup = calm();
    setup.settings.cooldown = Duration::from_secs(30);
    setup.settings.rejoin_hook = true;
    let mut world = started(setup);
    world.fault(Fault::Kill(0));
    let first = world.outage(0, 2 * SECOND);
    world.holds(first.is_some(), "the first");
    world.fault(Fault::Start(0));
    world.run_for(10 * SECOND);
    let old = world.routed_to().expect("routed");
    world.fault(Fault::Kill(old));
    world.run_for(5 * SECOND);
    world.holds(world.refusal() == Some(RefusalCode::Cooldown), "not again so soon");
    let second = world.outage(old, 30 * SECOND);
    world.holds(second.is_some(), "then the second");
    world.fault(Fault::Start(old));
    world.run_for(40 * SECOND);
    let old = world.routed_to().expect("routed");
    world.fault(Fault::Kill(old));
    world.run_for(60 * SECOND);
    world.holds(
        world.refusal() == Some(RefusalCode::Cooldown) && world.ledger.failovers.len() == 2,
        "no third",
    );
}

#[test]
fn a_switchover_takes_less_than_a_second_and_loses_nothing() {
    for setup in [calm(), synchronous()] {
        let mut world = started(setup);
        world.command(Command::Switchover { to: None });
        let outage = world.outage(0, 5 * SECOND);
        world.holds(outage.is_some_and(|outage| outage < SECOND), &format!("{outage:?}"));
        let rows: Vec<_> = world.ledger.rows.iter().map(|row| row.id).collect();
        let kept = rows.iter().all(|id| world.nodes[1].holds(*id));
        world.holds(kept, "every acknowledged row is there");
        world.settle(60 * SECOND);
        world.holds(!world.nodes[0].read_only, "the old primary came back without the fence");
    }
}

#[test]
fn a_switchover_that_cannot_finish_is_rolled_back() {
    let mut setup = calm();
    setup.settings = defaults(2);
    setup.servers = 2;
    let mut world = started(setup);
    world.fault(Fault::Slow(0, 1, 20 * SECOND));
    world.run_for(200 * MS);
    world.command(Command::Switchover { to: None });
    world.run_for(8 * SECOND);
    let same = world.agent.disk.epoch == 1 && world.routed_to() == Some(0);
    world.holds(same && !world.nodes[0].read_only, "writable and unfenced, in the same epoch");
    world.holds(world.refused(RefusalCode::RolledBack), "and it says so");
}

#[test]
fn an_older_store_does_not_route_the_head_of_then() {
    for beside in [true, false] {
        let mut world = started(synchronous());
        world.fault(Fault::Kill(0));
        let outage = world.outage(0, 2 * SECOND);
        world.holds(outage.is_some(), "a failover");
        world.fault(Fault::Start(0));
        world.run_for(SECOND);
        let all = world.agent.past.len();
        let before = world.agent.past.iter().position(|durable| durable.epoch == 2).unwrap_or(all);
        world.fault(Fault::StoreOlder(all - before + 1, beside));
        world.run_for(8 * SECOND);
        world.holds(world.routed_to() == Some(1), "the servers say who it is");
        world.holds(world.agent.disk.epoch >= 2, "no epoch comes again");
        world.fault(Fault::StoreEmpty(beside));
        world.run_for(8 * SECOND);
        world.holds(world.routed_to() == Some(1), "without any memory too");
    }
}

#[test]
fn two_members_promoted_apart_are_never_chosen_between() {
    let mut world = started(calm());
    world.fault(Fault::Kill(0));
    world.agent.disk = Durable { disabled: true, ..world.agent.disk.clone() };
    world.fault(Fault::AgentCrash(3 * SECOND));
    world.fault(Fault::PromoteByHand(1));
    world.fault(Fault::PromoteByHand(2));
    world.run_for(5 * SECOND);
    world.command(Command::Enable);
    world.run_for(20 * SECOND);
    world.holds(world.nodes[1].timeline == world.nodes[2].timeline, "the same number");
    world.holds(world.routed_to().is_none(), "nobody can say which one counts");
    world.settle(120 * SECOND);
    world.holds(world.routed_to().is_some(), "an operator can");
}

#[test]
fn without_its_quorum_nothing_is_promoted_and_the_cut_is_undone() {
    let mut world = started(synchronous());
    world.fault(Fault::Kill(2));
    world.run_for(SECOND);
    world.fault(Fault::Kill(0));
    world.run_for(10 * SECOND);
    world.holds(world.refusal() == Some(RefusalCode::Quorum) && world.ledger.promotions == 0, "refused");
    world.settle(60 * SECOND);
    world.holds(world.routed_to() == Some(0) && world.nodes[1].follows == Some(0), "as before");
}

#[test]
fn the_fence_hook_spares_a_primary_that_is_kept() {
    for fenced in [false, true] {
        let mut setup = synchronous();
        (setup.settings.fence_hook, setup.settings.fenced) = (true, fenced);
        let mut world = started(setup);
        world.fault(Fault::Kill(2));
        world.run_for(SECOND);
        world.fault(Fault::Hang(0, 12 * SECOND));
        world.run_for(8 * SECOND);
        world.holds(world.refused(RefusalCode::Quorum), "too few synchronous standbys are cut off");
        world.holds(world.ledger.fenced_off.is_empty(), "nobody was shot");
        world.settle(60 * SECOND);
        world.holds(world.routed_to() == Some(0) && world.ledger.promotions == 0, "it serves again");
    }
}

#[test]
fn the_fence_hook_runs_once_it_is_decided_who_takes_over() {
    for fenced in [false, true] {
        let mut setup = synchronous();
        (setup.settings.fence_hook, setup.settings.fenced) = (true, fenced);
        let mut world = started(setup);
        // It comes back about when the hook runs: it is replaced all the same.
        world.fault(Fault::Hang(0, 3600 * MS));
        let outage = world.outage(0, 10 * SECOND);
        world.holds(outage.is_some(), "a failover");
        world.run_for(2 * SECOND);
        world.holds(world.ledger.fenced_off.contains(&0), "the old primary was turned off");
        world.settle(60 * SECOND);
        world.holds(true, "settled");
    }
}

#[test]
fn without_its_proof_a_fenced_group_promotes_nobody() {
    let mut setup = synchronous();
    (setup.settings.fence_hook, setup.settings.fenced) = (true, true);
    let mut world = started(setup);
    world.agent.hook_proves = false;
    world.fault(Fault::Kill(0));
    world.run_for(10 * SECOND);
    world.holds(world.refused(RefusalCode::Failed) && world.ledger.promotions == 0, "refused");
    world.agent.hook_proves = true;
    let outage = world.outage(0, 30 * SECOND);
    world.holds(outage.is_some(), "with it the standby takes over");
}

#[test]
fn a_canary_survives_the_look_that_replaces_its_own() {
    let mut world = started(Setup { writers: 0, ..calm() });
    let asked = |w: &World| w.agent.slots[0].scheduled.is_some_and(|(.., canary)| canary);
    let came = world.run_while(400 * SECOND, |w| !asked(w));
    world.holds(came, "a primary at rest is asked to commit now and then");
    world.command(Command::Enable);
    world.holds(!asked(&world), "every member is looked at at once");
    world.run_for(2 * SECOND);
    let since = world.monotonic();
    let watch = world.agent.core.as_ref().and_then(|core| core.watch(&world.members[0]));
    let ok = watch.and_then(|watch| watch.canary_ok);
    world.holds(
        ok.is_some_and(|ok| since.since(ok) <= Duration::from_secs(2)),
        &format!("the canary is asked for again: {ok:?}"),
    );
}

#[test]
fn servers_that_were_made_anew_are_taken_on_an_operators_word_in_a_later_epoch() {
    let mut world = started(synchronous());
    let epoch = world.agent.disk.epoch;
    world.fault(Fault::AgentCrash(SECOND));
    world.nodes.iter_mut().for_each(|node| node.system_id = 99);
    world.run_for(10 * SECOND);
    world.holds(world.routed_to().is_none(), "they may be somebody else's");
    world.holds(world.refusal() == Some(RefusalCode::SystemId), "and it says so");
    world.command(Command::Resume);
    world.run_for(5 * SECOND);
    world.holds(world.routed_to() == Some(0), "an operator knows");
    world.holds(world.agent.disk.epoch > epoch, "no epoch comes again");
    world.fault(Fault::Kill(0));
    let outage = world.outage(0, 5 * SECOND);
    world.holds(outage.is_some(), "and the new servers are supervised");
}

#[test]
fn an_asynchronous_loss_is_estimated_and_measured_once_the_old_primary_is_back() {
    let mut world = started(calm());
    // Nobody sees this: it is written after the last look, and no standby receives it.
    (1..3).for_each(|standby| world.fault(Fault::Block(0, standby, 3 * SECOND)));
    world.run_for(20 * MS);
    world.fault(Fault::Burst(900_000));
    world.run_for(MS);
    world.fault(Fault::Kill(0));
    let outage = world.outage(0, 5 * SECOND);
    world.holds(outage.is_some(), "a failover");
    let loss =
        |w: &World| w.agent.disk.last.clone().map(|last| (last.lost_bytes_basis, last.lost_bytes_bound));
    world.holds(loss(&world).is_some_and(|(basis, _)| basis == LossBasis::Estimated), "what was not seen");
    world.fault(Fault::Start(0));
    world.run_for(10 * SECOND);
    let measured = matches!(loss(&world), Some((LossBasis::Measured, Some(900_000..=910_000))));
    world.holds(measured, &format!("{:?}", loss(&world)));
}

#[test]
fn an_operator_may_accept_the_loss() {
    let mut world = started(synchronous());
    world.fault(Fault::Kill(2));
    world.fault(Fault::Kill(0));
    world.run_for(3 * SECOND);
    world.command(Command::Failover { to: None, force: true, accept_data_loss: true });
    world.run_for(10 * SECOND);
    world.holds(world.routed_to() == Some(1), "promoted");
}

#[test]
fn synchronous_replication_is_built_up_again_and_the_fence_goes() {
    let mut world = started(synchronous());
    world.fault(Fault::Hang(0, 8 * SECOND));
    let outage = world.outage(0, 5 * SECOND);
    world.holds(outage.is_some(), "a failover");
    world.run_while(20 * SECOND, |w| !w.nodes[0].sync_names.contains("holdfast"));
    world.holds(world.nodes[0].read_only, "the old primary is fenced when it returns");
    world.fault(Fault::RewindByHand(0));
    world.run_for(20 * SECOND);
    let names = world.nodes[1].sync_names.clone();
    world.holds(names.contains("ANY 1") && names.contains("n1") && names.contains("n3"), &names);
    world.holds(!world.nodes[0].read_only && world.nodes[0].standby, "it is a standby without a fence");
    world.holds(world.state() == State::Steady, "and all is well");
}
