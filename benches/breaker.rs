//! What a guarded call costs: ours beside two libraries, one thread.
//!
//! `cargo bench --bench breaker`. A guarded call is the question, a call that does
//! nothing, and the report; the clock is the real one, as in the agent.

use std::sync::Arc;
use std::time::Duration;

use divan::{Bencher, black_box};
use failsafe::CircuitBreaker as _;
use holdfast::base::time::{Clock, SystemClock};
use holdfast::logic::breaker::Settings;
use holdfast::model::probe::OutcomeClass;
use holdfast::runtime::breaker::Breaker;

fn main() {
    divan::main();
}

const SETTINGS: Settings = Settings {
    failure_threshold: 3,
    window: Duration::from_secs(300),
    minimum_calls: 10,
    failure_share: 0.5,
    slow_call: Duration::from_secs(2),
    slow_share: 0.8,
    open_for: Duration::from_secs(60),
    max_open_for: Duration::from_secs(600),
    half_open_calls: 2,
    close_after: 2,
    call_timeout: Duration::from_secs(5),
};

/// Calls in one sample: one alone is shorter than the timer's tick.
const CALLS: u32 = 1000;

#[divan::bench]
fn two_looks_at_the_clock(bencher: Bencher) {
    let clock = SystemClock::new();
    bencher.counter(CALLS).bench_local(|| {
        for _ in 0..CALLS {
            black_box((clock.monotonic(), clock.monotonic()));
        }
    });
}

#[divan::bench]
fn holdfast(bencher: Bencher) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let breaker = Arc::new(Breaker::new(SETTINGS, None, clock, 7, || {}));
    bencher.counter(CALLS).bench_local(|| {
        for _ in 0..CALLS {
            if let Ok(permit) = breaker.acquire() {
                black_box(1);
                permit.report(OutcomeClass::Ok);
            }
        }
    });
}

#[divan::bench]
fn recloser(bencher: Bencher) {
    let breaker = recloser::Recloser::default();
    bencher.counter(CALLS).bench_local(|| {
        for _ in 0..CALLS {
            let _ = black_box(breaker.call(|| Ok::<u32, ()>(black_box(1))));
        }
    });
}

#[divan::bench]
fn failsafe_consecutive(bencher: Bencher) {
    let backoff = failsafe::backoff::constant(Duration::from_secs(60));
    let policy = failsafe::failure_policy::consecutive_failures(3, backoff);
    let breaker = failsafe::Config::new().failure_policy(policy).build();
    bencher.counter(CALLS).bench_local(|| {
        for _ in 0..CALLS {
            let _ = black_box(breaker.call(|| Ok::<u32, ()>(black_box(1))));
        }
    });
}

#[divan::bench]
fn failsafe_default(bencher: Bencher) {
    let breaker = failsafe::Config::new().build();
    bencher.counter(CALLS).bench_local(|| {
        for _ in 0..CALLS {
            let _ = black_box(breaker.call(|| Ok::<u32, ()>(black_box(1))));
        }
    });
}
