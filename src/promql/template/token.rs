//! Cuts a template into plain text and the words of its actions.
//!
//! Blanks mean something: `$a .b` is two operands and `$a.b` is one, so every token
//! says whether a blank stands before it. Trim markers (`{{- ` and ` -}}`) and comments
//! are settled here and never seen by the parser. Source of the grammar: the package
//! documentation of Go's `text/template`.

use super::{Problem, fault};

/// What a token is.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Kind {
    /// What stands outside of actions, trimmed.
    Plain(String),
    Open,
    Close,
    /// The dot alone.
    Dot,
    /// `.name`
    Field(String),
    /// `$` or `$name`, with its dollar.
    Variable(String),
    /// A keyword or the name of a function.
    Word(String),
    Integer(i64),
    Float(f64),
    Quoted(String),
    Declare,
    Assign,
    Comma,
    Bar,
    LeftParen,
    RightParen,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Token {
    pub kind: Kind,
    /// Byte of the template where it begins.
    pub at: usize,
    /// A blank stands before it.
    pub spaced: bool,
}

const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];

/// All tokens of `text`.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Problem> {
    let mut lexer = Lexer { text, at: 0, found: Vec::new() };
    lexer.document()?;
    Ok(lexer.found)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    found: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn push(&mut self, kind: Kind, at: usize, spaced: bool) {
        self.found.push(Token { kind, at, spaced });
    }

    fn document(&mut self) -> Result<(), Problem> {
        let mut trim_left = false;
        loop {
            let rest = self.rest();
            let end = rest.find("{{").unwrap_or(rest.len());
            let mut plain = &rest[..end];
            let open = self.at + end;
            let trim_right = rest[end..].starts_with("{{-") && rest[end + 3..].starts_with(BLANK);
            if trim_left {
                plain = plain.trim_start_matches(BLANK);
            }
            if trim_right {
                plain = plain.trim_end_matches(BLANK);
            }
            if !plain.is_empty() {
                self.push(Kind::Plain(plain.to_owned()), self.at, false);
            }
            if end == rest.len() {
                return Ok(());
            }
            self.at = open + if trim_right { 3 } else { 2 };
            trim_left = match self.comment(open)? {
                Some(trims) => trims,
                None => self.action(open)?,
            };
        }
    }

    /// Passes over a comment; whether it trims what follows. `None` if there is none.
    fn comment(&mut self, open: usize) -> Result<Option<bool>, Problem> {
        let inside = self.rest().trim_start_matches(BLANK);
        // Without a trim marker nothing may stand between the braces and the comment.
        let trimmed = self.text[..self.at].ends_with('-');
        if !inside.starts_with("/*") || (!trimmed && !self.rest().starts_with("/*")) {
            return Ok(None);
        }
        let end =
            inside.find("*/").ok_or_else(|| fault(open, "the comment does not end, expected `*/}}`"))?;
        let after = &inside[end + 2..];
        self.at = self.text.len() - after.len();
        match closing(after) {
            Some((length, trims)) => {
                self.at += length;
                Ok(Some(trims))
            }
            None => Err(fault(self.at, "expected `}}` after the comment")),
        }
    }

    /// Reads to the closing braces; whether they trim what follows.
    fn action(&mut self, open: usize) -> Result<bool, Problem> {
        self.push(Kind::Open, open, false);
        loop {
            let before = self.at;
            let rest = self.rest();
            if let Some((length, trims)) = closing(rest) {
                self.push(Kind::Close, self.at, rest.starts_with(BLANK));
                self.at += length;
                return Ok(trims);
            }
            let inside = rest.trim_start_matches(BLANK);
            self.at = self.text.len() - inside.len();
            let spaced = self.at > before;
            if spaced && closing(inside).is_some() {
                continue;
            }
            let Some(first) = inside.chars().next() else {
                return Err(fault(open, "the action does not end, expected `}}`"));
            };
            let at = self.at;
            let kind = self.token(first, inside)?;
            self.push(kind, at, spaced);
        }
    }

    fn token(&mut self, first: char, inside: &str) -> Result<Kind, Problem> {
        let digit_follows = inside[first.len_utf8()..].starts_with(|c: char| c.is_ascii_digit());
        let simple = match first {
            '|' => Some(Kind::Bar),
            '(' => Some(Kind::LeftParen),
            ')' => Some(Kind::RightParen),
            ',' => Some(Kind::Comma),
            '=' => Some(Kind::Assign),
            _ => None,
        };
        if let Some(kind) = simple {
            self.at += 1;
            return Ok(kind);
        }
        match first {
            ':' if inside.starts_with(":=") => {
                self.at += 2;
                Ok(Kind::Declare)
            }
            '"' | '`' | '\'' => self.quoted(first),
            '+' | '-' | '0'..='9' => self.number(),
            '.' if digit_follows => self.number(),
            '.' => Ok(match self.name(1)? {
                name if name.is_empty() => Kind::Dot,
                name => Kind::Field(name),
            }),
            '$' => Ok(Kind::Variable(format!("${}", self.name(1)?))),
            c if c == '_' || c.is_alphabetic() => Ok(Kind::Word(self.name(0)?)),
            other => Err(fault(self.at, format!("unexpected character `{}`", other.escape_default()))),
        }
    }

    /// The letters after `skip` characters. What follows must end a word.
    fn name(&mut self, skip: usize) -> Result<String, Problem> {
        let letters = &self.rest()[skip..];
        let end = letters.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(letters.len());
        let (name, after) = letters.split_at(end);
        self.at += skip + end;
        let ends = after.is_empty()
            || after.starts_with(BLANK)
            || after.starts_with(['.', ',', '|', ':', '(', ')'])
            || after.starts_with("}}");
        if ends {
            Ok(name.to_owned())
        } else {
            Err(fault(self.at, "expected a blank, `.`, `|` or `}}` here"))
        }
    }

    fn number(&mut self) -> Result<Kind, Problem> {
        let rest = self.rest();
        let mut end = 0;
        let mut before = ' ';
        for c in rest.chars() {
            let sign = matches!(c, '+' | '-');
            let belongs = c == '_' || c == '.' || c.is_alphanumeric();
            let signed = sign && (end == 0 || (matches!(before, 'e' | 'E') && !rest.contains("0x")));
            if !belongs && !signed {
                break;
            }
            end += c.len_utf8();
            before = c;
        }
        let kind = read_number(&rest[..end]).ok_or_else(|| {
            let shown: String = rest[..end].chars().take(40).collect();
            fault(self.at, format!("`{shown}` is not a number"))
        })?;
        self.at += end;
        Ok(kind)
    }

    fn quoted(&mut self, quote: char) -> Result<Kind, Problem> {
        let start = self.at;
        let inside = &self.rest()[1..];
        let unended = || fault(start, format!("the text does not end, expected `{quote}`"));
        if quote == '`' {
            let end = inside.find('`').ok_or_else(unended)?;
            self.at += end + 2;
            return Ok(Kind::Quoted(inside[..end].replace('\r', "")));
        }
        let mut out = String::new();
        let mut chars = inside.char_indices();
        while let Some((index, c)) = chars.next() {
            match c {
                '\n' => break,
                '\\' => {
                    let (found, used) = escape(&inside[index + 1..], quote).ok_or_else(|| {
                        fault(start + 1 + index, "unknown escape, expected for example `\\n` or `\\\"`")
                    })?;
                    out.push(found);
                    for _ in 0..used {
                        chars.next();
                    }
                }
                end if end == quote => {
                    self.at = start + index + 2;
                    return if quote == '"' { Ok(Kind::Quoted(out)) } else { one_character(&out, start) };
                }
                other => out.push(other),
            }
        }
        Err(unended())
    }
}

