//! A small group, and everything that two faults can do to it.
//!
//! Every change of the head, with a crash and with another fault at each boundary of the
//! protocol: before and after every commit and every call. A plain run takes some of
//! them, `HOLDFAST_SMALL_SCOPE=1` all.

use holdfast::logic::failover::Command;

use crate::faults::{Fault, defaults};
use crate::node::{MS, SECOND, Time};
use crate::schedules::number;
use crate::world::{Ev, Setup, World};

/// What begins the change of the head.
const CAUSES: usize = 7;
/// What goes wrong besides, at a boundary; the first is nothing.
const COMPANY: usize = 14;
/// Boundaries that a change of the head has at most.
const BOUNDARIES: u64 = 30;
/// Crashes so many boundaries after the other fault; the last is none.
const CRASHES: [Option<u64>; 4] = [Some(0), Some(1), Some(4), None];
const AT: Time = 1500 * MS;

fn cause(number: usize) -> Fault {
    match number {
        0 => Fault::Kill(0),
        1 => Fault::Hang(0, 6 * SECOND),
        2 => Fault::Command(Command::Switchover { to: None }),
        3 => Fault::Command(Command::Failover { to: None, force: false, accept_data_loss: false }),
        4 => Fault::PowerOff(0),
        5 => Fault::Block(3, 0, 6 * SECOND),
        _ => Fault::Restart { host: 0, down: 300 * MS, recovery: 300 * MS },
    }
}

fn company(number: usize) -> Option<Fault> {
    Some(match number {
        0 => return None,
        1 => Fault::Kill(1),
        2 => Fault::Hang(1, 3 * SECOND),
        3 => Fault::Hang(2, 3 * SECOND),
        4 => Fault::Block(3, 1, 2 * SECOND),
        5 => Fault::Block(1, 3, 2 * SECOND),
        6 => Fault::Start(0),
        7 => Fault::CommitsFail(1),
        8 => Fault::Isolate(1500 * MS),
        9 => Fault::Restart { host: 1, down: 100 * MS, recovery: 100 * MS },
        10 => Fault::Continue(0),
        11 => Fault::CommitStalls(4 * SECOND),
        12 => Fault::AgentStall(4 * SECOND),
        _ => Fault::Laden(1, 2300 * MS, 4 * SECOND),
    })
}

fn setup(sync: bool, serial: bool) -> Setup {
    let mut settings = defaults(3);
    settings.cooldown = std::time::Duration::from_secs(5);
    settings.path_hold = std::time::Duration::from_secs(2);
    settings.allow_path_failover = true;
    Setup {
        servers: 3,
        settings,
        sync_names: String::from(if sync { "ANY 1 (n2, n3)" } else { "" }),
        serial,
        steady_writes: true,
        writers: 1,
        direct: 1,
        pause: 100 * MS,
        retry: 100 * MS,
        receiver_timeout: 60 * SECOND,
        eager_history: true,
        torn: false,
    }
}

fn run(case: usize) -> Option<String> {
    let (sync, rest) = (case.is_multiple_of(2), case / 2);
    let (crash, rest) = (CRASHES[rest % CRASHES.len()], rest / CRASHES.len());
    let (boundary, rest) = (rest as u64 % BOUNDARIES, rest / BOUNDARIES as usize);
    let (company_number, cause_number) = (rest % COMPANY, rest / COMPANY);
    let mut world = World::new(case as u64, setup(sync, case % 4 < 2), number("HOLDFAST_CASE").is_some());
    world.at(AT, Ev::Fault(cause(cause_number)));
    world.run_until(AT - 1);
    let first = world.agent.boundary;
    world.agent.crash_at = crash.map(|later| first + boundary + later).into_iter().collect();
    world.agent.fault_at =
        company(company_number).map(|fault| (first + boundary, fault)).into_iter().collect();
    world.run_until(AT + 8 * SECOND);
    world.settle(60 * SECOND);
    if world.ledger.broken.is_some() {
        println!("{}", world.trace());
    }
    let about = || {
        format!(
            "HOLDFAST_CASE={case} sync {sync}: {:?}, at boundary {boundary} {:?}, crash {crash:?}",
            cause(cause_number),
            company(company_number)
        )
    };
    world.ledger.broken.as_ref().map(|broken| format!("{}: {broken}", about()))
}

#[test]
fn two_faults_at_every_boundary_keep_every_promise() {
    let cases = 2 * CRASHES.len() * BOUNDARIES as usize * COMPANY * CAUSES;
    if let Some(case) = number("HOLDFAST_CASE") {
        assert_eq!(run(case as usize), None);
        return;
    }
    // A stride that has no factor in common with the sizes visits every part of the space.
    let stride = if number("HOLDFAST_SMALL_SCOPE").is_some() { 1 } else { 211 };
    let broken: Vec<_> = (0..cases).step_by(stride).filter_map(run).collect();
    println!("{} of {cases} cases", cases.div_ceil(stride));
    assert!(broken.is_empty(), "{} broken\n{}", broken.len(), broken.join("\n"));
}
