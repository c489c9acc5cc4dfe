//! Strings in the three quotes.
//!
//! Escapes are those of Go, as in Prometheus; inside back quotes there are none. What
//! an escape makes must be UTF-8 in the end.

use std::iter::Peekable;
use std::str::CharIndices;

/// Reads the string at the beginning of `text`: its value and how many bytes it takes.
///
/// # Errors
/// Where in `text` and why it is none.
pub(super) fn unquote(text: &str) -> Result<(String, usize), (usize, String)> {
    let mut chars = text.char_indices().peekable();
    let Some((_, quote)) = chars.next() else { return Err((0, String::from("expected a quote"))) };
    let mut bytes = Vec::new();
    let mut utf8 = [0; 4];
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == quote => {
                let value = String::from_utf8(bytes);
                let value =
                    value.map_err(|_| (0, String::from("the escapes of this string make no UTF-8")))?;
                return Ok((value, at + quote.len_utf8()));
            }
            '\\' if quote != '`' => match escape(&mut chars, quote) {
                Some(Escaped::Byte(byte)) => bytes.push(byte),
                Some(Escaped::Char(c)) => bytes.extend_from_slice(c.encode_utf8(&mut utf8).as_bytes()),
                None => return Err((at, String::from("unknown escape in a string"))),
            },
            '\n' if quote != '`' => break,
            _ => bytes.extend_from_slice(c.encode_utf8(&mut utf8).as_bytes()),
        }
    }
    Err((0, format!("this string does not end: expected {quote}")))
}

enum Escaped {
    Byte(u8),
    Char(char),
}

fn escape(chars: &mut Peekable<CharIndices<'_>>, quote: char) -> Option<Escaped> {
    let (_, c) = chars.next()?;
    let same = match c {
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        '\\' => '\\',
        'x' => return u8::try_from(digits(chars, 16, 2, 0)?).ok().map(Escaped::Byte),
        'u' => return char::from_u32(digits(chars, 16, 4, 0)?).map(Escaped::Char),
        'U' => return char::from_u32(digits(chars, 16, 8, 0)?).map(Escaped::Char),
        '0'..='7' => {
            let first = c.to_digit(8)?;
            return u8::try_from(digits(chars, 8, 2, first)?).ok().map(Escaped::Byte);
        }
        _ if c == quote => quote,
        _ => return None,
    };
    Some(Escaped::Char(same))
}

fn digits(chars: &mut Peekable<CharIndices<'_>>, radix: u32, count: usize, first: u32) -> Option<u32> {
    let mut value = first;
    for _ in 0..count {
        let digit = chars.peek()?.1.to_digit(radix)?;
        chars.next();
        value = value.checked_mul(radix)?.checked_add(digit)?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_three_quotes() {
        for (text, value) in [
            (r#""a\"b\n" rest"#, "a\"b\n"),
            (r"'it\'s'", "it's"),
            (r"`a\nb`", "a\\nb"),
            ("`a\nb`", "a\nb"),
            (r#""\x41\102\u00e9\U0001F600""#, "AB\u{e9}\u{1f600}"),
            (r#""\xc3\xa9""#, "\u{e9}"),
            ("\"\u{e9}\"", "\u{e9}"),
        ] {
            assert_eq!(unquote(text).unwrap().0, value, "{text}");
        }
        assert_eq!(unquote("'ab'cd").unwrap().1, 4);
    }

    #[test]
    fn says_where_a_string_goes_wrong() {
        for (text, at, message) in [
            (r#""a"#, 0, "does not end"),
            ("'a\nb'", 0, "does not end"),
            (r#""ab\q""#, 3, "unknown escape"),
            (r#""\'""#, 1, "unknown escape"),
            (r#""\ud800""#, 1, "unknown escape"),
            (r#""\777""#, 1, "unknown escape"),
            (r#""\xff""#, 0, "UTF-8"),
        ] {
            let (place, reason) = unquote(text).unwrap_err();
            assert!(place == at && reason.contains(message), "{text}: {place} {reason}");
        }
    }
}
