//! Selectors and what may stand behind one: ranges, subqueries, `offset`, `@`.

use super::super::ast::{At, Expr, Kind, Selector, Shift, Span, Subquery, Type};
use super::super::labels::NAME;
use super::super::regex;
use super::lexer::{Lexed, Place, Token};
use super::{Built, Parsed, Parser};
use crate::model::selector::{MatchOp, Matcher};

/// Milliseconds: farther from 1970 nothing is looked for, and sums of times stay in range.
const FARTHEST: f64 = (i64::MAX / 8) as f64;

impl Parser<'_> {
    /// A selector whose name, if it stands outside braces, or opening brace was taken.
    pub(super) fn selector(&mut self, name: Option<String>, first: Span) -> Parsed<Built> {
        let mut matchers = Vec::new();
        let mut braces = name.is_none();
        if let Some(name) = name {
            braces = self.eat("{")?;
            matchers.push(named(name));
        }
        if braces {
            self.braces(&mut matchers)?;
        }
        let span = first.to(Span::new(0, self.end));
        if !matchers.iter().any(refuses_empty) {
            let message = "a selector must have a matcher that is not empty, or it means every series";
            return Err(self.error(span, message));
        }
        self.built(Kind::Selector(Selector { matchers, shift: Shift::default() }), span, 0)
    }

    fn braces(&mut self, matchers: &mut Vec<Matcher>) -> Parsed<()> {
        self.enter(Place::Braces);
        // A name outside the braces, or a quoted one inside, is the only one.
        let mut fixed = !matchers.is_empty();
        loop {
            let next = self.take()?;
            let (label, quoted) = match &next.token {
                Token::Sign("}") => break,
                Token::Word => (self.words(next.span).to_owned(), false),
                Token::Text(name) if !name.is_empty() => (name.clone(), true),
                _ => return Err(self.unexpected(&next, "a label name or `}`")),
            };
            let ends = matches!(self.peek()?.token, Token::Sign("," | "}"));
            let matcher = if quoted && ends { named(label) } else { self.matcher(label)? };
            let again = matchers.iter().any(|other| other.label == NAME);
            if matcher.label == NAME && (fixed || quoted && ends && again) {
                return Err(self.error(next.span, "the metric name is given twice"));
            }
            fixed = fixed || quoted && ends;
            matchers.push(matcher);
            if !self.eat(",")? && self.peek()?.token != Token::Sign("}") {
                let next = self.take()?;
                return Err(self.unexpected(&next, "`,` or `}`"));
            }
        }
        self.enter(Place::Open);
        Ok(())
    }

    fn matcher(&mut self, label: String) -> Parsed<Matcher> {
        let sign = self.take()?;
        let op = match sign.token {
            Token::Sign("=") => MatchOp::Equal,
            Token::Sign("!=") => MatchOp::NotEqual,
            Token::Sign("=~") => MatchOp::Regex,
            Token::Sign("!~") => MatchOp::NotRegex,
            _ => return Err(self.unexpected(&sign, "one of `=`, `!=`, `=~`, `!~`")),
        };
        let next = self.take()?;
        let Token::Text(value) = next.token else {
            return Err(self.unexpected(&next, "a quoted text"));
        };
        if matches!(op, MatchOp::Regex | MatchOp::NotRegex)
            && let Err(reason) = regex::compile(&value)
        {
            return Err(self.error(next.span, format!("not a regular expression: {reason}")));
        }
        Ok(Matcher { label, op, value })
    }

    /// `[5m]` and `[1h:5m]`.
    pub(super) fn range(&mut self, built: Built) -> Parsed<Built> {
        let open = self.take()?;
        self.enter(Place::Brackets);
        let range = self.length("in `[`")?;
        let next = self.take()?;
        let subquery = next.token == Token::Sign(":");
        let mut step = None;
        let mut close = next;
        if subquery {
            if self.peek()?.token != Token::Sign("]") {
                step = Some(self.length("or `]` behind `:`")?);
            }
            close = self.take()?;
        }
        if close.token != Token::Sign("]") {
            return Err(self.unexpected_in_length(&close, if subquery { "`]`" } else { "`:` or `]`" }));
        }
        self.enter(Place::Open);
        let span = built.expr.span.to(close.span);
        let Expr { kind, span: inner } = built.expr;
        match kind {
            Kind::Selector(selector) if !subquery => {
                if selector.shift != Shift::default() {
                    let message = "the range `[...]` goes in front of `offset` and `@`, not behind them";
                    return Err(self.error(open.span.to(close.span), message));
                }
                self.built(Kind::Range(selector, range), span, 0)
            }
            _ if !subquery => {
                let message = "a range goes behind a selector; of an expression write `[range:step]`";
                Err(self.error(open.span.to(close.span), message))
            }
            kind => {
                let expr = Expr { kind, span: inner };
                if expr.value_type() != Type::Vector {
                    let message = format!(
                        "a subquery goes behind an instant vector, found a {}",
                        expr.value_type().words()
                    );
                    return Err(self.error(expr.span, message));
                }
                let subquery = Subquery { expr, range, step, shift: Shift::default() };
                self.built(Kind::Subquery(Box::new(subquery)), span, built.height)
            }
        }
    }

    /// A duration above zero.
    fn length(&mut self, place: &str) -> Parsed<i64> {
        let next = self.take()?;
        let ms = match next.token {
            Token::Duration(ms) => ms,
            Token::Number(seconds) => self.seconds(&next, seconds)?,
            _ => return Err(self.unexpected_in_length(&next, &format!("a duration {place}"))),
        };
        if ms < 1 {
            return Err(self.error(next.span, "expected a duration of at least 1ms"));
        }
        Ok(ms)
    }

    fn seconds(&self, next: &Lexed, seconds: f64) -> Parsed<i64> {
        let ms = (seconds * 1000.0).round();
        if ms.is_finite() && ms.abs() <= super::number::LONGEST as f64 {
            return Ok(ms as i64);
        }
        Err(self.error(next.span, format!("{} seconds are no duration", self.words(next.span))))
    }

    /// Says so if what was found would go on as arithmetic.
    fn unexpected_in_length(&self, found: &Lexed, expected: &str) -> super::ParseError {
        let error = self.unexpected(found, expected);
        let arithmetic = matches!(found.token, Token::Sign("+" | "-" | "*" | "/" | "%" | "^" | "("))
            || matches!(
                self.words(found.span).to_ascii_lowercase().as_str(),
                "step" | "range" | "min" | "max"
            );
        if !arithmetic {
            return error;
        }
        let reason = "arithmetic of durations is experimental in Prometheus and not supported";
        super::ParseError { message: format!("{} ({reason})", error.message), ..error }
    }

    /// `offset 5m`.
    pub(super) fn offset(&mut self, built: Built) -> Parsed<Built> {
        let word = self.take()?;
        let negative = self.eat("-")?;
        if !negative {
            self.eat("+")?;
        }
        let next = self.take()?;
        let ms = match next.token {
            Token::Duration(ms) => ms,
            Token::Number(seconds) => self.seconds(&next, seconds)?,
            _ => return Err(self.unexpected_in_length(&next, "a duration behind `offset`")),
        };
        let ms = if negative { -ms } else { ms };
        self.shifted(built, &word, |shift| {
            let first = shift.offset == 0;
            shift.offset = ms;
            first
        })
    }

    /// `@ 1700000000`, `@ start()`, `@ end()`.
    pub(super) fn at(&mut self, built: Built) -> Parsed<Built> {
        let sign = self.take()?;
        let at = match self.peek_word()?.as_deref() {
            Some(word @ ("start" | "end")) => {
                let at = if word == "start" { At::Start } else { At::End };
                self.take()?;
                self.expect("(", "`()`")?;
                self.expect(")", "`)`")?;
                at
            }
            _ => At::Time(self.time()?),
        };
        self.shifted(built, &sign, |shift| shift.at.replace(at).is_none())
    }

    fn time(&mut self) -> Parsed<i64> {
        let negative = self.eat("-")?;
        if !negative {
            self.eat("+")?;
        }
        let next = self.take()?;
        let seconds = match next.token {
            Token::Duration(ms) => ms as f64 / 1000.0,
            Token::Number(seconds) => seconds,
            _ => return Err(self.unexpected(&next, "a time in seconds, `start()` or `end()` behind `@`")),
        };
        let ms = (seconds * 1000.0).round() * if negative { -1.0 } else { 1.0 };
        if ms.is_nan() || ms.abs() > FARTHEST {
            return Err(self.error(next.span, "this time is out of range for `@`"));
        }
        Ok(ms as i64)
    }

    /// Changes where a selector looks; `set` says whether that was still open.
    fn shifted(&self, built: Built, by: &Lexed, set: impl FnOnce(&mut Shift) -> bool) -> Parsed<Built> {
        let Built { mut expr, height } = built;
        let word = self.words(by.span).to_ascii_lowercase();
        let shift = match &mut expr.kind {
            Kind::Selector(selector) | Kind::Range(selector, _) => &mut selector.shift,
            Kind::Subquery(subquery) => &mut subquery.shift,
            _ => {
                let message = format!("`{word}` goes right behind a selector, a range or a subquery");
                return Err(self.error(by.span, message));
            }
        };
        if !set(shift) {
            return Err(self.error(by.span, format!("`{word}` is given twice")));
        }
        expr.span = expr.span.to(Span::new(0, self.end));
        Ok(Built { expr, height })
    }
}

fn named(name: String) -> Matcher {
    Matcher { label: NAME.to_owned(), op: MatchOp::Equal, value: name }
}

/// Whether a series without the label is refused.
fn refuses_empty(matcher: &Matcher) -> bool {
    match matcher.op {
        MatchOp::Equal => !matcher.value.is_empty(),
        MatchOp::NotEqual => matcher.value.is_empty(),
        MatchOp::Regex | MatchOp::NotRegex => regex::compile(&matcher.value)
            .is_ok_and(|regex| regex.is_match("") == (matcher.op == MatchOp::NotRegex)),
    }
}
