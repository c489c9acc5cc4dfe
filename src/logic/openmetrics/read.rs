//! Reads exposition text a line at a time.
//!
//! The two formats differ in little: OpenMetrics names a counter's family without
//! `_total`, times are seconds instead of milliseconds, and `# EOF` ends it.
//! Whole numbers of twelve digits and more are taken as milliseconds, so both
//! kinds of file are read without being told which it is.
//! Source: the OpenMetrics 1.0 text format and Prometheus' exposition formats.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::time::Timestamp;
use crate::model::series::{Kind, is_label_name, is_metric_name, write_key};

/// Families whose `# TYPE` and `# HELP` are remembered.
const FAMILIES: usize = 20_000;
const LABELS: usize = 64;
/// Bytes of a help text that are kept: each of twenty thousand families may have one.
const HELP: usize = 1024;

/// What the text said about a family.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Family {
    pub name: String,
    pub kind: Kind,
    pub help: String,
}

/// One sample line.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Canonical series key.
    pub key: String,
    pub family: Arc<Family>,
    pub value: f64,
    pub at: Option<Timestamp>,
}

/// Where and why the text is not exposition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ReadError {
    /// Counted from 1.
    pub line: u64,
    pub message: String,
}

/// A family as its `# TYPE` line spelled it, which for OpenMetrics counters and
/// infos is not the name its samples have.
#[derive(Debug, Default)]
struct Declared {
    family: Arc<Family>,
    suffixes: &'static [&'static str],
    /// Sample names keep their suffix as family name (`x_total`, `x_info`).
    named_by_sample: bool,
    /// The family under its sample name, made once.
    resolved: Option<Arc<Family>>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Reader {
    line: u64,
    ended: bool,
    declared: HashMap<String, Declared>,
    undeclared: HashMap<String, Arc<Family>>,
}

impl Reader {
    pub fn new() -> Self {
        Self::default()
    }

    /// Lines read so far.
    pub fn lines(&self) -> u64 {
        self.line
    }

    /// Whether `# EOF` was read.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Reads the next line, without its line feed. `None` for what is no sample.
    ///
    /// # Errors
    /// [`ReadError`] with the line's number. The reader stays usable.
    pub fn line(&mut self, text: &str) -> Result<Option<Sample>, ReadError> {
        self.line += 1;
        let number = self.line;
        self.read(text).map_err(|message| ReadError { line: number, message })
    }

    fn read(&mut self, text: &str) -> Result<Option<Sample>, String> {
        let text = text.strip_suffix('\r').unwrap_or(text).trim_matches([' ', '\t']);
        if text.is_empty() {
            return Ok(None);
        }
        if self.ended {
            return Err(String::from("text after `# EOF`"));
        }
        if let Some(comment) = text.strip_prefix('#') {
            return self.comment(comment.trim_start_matches([' ', '\t'])).map(|()| None);
        }
        self.sample(text).map(Some)
    }

    fn comment(&mut self, text: &str) -> Result<(), String> {
        if text == "EOF" {
            self.ended = true;
            return Ok(());
        }
        let mut words = text.splitn(3, [' ', '\t']);
        let (Some(what @ ("TYPE" | "HELP")), Some(name)) = (words.next(), words.next()) else {
            return Ok(()); // `# UNIT` and plain comments say nothing we keep.
        };
        let rest = words.next().unwrap_or_default();
        if !is_metric_name(name) {
            return Err(format!("`{name}` is not a metric name"));
        }
        if self.declared.len() >= FAMILIES && !self.declared.contains_key(name) {
            return Err(format!("more than {FAMILIES} metric families"));
        }
        let declared = self.declared.entry(name.to_owned()).or_default();
        let mut family = Family { name: name.to_owned(), ..(*declared.family).clone() };
        declared.resolved = None;
        if what == "HELP" {
            family.help = unescape(cut(rest));
        } else {
            let (kind, suffixes, named_by_sample) = type_of(rest.trim())?;
            family.kind = kind;
            declared.suffixes = suffixes;
            declared.named_by_sample = named_by_sample;
        }
        declared.family = Arc::new(family);
        Ok(())
    }

