//! Durations as Prometheus writes them in rule files and tests: `1h30m`, `90d`, `0s`.
//!
//! They differ from our own (`units`): whole numbers only, each unit at most once and
//! from the largest to the smallest, `y` is 365 days, and `0` needs no unit. Wrong would
//! be to read them with the other parser: it takes `0.5s` and `1m1h`, which Prometheus
//! refuses, so that a file that passes here would fail there.

use std::fmt::Write as _;
use std::time::Duration;

/// The units, largest first, with their length in milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 31_536_000_000),
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Prometheus counts durations in nanoseconds in 63 bits: 292 years.
const LONGEST: u64 = i64::MAX as u64 / 1_000_000;

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration, expected for example `30s`, `5m`, `1h30m` or `0s`")]
pub struct BadDuration(pub String);

/// Reads `1h30m`.
///
/// # Errors
/// The text is no duration of Prometheus, or longer than 292 years.
pub fn parse(text: &str) -> Result<Duration, BadDuration> {
    let bad = || BadDuration(text.chars().take(40).collect());
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut units = UNITS.as_slice();
    let mut millis = 0u64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
        let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = &rest[digits..digits + letters];
        let at = units.iter().position(|(name, _)| *name == unit).ok_or_else(bad)?;
        let length = number.checked_mul(units[at].1).ok_or_else(bad)?;
        millis = millis.checked_add(length).filter(|sum| *sum <= LONGEST).ok_or_else(bad)?;
        units = &units[at + 1..];
        rest = &rest[digits + letters..];
    }
    if text.is_empty() { Err(bad()) } else { Ok(Duration::from_millis(millis)) }
}

/// Writes `1h30m`. Years and weeks only where nothing remains: `90d`, not `12w6d`.
pub fn show(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return String::from("0s");
    }
    let mut out = String::new();
    for (unit, length) in UNITS {
        let whole_only = length > 86_400_000;
        if millis >= length && (!whole_only || millis.is_multiple_of(length)) {
            let _ = write!(out, "{}{unit}", millis / length);
            millis %= length;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_and_writes_as_prometheus_does() {
        for (text, millis, shown) in [
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("1h30m", 5_400_000, "1h30m"),
            ("90d", 7_776_000_000, "90d"),
            ("2w", 1_209_600_000, "2w"),
            ("1y", 31_536_000_000, "1y"),
            ("308h38m31s", 1_111_111_000, "12d20h38m31s"),
            ("5m300ms", 300_300, "5m300ms"),
            ("100s", 100_000, "1m40s"),
        ] {
            let duration = parse(text).unwrap();
            assert_eq!((duration.as_millis(), show(duration).as_str()), (millis, shown), "{text}");
        }
    }

    #[test]
    fn what_prometheus_refuses_is_refused() {
        for bad in
            ["", "5", "-1s", "0.5s", "1m1h", "1s1s", "s", "1 h", "300y", "99999999999999999999s", "1µs"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_duration_comes_back(millis in 0u64..LONGEST) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&show(duration)), Ok(duration));
        }

        #[test]
        fn never_panics(text in "[0-9ywdhmsé. ]{0,20}") {
            let _ = parse(&text);
        }
    }
}