/// A character in `'` is its number, as in Go.
fn one_character(text: &str, at: usize) -> Result<Kind, Problem> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(one), None) => Ok(Kind::Integer(i64::from(u32::from(one)))),
        _ => Err(fault(at, "expected one character between `'`; texts stand between `\"`")),
    }
}

/// Whether `text` begins with the end of an action: its length and whether it trims.
fn closing(text: &str) -> Option<(usize, bool)> {
    if text.starts_with("}}") {
        return Some((2, false));
    }
    let after = text.strip_prefix(BLANK)?;
    after.starts_with("-}}").then_some((4, true))
}

/// One escape after its backslash: what it means and how many characters it has.
fn escape(text: &str, quote: char) -> Option<(char, usize)> {
    let first = text.chars().next()?;
    let plain = match first {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' => '\\',
        c if c == quote => c,
        _ => {
            let (skip, digits, base) = match first {
                'x' => (1, 2, 16),
                'u' => (1, 4, 16),
                'U' => (1, 8, 16),
                '0'..='7' => (0, 3, 8),
                _ => return None,
            };
            let digits = text.get(skip..skip + digits)?;
            let code = u32::from_str_radix(digits, base).ok().filter(|_| !digits.starts_with('+'))?;
            // Above ASCII `\x` and octal digits are bytes, which a text cannot hold alone.
            let is_byte = digits.len() < 4;
            return char::from_u32(code)
                .filter(|c| !is_byte || c.is_ascii())
                .map(|c| (c, skip + digits.len()));
        }
    };
    Some((plain, 1))
}

