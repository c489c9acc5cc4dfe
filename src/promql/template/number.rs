//! Floats as Go's `strconv` writes them.
//!
//! Rust's own `{}` never uses an exponent and its `{:e}` writes one digit of it, so
//! neither is what a person sees in Prometheus. The digits are Rust's (both languages
//! round exactly); only their arrangement is done here.
//! Source: the documentation of `strconv.FormatFloat` for the formats e, f and g.

/// `%v`: the fewest digits that read back as the same number.
pub(super) fn shortest(value: f64) -> String {
    float(value, 'g', None)
}

/// `value` in the format `e`, `f` or `g` (or `E`, `G`), with `precision` digits as that
/// format counts them, or as many as are needed.
pub(super) fn float(value: f64, format: char, precision: Option<usize>) -> String {
    if value.is_nan() {
        return String::from("NaN");
    }
    if value.is_infinite() {
        return String::from(if value > 0.0 { "+Inf" } else { "-Inf" });
    }
    let written = match format.to_ascii_lowercase() {
        'f' => match precision {
            Some(digits) => format!("{value:.digits$}"),
            None => format!("{value}"),
        },
        'e' => match precision {
            Some(digits) => exponent(&format!("{value:.digits$e}")),
            None => exponent(&format!("{value:e}")),
        },
        _ => general(value, precision),
    };
    if format.is_ascii_uppercase() { written.to_uppercase() } else { written }
}

/// `%g`: with an exponent when that is below -4 or not below the precision.
fn general(value: f64, precision: Option<usize>) -> String {
    let digits = precision.map(|precision| precision.max(1));
    let scientific = match digits {
        Some(digits) => format!("{value:.*e}", digits - 1),
        None => format!("{value:e}"),
    };
    let (mantissa, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = power.parse().unwrap_or_default();
    let mantissa = match mantissa.split_once('.') {
        Some(_) => mantissa.trim_end_matches('0').trim_end_matches('.'),
        None => mantissa,
    };
    // Without a precision, Go decides as if it were 6.
    let most = digits.map_or(6, |digits| i32::try_from(digits).unwrap_or(i32::MAX));
    if power < -4 || power >= most {
        return exponent(&format!("{mantissa}e{power}"));
    }
    let significant = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let whole = usize::try_from(power + 1).unwrap_or(0);
    let decimals = if power < 0 {
        significant + usize::try_from(-power).unwrap_or(0) - 1
    } else {
        significant.saturating_sub(whole)
    };
    if significant <= whole && digits.is_some() {
        // Rounded to fewer digits than stand before the point.
        let rounded: f64 = scientific.parse().unwrap_or(value);
        return format!("{rounded:.0}");
    }
    format!("{value:.decimals$}")
}

/// Gives the exponent its sign and two digits.
fn exponent(text: &str) -> String {
    let (mantissa, power) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, digits) = match power.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', power),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn writes_what_go_writes() {
        for (value, format, precision, expected) in [
            (0.0, 'g', None, "0"),
            (-0.0, 'g', None, "-0"),
            (1_000_000.0, 'g', None, "1e+06"),
            (123_456.0, 'g', None, "123456"),
            (1_234_567.0, 'g', Some(4), "1.235e+06"),
            (0.000_1, 'g', None, "0.0001"),
            (0.000_01, 'g', None, "1e-05"),
            (1000.0, 'g', Some(4), "1000"),
            (999.96, 'g', Some(4), "1000"),
            (9999.6, 'g', Some(4), "1e+04"),
            (0.123_45, 'g', Some(4), "0.1235"),
            (2.5, 'f', Some(0), "2"),
            (1.5, 'e', Some(2), "1.50e+00"),
            (1e-300, 'e', None, "1e-300"),
            (1e21, 'f', None, "1000000000000000000000"),
            (f64::INFINITY, 'f', Some(2), "+Inf"),
            (f64::NAN, 'g', Some(4), "NaN"),
            (1e-7, 'G', None, "1E-07"),
        ] {
            assert_eq!(float(value, format, precision), expected, "{value} {format} {precision:?}");
        }
    }

    proptest! {
        #[test]
        fn the_shortest_reads_back(bits: u64) {
            let value = f64::from_bits(bits);
            let read: f64 = shortest(value).parse().unwrap();
            prop_assert!(read == value || value.is_nan());
        }
    }
}
