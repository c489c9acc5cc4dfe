//! Functions on texts: escapes, titles, addresses, regular expressions.

// The module of addresses alone; sockets are elsewhere.
use core::net::IpAddr;

use regex_lite::{Regex, RegexBuilder};

use super::printf::quote;

/// `&lt;` and the like, as Go's `html` writes them.
pub(super) fn html(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            other => out.push(other),
        }
    }
    out
}

/// For the inside of a JavaScript string.
pub(super) fn javascript(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' | '\'' | '"' => out.extend(['\\', c]),
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            other => out.push(other),
        }
    }
    out
}

/// For the query of a URL: blanks become `+`.
pub(super) fn query(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'-' | b'_' | b'.' | b'~' => out.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => out.push(byte.into()),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The first letter of each word in upper case. Letters, digits and `_` make a word.
pub(super) fn title(text: &str) -> String {
    let mut out = String::new();
    let mut before = ' ';
    for c in text.chars() {
        let inside =
            before.is_alphanumeric() || before == '_' || !(before.is_ascii() || before.is_whitespace());
        if inside {
            out.push(c);
        } else {
            out.extend(c.to_uppercase());
        }
        before = c;
    }
    out
}

/// Longest regular expression; time grows with it times the text.
const LONGEST_PATTERN: usize = 1024;
/// Bytes that one compiled may take: `x{99999}` is short and large.
const SIZE_LIMIT: usize = 64 * 1024;

fn regex(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > LONGEST_PATTERN {
        return Err(format!("the regular expression is longer than {LONGEST_PATTERN} bytes"));
    }
    RegexBuilder::new(pattern)
        .size_limit(SIZE_LIMIT)
        .build()
        .map_err(|error| format!("{} is no regular expression: {error}", quote(pattern)))
}

/// Whether `pattern` matches somewhere in `text`.
pub(super) fn matches(pattern: &str, text: &str) -> Result<bool, String> {
    Ok(regex(pattern)?.is_match(text))
}

/// Every match of `pattern` in `text` replaced; `$1` and `${name}` are its groups.
pub(super) fn replace(pattern: &str, replacement: &str, text: &str) -> Result<String, String> {
    Ok(regex(pattern)?.replace_all(text, replacement).into_owned())
}

/// `host:port` or `[host]:port` in two; `None` if it is neither.
fn split_port(address: &str) -> Option<(&str, &str)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(inside) => inside.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    let clean = |part: &str| !part.contains(['[', ']']);
    (clean(host) && clean(port)).then_some((host, port))
}

/// The host of `host:port`; anything else as it is.
pub(super) fn strip_port(address: &str) -> &str {
    split_port(address).map_or(address, |(host, _)| host)
}

/// The host without its domain, the port kept; addresses as they are.
pub(super) fn strip_domain(address: &str) -> String {
    let (host, port) = split_port(address).unwrap_or((address, ""));
    if host.parse::<IpAddr>().is_ok() {
        return address.to_owned();
    }
    let short = host.split('.').next().unwrap_or_default();
    match port {
        "" => short.to_owned(),
        port if short.contains(':') => format!("[{short}]:{port}"),
        port => format!("{short}:{port}"),
    }
}

/// The path of a URL.
pub(super) fn path_of(url: &str) -> &str {
    let after = url.split_once("://").map_or(url, |(_, after)| after);
    let path = match (url.contains("://"), after.find('/')) {
        (true, None) => "",
        (true, Some(at)) => &after[at..],
        (false, _) => after,
    };
    path.split(['?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_escapes() {
        assert_eq!(title("aa bb CC x_y d-e"), "Aa Bb CC X_y D-E");
        assert_eq!(html("<a href='x'>\"&"), "&lt;a href=&#39;x&#39;&gt;&#34;&amp;");
        assert_eq!(query("a b&c=\u{e9}~"), "a+b%26c%3D%C3%A9~");
        assert_eq!(javascript("a'b\n<"), "a\\'b\\u000A\\u003C");
        assert_eq!(replace("localhost:(.*)", "my.domain:$1", "localhost:3000").unwrap(), "my.domain:3000");
        assert!(matches("a+", "baa").unwrap() && matches("(", "").is_err());
    }

    #[test]
    fn addresses() {
        for (address, port_gone, domain_gone) in [
            ("foo.example.com", "foo.example.com", "foo"),
            ("foo.example.com:12345", "foo.example.com", "foo:12345"),
            ("192.0.2.1:12345", "192.0.2.1", "192.0.2.1:12345"),
            ("2001:0DB8::1", "2001:0DB8::1", "2001:0DB8::1"),
            ("[2001:0DB8::1]:12345", "2001:0DB8::1", "[2001:0DB8::1]:12345"),
            ("[2001:0DB8::1]::12345", "[2001:0DB8::1]::12345", "[2001:0DB8::1]::12345"),
        ] {
            assert_eq!(strip_port(address), port_gone);
            assert_eq!(strip_domain(address), domain_gone);
        }
        assert_eq!(path_of("http://host:9090/path/prefix?x#y"), "/path/prefix");
        assert_eq!((path_of("http://host"), path_of("")), ("", ""));
    }
}
