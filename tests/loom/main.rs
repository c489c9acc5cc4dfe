//! The shared breaker under every interleaving of two threads.
//!
//! loom replaces the lock and runs each scenario once for every order in which the
//! threads can meet. The sources are those of the library, compiled once more on top
//! of loom's lock: that is all that differs.

#![allow(unused, reason = "the modules have more, and unit tests of their own, than is used here")]

#[path = "../../src/base/mod.rs"]
mod base;
#[path = "../../src/model"]
mod model {
    pub mod breaker;
    pub mod event;
    pub mod probe;
}
#[path = "../../src/logic"]
mod logic {
    pub mod breaker;
}
#[path = "../../src/runtime"]
mod runtime {
    pub mod breaker;
    pub mod sync {
        pub use loom::sync::Mutex;
    }
}

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base::time::{Clock, ManualClock, Timestamp};
use logic::breaker::{Call, Settings};
use loom::thread;
use model::breaker::{BreakerCommand, BreakerState};
use model::probe::OutcomeClass;
use runtime::breaker::Breaker;

const SETTINGS: Settings = Settings {
    failure_threshold: 1,
    window: Duration::from_secs(30),
    minimum_calls: 10,
    failure_share: 0.5,
    slow_call: Duration::from_secs(2),
    slow_share: 0.8,
    open_for: Duration::from_secs(10),
    max_open_for: Duration::from_secs(20),
    half_open_calls: 1,
    close_after: 2,
    call_timeout: Duration::from_secs(3),
};

/// A breaker that opened ten seconds ago, and how often it told of a change since.
fn waited() -> (Arc<Breaker>, Arc<AtomicU32>) {
    let clock = Arc::new(ManualClock::at(Timestamp(0)));
    let told = Arc::new(AtomicU32::new(0));
    let heard = told.clone();
    let shared: Arc<dyn Clock> = clock.clone();
    let changed = move || {
        heard.fetch_add(1, Ordering::SeqCst);
    };
    let breaker = Arc::new(Breaker::new(SETTINGS, None, shared, 7, changed));
    breaker.acquire().expect("closed").report(OutcomeClass::Hard);
    assert_eq!(breaker.state(), BreakerState::Open);
    clock.advance(Duration::from_secs(10));
    told.store(0, Ordering::SeqCst);
    (breaker, told)
}

fn two(one: impl Fn() + Send + Sync + 'static, other: impl Fn() + Send + Sync + 'static) {
    let other = thread::spawn(other);
    one();
    other.join().expect("no panic");
}

/// Two calls at once in half open: one passes.
fn one_permit() {
    let (breaker, told) = waited();
    let passed = Arc::new(AtomicU32::new(0));
    let call = |breaker: &Arc<Breaker>, passed: &Arc<AtomicU32>| {
        let (breaker, passed) = (breaker.clone(), passed.clone());
        move || {
            if let Ok(permit) = breaker.acquire() {
                passed.fetch_add(1, Ordering::SeqCst);
                std::mem::forget(permit);
            }
        }
    };
    two(call(&breaker, &passed), call(&breaker, &passed));
    assert_eq!((passed.load(Ordering::SeqCst), breaker.state()), (1, BreakerState::HalfOpen));
    assert_eq!(told.load(Ordering::SeqCst), 1);
}

/// A permit that is dropped while another asks: it is given back once.
fn drop_and_acquire() {
    let (breaker, _) = waited();
    let (dropped, asked) = (breaker.clone(), breaker.clone());
    two(move || drop(dropped.acquire()), move || drop(asked.acquire()));
    assert!(breaker.acquire().is_ok(), "both were given back");
    assert_eq!(breaker.view().calls.stale, 0);
}

/// A failure is reported while an operator resets: whichever comes first, the state
/// is one of the two, and every change was told.
fn report_and_reset() {
    let (breaker, told) = waited();
    // Borrowed for as long as the program runs, because threads outlive the scenario.
    let held: &'static Breaker = Box::leak(Box::new(breaker.clone()));
    let permit = std::sync::Mutex::new(held.acquire().ok());
    let operator = breaker.clone();
    two(
        move || {
            if let Some(permit) = permit.lock().expect("whole").take() {
                permit.report(OutcomeClass::Hard);
            }
        },
        move || {
            operator.tell(BreakerCommand::Reset, "test");
        },
    );
    assert_eq!(breaker.state(), BreakerState::Closed);
    let view = breaker.view();
    let stale = view.calls.stale;
    assert_eq!(told.load(Ordering::SeqCst), 3 - stale as u32, "{view:?}");
}

/// What is saved while it changes is saved again afterwards.
fn save_and_change() {
    let (breaker, _) = waited();
    let changed = breaker.clone();
    let saver = breaker.clone();
    let saw = Arc::new(AtomicU32::new(0));
    let seen = saw.clone();
    two(
        move || {
            if let Some(unsaved) = saver.unsaved() {
                let whole = unsaved.saved.state == BreakerState::HalfOpen;
                seen.store(u32::from(whole), Ordering::SeqCst);
                saver.saved(&unsaved);
            }
        },
        move || changed.probed(Call { class: OutcomeClass::Ok, took: Duration::ZERO }),
    );
    let rest = breaker.unsaved();
    assert_eq!(rest.is_none(), saw.load(Ordering::SeqCst) == 1, "{rest:?}");
    if let Some(unsaved) = rest {
        assert_eq!(unsaved.saved.state, BreakerState::HalfOpen);
        breaker.saved(&unsaved);
    }
    assert!(breaker.unsaved().is_none());
    assert_eq!(breaker.view().transitions.len(), 2);
}

fn main() {
    let scenarios: [(&str, fn()); 4] = [
        ("one_permit", one_permit),
        ("drop_and_acquire", drop_and_acquire),
        ("report_and_reset", report_and_reset),
        ("save_and_change", save_and_change),
    ];
    for (name, scenario) in scenarios {
        loom::model(scenario);
        println!("test {name} ... ok");
    }
    println!("{} passed, 0 failed", scenarios.len());
}
