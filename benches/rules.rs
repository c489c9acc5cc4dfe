//! What a round of rules costs: evaluating every rule once, and judging what it answers.
//!
//! `cargo bench --bench rules`. One rule over many series, many rules over one series
//! each, and many rules with a rate over a window that is kept. Nothing changes between
//! rounds but the samples, which is what a second of a healthy host looks like; the
//! append of the samples is outside the measured time.

use std::sync::Arc;
use std::time::Duration;

use holdfast::base::time::{Clock, ManualClock, SystemClock, Timestamp};
use holdfast::config::load::{Sources, load_text};
use holdfast::config::overlay::Overlay;
use holdfast::engine::alerting::Alerting;
use holdfast::model::frame::Frame;
use holdfast::runtime::bus::Bus;
use holdfast::store::{Store, StoreOptions};

const ROUNDS: u32 = 30;

struct Stage {
    clock: Arc<ManualClock>,
    store: Store,
    count: usize,
    _directory: tempfile::TempDir,
}

impl Stage {
    fn new(count: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp(1_795_166_565_000)));
        let options = StoreOptions {
            path: directory.path().join("holdfast.redb"),
            cap: 512 << 20,
            raw_retention: Duration::from_secs(86_400),
            minute_retention: Duration::from_secs(30 * 86_400),
            hour_retention: Duration::from_secs(730 * 86_400),
            max_series: 50_000,
            cache: 4 << 20,
            tail: Some(None),
        };
        let (store, _) = Store::open(options, clock.clone(), &mut |_| {}).unwrap();
        Self { clock, store, count, _directory: directory }
    }

    fn tick(&self) {
        self.clock.advance(Duration::from_secs(1));
        let mut frame = Frame::new();
        let second = self.clock.monotonic().0.as_secs_f64();
        let numbers: Vec<String> = (0..self.count).map(|number| number.to_string()).collect();
        let mut family = frame.gauge("load", "A value.");
        for (at, number) in numbers.iter().enumerate() {
            family =
                family.push(&[("disk", number.as_str()), ("host", "box")], (at % 50) as f64 + second % 7.0);
        }
        let mut family = frame.counter("done_total", "A counter.");
        for number in &numbers {
            family = family.push(&[("disk", number.as_str()), ("host", "box")], second * 3.0);
        }
        self.store.append("bench", self.clock.now(), &frame);
    }

    /// Mean time of a round on the wall and in the process' CPU, ms.
    fn measure(&self, rules: &str) -> (f64, f64) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let text = format!("[storage]\nmax_series = 50000\n{rules}");
        let loaded = load_text(Sources::default(), "bench.toml", &text, Overlay::default()).unwrap();
        let bus = Bus::new(self.clock.clone(), 16);
        let alerting =
            Alerting::open(self.clock.clone(), self.store.clone(), bus, &loaded.config, Arc::new(|| true))
                .unwrap();
        let clock = SystemClock::new();
        runtime.block_on(async {
            let mut rounds = alerting.rounds(&loaded.config).await;
            for _ in 0..5 {
                self.tick();
                rounds = alerting.round(rounds).await.unwrap();
            }
            let (mut wall, mut cpu) = (Duration::ZERO, 0.0);
            for _ in 0..ROUNDS {
                self.tick();
                let (began, cpu_began) = (clock.monotonic(), process_seconds());
                rounds = alerting.round(rounds).await.unwrap();
                wall += clock.monotonic().since(began);
                cpu += process_seconds() - cpu_began;
            }
            let rounds = f64::from(ROUNDS);
            (wall.as_secs_f64() * 1e3 / rounds, cpu * 1e3 / rounds)
        })
    }
}

/// CPU time of the process, seconds.
fn process_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Switches the shipped rules off, so that only the instances in question are measured.
fn alone() -> String {
    holdfast::config::rule::shipped()
        .iter()
        .map(|rule| format!("[[rule]]\nname = \"{}\"\nenabled = false\n", rule.name))
        .collect()
}

fn main() {
    println!("{:<44} {:>10} {:>9} {:>9} {:>12}", "round of", "instances", "wall ms", "CPU ms", "us/instance");
    for count in [1000, 10_000] {
        let stage = Stage::new(count);
        let one = "[[rule]]\nname = 'one'\nexpr = '100 * load > 9000'\n";
        let levels = "[[rule]]\nname = 'levels'\nexpr = 'load'\nlevels = { medium = 800, critical = 900 }\n";
        let each: String = (0..count)
            .map(|number| {
                format!("[[rule]]\nname = \"r{number}\"\nexpr = 'load{{disk=\"{number}\"}} > 900'\n")
            })
            .collect();
        let rate = "[[rule]]\nname = 'rate'\nexpr = 'rate(done_total[1m])'\nlevels = { medium = 100 }\nevery = '1s'\n";
        for (what, rules) in [
            ("one rule, Prometheus form", one.to_owned()),
            ("one rule with levels", levels.to_owned()),
            ("one rule per series", each),
            ("one rule, rate over a minute", rate.to_owned()),
        ] {
            let (wall, cpu) = stage.measure(&(alone() + &rules));
            println!("{what:<44} {count:>10} {wall:>9.2} {cpu:>9.2} {:>12.2}", cpu * 1e3 / count as f64);
        }
    }
}
