//! A backup of a store of known size: made, read whole, put back; with the bytes of each.
//!
//! `cargo bench --bench backup -- [HOURS] [SERIES]`: so many hours of noise, which nothing
//! compresses, one sample of each series every 10 s. One run is one line per step.

#![expect(clippy::disallowed_methods, reason = "time is what is measured")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast::base::time::{Clock as _, ManualClock, Timestamp};
use holdfast::model::access::AuditEntry;
use holdfast::model::frame::Frame;
use holdfast::store::backup::{Looked, Shelf, look, restore};
use holdfast::store::{Store, StoreOptions};

const START: i64 = 1_795_165_200_000;

fn options(path: &Path) -> StoreOptions {
    StoreOptions {
        path: path.to_owned(),
        cap: 1 << 30,
        raw_retention: Duration::from_secs(30 * 86_400),
        minute_retention: Duration::from_secs(30 * 86_400),
        hour_retention: Duration::from_secs(730 * 86_400),
        max_series: 5000,
        cache: 2 << 20,
        tail: Some(None),
    }
}

fn noise(state: &mut u64) -> f64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 12) as f64
}

fn step<T>(name: &str, bytes: impl Fn(&T) -> u64, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = work();
    let seconds = began.elapsed().as_secs_f64();
    let mebibytes = bytes(&done) as f64 / f64::from(1 << 20);
    println!(
        "{name:<24} {:>8.0} ms {mebibytes:>8.1} MiB {:>8.0} MiB/s",
        seconds * 1000.0,
        mebibytes / seconds
    );
    done
}

fn main() {
    let mut given = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let (hours, series) = (given.next().unwrap_or(24), given.next().unwrap_or(500));
    let folder = tempfile::tempdir_in(".").unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp(START)));
    let options = options(&folder.path().join("holdfast.redb"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (store, _) = Store::open(options.clone(), clock.clone(), &mut |_| {}).unwrap();
    let mut state = 7;
    for tick in 1..=hours * 360 {
        clock.advance(Duration::from_secs(10));
        let mut frame = Frame::new();
        frame.gauge("bench_value", "Noise.");
        for number in 0..series {
            frame.push(&[("n", &number.to_string())], noise(&mut state));
        }
        store.append("bench", clock.now(), &frame);
        if tick % 60 == 0 {
            runtime.block_on(store.flush(0)).unwrap();
        }
    }
    let stats = store.stats();
    println!(
        "{} samples, file {:.1} MiB, in use {:.1} MiB",
        stats.samples_appended_total,
        stats.file_bytes as f64 / f64::from(1 << 20),
        stats.used_bytes as f64 / f64::from(1 << 20)
    );
    let on: &dyn Fn() -> bool = &|| true;
    let shelf = Shelf::new(folder.path().join("backups"));
    let draft = shelf.begin(clock.now()).unwrap();
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    step("copied", |()| length(&draft.path), || drop(store.copy_to(&draft.path, on).unwrap()));
    let (_, sha256) = step("digest", |(bytes, _)| *bytes, || draft.digest(on).unwrap());
    let looked =
        step("read whole", |looked: &Looked| looked.verdict.bytes, || look(&draft.path, None, on).unwrap());
    assert!(looked.verdict.valid, "{:?}", looked.verdict.problems);
    let text = String::new;
    let audit = AuditEntry { at: clock.now(), who: text(), action: text(), object: text(), detail: text() };
    step(
        "staged",
        |()| length(&draft.path),
        || {
            restore::stage(&draft.path, &sha256, &options.path, &audit).unwrap();
        },
    );
    runtime.block_on(store.close(0)).unwrap();
    step(
        "put in place",
        |()| length(&options.path),
        || {
            drop(restore::finish(&options.path, clock.now()).unwrap().unwrap());
        },
    );
    step(
        "opened",
        |_| length(&options.path),
        || Store::open(options.clone(), clock.clone(), &mut |_| {}).unwrap(),
    );
}
