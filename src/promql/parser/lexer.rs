//! Cuts the text into words, numbers, strings and signs.
//!
//! What a character means depends on where it stands: a colon is part of a metric's
//! name, but not inside braces (label names have none) nor inside brackets (where it
//! parts the range from the step). So the parser says where it is; see [`Place`].

use super::number;
use super::text::unquote;
use super::{ParseError, Span};

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Token {
    End,
    /// A name or a keyword: only the grammar knows.
    Word,
    Number(f64),
    /// Milliseconds.
    Duration(i64),
    Text(String),
    Sign(&'static str),
}

/// A token and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Lexed {
    pub token: Token,
    pub span: Span,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Open,
    Braces,
    Brackets,
}

/// Longer ones first, where one begins another.
const SIGNS: [&str; 22] = [
    "==", "!=", "=~", "!~", ">=", "<=", "=", ">", "<", "+", "-", "*", "/", "%", "^", "(", ")", "{", "}", "[",
    "]", ",",
];

#[derive(Debug)]
pub(super) struct Lexer<'a> {
    pub text: &'a str,
    /// Of the next token, in bytes; always on a character boundary.
    pub at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let inner = rest.trim_start_matches([' ', '\t', '\n', '\r']);
            self.at += rest.len() - inner.len();
            if !inner.starts_with('#') {
                return;
            }
            self.at += inner.find(['\n', '\r']).unwrap_or(inner.len());
        }
    }

    /// The next token; the lexer then stands behind it.
    pub fn next(&mut self, place: Place) -> Result<Lexed, ParseError> {
        self.skip();
        let (start, rest) = (self.at, self.rest());
        let mut chars = rest.chars();
        let first = chars.next();
        let second_is_digit = chars.next().is_some_and(|c| c.is_ascii_digit());
        let (token, length) = match first {
            None => (Token::End, 0),
            Some('"' | '\'' | '`') => {
                let read = unquote(rest);
                let (value, length) = read.map_err(|(at, message)| {
                    ParseError::new(self.text, Span::new(start + at, self.text.len()), message)
                })?;
                (Token::Text(value), length)
            }
            Some(c) if c.is_ascii_digit() || (c == '.' && second_is_digit) => self.number(start, rest)?,
            Some(c) if c.is_ascii_alphabetic() || c == '_' || (c == ':' && place == Place::Open) => {
                let colon = place == Place::Open;
                let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || (c == ':' && colon);
                let length = rest.find(|c| !part(c)).unwrap_or(rest.len());
                let word = &rest[..length];
                let number = match word {
                    _ if place == Place::Braces => None,
                    _ if word.eq_ignore_ascii_case("inf") => Some(f64::INFINITY),
                    _ if word.eq_ignore_ascii_case("nan") => Some(f64::NAN),
                    _ => None,
                };
                (number.map_or(Token::Word, Token::Number), length)
            }
            Some(':') => (Token::Sign(":"), 1),
            Some('@') => (Token::Sign("@"), 1),
            Some(c) => match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                Some(sign) => (Token::Sign(sign), sign.len()),
                None => {
                    let span = Span::new(start, start + c.len_utf8());
                    return Err(ParseError::new(self.text, span, format!("unexpected character {c:?}")));
                }
            },
        };
        self.at = start + length;
        Ok(Lexed { token, span: Span::new(start, self.at) })
    }

    fn number(&self, start: usize, rest: &str) -> Result<(Token, usize), ParseError> {
        let length = number::run(rest);
        let run = &rest[..length];
        let refuse = |message: String| ParseError::new(self.text, Span::new(start, start + length), message);
        if let Some(value) = number::number(run) {
            return Ok((Token::Number(value), length));
        }
        match number::duration(run) {
            Some(read) => Ok((Token::Duration(read.map_err(refuse)?), length)),
            None => {
                Err(refuse(format!("`{run}` is neither a number nor a duration such as `5m` or `1h30m`")))
            }
        }
    }
}