    fn sample(&mut self, text: &str) -> Result<Sample, String> {
        let end = text.find(['{', ' ', '\t']).unwrap_or(text.len());
        let (name, mut rest) = text.split_at(end);
        if !is_metric_name(name) {
            return Err(format!("`{}` is not a metric name", shorten(name)));
        }
        let mut labels = Vec::new();
        rest = rest.trim_start_matches([' ', '\t']);
        if let Some(inside) = rest.strip_prefix('{') {
            rest = read_labels(inside, &mut labels)?;
        }
        // An exemplar follows a `#`; nothing before it holds one any more.
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let mut words = rest.split_ascii_whitespace();
        let value = words.next().ok_or("the value is missing")?;
        let value: f64 = value.parse().map_err(|_| format!("`{}` is not a number", shorten(value)))?;
        let at = match words.next() {
            None => None,
            Some(word) => {
                let at = Timestamp::parse(word).ok_or_else(|| format!("`{}` is not a time", shorten(word)));
                Some(at?)
            }
        };
        if let Some(more) = words.next() {
            return Err(format!("unexpected `{}` after the time", shorten(more)));
        }
        let mut key = String::new();
        let pairs: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        write_key(&mut key, name, &pairs);
        Ok(Sample { key, family: self.family_of(name)?, value, at })
    }

    /// The family a sample of this name belongs to.
    fn family_of(&mut self, name: &str) -> Result<Arc<Family>, String> {
        if let Some(declared) = self.declared.get(name) {
            return Ok(declared.family.clone());
        }
        for (at, _) in name.rmatch_indices('_').take(1) {
            let (base, suffix) = name.split_at(at);
            let Some(declared) = self.declared.get_mut(base) else { continue };
            if !declared.suffixes.contains(&suffix) {
                continue;
            }
            if !declared.named_by_sample {
                return Ok(declared.family.clone());
            }
            let family = declared.resolved.get_or_insert_with(|| {
                Arc::new(Family { name: name.to_owned(), ..(*declared.family).clone() })
            });
            return Ok(family.clone());
        }
        if let Some(family) = self.undeclared.get(name) {
            return Ok(family.clone());
        }
        if self.undeclared.len() >= FAMILIES {
            return Err(format!("more than {FAMILIES} metric names without a type"));
        }
        let family = Arc::new(Family { name: name.to_owned(), ..Family::default() });
        self.undeclared.insert(name.to_owned(), family.clone());
        Ok(family)
    }
}

type TypeRule = (Kind, &'static [&'static str], bool);

fn type_of(word: &str) -> Result<TypeRule, String> {
    Ok(match word {
        "counter" => (Kind::Counter, &["_total"], true),
        "gauge" | "stateset" => (Kind::Gauge, &[], false),
        "info" => (Kind::Gauge, &["_info"], true),
        "histogram" => (Kind::Histogram, &["_bucket", "_sum", "_count"], false),
        "gaugehistogram" => (Kind::Histogram, &["_bucket", "_gsum", "_gcount"], false),
        "summary" => (Kind::Summary, &["_sum", "_count"], false),
        "unknown" | "untyped" => (Kind::Unknown, &[], false),
        other => return Err(format!("`{}` is not a metric type", shorten(other))),
    })
}

/// Reads `a="b",c="d"}` and returns what follows the brace.
fn read_labels<'a>(mut text: &'a str, labels: &mut Vec<(&'a str, String)>) -> Result<&'a str, String> {
    loop {
        text = text.trim_start_matches([' ', '\t']);
        if let Some(rest) = text.strip_prefix('}') {
            return Ok(rest);
        }
        let end = text.find(['=', ' ', '\t']).ok_or("expected a label and `=`")?;
        let (name, after) = text.split_at(end);
        if !is_label_name(name) || name == "__name__" {
            return Err(format!("`{}` is not a label name", shorten(name)));
        }
        if labels.iter().any(|(seen, _)| *seen == name) {
            return Err(format!("label `{name}` is given twice"));
        }
        if labels.len() >= LABELS {
            return Err(format!("more than {LABELS} labels"));
        }
        let after = after.trim_start_matches([' ', '\t']).strip_prefix('=').ok_or("expected `=`")?;
        let after = after.trim_start_matches([' ', '\t']).strip_prefix('"').ok_or("expected `\"`")?;
        let end = closing_quote(after).ok_or("the label value does not end")?;
        labels.push((name, unescape(&after[..end])));
        text = after[end + 1..].trim_start_matches([' ', '\t']);
        match text.strip_prefix(',') {
            Some(rest) => text = rest,
            None if text.starts_with('}') => {}
            None => return Err(String::from("expected `,` or `}` after a label")),
        }
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some(same @ ('\\' | '"'))) => out.push(same),
            ('\\', Some(other)) => out.extend(['\\', other]),
            (other, _) => out.push(other),
        }
    }
    out
}

