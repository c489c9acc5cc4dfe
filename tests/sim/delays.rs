//! A failover while the agent's disk stalls or the standbys are slow: later, and not given up.
//!
//! What is asserted is how long clients are without a primary, and that the group says so.

use holdfast::model::failover::group::RefusalCode;

use crate::faults::Fault;
use crate::node::{MS, SECOND, Time};
use crate::scenarios::{calm, started, synchronous};
use crate::world::{Setup, World};

/// Every answer of the standbys is so late, from so many boundaries after the kill on.
fn laden(setup: Setup, boundary: u64, by: Time, time: Time) -> World {
    let mut world = started(setup);
    let first = world.agent.boundary;
    let late = |host| (first + boundary, Fault::Laden(host, by, time));
    world.agent.fault_at = vec![late(1), late(2)];
    world.fault(Fault::Kill(0));
    world
}

#[test]
fn a_disk_that_stalls_as_a_failover_begins_only_delays_it() {
    let stalls = [Fault::AgentStall(5 * SECOND), Fault::CommitStalls(5 * SECOND)];
    for (stall, setup) in stalls.iter().flat_map(|stall| [(stall, calm()), (stall, synchronous())]) {
        // The row of `begin`, and what is written and done after it.
        for boundary in 0..8 {
            let mut world = started(setup.clone());
            let first = world.agent.boundary;
            world.agent.fault_at = vec![(first + boundary, stall.clone())];
            world.fault(Fault::Kill(0));
            let outage = world.outage(0, 10 * SECOND);
            let about = format!("{stall:?} at boundary {boundary}: {outage:?}");
            world.holds(outage.is_some_and(|outage| outage < 7 * SECOND), &about);
            world.holds(!world.refused(RefusalCode::NoCandidate), &about);
            world.settle(60 * SECOND);
            world.holds(true, &about);
        }
    }
}

#[test]
fn standbys_that_answer_late_delay_a_failover_and_do_not_end_it() {
    for setup in [calm(), synchronous()] {
        for boundary in 0..8 {
            for by in [900 * MS, 1500 * MS, 2500 * MS] {
                let mut world = laden(setup.clone(), boundary, by, 60 * SECOND);
                let outage = world.outage(0, 30 * SECOND);
                let about = format!("{by} us late from boundary {boundary}: {outage:?}");
                world.holds(outage.is_some_and(|outage| outage < 16 * SECOND), &about);
                world.holds(world.ledger.begun == 1, &about);
            }
        }
    }
}

#[test]
fn a_failover_that_was_given_up_is_begun_again_promptly_and_the_outage_is_that_of_all() {
    for setup in [calm(), synchronous()] {
        for time in [9, 14, 21, 30] {
            // Nobody can be stopped for so long.
            let mut world = laden(setup.clone(), 0, 10 * SECOND, time * SECOND);
            let outage = world.outage(0, 60 * SECOND);
            let about = format!("late for {time} s: {outage:?}");
            world.holds(outage.is_some_and(|outage| outage < (time + 6) * SECOND), &about);
            let told = world.agent.disk.last.as_ref().map_or(0, |last| last.outage_ms * MS);
            let real = outage.unwrap_or_default();
            let same = told <= real + 50 * MS && told + 600 * MS >= real;
            world.holds(same, &format!("{about}, told {told}"));
            world.settle(60 * SECOND);
            world.holds(world.agent.disk.down.is_none(), &about);
        }
    }
}

#[test]
fn an_outage_is_counted_over_a_restart_of_the_agent() {
    let mut world = laden(calm(), 0, 10 * SECOND, 12 * SECOND);
    world.run_for(9 * SECOND);
    world.fault(Fault::AgentCrash(500 * MS));
    let outage = world.outage(0, 60 * SECOND).map(|outage| outage + 9 * SECOND);
    let told = world.agent.disk.last.as_ref().map_or(0, |last| last.outage_ms * MS);
    let same = outage.is_some_and(|real| told <= real + 50 * MS && told + 600 * MS >= real);
    world.holds(same, &format!("{outage:?}, told {told}"));
}
