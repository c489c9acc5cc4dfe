//! Numbers and durations as PromQL spells them.
//!
//! `1.5e3`, `0x1F`, `1_000`, `1h30m`: one run of characters, so a text is one or the
//! other as a whole. A whole number with a leading zero is octal, as in Prometheus
//! (`010` is 8), unless it has an 8 or 9.

/// Units from long to short, with their milliseconds; a duration names them in this
/// order, each at most once.
pub(super) const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// The longest duration, as long as Prometheus can hold (292 years), ms.
pub(super) const LONGEST: i64 = i64::MAX / 1_000_000;

/// Length of the run at the beginning of `text` that is meant to be one number.
pub(super) fn run(text: &str) -> usize {
    let hex = text.starts_with("0x") || text.starts_with("0X");
    let (mut end, mut plain, mut exponent) = (0, !hex, false);
    for (at, c) in text.char_indices() {
        let sign_of_exponent = exponent && matches!(c, '+' | '-');
        if !c.is_ascii_alphanumeric() && c != '_' && c != '.' && !sign_of_exponent {
            break;
        }
        exponent = plain && matches!(c, 'e' | 'E');
        plain = plain && (c.is_ascii_digit() || matches!(c, '.' | '_'));
        end = at + c.len_utf8();
    }
    end
}

/// The value of a run that is a number.
pub(super) fn number(run: &str) -> Option<f64> {
    if let Some(whole) = whole(run) {
        return Some(whole as f64);
    }
    let plain = run.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if plain { run.parse().ok() } else { None }
}

fn whole(run: &str) -> Option<i64> {
    let underscores_between = !run.ends_with('_') && !run.contains("__") && !run.starts_with('_');
    if !underscores_between {
        return None;
    }
    let (digits, radix) = if let Some(hex) = run.strip_prefix("0x").or_else(|| run.strip_prefix("0X")) {
        (hex, 16)
    } else if run.len() > 1 && run.starts_with('0') {
        (&run[1..], 8)
    } else {
        (run, 10)
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    i64::from_str_radix(&digits.replace('_', ""), radix).ok()
}

/// The milliseconds of a run that is a duration, if there are not too many of them.
pub(super) fn duration(run: &str) -> Option<Result<i64, String>> {
    let (mut rest, mut units, mut sum) = (run, UNITS.iter(), Some(0i64));
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|at| *at > 0)?;
        let (count, after) = rest.split_at(digits);
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, next) = after.split_at(letters);
        let (_, scale) = units.find(|(name, _)| *name == unit)?;
        let part = count.parse::<i64>().ok().and_then(|count| count.checked_mul(*scale));
        sum = sum.zip(part).and_then(|(sum, part)| sum.checked_add(part));
        rest = next;
    }
    let fits = sum.filter(|sum| *sum <= LONGEST);
    Some(fits.ok_or_else(|| format!("duration `{run}` is longer than 292 years")))
}

/// Writes a duration so that [`duration`] reads it back.
pub(in crate::promql) fn spell(mut ms: i64) -> String {
    let mut text = String::new();
    if ms < 0 {
        text.push('-');
        ms = ms.saturating_neg();
    }
    if ms == 0 {
        text.push_str("0s");
    }
    for (unit, scale) in UNITS {
        // Years and weeks only where nothing is left over, as Prometheus does.
        let whole = ms % scale == 0 || !matches!(unit, "y" | "w");
        if ms >= scale && whole {
            text.push_str(&format!("{}{unit}", ms / scale));
            ms %= scale;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_numbers() {
        for (text, value) in [
            ("0", 0.0),
            ("017", 15.0),
            ("089", 89.0),
            ("1_000", 1000.0),
            ("0x1F", 31.0),
            ("0X_ff", 255.0),
            ("1.5e3", 1500.0),
            ("1e-2", 0.01),
            (".5", 0.5),
            ("5.", 5.0),
            ("9223372036854775808", 9_223_372_036_854_775_808.0),
            ("1e999", f64::INFINITY),
            ("1__0", f64::NAN),
            ("1e", f64::NAN),
            ("1.2.3", f64::NAN),
            ("1_0.5", f64::NAN),
        ] {
            let read = number(text).unwrap_or(f64::NAN);
            assert!(read == value || read.is_nan() && value.is_nan(), "{text}: {read}");
        }
    }

    #[test]
    fn reads_durations() {
        for (text, ms) in [
            ("5m", Some(300_000)),
            ("1h30m", Some(5_400_000)),
            ("1y2w3d4h5m6s7ms", Some(33_019_506_007)),
            ("0s", Some(0)),
            ("1m1h", None),
            ("1m1m", None),
            ("5", None),
            ("m", None),
            ("1.5m", None),
            ("5x", None),
        ] {
            assert_eq!(duration(text), ms.map(Ok), "{text}");
        }
        assert!(duration("293y").unwrap().is_err());
        assert!(duration("99999999999999999999y").unwrap().is_err());
    }

    #[test]
    fn a_run_ends_where_the_number_does() {
        for (text, length) in
            [("1e-5-3", 4), ("0x1e-5", 4), ("1h-5", 2), ("5m]", 2), ("1.5*2", 3), ("1-1", 1)]
        {
            assert_eq!(run(text), length, "{text}");
        }
    }

    proptest! {
        #[test]
        fn durations_come_back(ms in 0..=LONGEST) {
            prop_assert_eq!(duration(&spell(ms)), Some(Ok(ms)));
        }
    }
}
