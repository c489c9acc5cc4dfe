//! All samples of one source at one tick.
//!
//! A frame is filled every second, so it is one reusable arena: all keys in one
//! `String`, families and samples as ranges into it. Clearing keeps the memory.

use std::borrow::Cow;
use std::ops::Range;

use super::series::{Kind, write_key};

/// The metric a run of samples belongs to.
#[derive(Debug, Clone)]
struct FamilySpan {
    name: Range<u32>,
    kind: Kind,
    help: Cow<'static, str>,
}

#[derive(Debug, Clone, Copy)]
struct SampleSpan {
    start: u32,
    end: u32,
    family: u32,
    value: f64,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    text: String,
    families: Vec<FamilySpan>,
    samples: Vec<SampleSpan>,
    /// Scratch for the name being written.
    name: String,
}

/// One sample of a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrameSample<'a> {
    /// Canonical series key, see [`super::series`].
    pub key: &'a str,
    /// Name of the metric family, the key without labels (for a histogram,
    /// without `_bucket`, `_sum`, `_count` either).
    pub family: &'a str,
    pub kind: Kind,
    pub help: &'a str,
    pub value: f64,
}

impl Frame {
    pub fn new() -> Self {
        Self::default()
    }

    /// Empties the frame and keeps its memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.families.clear();
        self.samples.clear();
    }

    pub fn len(&self) -> usize {
        self.samples.len()
    }

    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Starts a metric family; the pushes that follow belong to it.
    pub fn family(&mut self, name: &str, kind: Kind, help: impl Into<Cow<'static, str>>) -> &mut Self {
        let start = self.text.len() as u32;
        self.text.push_str(name);
        let name = start..self.text.len() as u32;
        self.families.push(FamilySpan { name, kind, help: help.into() });
        self
    }

    pub fn counter(&mut self, name: &str, help: impl Into<Cow<'static, str>>) -> &mut Self {
        self.family(name, Kind::Counter, help)
    }

    pub fn gauge(&mut self, name: &str, help: impl Into<Cow<'static, str>>) -> &mut Self {
        self.family(name, Kind::Gauge, help)
    }

    /// Adds a sample of the current family. A frame without a family ignores it.
    pub fn push(&mut self, labels: &[(&str, &str)], value: f64) -> &mut Self {
        self.push_suffixed("", labels, value)
    }

    /// Adds a sample of the current family under its name plus `suffix`
    /// (`_bucket`, `_sum`, `_count` of histograms and summaries).
    pub fn push_suffixed(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) -> &mut Self {
        let Some(family) = self.families.last() else { return self };
        let name = family.name.start as usize..family.name.end as usize;
        let start = self.text.len() as u32;
        self.name.clear();
        self.name.push_str(&self.text[name]);
        self.name.push_str(suffix);
        write_key(&mut self.text, &self.name, labels);
        self.samples.push(SampleSpan {
            start,
            end: self.text.len() as u32,
            family: (self.families.len() - 1) as u32,
            value,
        });
        self
    }

    /// Appends another frame's samples.
    pub fn append(&mut self, other: &Self) {
        let text = self.text.len() as u32;
        let family = self.families.len() as u32;
        self.text.push_str(&other.text);
        self.families.extend(
            other.families.iter().map(|span| FamilySpan {
                name: span.name.start + text..span.name.end + text,
                ..span.clone()
            }),
        );
        self.samples.extend(other.samples.iter().map(|span| SampleSpan {
            start: span.start + text,
            end: span.end + text,
            family: span.family + family,
            value: span.value,
        }));
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = FrameSample<'_>> {
        self.samples.iter().map(|span| {
            let family = &self.families[span.family as usize];
            FrameSample {
                key: &self.text[span.start as usize..span.end as usize],
                family: &self.text[family.name.start as usize..family.name.end as usize],
                kind: family.kind,
                help: &family.help,
                value: span.value,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Frame {
        let mut frame = Frame::new();
        frame.gauge("node_load1", "1m load average.").push(&[], 0.5);
        frame
            .counter("node_cpu_seconds_total", "Seconds the CPUs spent in each mode.")
            .push(&[("cpu", "0"), ("mode", "idle")], 12.0)
            .push(&[("cpu", "0"), ("mode", "user")], 3.0);
        frame
    }

    #[test]
    fn samples_know_their_family() {
        let frame = sample();
        let all: Vec<_> = frame.iter().map(|s| (s.key, s.family, s.kind, s.value)).collect();
        assert_eq!(
            all[1],
            (
                "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"}",
                "node_cpu_seconds_total",
                Kind::Counter,
                12.0
            )
        );
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn appending_keeps_both() {
        let mut left = sample();
        left.append(&sample());
        assert_eq!(left.len(), 6);
        assert_eq!(left.iter().last(), sample().iter().last());
    }

    #[test]
    fn histogram_parts_share_a_family() {
        let mut frame = Frame::new();
        frame.family("h", Kind::Histogram, "").push_suffixed("_bucket", &[("le", "+Inf")], 2.0);
        let only = frame.iter().next().unwrap();
        assert_eq!((only.key, only.family), ("h_bucket{le=\"+Inf\"}", "h"));
    }
}
