//! Bytes per sample of each part of the ring, on the recorded data.
//!
//! `cargo bench --bench replay -- FILE.csv.gz [hours] [flush seconds] [DIRECTORY]`;
//! with a directory on a real disk the same goes through the store, and the
//! size of its file, what was written and query times are shown too. A directory
//! that holds a replay already is only asked again: for two builds in turn.

mod recording;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use holdfast::base::time::{Clock, ManualClock, Monotonic, SystemClock, Timestamp};
use holdfast::model::query::{LOOKBACK, RangeAnswer, RangeQuery, Resolution, SamplesQuery, SeriesSamples};
use holdfast::model::selector::{MatchOp, Matcher, Selector};
use holdfast::store::ring;
use holdfast::store::ring::{Head, HeadOptions};
use holdfast::store::{Store, StoreOptions};

use recording::Recording;

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let Some(path) = words.first() else {
        println!("replay: no recording given, nothing to do");
        return Ok(());
    };
    let hours: usize = words.get(1).map_or(Ok(24), |word| word.parse())?;
    let flush: usize = words.get(2).map_or(Ok(30), |word| word.parse())?;
    let mut recording = Recording::open(&PathBuf::from(path))?;
    if let Some(directory) = words.get(3) {
        return through_the_store(recording, hours, flush, Path::new(directory));
    }
    let clock = SystemClock::new();
    let mut head = Head::new(HeadOptions { max_series: 5000, keep: 1000, max_bytes: 64 << 20 });
    let (mut samples, mut blocks, mut raw, mut minute, mut hour_rows, mut index) = (0u64, 0, 0, 0, 0, 0);
    let (mut push, mut seal, mut compact) = (0.0, 0.0, 0.0);
    let (mut largest, mut tail_bytes, mut tail_largest) = (0, 0usize, 0);
    let (mut compactions, mut seals) = (0, 0);
    let mut longest = [0.0f64; 3];
    let since = |start: Monotonic| clock.monotonic().since(start).as_secs_f64();
    let mut rows: Vec<Vec<u8>> = Vec::new();
    let mut tail = Vec::new();
    for tick in 1..=hours * 3600 + 6 {
        let (at, frame) = recording.next();
        let start = clock.monotonic();
        samples += head.append("host", at, frame, Some(&mut tail)).accepted as u64;
        let took = since(start);
        push += took;
        longest[0] = longest[0].max(took);
        if tick % flush == 0 || tick == hours * 3600 + 6 {
            tail_bytes += tail.len();
            tail_largest = tail_largest.max(tail.len());
            tail.clear();
            let start = clock.monotonic();
            if let Some(block) = head.seal() {
                blocks += block.bytes.len();
                index += block.series.iter().map(|record| record.encode().len()).sum::<usize>();
                head.flushed(&block.series);
                seals += 1;
            }
            let took = since(start);
            seal += took;
            longest[1] = longest[1].max(took);
            largest = largest.max(head.stats().bytes);
            while let Some(hour) = head.closed_hour(Timestamp(at.millis() + 5000)) {
                let start = clock.monotonic();
                let input = head.hour_input(hour);
                let made = ring::encode_hour(&input);
                drop(input);
                raw += made.raw.len();
                minute += made.minute.len();
                hour_rows += made.hour_row.len();
                rows.push(made.hour_row);
                head.compacted(hour);
                compactions += 1;
                let took = since(start);
                compact += took;
                longest[2] = longest[2].max(took);
            }
        }
    }
    let per = |bytes: usize| bytes as f64 / samples as f64;
    let parts: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
    let day = ring::merge_rows(&parts)?;
    println!("series {}, samples {samples}, flush {flush} s, hours {compactions}", recording.series());
    println!("flush blocks  {:.3} B/sample, {} B each", per(blocks), blocks / seals.max(1));
    println!("raw hours     {:.3}", per(raw));
    println!("1m rows       {:.4}", per(minute));
    println!("1h rows       {:.4} single, {:.4} joined", per(hour_rows), per(day.len()));
    println!("index rows    {:.4} ({index} B)", per(index));
    println!("tail          {:.3}, largest {tail_largest} B", per(tail_bytes));
    println!("head          {largest} B at most, {} B at the end", head.stats().bytes);
    println!(
        "append        {:.1} us per frame, longest {:.2} ms",
        push / samples as f64 * 507e6,
        longest[0] * 1e3
    );
    println!(
        "seal          {:.2} ms each, longest {:.2}",
        seal / seals.max(1) as f64 * 1e3,
        longest[1] * 1e3
    );
    println!(
        "compaction    {:.0} ms each, longest {:.0}",
        compact / f64::from(compactions.max(1)) * 1e3,
        longest[2] * 1e3
    );
    println!("{}", rss()?);
    Ok(())
}

fn rss() -> anyhow::Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let lines: Vec<&str> =
        status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS")).collect();
    Ok(lines.join("  "))
}

