//! `printf`, as Go's package `fmt` does it for the values a template has.
//!
//! A verb that does not fit its value is no error in Go but a text such as
//! `%!d(float64=1.5)`; published templates contain such slips and must look the same.
//! Source: the documentation of Go's package `fmt`.

use super::number::float;
use super::value::Value;

/// Width and precision; Go's own bound is a million, the output's is smaller.
const WIDEST: usize = 65_536;

/// What stands between `%` and the verb.
#[derive(Clone, Copy, Default, Debug)]
struct Flags {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Formats `values` by `format`. Stops when more than `most` bytes were written.
///
/// # Errors
/// `%#v`, `%b` and `%x` of a float, which are not supported.
pub(super) fn sprintf(format: &str, values: &[Value], most: usize) -> Result<String, String> {
    let mut printer = Printer { values, next: 0, reordered: false, out: String::new(), most };
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        printer.out.push_str(&rest[..at]);
        rest = printer.verb(&rest[at + 1..])?;
        if printer.out.len() > most {
            return Ok(printer.out);
        }
    }
    printer.out.push_str(rest);
    printer.extra();
    Ok(printer.out)
}

struct Printer<'a> {
    values: &'a [Value],
    next: usize,
    /// `%[2]d` was used: then left over values are no mistake.
    reordered: bool,
    out: String,
    most: usize,
}

impl Printer<'_> {
    /// One verb; returns what follows it.
    fn verb<'t>(&mut self, text: &'t str) -> Result<&'t str, String> {
        let mut flags = Flags::default();
        let mut rest = text;
        while let Some(flag) = rest.chars().next() {
            match flag {
                '+' => flags.plus = true,
                '#' => flags.sharp = true,
                ' ' => flags.space = true,
                '0' => flags.zero = !flags.minus,
                '-' => (flags.minus, flags.zero) = (true, false),
                _ => break,
            }
            rest = &rest[1..];
        }
        let mut bad_index = false;
        rest = self.index(rest, &mut bad_index);
        if let Some(after) = rest.strip_prefix('*') {
            match self.star() {
                Some(width) if width < 0 => {
                    (flags.minus, flags.zero) = (true, false);
                    flags.width = usize::try_from(-width).ok();
                }
                Some(width) => flags.width = usize::try_from(width).ok(),
                None => self.out.push_str("%!(BADWIDTH)"),
            }
            rest = after;
        } else {
            (flags.width, rest) = digits(rest);
        }
        if let Some(after) = rest.strip_prefix('.') {
            rest = self.index(after, &mut bad_index);
            if let Some(after) = rest.strip_prefix('*') {
                match self.star() {
                    Some(precision) if precision >= 0 => flags.precision = usize::try_from(precision).ok(),
                    Some(_) => {}
                    None => self.out.push_str("%!(BADPREC)"),
                }
                rest = after;
            } else {
                let (precision, after) = digits(rest);
                flags.precision = Some(precision.unwrap_or(0));
                rest = after;
            }
        }
        rest = self.index(rest, &mut bad_index);
        let Some(verb) = rest.chars().next() else {
            self.out.push_str("%!(NOVERB)");
            return Ok("");
        };
        if verb == '%' {
            self.out.push('%');
        } else if bad_index {
            self.out.push_str(&format!("%!{verb}(BADINDEX)"));
        } else if let Some(value) = self.values.get(self.next) {
            self.next += 1;
            // Of `%+v` the plus asks for the names of fields, not for a sign.
            flags.plus &= verb != 'v';
            show(&mut self.out, verb, flags, value, self.most)?;
        } else {
            self.out.push_str(&format!("%!{verb}(MISSING)"));
        }
        Ok(&rest[verb.len_utf8()..])
    }

    /// `[3]`: which value is next.
    fn index<'t>(&mut self, text: &'t str, bad: &mut bool) -> &'t str {
        let Some(inside) = text.strip_prefix('[') else { return text };
        self.reordered = true;
        let Some((number, after)) = inside.split_once(']') else {
            *bad = true;
            return inside;
        };
        match number.parse::<usize>() {
            Ok(number) if (1..=self.values.len()).contains(&number) => self.next = number - 1,
            _ => *bad = true,
        }
        after
    }

    /// The value of a `*`.
    fn star(&mut self) -> Option<i64> {
        let value = self.values.get(self.next);
        self.next += 1;
        match value {
            Some(Value::Integer(number)) if number.unsigned_abs() <= WIDEST as u64 => Some(*number),
            _ => None,
        }
    }

    fn extra(&mut self) {
        if self.reordered || self.next >= self.values.len() {
            return;
        }
        let shown: Vec<String> = self.values[self.next..]
            .iter()
            .map(|value| match value {
                Value::Nil => String::from("<nil>"),
                other => typed(other, self.most),
            })
            .collect();
        self.out.push_str(&format!("%!(EXTRA {})", shown.join(", ")));
    }
}

