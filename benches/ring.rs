//! What the ring costs in time: head push, seal, compaction, queries, codecs.
//!
//! `cargo bench --bench ring`. Synthetic series in the proportions of a real
//! host: three in five constant, a quarter counters, the rest gauges.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;
use holdfast::base::time::Timestamp;
use holdfast::model::frame::Frame;
use holdfast::model::query::{LOOKBACK, RangeQuery, Resolution};
use holdfast::model::selector::{MatchOp, Matcher, Selector};
use holdfast::store::StoreError;
use holdfast::store::ring;
use holdfast::store::ring::{BlobRef, Blobs, Head, HeadOptions, Hour, HourBlobs, Search};

const START: i64 = 1_795_132_800_000;
const SERIES: usize = 500;

fn main() {
    divan::main();
}

/// Frames of one second after the other.
struct Host {
    frame: Frame,
    tick: i64,
    state: u64,
    values: Vec<f64>,
}

impl Host {
    fn new() -> Self {
        Self { frame: Frame::new(), tick: 0, state: 0x1234_5678_9abc_def1, values: vec![1000.0; SERIES] }
    }

    fn next(&mut self) -> (Timestamp, &Frame) {
        self.tick += 1;
        self.frame.clear();
        self.frame.gauge("bench_value", "A value.");
        for (number, value) in self.values.iter_mut().enumerate() {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            match number % 20 {
                0..12 => {}
                12..17 => *value += (self.state % 97) as f64,
                17..19 => *value = (self.state % 10_000) as f64 / 100.0,
                _ => *value = *value * 0.9 + (self.state >> 40) as f64,
            }
            let device = DEVICES[number / 50];
            let unit = UNITS[number % 50 % 10];
            let place = PLACES[number % 50 / 10];
            self.frame.push(&[("device", device), ("place", place), ("unit", unit)], *value);
        }
        (Timestamp(START + self.tick * 1000 + self.tick % 7), &self.frame)
    }
}

const DEVICES: [&str; 10] = ["d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9"];
const UNITS: [&str; 10] = ["u0", "u1", "u2", "u3", "u4", "u5", "u6", "u7", "u8", "u9"];
const PLACES: [&str; 5] = ["p0", "p1", "p2", "p3", "p4"];

fn head() -> Head {
    Head::new(HeadOptions { max_series: 5000, keep: 1000, max_bytes: 64 << 20 })
}

#[divan::bench]
fn head_push_one_frame(bencher: Bencher<'_, '_>) {
    let (mut head, mut host) = (head(), Host::new());
    let frames: Vec<Frame> = (0..64).map(|_| host.next().1.clone()).collect();
    let mut tick = 0;
    bencher.counter(ItemsCount::new(SERIES)).bench_local(|| {
        tick += 1;
        if tick % 30 == 0 {
            head.seal();
        }
        if tick % 3600 == 0 {
            head.compacted(Hour::of(Timestamp(START + tick * 1000)));
        }
        head.append("host", Timestamp(START + tick * 1000), &frames[tick as usize % 64], None).accepted
    });
}

#[divan::bench]
fn tail_record_of_one_frame(bencher: Bencher<'_, '_>) {
    let (mut head, mut host) = (head(), Host::new());
    let mut tail = Vec::new();
    bencher.counter(ItemsCount::new(SERIES)).bench_local(|| {
        tail.clear();
        let (at, frame) = host.next();
        head.append("host", at, frame, Some(&mut tail));
        tail.len()
    });
}

#[divan::bench(args = [30, 120])]
fn flush_block(bencher: Bencher<'_, '_>, seconds: usize) {
    let filled = || {
        let (mut head, mut host) = (head(), Host::new());
        for _ in 0..seconds {
            let (at, frame) = host.next();
            head.append("host", at, frame, None);
        }
        head
    };
    bencher
        .counter(ItemsCount::new(SERIES * seconds))
        .with_inputs(filled)
        .bench_local_values(|mut head| head.seal().map(|block| block.bytes.len()));
}

#[divan::bench(args = [30, 120])]
fn read_flush_block(bencher: Bencher<'_, '_>, seconds: usize) {
    let (mut full, mut host) = (head(), Host::new());
    for _ in 0..seconds {
        let (at, frame) = host.next();
        full.append("host", at, frame, None);
    }
    let Some(block) = full.seal() else { return };
    bencher
        .counter(ItemsCount::new(SERIES * seconds))
        .with_inputs(head)
        .bench_local_values(|mut head| head.restore_block(&block.bytes));
}

/// A day in memory: the head and the blobs of its hours.
struct Day {
    head: Head,
    blobs: BTreeMap<(Resolution, i64), (i64, Vec<u8>)>,
}