fn read_number(text: &str) -> Option<Kind> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let prefixed = [("0x", 16), ("0b", 2), ("0o", 8)].into_iter();
    let mut based = prefixed.filter_map(|(prefix, base)| Some((lower.strip_prefix(prefix)?, base)));
    let octal = lower.len() > 1 && lower.starts_with('0') && lower.bytes().all(|b| b.is_ascii_digit());
    let (body, base) = match based.next() {
        Some(found) => found,
        None if octal => (&lower[1..], 8),
        None => (lower.as_str(), 10),
    };
    // An underscore may stand between two digits, or between the prefix and one.
    let spelled = body.split('_').enumerate().all(|(at, part)| !part.is_empty() || (at == 0 && base != 10));
    if !spelled || body.starts_with(['+', '-']) {
        return None;
    }
    let plain = body.replace('_', "");
    if base == 10 && plain.contains(['.', 'e']) {
        let known = plain.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'+' | b'-'));
        let value: f64 = plain.parse().ok().filter(|value: &f64| known && value.is_finite())?;
        return Some(Kind::Float(if negative { -value } else { value }));
    }
    let value = i128::from_str_radix(&plain, base).ok()?;
    i64::try_from(if negative { -value } else { value }).ok().map(Kind::Integer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        tokens(text).unwrap().into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn trim_markers_need_their_blank() {
        let plain = |text: &str| {
            kinds(text).into_iter().filter_map(|kind| match kind {
                Kind::Plain(text) => Some(text),
                _ => None,
            })
        };
        assert_eq!(plain("a \n{{- 1 -}}\t b").collect::<String>(), "ab");
        assert_eq!(plain("a {{1}} b").collect::<String>(), "a  b");
        assert_eq!(plain("a {{- /* x }} */ -}} b").collect::<String>(), "ab");
        assert_eq!(kinds("{{-3}}"), [Kind::Open, Kind::Integer(-3), Kind::Close]);
    }

    #[test]
    fn numbers_and_texts_are_those_of_go() {
        for (text, kind) in [
            ("0x1F", Kind::Integer(31)),
            ("010", Kind::Integer(8)),
            ("1_000", Kind::Integer(1000)),
            ("1e3", Kind::Float(1000.0)),
            (".5", Kind::Float(0.5)),
            ("-2.5e-1", Kind::Float(-0.25)),
            ("'a'", Kind::Integer(97)),
            (r#""a\t\"\x41\u00e9""#, Kind::Quoted(String::from("a\t\"Aé"))),
            (r"`a\n`", Kind::Quoted(String::from(r"a\n"))),
        ] {
            assert_eq!(kinds(&format!("{{{{{text}}}}}"))[1], kind, "{text}");
        }
        for bad in [
            "1x",
            "9223372036854775808",
            "1__0",
            "0x",
            "\"a",
            "\"a\nb\"",
            "'ab'",
            "\"\\q\"",
            "$x=1",
            "a\"b\"",
            "?",
        ] {
            assert!(tokens(&format!("{{{{{bad}}}}}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_does_not_end_is_said_so() {
        for bad in ["{{", "{{ 1", "{{/* x", "{{/* x */ 1}}", "{{ `x }}"] {
            assert!(tokens(bad).is_err(), "{bad}");
        }
    }
}