/// `float64=1.5`
fn typed(value: &Value, most: usize) -> String {
    let mut out = format!("{}=", value.type_name());
    value.show(&mut out, most);
    out
}

fn digits(text: &str) -> (Option<usize>, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    let number = text[..end].parse().ok().map(|number: usize| number.min(WIDEST));
    (number, &text[end..])
}

fn show(out: &mut String, verb: char, flags: Flags, value: &Value, most: usize) -> Result<(), String> {
    if out.len() > most {
        return Ok(());
    }
    if verb == 'v' && flags.sharp {
        return Err(String::from("printf: `%#v` is not supported"));
    }
    if verb == 'T' {
        pad(out, value.type_name(), flags);
        return Ok(());
    }
    let done = match value {
        Value::Nil if verb == 'v' => {
            pad(out, "<nil>", flags);
            true
        }
        Value::Nil => {
            out.push_str(&format!("%!{verb}(<nil>)"));
            return Ok(());
        }
        Value::Bool(value) if matches!(verb, 't' | 'v') => {
            pad(out, if *value { "true" } else { "false" }, flags);
            true
        }
        Value::Bool(_) => false,
        Value::Integer(value) => integer(out, verb, flags, *value),
        Value::Float(value) => decimal(out, verb, flags, *value)?,
        Value::Text(text) => string(out, verb, flags, text),
        Value::Time(millis) => string(out, verb, flags, &super::time::show(*millis)),
        Value::Labels(_) | Value::Arguments(..) | Value::Sample(_) | Value::Vector(_) | Value::Root(_) => {
            let mut failed = Ok(());
            value.compose(out, most, &mut |part, out| {
                if failed.is_ok() {
                    failed = show(out, verb, flags, part, most);
                }
            });
            return failed;
        }
    };
    if !done {
        // Every value has the verb `v`, so this ends after one step.
        out.push_str(&format!("%!{verb}({}=", value.type_name()));
        show(out, 'v', flags, value, most)?;
        out.push(')');
    }
    Ok(())
}

/// Fills up to the width; zeros come before whatever it is.
fn pad(out: &mut String, text: &str, flags: Flags) {
    let missing = flags.width.unwrap_or(0).saturating_sub(text.chars().count());
    let fill = if flags.zero { "0" } else { " " };
    if flags.minus {
        out.push_str(text);
        out.push_str(&" ".repeat(missing));
    } else {
        out.push_str(&fill.repeat(missing));
        out.push_str(text);
    }
}

/// The sign as the flags ask for it.
fn sign(negative: bool, flags: Flags) -> &'static str {
    match (negative, flags.plus, flags.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    }
}

