//! The recorded node_exporter data as an endless stream of frames.
//!
//! Repeated as it is, a compressor would see the same ten minutes again and
//! again, so the increments of each series are shuffled anew in every replay:
//! counters go on from where they were, gauges start over. Increments are
//! those of the shortest decimal form, so that shuffling adds no digits.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use holdfast::base::time::Timestamp;
use holdfast::model::frame::Frame;
use holdfast::model::series;
use holdfast::model::series::Kind;

/// One series of the recording.
struct Recorded {
    name: String,
    labels: Vec<(String, String)>,
    values: Vec<f64>,
    /// Factor and divisors that make values of whole numbers, if there are.
    scale: Option<(f64, f64, f64)>,
    counter: bool,
    /// What this replay gives.
    current: Vec<f64>,
}

/// See the module.
pub struct Recording {
    series: Vec<Recorded>,
    /// Milliseconds each tick was late on its second.
    late: Vec<i64>,
    seed: u64,
    tick: usize,
    frame: Frame,
}

/// 2026-11-20T00:00:00Z, a full hour.
pub const START: i64 = 1_795_132_800_000;

impl Recording {
    /// Reads `series,timestamp_ms,value` lines, gzipped.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let mut gzip = Command::new("gzip").arg("-dc").arg(path).stdout(Stdio::piped()).spawn()?;
        let mut text = String::new();
        if let Some(mut out) = gzip.stdout.take() {
            out.read_to_string(&mut text)?;
        }
        anyhow::ensure!(gzip.wait()?.success(), "cannot unpack {}", path.display());
        let mut all: Vec<Recorded> = Vec::new();
        let mut late = Vec::new();
        let mut key_before = String::new();
        for line in text.lines().skip(1) {
            let (rest, value) = line.rsplit_once(',').ok_or_else(|| anyhow::anyhow!("no value: {line}"))?;
            let (key, at) = rest.rsplit_once(',').ok_or_else(|| anyhow::anyhow!("no time: {line}"))?;
            let key = key.trim_matches('"').replace("\"\"", "\"");
            if key != key_before || all.is_empty() {
                all.push(Recorded {
                    name: series::name_of(&key).to_owned(),
                    labels: series::labels_of(&key),
                    values: Vec::new(),
                    scale: None,
                    counter: false,
                    current: Vec::new(),
                });
                key_before = key;
            }
            if all.len() == 1 {
                late.push(at.parse::<i64>()? % 1000);
            }
            if let Some(last) = all.last_mut() {
                last.values.push(value.parse()?);
            }
        }
        for recorded in &mut all {
            recorded.counter = recorded.values.windows(2).all(|pair| pair[1] >= pair[0]);
            let exact = |scale: &(f64, f64, f64)| {
                recorded.values.iter().all(|value| value_of(whole(*value, *scale), *scale) == *value)
            };
            recorded.scale = scales().find(exact);
            recorded.current = recorded.values.clone();
        }
        Ok(Self { series: all, late, seed: 0x9e37_79b9_7f4a_7c15, tick: 0, frame: Frame::new() })
    }

    pub fn series(&self) -> usize {
        self.series.len()
    }

    /// The next second's frame and its time.
    pub fn next(&mut self) -> (Timestamp, &Frame) {
        let length = self.late.len();
        let position = self.tick % length;
        if position == 0 && self.tick > 0 {
            let mut random = Random(self.seed ^ self.tick as u64);
            self.series.iter_mut().for_each(|recorded| recorded.shuffle(&mut random));
        }
        let late = self.late[(self.tick * 7 + self.tick / length) % length];
        let at = Timestamp(START + (self.tick as i64 + 1) * 1000 + late.min(60) - 1000 + 1);
        self.tick += 1;
        self.frame.clear();
        for recorded in &self.series {
            let labels: Vec<(&str, &str)> =
                recorded.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let kind = if recorded.counter { Kind::Counter } else { Kind::Gauge };
            self.frame.family(&recorded.name, kind, "").push(&labels, recorded.current[position]);
        }
        (at, &self.frame)
    }
}

impl Recorded {
    /// A new replay: the increments in another order.
    fn shuffle(&mut self, random: &mut Random) {
        let to = |value: f64| self.scale.map_or(value, |scale| whole(value, scale));
        let from = |number: f64| self.scale.map_or(number, |scale| value_of(number, scale));
        let mut steps: Vec<f64> = self.values.windows(2).map(|pair| to(pair[1]) - to(pair[0])).collect();
        for at in (1..steps.len()).rev() {
            steps.swap(at, random.below(at + 1));
        }
        let last = self.current.last().copied().unwrap_or(0.0);
        let mut number = to(if self.counter { last } else { self.values[0] });
        self.current.clear();
        self.current.push(from(number));
        for step in steps {
            number += step;
            self.current.push(from(number));
        }
    }
}

/// How exporters make values of whole numbers: dividing by a power of ten,
/// multiplying by one, or dividing by a thousand twice.
fn scales() -> impl Iterator<Item = (f64, f64, f64)> {
    let divided = (0..10).map(|power| (1.0, 10f64.powi(power), 1.0));
    let multiplied = [0.1, 0.01, 0.001, 1e-6, 1e-9].map(|factor| (factor, 1.0, 1.0));
    divided.chain(multiplied).chain([(1.0, 1e3, 1e3)])
}

fn whole(value: f64, (factor, first, second): (f64, f64, f64)) -> f64 {
    (value * (first * second / factor)).round()
}

fn value_of(number: f64, (factor, first, second): (f64, f64, f64)) -> f64 {
    number * factor / first / second
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}