impl Blobs for Day {
    fn list(
        &self,
        resolution: Resolution,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<BlobRef>, StoreError> {
        let all = self.blobs.iter().filter(|((tier, _), _)| *tier == resolution);
        let refs = all.map(|((_, start), (end, _))| BlobRef { resolution, start: *start, end: *end });
        Ok(refs.filter(|blob| blob.end > from.millis() && blob.start < to.millis()).collect())
    }

    fn read(
        &self,
        blob: &BlobRef,
        offset: usize,
        length: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        out.clear();
        if let Some((_, bytes)) = self.blobs.get(&(blob.resolution, blob.start)) {
            let end = bytes.len().min(offset.saturating_add(length));
            out.extend_from_slice(&bytes[offset.min(end)..end]);
        }
        Ok(())
    }
}

fn day() -> &'static Day {
    static DAY: OnceLock<Day> = OnceLock::new();
    DAY.get_or_init(|| {
        let (mut head, mut host, mut blobs) = (head(), Host::new(), BTreeMap::new());
        for tick in 1..=24 * 3600 + 1800 {
            let (at, frame) = host.next();
            head.append("host", at, frame, None);
            if tick % 30 == 0 {
                head.seal();
            }
            if let Some(hour) = (tick % 3600 == 10).then(|| head.closed_hour(at)).flatten() {
                let made = ring::encode_hour(&head.hour_input(hour));
                keep(&mut blobs, made);
                head.compacted(hour);
            }
        }
        Day { head, blobs }
    })
}

fn keep(blobs: &mut BTreeMap<(Resolution, i64), (i64, Vec<u8>)>, made: HourBlobs) {
    let (start, end) = (made.hour.start().millis(), made.hour.end().millis());
    blobs.insert((Resolution::Raw, start), (end, made.raw));
    blobs.insert((Resolution::Minute, start), (end, made.minute));
    blobs.insert((Resolution::Hour, start), (end, made.hour_row));
}

#[divan::bench(sample_count = 20)]
fn compact_an_hour(bencher: Bencher<'_, '_>) {
    let (mut head, mut host) = (head(), Host::new());
    for tick in 1..=3600 {
        let (at, frame) = host.next();
        head.append("host", at, frame, None);
        if tick % 30 == 0 {
            head.seal();
        }
    }
    let input = head.hour_input(Hour::of(Timestamp(START + 1)));
    bencher.counter(ItemsCount::new(SERIES * 3600)).bench_local(|| ring::encode_hour(&input).samples);
}

/// 24 hours at a step of a minute; `late` ms off the full minute, so that raw
/// hours are read instead of the 1m tier.
fn query(bencher: Bencher<'_, '_>, series: usize, late: i64) {
    let day = day();
    let matcher = |label: &str, value: &str| Matcher {
        label: label.to_owned(),
        op: MatchOp::Equal,
        value: value.to_owned(),
    };
    let mut matchers = vec![matcher("__name__", "bench_value"), matcher("device", "d3")];
    if series == 1 {
        matchers.extend([matcher("place", "p1"), matcher("unit", "u4")]);
    }
    let end = Timestamp(START + 24 * ring::HOUR_MS + 20 * ring::MINUTE_MS + late);
    let query = RangeQuery {
        selector: Selector { matchers },
        start: Timestamp(end.millis() - 24 * ring::HOUR_MS),
        end,
        step: Duration::from_secs(60),
        lookback: LOOKBACK,
        max_series: 100,
        max_points: 1_000_000,
    };
    bencher.counter(ItemsCount::new(series * 1441)).bench_local(|| {
        let answer = Search::new(std::slice::from_ref(&query.selector))
            .and_then(|search| search.among(&day.head.keys(), query.max_series))
            .and_then(|found| day.head.plan(&query, &found))
            .and_then(|plan| plan.evaluate(day));
        assert_eq!(answer.map_or(0, |answer| answer.series.len()), series);
    });
}

#[divan::bench(args = [1, 50], sample_count = 300)]
fn query_a_day_by_the_minute(bencher: Bencher<'_, '_>, series: usize) {
    query(bencher, series, 0);
}

#[divan::bench(args = [1, 50], sample_count = 30)]
fn query_a_day_of_raw_samples(bencher: Bencher<'_, '_>, series: usize) {
    query(bencher, series, 500);
}

/// What a start does: the newest raw hour, then an hour of flush blocks.
#[divan::bench(sample_count = 10)]
fn restart_with_a_full_hour(bencher: Bencher<'_, '_>) {
    let (mut full, mut host, mut blocks) = (head(), Host::new(), Vec::new());
    let mut raw = Vec::new();
    for tick in 1..=7200 {
        let (at, frame) = host.next();
        full.append("host", at, frame, None);
        if tick % 30 == 0 {
            blocks.extend(full.seal().filter(|_| tick > 3600));
        }
        if tick == 3610 {
            raw = ring::encode_hour(&full.hour_input(Hour::of(Timestamp(START + 1)))).raw;
        }
    }
    bencher.with_inputs(head).bench_local_values(|mut head| {
        let mut samples = head.restore_hour(&raw).unwrap_or(0);
        for block in &blocks {
            samples += head.restore_block(&block.bytes).unwrap_or(0);
        }
        samples
    });
}