fn integer(out: &mut String, verb: char, flags: Flags, value: i64) -> bool {
    let size = value.unsigned_abs();
    let character = || u32::try_from(value).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
    let (prefix, digits) = match verb {
        'd' | 'v' => ("", size.to_string()),
        'b' => ("0b", format!("{size:b}")),
        'o' => ("0", format!("{size:o}")),
        'O' => ("0o", format!("{size:o}")),
        'x' => ("0x", format!("{size:x}")),
        'X' => ("0X", format!("{size:X}")),
        'c' => {
            pad(out, &character().to_string(), flags);
            return true;
        }
        'q' => {
            pad(out, &quote_with(&character().to_string(), '\'', flags.plus), flags);
            return true;
        }
        'U' => {
            let mut code = format!("U+{:04X}", value.cast_unsigned());
            if flags.sharp {
                code.push_str(&format!(" '{}'", character()));
            }
            pad(out, &code, Flags { zero: false, ..flags });
            return true;
        }
        _ => return false,
    };
    let prefix = if flags.sharp || verb == 'O' { prefix } else { "" };
    let sign = sign(value < 0, flags);
    if flags.precision == Some(0) && value == 0 {
        pad(out, "", Flags { zero: false, ..flags });
        return true;
    }
    let least = match (flags.precision, flags.width) {
        (Some(precision), _) => precision,
        // Zeros that fill the width stand between the sign and the digits.
        (None, Some(width)) if flags.zero => width.saturating_sub(sign.len()),
        _ => 0,
    };
    let zeros = "0".repeat(least.saturating_sub(digits.len()));
    pad(out, &format!("{sign}{prefix}{zeros}{digits}"), Flags { zero: false, ..flags });
    true
}

fn decimal(out: &mut String, verb: char, flags: Flags, value: f64) -> Result<bool, String> {
    let (format, precision) = match verb {
        'v' => ('g', flags.precision),
        'g' | 'G' => (verb, flags.precision),
        'e' | 'E' | 'f' => (verb, Some(flags.precision.unwrap_or(6))),
        'F' => ('f', Some(flags.precision.unwrap_or(6))),
        'b' | 'x' | 'X' => return Err(format!("printf: `%{verb}` of a float is not supported")),
        _ => return Ok(false),
    };
    if flags.sharp {
        return Err(format!("printf: `%#{verb}` of a float is not supported"));
    }
    let written = float(value, format, precision.map(|digits| digits.min(2000)));
    if !value.is_finite() {
        let signed = match (value.is_nan(), flags.plus, flags.space) {
            (true, true, _) => String::from("+NaN"),
            (true, false, true) => String::from(" NaN"),
            (false, false, true) if value > 0.0 => String::from(" Inf"),
            _ => written,
        };
        pad(out, &signed, Flags { zero: false, ..flags });
        return Ok(true);
    }
    let digits = written.trim_start_matches('-');
    let sign = sign(written.starts_with('-'), flags);
    if flags.zero {
        let width = flags.width.map(|width| width.saturating_sub(sign.len()));
        out.push_str(sign);
        pad(out, digits, Flags { width, ..flags });
    } else {
        pad(out, &format!("{sign}{digits}"), flags);
    }
    Ok(true)
}

fn string(out: &mut String, verb: char, flags: Flags, text: &str) -> bool {
    let cut: String = match flags.precision {
        Some(precision) if !matches!(verb, 'x' | 'X') => text.chars().take(precision).collect(),
        _ => text.to_owned(),
    };
    match verb {
        's' | 'v' => pad(out, &cut, flags),
        'q' if flags.sharp && !cut.contains('`') && cut.chars().all(|c| c == '\t' || !c.is_control()) => {
            pad(out, &format!("`{cut}`"), flags);
        }
        'q' => pad(out, &quote_with(&cut, '"', flags.plus), flags),
        'x' | 'X' => pad(out, &hexadecimal(text, verb, flags), flags),
        _ => return false,
    }
    true
}

fn hexadecimal(text: &str, verb: char, flags: Flags) -> String {
    let mut out = String::new();
    let prefix = if flags.sharp { "0x" } else { "" };
    for (at, byte) in text.bytes().take(flags.precision.unwrap_or(usize::MAX)).enumerate() {
        if flags.space && at > 0 {
            out.push(' ');
        }
        if at == 0 || flags.space {
            out.push_str(prefix);
        }
        out.push_str(&format!("{byte:02x}"));
    }
    if verb == 'X' { out.to_uppercase() } else { out }
}

