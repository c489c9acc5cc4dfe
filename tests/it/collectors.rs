//! The host collectors against a real node_exporter on the same host.
//!
//! Ours are read before and after a scrape of it. What both have must then lie
//! between our two readings; what does not is tried again in later rounds, because
//! gauges move both ways. A constant must be equal. Names, kinds and help are
//! compared as well.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use holdfast::base::time::{Clock, SystemClock};
use holdfast::collectors::{Collector, Roots, Tick, all};
use holdfast::model::frame::Frame;
use holdfast::model::series::{Kind, labels_of, name_of, write_key};

const ROUNDS: usize = 25;
/// Of the exporter's series about the host, this share must be ours too, percent.
const SHARE: f64 = 90.0;
/// About the exporter itself, not about the host.
const ITS_OWN: [&str; 6] =
    ["go_", "process_", "promhttp_", "node_scrape_", "node_exporter_", "node_textfile_"];
/// Counts of what the exporter itself brings to the host while it answers: its
/// threads, its connection.
const DISTURBED: [&str; 6] = [
    "node_procs_running",
    "node_processes_",
    "node_sockstat_",
    "node_filefd_allocated",
    "node_netstat_Tcp_CurrEstab",
    "node_nf_conntrack_entries",
];

/// One reading: value by canonical key.
type Reading = BTreeMap<String, f64>;

#[derive(Default)]
struct Scrape {
    values: Reading,
    /// Kind and help by family.
    families: BTreeMap<String, (Kind, String)>,
}

struct Exporter {
    child: Child,
    port: u16,
}

impl Exporter {
    fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut child = Command::new("prometheus-node-exporter")
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--collector.processes", "--no-collector.systemd"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("prometheus-node-exporter is needed: apt-get install prometheus-node-exporter");
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("TLS is disabled") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "node_exporter ended before it listened");
        }
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, port }
    }

    fn scrape(&self) -> Scrape {
        // It says that it listens a moment before it does.
        let mut stream = loop {
            match TcpStream::connect(("127.0.0.1", self.port)) {
                Ok(stream) => break stream,
                Err(_) => std::thread::yield_now(),
            }
        };
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        parse(text.split_once("\r\n\r\n").expect("an answer").1)
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parse(text: &str) -> Scrape {
    let mut scrape = Scrape::default();
    let mut help = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (family, text) = rest.split_once(' ').unwrap_or((rest, ""));
            help.insert(family.to_owned(), text.to_owned());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (family, kind) = rest.split_once(' ').unwrap();
            let kind = match kind {
                "counter" => Kind::Counter,
                "gauge" => Kind::Gauge,
                "histogram" => Kind::Histogram,
                "summary" => Kind::Summary,
                _ => Kind::Unknown,
            };
            let text = help.get(family).cloned().unwrap_or_default();
            scrape.families.insert(family.to_owned(), (kind, text));
        } else if let Some((series, value)) = line.rsplit_once(' ') {
            scrape.values.insert(canonical(series), value.parse().unwrap());
        }
    }
    scrape
}

fn canonical(series: &str) -> String {
    let labels = labels_of(series);
    let labels: Vec<_> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut key = String::new();
    write_key(&mut key, name_of(series), &labels);
    key
}

struct Ours {
    collectors: Vec<Box<dyn Collector>>,
    clock: SystemClock,
    frame: Frame,
}

impl Ours {
    fn new() -> Self {
        let roots = Roots { procfs: "/proc".into(), sysfs: "/sys".into(), rootfs: "/".into() };
        Self { collectors: all(&roots), clock: SystemClock::new(), frame: Frame::new() }
    }

    fn read(&mut self) -> Reading {
        let tick = Tick { at: self.clock.now(), monotonic: self.clock.monotonic() };
        self.frame.clear();
        for collector in &mut self.collectors {
            let mut frame = Frame::new();
            if collector.collect(tick, &mut frame).is_ok() {
                self.frame.append(&frame);
            }
        }
        self.frame.iter().map(|sample| (sample.key.to_owned(), sample.value)).collect()
    }

    fn families(&self) -> BTreeMap<String, (Kind, String)> {
        self.frame
            .iter()
            .map(|sample| (sample.family.to_owned(), (sample.kind, sample.help.to_owned())))
            .collect()
    }
}

fn is_its_own(key: &str) -> bool {
    ITS_OWN.iter().any(|prefix| key.starts_with(prefix))
}

/// Whether `value` lies between our readings; gauges of memory and space may
/// differ by a hundredth, for they move while they are read.
fn agrees(key: &str, kind: Kind, value: f64, before: f64, after: f64) -> bool {
    let slack = if DISTURBED.iter().any(|prefix| key.starts_with(prefix)) {
        16.0
    } else if kind == Kind::Gauge && key.contains("_bytes") {
        value.abs() / 100.0
    } else {
        0.0
    };
    before.min(after) - slack <= value && value <= before.max(after) + slack
}

#[test]
fn values_names_kinds_and_help_are_those_of_node_exporter() {
    let exporter = Exporter::start();
    let mut ours = Ours::new();
    ours.read();
    let first = exporter.scrape();
    let about_host: BTreeSet<&String> = first.values.keys().filter(|key| !is_its_own(key)).collect();
    let mine = ours.read();
    let mut open: BTreeMap<String, String> = about_host
        .iter()
        .filter(|key| mine.contains_key(**key))
        .map(|key| ((*key).clone(), String::from("never compared")))
        .collect();
    let common = open.len();
    report_missing(&first, &mine, &about_host, common);

    let families = ours.families();
    for _ in 0..ROUNDS {
        let before = ours.read();
        let scrape = exporter.scrape();
        let after = ours.read();
        open.retain(|key, verdict| {
            let (Some(before), Some(value), Some(after)) =
                (before.get(key), scrape.values.get(key), after.get(key))
            else {
                return !DISTURBED.iter().any(|prefix| key.starts_with(prefix));
            };
            *verdict = format!("node_exporter has {value}, ours are {before} and {after}");
            let kind = families.get(name_of(key)).map_or(Kind::Unknown, |family| family.0);
            !agrees(key, kind, *value, *before, *after)
        });
        if open.is_empty() {
            break;
        }
    }
    assert!(open.is_empty(), "in {ROUNDS} rounds these never agreed: {open:#?}");

    for (family, theirs) in &first.families {
        if let (Some(mine), false) = (families.get(family), is_its_own(family)) {
            assert_eq!(mine, theirs, "kind and help of {family}");
        }
    }
    let share = common as f64 / about_host.len() as f64 * 100.0;
    assert!(share >= SHARE, "only {share:.1} % of the exporter's series are ours");
}

fn report_missing(first: &Scrape, mine: &Reading, about_host: &BTreeSet<&String>, common: usize) {
    let mut missing: BTreeMap<&str, usize> = BTreeMap::new();
    for key in first.values.keys().filter(|key| !is_its_own(key) && !mine.contains_key(*key)) {
        *missing.entry(name_of(key)).or_default() += 1;
    }
    println!("of {} series about the host {common} are ours; not ours:", about_host.len());
    for (family, count) in missing {
        println!("  {count:3} {family}");
    }
    let extra: BTreeSet<&str> =
        mine.keys().filter(|key| !first.values.contains_key(*key)).map(|key| name_of(key)).collect();
    println!("only ours: {extra:?}");
}
