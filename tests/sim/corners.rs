//! Rare states of a group that once held a failover up for ever, or began one that nobody needed.

use holdfast::model::failover::group::RefusalCode;
use holdfast::model::failover::sighting::FailureClass;

use crate::faults::Fault;
use crate::node::{MS, Process, SECOND};
use crate::scenarios::{calm, started, synchronous};

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