fn through_the_store(
    mut recording: Recording,
    hours: usize,
    flush: usize,
    directory: &Path,
) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory)?;
    let day = Duration::from_secs(86_400);
    let path = directory.join("replay.redb");
    let there = path.exists();
    let options = StoreOptions {
        path: path.clone(),
        cap: 512 << 20,
        raw_retention: day,
        minute_retention: 30 * day,
        hour_retention: 730 * day,
        max_series: 5000,
        cache: 4 << 20,
        tail: Some(None),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let clock = Arc::new(ManualClock::at(Timestamp(recording::START)));
    if there {
        clock.advance(Duration::from_secs(hours as u64 * 3600 + 60));
        let (store, _) = Store::open(options, clock.clone(), &mut |_| {})?;
        return ask(&store, clock.now());
    }
    let (store, _) = Store::open(options.clone(), clock.clone(), &mut |_| {})?;
    let before = written()?;
    let mut samples = 0u64;
    let mut end = Timestamp(recording::START);
    for tick in 1..=hours * 3600 + 60 {
        let (at, frame) = recording.next();
        clock.advance(Duration::from_secs(1));
        samples += store.append("host", at, frame).accepted as u64;
        if tick % flush == 0 {
            runtime.block_on(store.flush(0))?;
        }
        end = at;
    }
    let per = |bytes: u64| bytes as f64 / samples as f64;
    println!("samples {samples}, flush {flush} s, {hours} h through the store");
    println!("written  {:.2} B/sample to the device", per(written()? - before));
    println!("{:?}", store.stats());
    ask(&store, end)?;
    println!("{}", rss()?);
    // The file as a killed process leaves it.
    let crashed = StoreOptions { path: directory.join("crashed.redb"), ..options };
    std::fs::copy(&path, &crashed.path)?;
    let (start, system) = (SystemClock::new(), clock.clone());
    let (opened, report) = Store::open(crashed, system, &mut |_| {})?;
    let took = start.monotonic().0;
    println!("opened   after a crash in {took:?}, clean: {}", report.clean);
    drop(opened);
    runtime.block_on(store.close(0))?;
    println!("file     {:.3} B/sample after closing", per(std::fs::metadata(&path)?.len()));
    Ok(())
}

/// Query times, first of whole minutes, then of raw samples.
fn ask(store: &Store, end: Timestamp) -> anyhow::Result<()> {
    let minute = end.millis() / ring::MINUTE_MS * ring::MINUTE_MS;
    for (end, which) in [(minute, "whole minutes"), (minute - 29_500, "raw samples")] {
        for series in [1, 50] {
            print!("{which}: ");
            times(store, series, Timestamp(end))?;
        }
    }
    for series in [1, 50] {
        samples(store, series, Timestamp(minute))?;
    }
    Ok(())
}

/// Times of 20 reads of every sample of 24 h.
fn samples(store: &Store, series: usize, to: Timestamp) -> anyhow::Result<()> {
    let from = Timestamp(to.millis() - 24 * ring::HOUR_MS);
    let selector = selector(series);
    let finest = Resolution::Raw;
    let query = SamplesQuery { selector, from, to, finest, max_series: 500, max_samples: 50_000_000 };
    let clock = SystemClock::new();
    let (mut took, mut found) = (Vec::new(), 0);
    for _ in 0..20 {
        let start = clock.monotonic();
        let answer = store.samples(&query)?;
        took.push(clock.monotonic().since(start));
        found = answer.series.iter().map(SeriesSamples::sample_count).sum();
    }
    took.sort_unstable();
    println!("{found} samples: p50 {:?}, longest {:?}", took[10], took[19]);
    Ok(())
}

/// One series, or some fifty.
fn selector(series: usize) -> Selector {
    let (op, value) = if series == 1 {
        (MatchOp::Equal, "node_load1")
    } else {
        (MatchOp::Regex, "node_memory_(A|B|C|D|H|I|K|M|N|P|S|Un|V|W|Z).*")
    };
    let label = String::from("__name__");
    Selector { matchers: vec![Matcher { label, op, value: value.to_owned() }] }
}

/// Times of 200 queries over 24 h at a step of a minute, and a sum over the answer
/// that two builds must have in common.
fn times(store: &Store, series: usize, end: Timestamp) -> anyhow::Result<()> {
    let query = RangeQuery {
        selector: selector(series),
        start: Timestamp(end.millis() - 24 * ring::HOUR_MS),
        end,
        step: Duration::from_secs(60),
        lookback: LOOKBACK,
        max_series: 500,
        max_points: 10_000_000,
    };
    let clock = SystemClock::new();
    let mut took = Vec::new();
    let mut last = RangeAnswer::default();
    for _ in 0..200 {
        let start = clock.monotonic();
        last = store.query_range(&query)?;
        took.push(clock.monotonic().since(start));
    }
    took.sort_unstable();
    let mut sum = crc32fast::Hasher::new();
    for value in last.series.iter().flat_map(|line| line.points.iter().chain(&line.min).chain(&line.max)) {
        sum.update(&value.to_bits().to_le_bytes());
    }
    let (found, sum) = (last.series.len(), sum.finalize());
    println!("query of {found} series: p50 {:?}, p99 {:?}, sum {sum:08x}", took[100], took[198]);
    Ok(())
}

fn written() -> anyhow::Result<u64> {
    let io = std::fs::read_to_string("/proc/self/io")?;
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.ok_or_else(|| anyhow::anyhow!("no write_bytes in /proc/self/io"))?.trim().parse()?)
}
