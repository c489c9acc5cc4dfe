//! Writes exposition text.
//!
//! Samples come in key order, so a family's samples stand together and its
//! `# HELP` and `# TYPE` are written when the family changes. In OpenMetrics a
//! counter's family has no `_total`; a counter whose name does not end so keeps
//! its name and is declared `unknown`, as Prometheus' own library does, because
//! a renamed series would be a different one.

use std::fmt::Write as _;

use crate::model::series::Kind;

/// Which text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Prometheus text format 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The media type to answer with.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Writer {
    format: Format,
    out: String,
    /// Range of `out` that holds the current family's name.
    family: String,
}

impl Writer {
    pub fn new(format: Format) -> Self {
        Self { format, out: String::with_capacity(64 * 1024), family: String::new() }
    }

    /// Appends one sample; `key` is canonical.
    pub fn sample(&mut self, family: &str, kind: Kind, help: &str, key: &str, value: f64) {
        if self.family != family {
            self.family.clear();
            self.family.push_str(family);
            self.head(family, kind, help);
        }
        self.out.push_str(key);
        self.out.push(' ');
        write_value(&mut self.out, value);
        self.out.push('\n');
    }

    /// The text; OpenMetrics ends with `# EOF`.
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }

    fn head(&mut self, family: &str, kind: Kind, help: &str) {
        let (name, word) = match (self.format, kind) {
            (Format::Prometheus, Kind::Unknown) => (family, "untyped"),
            (Format::OpenMetrics, Kind::Counter) => match family.strip_suffix("_total") {
                Some(base) => (base, "counter"),
                None => (family, "unknown"),
            },
            (_, kind) => (family, kind.word()),
        };
        if !help.is_empty() {
            let _ = write!(self.out, "# HELP {name} ");
            for c in help.chars() {
                match c {
                    '\\' => self.out.push_str("\\\\"),
                    '\n' => self.out.push_str("\\n"),
                    '"' if self.format == Format::OpenMetrics => self.out.push_str("\\\""),
                    other => self.out.push(other),
                }
            }
            self.out.push('\n');
        }
        let _ = writeln!(self.out, "# TYPE {name} {word}");
    }
}

/// The shortest text that reads back as the same number.
fn write_value(out: &mut String, value: f64) {
    let _ = if value.is_nan() {
        out.write_str("NaN")
    } else if value.is_infinite() {
        out.write_str(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else if value.fract() == 0.0 && value.abs() < 1e15 {
        write!(out, "{}", value as i64)
    } else {
        // Debug uses an exponent where it is shorter; Display never does.
        write!(out, "{value:?}")
    };
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::logic::openmetrics::read::Reader;

    fn written(format: Format) -> String {
        let mut writer = Writer::new(format);
        writer.sample("node_forks", Kind::Counter, "", "node_forks", 3.0);
        writer.sample("x_total", Kind::Counter, "Say \"x\".\n", "x_total{a=\"1\"}", 1.5);
        writer.sample("x_total", Kind::Counter, "Say \"x\".\n", "x_total{a=\"2\"}", f64::INFINITY);
        writer.sample("y", Kind::Unknown, "", "y", -2.0);
        writer.finish()
    }

    #[test]
    fn prometheus_text() {
        assert_eq!(
            written(Format::Prometheus),
            "# TYPE node_forks counter\nnode_forks 3\n# HELP x_total Say \"x\".\\n\n# TYPE x_total counter\n\
             x_total{a=\"1\"} 1.5\nx_total{a=\"2\"} +Inf\n# TYPE y untyped\ny -2\n"
        );
    }

    #[test]
    fn openmetrics_names_counters_without_total_and_ends() {
        assert_eq!(
            written(Format::OpenMetrics),
            "# TYPE node_forks unknown\nnode_forks 3\n# HELP x Say \\\"x\\\".\\n\n# TYPE x counter\n\
             x_total{a=\"1\"} 1.5\nx_total{a=\"2\"} +Inf\n# TYPE y unknown\ny -2\n# EOF\n"
        );
    }

    proptest! {
        #[test]
        fn values_read_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            let mut line = String::from("m ");
            write_value(&mut line, value);
            let read = Reader::new().line(&line).unwrap().unwrap().value;
            prop_assert!(read.to_bits() == value.to_bits() || (read == value) || (read.is_nan() && value.is_nan()));
        }
    }
}
