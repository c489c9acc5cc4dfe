//! Series selectors: `name`, `name{a="b",c!~"d.*"}`, `{__name__=~"x.*"}`.
//!
//! Written by hand, because the one parser crate there is brings a parser
//! generator, a pretty printer and forty further packages into the binary for a
//! grammar of one page. The rules are Prometheus': a trailing comma is allowed,
//! strings stand in `"`, `'` or back quotes, names may not be given twice, and at
//! least one matcher must refuse the empty text (else every series is meant).
//! Whether a regular expression is one is left to whoever runs it.

use crate::model::selector::{MatchOp, Matcher, Selector};
use crate::model::series::{is_label_name, is_metric_name};

/// No selector needs more; a parser without a bound is a way in.
const LONGEST: usize = 8192;

/// Why a text is not a selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at column {column}")]
pub struct SelectorError {
    pub message: String,
    /// In characters, counted from 1.
    pub column: usize,
    /// The text is PromQL as far as it could be read, but more than a selector.
    pub is_expression: bool,
}

/// Reads one selector.
///
/// # Errors
/// [`SelectorError`] with the place and what was expected there.
pub fn parse(text: &str) -> Result<Selector, SelectorError> {
    let mut cursor = Cursor { text, at: 0 };
    if text.len() > LONGEST {
        return Err(cursor.error(format!("the selector is longer than {LONGEST} bytes")));
    }
    cursor.skip_space();
    let mut matchers = Vec::new();
    let name = cursor.word();
    if !name.is_empty() {
        if !is_metric_name(name) {
            cursor.at -= name.len();
            return Err(cursor.expression(format!("`{name}` is not a metric name")));
        }
        matchers.push(Matcher {
            label: String::from("__name__"),
            op: MatchOp::Equal,
            value: name.to_owned(),
        });
        cursor.skip_space();
    }
    if cursor.eat("{") {
        braces(&mut cursor, &mut matchers)?;
    } else if matchers.is_empty() {
        let message = String::from("expected a metric name or `{`");
        return Err(if cursor.rest().is_empty() {
            cursor.error(message)
        } else {
            cursor.expression(message)
        });
    }
    cursor.skip_space();
    if !cursor.rest().is_empty() {
        return Err(cursor.expression(String::from("expected the end of the selector")));
    }
    let refuses_nothing = |matcher: &Matcher| {
        let empty = matcher.value.is_empty() || (matcher.op == MatchOp::Regex && matcher.value == ".*");
        match matcher.op {
            MatchOp::Equal | MatchOp::Regex => empty,
            MatchOp::NotEqual | MatchOp::NotRegex => !matcher.value.is_empty(),
        }
    };
    if matchers.iter().all(refuses_nothing) {
        cursor.at = 0;
        return Err(cursor.error(String::from("the selector must contain a matcher that is not empty")));
    }
    Ok(Selector { matchers })
}

fn braces(cursor: &mut Cursor<'_>, matchers: &mut Vec<Matcher>) -> Result<(), SelectorError> {
    loop {
        cursor.skip_space();
        if cursor.eat("}") {
            return Ok(());
        }
        let label = cursor.word();
        if !is_label_name(label) {
            cursor.at -= label.len();
            return Err(cursor.error(String::from("expected a label name or `}`")));
        }
        if label == "__name__" && matchers.iter().any(|matcher| matcher.label == "__name__") {
            return Err(cursor.error(String::from("the metric name is given twice")));
        }
        cursor.skip_space();
        let op = [
            ("=~", MatchOp::Regex),
            ("!~", MatchOp::NotRegex),
            ("!=", MatchOp::NotEqual),
            ("=", MatchOp::Equal),
        ];
        let Some(op) = op.into_iter().find(|(sign, _)| cursor.eat(sign)).map(|(_, op)| op) else {
            return Err(cursor.error(String::from("expected one of `=`, `!=`, `=~`, `!~`")));
        };
        cursor.skip_space();
        let value = cursor.quoted()?;
        matchers.push(Matcher { label: label.to_owned(), op, value });
        cursor.skip_space();
        if !cursor.eat(",") && !cursor.rest().starts_with('}') {
            return Err(cursor.error(String::from("expected `,` or `}`")));
        }
    }
}

struct Cursor<'a> {
    text: &'a str,
    /// In bytes, always on a character boundary.
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, sign: &str) -> bool {
        let found = self.rest().starts_with(sign);
        self.at += if found { sign.len() } else { 0 };
        found
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
        let word = &rest[..end.unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    /// A string in one of the three quotes; no escapes inside back quotes.
    fn quoted(&mut self) -> Result<String, SelectorError> {
        let Some(quote @ ('"' | '\'' | '`')) = self.rest().chars().next() else {
            return Err(self.error(String::from("expected a quoted text")));
        };
        let start = self.at;
        let mut value = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((offset, c)) = chars.next() {
            if c == quote {
                self.at += offset + 1;
                return Ok(value);
            }
            if c != '\\' || quote == '`' {
                value.push(c);
                continue;
            }
            match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, 'r')) => value.push('\r'),
                Some((_, same @ ('\\' | '"' | '\''))) => value.push(same),
                _ => {
                    self.at = start + offset;
                    return Err(self.error(String::from("unknown escape in a quoted text")));
                }
            }
        }
        Err(self.error(String::from("the quoted text does not end")))
    }

    fn error(&self, message: String) -> SelectorError {
        SelectorError { message, column: self.text[..self.at].chars().count() + 1, is_expression: false }
    }

    fn expression(&self, message: String) -> SelectorError {
        SelectorError { is_expression: true, ..self.error(message) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(selector: &Selector) -> Vec<(&str, MatchOp, &str)> {
        selector.matchers.iter().map(|m| (m.label.as_str(), m.op, m.value.as_str())).collect()
    }

    #[test]
    fn reads_names_and_matchers() {
        let all = parse(" node_load1 { instance = \"a\\\"b\", job!~'x.*', d=~`\\d+`, e!=\"\", } ").unwrap();
        assert_eq!(
            texts(&all),
            [
                ("__name__", MatchOp::Equal, "node_load1"),
                ("instance", MatchOp::Equal, "a\"b"),
                ("job", MatchOp::NotRegex, "x.*"),
                ("d", MatchOp::Regex, "\\d+"),
                ("e", MatchOp::NotEqual, ""),
            ]
        );
        assert_eq!(parse("up{}").unwrap(), Selector::name("up"));
        assert_eq!(texts(&parse("{__name__=~\"n.*\"}").unwrap()).len(), 1);
    }

    #[test]
    fn says_where_and_what_was_expected() {
        for (text, column, message) in [
            ("", 1, "expected a metric name or `{`"),
            ("up{a}", 5, "expected one of"),
            ("up{a=b}", 6, "expected a quoted text"),
            ("up{a=\"b}", 6, "does not end"),
            ("up{a=\"b\" c=\"d\"}", 10, "expected `,` or `}`"),
            ("up{__name__=\"x\"}", 12, "given twice"),
            ("{}", 1, "not empty"),
            ("{a=\"\"}", 1, "not empty"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.column, column, "{text}: {error}");
            assert!(error.message.contains(message), "{text}: {error}");
            assert!(!error.is_expression, "{text}");
        }
        for text in ["rate(up[5m])", "up + 1", "up[5m]", "1 + 2", "up offset 5m"] {
            assert!(parse(text).unwrap_err().is_expression, "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn never_panics_near_the_grammar(text in "[a{}=!~\"'`\\\\,_é ]{0,40}") {
            let _ = parse(&text);
        }
    }
}
