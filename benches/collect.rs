//! What one tick of the collectors costs on this host.
//!
//! `cargo bench --bench collect`

use holdfast::base::time::{Clock, SystemClock};
use holdfast::collectors::{Collector, REGISTERED, Roots, Tick, all};
use holdfast::model::frame::Frame;

fn main() {
    divan::main();
}

fn roots() -> Roots {
    Roots { procfs: "/proc".into(), sysfs: "/sys".into(), rootfs: "/".into() }
}

fn tick() -> Tick {
    let clock = SystemClock::new();
    Tick { at: clock.now(), monotonic: clock.monotonic() }
}

/// Everything that runs in every tick.
#[divan::bench]
fn tick_of_all(bencher: divan::Bencher<'_, '_>) {
    let mut collectors: Vec<Box<dyn Collector>> =
        all(&roots()).into_iter().filter(|collector| collector.every().is_zero()).collect();
    let mut frame = Frame::new();
    let now = tick();
    bencher.bench_local(|| {
        frame.clear();
        for collector in &mut collectors {
            // What this host does not have is part of the cost.
            let _ = collector.collect(now, &mut frame);
        }
        frame.len()
    });
    println!("samples per tick: {}", frame.len());
}

#[divan::bench(args = REGISTERED.iter().map(|kind| kind.name).collect::<Vec<_>>())]
fn one(bencher: divan::Bencher<'_, '_>, name: &str) {
    let Some(kind) = REGISTERED.iter().find(|kind| kind.name == name) else { return };
    let mut collector = kind.make(&roots());
    let mut frame = Frame::new();
    let now = tick();
    bencher.bench_local(|| {
        frame.clear();
        let _ = collector.collect(now, &mut frame);
        frame.len()
    });
}