/// The first [`HELP`] bytes, less what is left of a character or an escape.
fn cut(text: &str) -> &str {
    let Some(mut end) = (text.len() > HELP).then_some(HELP) else { return text };
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let slashes = text[..end].bytes().rev().take_while(|byte| *byte == b'\\').count();
    &text[..end - slashes % 2]
}

/// At most forty characters of what was found, for a message.
fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str) -> Result<Vec<Sample>, ReadError> {
        let mut reader = Reader::new();
        text.lines().filter_map(|line| reader.line(line).transpose()).collect()
    }

    #[test]
    fn reads_openmetrics() {
        let text = "# TYPE foo counter\n# HELP foo A \\\"b\\\"\\nc\n# UNIT foo seconds\n\
                    foo_total{a=\"x\\\"y\\\\z\\n\",} 17.0 1520879607.789 # {id=\"9\"} 1 1.0\n\
                    # TYPE lat histogram\nlat_bucket{le=\"+Inf\"} 3\nlat_sum +Inf 1520879607\n\
                    # TYPE build info\nbuild_info{v=\"1\"} 1\n# EOF\n";
        let samples = all(text).unwrap();
        let first = &samples[0];
        assert_eq!(first.key, "foo_total{a=\"x\\\"y\\\\z\\n\"}");
        assert_eq!((first.family.name.as_str(), first.family.kind), ("foo_total", Kind::Counter));
        assert_eq!(first.family.help, "A \"b\"\nc");
        assert_eq!((first.value, first.at), (17.0, Some(Timestamp(1_520_879_607_789))));
        assert_eq!((samples[1].family.name.as_str(), samples[1].at), ("lat", None));
        assert_eq!((samples[2].value, samples[2].at), (f64::INFINITY, Some(Timestamp(1_520_879_607_000))));
        assert_eq!((samples[3].family.name.as_str(), samples[3].family.kind), ("build_info", Kind::Gauge));
    }

    #[test]
    fn reads_the_prometheus_format() {
        let text = "# HELP foo_total help\n# TYPE foo_total counter\nfoo_total 3 1520879607789\n\
                    # a comment\n\nbar{b=\"2\", a=\"1\"}  NaN\n";
        let samples = all(text).unwrap();
        assert_eq!(samples[0].at, Some(Timestamp(1_520_879_607_789)));
        assert_eq!((samples[0].family.name.as_str(), samples[0].family.kind), ("foo_total", Kind::Counter));
        assert_eq!(
            (samples[1].key.as_str(), samples[1].family.kind),
            ("bar{a=\"1\",b=\"2\"}", Kind::Unknown)
        );
        assert!(samples[1].value.is_nan());
    }

    #[test]
    fn a_long_help_is_cut() {
        for (help, kept) in [("x", 1024), ("é", 1024), ("€", 1023), ("\\n", 512), ("a\\\\", 683)] {
            let samples = all(&format!("# HELP up {}\nup 1\n", help.repeat(60_000 / help.len()))).unwrap();
            assert_eq!(samples[0].family.help.len(), kept, "{help}");
        }
    }

    #[test]
    fn errors_name_the_line() {
        for (text, line, message) in [
            ("up 1\n1up 2\n", 2, "`1up` is not a metric name"),
            ("up{a=\"b\" 1", 1, "expected `,` or `}`"),
            ("up{a=\"b", 1, "does not end"),
            ("up{a=\"b\",a=\"c\"} 1", 1, "given twice"),
            ("up", 1, "the value is missing"),
            ("up x", 1, "`x` is not a number"),
            ("up 1 yesterday", 1, "is not a time"),
            ("up 1 2 3", 1, "unexpected `3`"),
            ("# TYPE up thing", 1, "is not a metric type"),
            ("# EOF\nup 1", 2, "after `# EOF`"),
        ] {
            let error = all(text).unwrap_err();
            assert_eq!(error.line, line, "{text}");
            assert!(error.message.contains(message), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "(\\PC|\\n){0,120}") {
            let _ = all(&text);
        }

        #[test]
        fn never_panics_near_the_grammar(text in "[a_{}=\"\\\\,# \\tTYPEHLOF0-9.é\\n]{0,80}") {
            let _ = all(&text);
        }
    }
}
