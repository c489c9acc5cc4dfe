//! Rare states of a group that once held a failover up for ever, or began one that nobody needed.

use holdfast::logic::failover::Happening;
use holdfast::model::failover::group::RefusalCode;
use holdfast::model::failover::sighting::FailureClass;

use crate::faults::Fault;
use crate::node::{MS, Process, SECOND};
use crate::scenarios::{calm, started, synchronous};
use crate::world::{Setup, World};

#[test]
fn a_long_crash_recovery_is_waited_for_no_longer_than_the_grace() {
    for setup in [calm(), synchronous()] {
        let mut world = started(setup);
        world.kill(0, FailureClass::Reset, Process::Down);
        world.start(0, 0, 3600 * SECOND);
        world.run_for(9 * SECOND);
        world.holds(world.ledger.promotions == 0, "it has said that it starts");
        let outage = world.outage(0, 30 * SECOND);
        world.holds(outage.is_some_and(|outage| outage < 3 * SECOND), &format!("{outage:?}"));
    }
}

#[test]
fn a_restart_that_was_told_after_another_failure_is_waited_for() {
    let mut world = started(calm());
    world.kill(0, FailureClass::Reset, Process::Down);
    world.start(0, 0, 3600 * SECOND);
    world.run_for(600 * MS);
    world.kill(0, FailureClass::Stopping, Process::Down);
    world.run_for(8 * SECOND);
    world.holds(world.ledger.promotions == 0, "it has said that it starts");
    world.start(0, 0, 100 * MS);
    world.run_for(3 * SECOND);
    world.holds(world.ledger.promotions == 0 && world.routed_to() == Some(0), "no failover");
}

#[test]
fn what_another_agent_does_is_followed_and_not_undone() {
    let mut world = started(calm());
    world.nodes.iter_mut().for_each(|node| node.other_agent = true);
    world.run_for(2 * SECOND);
    world.fault(Fault::PromoteByHand(1));
    world.run_for(5 * SECOND);
    let left = |w: &World, host: usize| !w.nodes[host].read_only && w.nodes[host].sync_names.is_empty();
    world.holds(left(&world, 1), "the other agent's primary is not fenced");
    world.fault(Fault::Kill(0));
    let outage = world.outage(0, 10 * SECOND);
    world.holds(outage.is_some() && world.routed_to() == Some(1), &format!("{outage:?}"));
    world.start(0, 0, 100 * MS);
    world.run_for(10 * SECOND);
    world.holds(left(&world, 0) && world.routed_to() == Some(1), "nor is the one it left");
    world.holds(world.nodes[2].follows == Some(0), "whom a standby follows is not changed either");
}

#[test]
fn a_delayed_standby_that_nobody_waits_for_does_not_hold_up_the_one_that_holds_everything() {
    let mut world = started(Setup { sync_names: String::from("ANY 1 (n2)"), ..calm() });
    world.fault(Fault::ReplayPause(2, 600 * SECOND));
    world.run_for(2 * SECOND);
    // Written, sent to the delayed one alone, and never acknowledged.
    world.fault(Fault::Block(0, 1, 60 * SECOND));
    world.fault(Fault::Burst(64 << 10));
    world.ship(0);
    world.run_for(300 * MS);
    world.holds(world.nodes[2].end() > world.nodes[1].end(), "the delayed one holds more");
    world.fault(Fault::Kill(0));
    let outage = world.outage(0, 20 * SECOND);
    world.holds(outage.is_some() && world.routed_to() == Some(1), &format!("{outage:?}"));
    world.holds(!world.refused(RefusalCode::LagExceeded), "it lacks nothing that counts");
}

#[test]
fn a_candidate_that_restores_an_archived_segment_before_it_is_promoted_becomes_the_head() {
    let mut world = started(calm());
    for host in [1, 2] {
        world.fault(Fault::Block(0, host, 60 * SECOND));
        world.nodes[host].restores = Some(0);
    }
    world.fault(Fault::Burst(64 << 10));
    world.run_for(300 * MS);
    world.fault(Fault::Kill(0));
    let outage = world.outage(0, 20 * SECOND);
    world.holds(outage.is_some(), &format!("{outage:?}"));
    world.holds(!world.refused(RefusalCode::Lineage), "it is of the old primary's history");
    let to = world.routed_to().expect("a route");
    world.holds(world.nodes[to].end() >= world.nodes[0].end(), "nothing was lost");
}

#[test]
fn a_primary_that_cannot_commit_is_replaced_and_fenced() {
    for mut setup in [calm(), synchronous()] {
        setup.settings.failover_on_read_only = true;
        let mut world = started(setup);
        world.fault(Fault::DiskFull(0, 1000 * SECOND));
        // A canary is due after five minutes without a commit, and has to fail for half a minute.
        let outage = world.outage(0, 600 * SECOND);
        world.holds(outage.is_some_and(|outage| outage < 340 * SECOND), &format!("{outage:?}"));
        world.holds(world.ledger.begun == 1, "begun once");
        world.holds(world.nodes[0].read_only, "the old primary takes no writes");
        world.settle(60 * SECOND);
        world.holds(true, "settled");
    }
}

#[test]
fn a_clock_that_was_set_back_does_not_make_the_cool_down_longer() {
    let mut world = started(calm());
    world.fault(Fault::Kill(0));
    let first = world.outage(0, 5 * SECOND);
    world.holds(first.is_some(), "the first failover");
    world.start(0, 0, 100 * MS);
    world.run_for(5 * SECOND);
    let head = world.routed_to().expect("a route");
    world.rewind(0, head, 0);
    world.fault(Fault::WallJump(-86_000_000));
    world.run_for(300 * SECOND);
    world.fault(Fault::Kill(head));
    world.run_for(60 * SECOND);
    world.holds(world.refused(RefusalCode::Cooldown), "ten minutes are not over");
    let outage = world.outage(head, 300 * SECOND);
    world.holds(outage.is_some_and(|outage| outage < 280 * SECOND), &format!("{outage:?}"));
}

#[test]
fn a_synchronous_setting_that_lists_a_stranger_is_built_up_again_and_told() {
    let mut world = started(Setup { sync_names: String::from("ANY 1 (n2, archive)"), ..calm() });
    world.fault(Fault::Kill(0));
    let outage = world.outage(0, 5 * SECOND);
    world.holds(outage.is_some(), &format!("{outage:?}"));
    world.run_for(10 * SECOND);
    let to = world.routed_to().expect("a route");
    let other = world.names[3 - to].clone();
    world.holds(world.nodes[to].sync_names.contains(&other), "commits wait for the one that streams");
    let told = |tell: &Happening| matches!(tell, Happening::Trouble { detail } if detail.contains("archive"));
    world.holds(world.agent.tells.iter().any(|(_, tell)| told(tell)), "what could not be kept is told");
}
