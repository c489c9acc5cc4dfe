//! Durations and sizes as people write them: a number with its unit.
//!
//! A bare number is refused, because `30` may be seconds to the writer and
//! milliseconds to the reader.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is not a duration or a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUnit {
    #[error("`{0}` has no unit: expected a duration such as \"250ms\", \"30s\", \"5m\", \"2h\" or \"7d\"")]
    DurationWithoutUnit(String),
    #[error(
        "`{0}` is not a duration: expected for example \"250ms\", \"30s\", \"5m\", \"2h\", \"7d\" or \"1h30m\""
    )]
    Duration(String),
    #[error("`{0}` has no unit: expected a size such as \"64KiB\", \"512MiB\" or \"2GiB\"")]
    SizeWithoutUnit(String),
    #[error("`{0}` is not a size: expected for example \"64KiB\", \"512MiB\" or \"2GiB\"")]
    Size(String),
}

/// A length of time, written `"30s"` or `"1h30m"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(pub Duration);

const DURATION_UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl Span {
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// Reads `30s`, `1h30m`, `0.5s`.
    ///
    /// # Errors
    /// [`BadUnit`] naming the text and what was expected.
    pub fn parse(text: &str) -> Result<Self, BadUnit> {
        let mut rest = text.trim();
        let bad = || BadUnit::Duration(text.to_owned());
        let mut millis = 0f64;
        if rest.is_empty() {
            return Err(bad());
        }
        while !rest.is_empty() {
            let (number, after) = split_number(rest).ok_or_else(bad)?;
            let unit_end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
            let (unit, next) = after.split_at(unit_end);
            if unit.is_empty() {
                return Err(BadUnit::DurationWithoutUnit(text.to_owned()));
            }
            let scale = DURATION_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?.1;
            millis += number * scale as f64;
            rest = next;
        }
        if millis.is_finite() && millis < 1e15 {
            Ok(Self(Duration::from_millis(millis.round() as u64)))
        } else {
            Err(bad())
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return f.write_str("0s");
        }
        for (unit, scale) in DURATION_UNITS.into_iter().filter(|(unit, _)| *unit != "w") {
            if millis >= scale {
                write!(f, "{}{unit}", millis / scale)?;
                millis %= scale;
            }
        }
        Ok(())
    }
}

/// A number of bytes, written `"512MiB"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(pub u64);

const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
    ("B", 1),
];

impl ByteSize {
    pub const fn mebibytes(count: u64) -> Self {
        Self(count << 20)
    }

    /// Reads `512MiB`, `1.5GiB`, `100MB`.
    ///
    /// # Errors
    /// [`BadUnit`] naming the text and what was expected.
    pub fn parse(text: &str) -> Result<Self, BadUnit> {
        let bad = || BadUnit::Size(text.to_owned());
        let (number, unit) = split_number(text.trim()).ok_or_else(bad)?;
        let unit = unit.trim();
        if unit.is_empty() {
            return Err(BadUnit::SizeWithoutUnit(text.to_owned()));
        }
        let scale = SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?.1;
        let bytes = number * scale as f64;
        if bytes.is_finite() && bytes < 9e18 { Ok(Self(bytes.round() as u64)) } else { Err(bad()) }
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = SIZE_UNITS.iter().find(|(_, scale)| self.0 >= *scale && self.0.is_multiple_of(*scale));
        let (unit, scale) = exact.copied().unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / scale)
    }
}

fn split_number(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    number.parse::<f64>().ok().map(|number| (number, rest))
}

macro_rules! written_as_text {
    ($type:ty, $expecting:literal) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        <$type>::parse(text).map_err(E::custom)
                    }
                }
                deserializer.deserialize_any(Text)
            }
        }
    };
}

written_as_text!(Span, "a duration with its unit, such as \"30s\"");
written_as_text!(ByteSize, "a size with its unit, such as \"512MiB\"");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis, shown) in [
            ("30s", 30_000, "30s"),
            ("1h30m", 5_400_000, "1h30m"),
            ("0.5s", 500, "500ms"),
            ("2w", 1_209_600_000, "14d"),
            ("0s", 0, "0s"),
        ] {
            let span = Span::parse(text).unwrap();
            assert_eq!((span.0.as_millis(), span.to_string().as_str()), (millis, shown));
        }
        assert!(matches!(Span::parse("30"), Err(BadUnit::DurationWithoutUnit(_))));
        for bad in ["", "s", "30 lightyears", "-1s", "1e400s", "30sec"] {
            assert!(Span::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(ByteSize::parse("512MiB").unwrap(), ByteSize::mebibytes(512));
        assert_eq!(ByteSize::parse("1.5GiB").unwrap().to_string(), "1536MiB");
        assert!(matches!(ByteSize::parse("512"), Err(BadUnit::SizeWithoutUnit(_))));
        assert!(ByteSize::parse("512 monkeys").is_err());
    }

    #[test]
    fn a_bare_number_in_a_document_says_what_was_expected() {
        let error = serde_json::from_str::<Span>("30").unwrap_err().to_string();
        assert!(error.contains("expected a duration with its unit"), "{error}");
    }
}