/// `text` as a Go literal in double quotes.
pub(super) fn quote(text: &str) -> String {
    quote_with(text, '"', false)
}

fn quote_with(text: &str, mark: char, ascii: bool) -> String {
    let mut out = String::from(mark);
    for c in text.chars() {
        match c {
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\\' => out.push_str("\\\\"),
            c if c == mark => out.extend(['\\', c]),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if (ascii && !c.is_ascii()) || !is_printable(c) => {
                let code = u32::from(c);
                out.push_str(&if code > 0xffff {
                    format!("\\U{code:08x}")
                } else {
                    format!("\\u{code:04x}")
                });
            }
            c => out.push(c),
        }
    }
    out.push(mark);
    out
}

/// Go asks Unicode tables; this knows blanks, controls and what is for private use.
fn is_printable(c: char) -> bool {
    let private = ('\u{e000}'..='\u{f8ff}').contains(&c) || c >= '\u{e0000}';
    c == ' ' || !(c.is_control() || c.is_whitespace() || private)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn print(format: &str, values: &[Value]) -> String {
        sprintf(format, values, WIDEST).unwrap()
    }

    #[test]
    fn verbs_flags_width_and_precision() {
        let (one, text) = ([Value::Float(1.5)], [Value::text("ab")]);
        for (format, shown) in [
            ("%v|", "1.5|"),
            ("%.2f|", "1.50|"),
            ("%8.3f|", "   1.500|"),
            ("%-8.1f|", "1.5     |"),
            ("%+08.2f|", "+0001.50|"),
            ("%e|", "1.500000e+00|"),
            ("%d|", "%!d(float64=1.5)|"),
            ("%s|", "%!s(float64=1.5)|"),
            ("%5%|%v", "%|1.5"),
            ("%[1]v %[1]v", "1.5 1.5"),
            ("%[3]v", "%!v(BADINDEX)"),
            ("%v %v", "1.5 %!v(MISSING)"),
            ("x", "x%!(EXTRA float64=1.5)"),
            ("%", "%!(NOVERB)%!(EXTRA float64=1.5)"),
        ] {
            assert_eq!(print(format, &one), shown, "{format}");
        }
        for (format, shown) in [
            ("%5s|", "   ab|"),
            ("%-5s|", "ab   |"),
            ("%.1s|", "a|"),
            ("%q|", "\"ab\"|"),
            ("%x|", "6162|"),
            ("%t|", "%!t(string=ab)|"),
        ] {
            assert_eq!(print(format, &text), shown, "{format}");
        }
        for (format, shown) in [
            ("%d", "-42"),
            ("%05d", "-0042"),
            ("%x", "-2a"),
            ("%#x", "-0x2a"),
            ("%.4d", "-0042"),
            ("%c", "\u{fffd}"),
            ("%f", "%!f(int=-42)"),
        ] {
            assert_eq!(print(format, &[Value::Integer(-42)]), shown, "{format}");
        }
        assert_eq!(
            print("%*d|%-*d|", &[Value::Integer(4), Value::Integer(7), Value::Integer(3), Value::Integer(1)]),
            "   7|1  |"
        );
        assert_eq!(print("%v %d", &[Value::Nil, Value::Nil]), "<nil> %!d(<nil>)");
    }

    proptest! {
        #[test]
        fn never_panics(format in "(%[-+# 0]{0,2}[0-9*.\\[\\]]{0,4}[a-zA-Z%é]|\\PC){0,8}", number: i64, bits: u64) {
            let values = [Value::Integer(number), Value::Float(f64::from_bits(bits)), Value::text("é\u{1}"), Value::Nil];
            let _ = sprintf(&format, &values, WIDEST);
        }
    }
}
