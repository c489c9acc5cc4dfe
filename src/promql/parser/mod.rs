//! Reads PromQL.
//!
//! A parser by hand, one function for each rule, operators by their level. It checks
//! types while it builds, so that an error names the innermost place. Two bounds keep
//! it and everything after it off the end of the stack: how deep rules nest, and how
//! high a tree gets (`1 + 1 + 1 ...` nests nothing and is yet a tower).

mod build;
mod lexer;
pub(super) mod number;
mod selectors;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;

use lexer::{Lexed, Lexer, Place, Token};

use super::ast::{Aggregate, AggregateOp, Binary, BinaryOp, DEEPEST, Expr, Group, Kind, Matching, Span};
use super::function;

/// No expression needs more; a parser without a bound is a way in.
pub const LONGEST: usize = 64 * 1024;

/// Why a text is no expression, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    pub message: String,
    /// In bytes.
    pub start: usize,
    /// In bytes, excluded.
    pub end: usize,
    /// From 1.
    pub line: usize,
    /// In characters of the line, from 1.
    pub column: usize,
}

impl ParseError {
    fn new(text: &str, span: Span, message: impl Into<String>) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self {
            message: message.into(),
            start: span.start,
            end: span.end,
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: parse error: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ParseError {}

/// Reads an expression; what comes back is of one type throughout and not too deep.
///
/// # Errors
/// [`ParseError`] with the place and what was expected there. What Prometheus has but
/// we do not is refused by its name.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    if text.len() > LONGEST {
        let message = format!("the expression is longer than {LONGEST} bytes");
        return Err(ParseError::new(text, Span::default(), message));
    }
    let lexer = Lexer { text, at: 0 };
    let mut parser = Parser { lexer, place: Place::Open, peeked: None, nesting: 0, end: 0 };
    if parser.peek()?.token == Token::End {
        return Err(parser.error(Span::default(), "expected an expression, found nothing"));
    }
    let built = parser.expression(0)?;
    let next = parser.peek()?.clone();
    if next.token != Token::End {
        return Err(parser.unexpected(&next, "an operator or the end"));
    }
    Ok(built.expr)
}

/// An expression and how high its tree is.
struct Built {
    expr: Expr,
    height: usize,
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    place: Place,
    peeked: Option<Lexed>,
    nesting: usize,
    /// Where the last token that was taken ends.
    end: usize,
}

type Parsed<T> = Result<T, ParseError>;

/// Levels of operators: the higher binds tighter.
const POWER: u8 = 6;

fn level(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Or => 1,
        BinaryOp::And | BinaryOp::Unless => 2,
        op if op.is_comparison() => 3,
        BinaryOp::Add | BinaryOp::Subtract => 4,
        BinaryOp::Power => POWER,
        _ => 5,
    }
}

impl Parser<'_> {
    fn peek(&mut self) -> Parsed<&Lexed> {
        let next = match self.peeked.take() {
            Some(next) => next,
            None => self.lexer.next(self.place)?,
        };
        Ok(self.peeked.insert(next))
    }

    fn take(&mut self) -> Parsed<Lexed> {
        let next = match self.peeked.take() {
            Some(next) => next,
            None => self.lexer.next(self.place)?,
        };
        self.end = next.span.end;
        Ok(next)
    }

    /// What was looked at is read anew, as a token of that place.
    fn enter(&mut self, place: Place) {
        if let Some(peeked) = self.peeked.take() {
            self.lexer.at = peeked.span.start;
        }
        self.place = place;
    }

    fn words(&self, span: Span) -> &str {
        self.lexer.text.get(span.start..span.end).unwrap_or_default()
    }

    /// Takes the next token if it is this sign.
    fn eat(&mut self, sign: &'static str) -> Parsed<bool> {
        let found = self.peek()?.token == Token::Sign(sign);
        if found {
            self.take()?;
        }
        Ok(found)
    }

    fn expect(&mut self, sign: &'static str, expected: &str) -> Parsed<Lexed> {
        let next = self.take()?;
        if next.token == Token::Sign(sign) { Ok(next) } else { Err(self.unexpected(&next, expected)) }
    }

    /// The next token in small letters if it is a word.
    fn peek_word(&mut self) -> Parsed<Option<String>> {
        let Lexed { token, span } = self.peek()?.clone();
        Ok((token == Token::Word).then(|| self.words(span).to_ascii_lowercase()))
    }

    fn error(&self, span: Span, message: impl Into<String>) -> ParseError {
        ParseError::new(self.lexer.text, span, message)
    }

    fn unexpected(&self, found: &Lexed, expected: &str) -> ParseError {
        let message = format!("expected {expected}, found {}", self.shown(found));
        self.error(found.span, message)
    }

    fn shown(&self, found: &Lexed) -> String {
        if found.token == Token::End {
            return String::from("the end");
        }
        let words = self.words(found.span);
        let short: String = words.chars().take(30).collect();
        if short.len() < words.len() { format!("`{short}...`") } else { format!("`{short}`") }
    }

    /// Operands joined by operators of at least this level.
    fn expression(&mut self, least: u8) -> Parsed<Built> {
        self.nesting += 1;
        if self.nesting > DEEPEST {
            let span = self.peek()?.span;
            return Err(self.error(span, format!("the expression nests deeper than {DEEPEST} levels")));
        }
        let mut left = self.operand()?;
        while let Some(op) = self.operator()? {
            if level(op) < least {
                break;
            }
            let sign = self.take()?;
            let (bool, matching) = self.modifiers(op, &sign)?;
            let right = self.expression(level(op) + u8::from(op != BinaryOp::Power))?;
            let height = left.height.max(right.height);
            let binary = Binary { op, bool, left: left.expr, right: right.expr, matching };
            left = self.binary(sign.span, binary, height)?;
        }
        self.nesting -= 1;
        Ok(left)
    }

    fn operator(&mut self) -> Parsed<Option<BinaryOp>> {
        let found = match self.peek()?.token {
            Token::Sign("+") => BinaryOp::Add,
            Token::Sign("-") => BinaryOp::Subtract,
            Token::Sign("*") => BinaryOp::Multiply,
            Token::Sign("/") => BinaryOp::Divide,
            Token::Sign("%") => BinaryOp::Modulo,
            Token::Sign("^") => BinaryOp::Power,
            Token::Sign("==") => BinaryOp::Equal,
            Token::Sign("!=") => BinaryOp::NotEqual,
            Token::Sign(">") => BinaryOp::Greater,
            Token::Sign("<") => BinaryOp::Less,
            Token::Sign(">=") => BinaryOp::GreaterOrEqual,
            Token::Sign("<=") => BinaryOp::LessOrEqual,
            _ => match self.peek_word()?.as_deref() {
                Some("and") => BinaryOp::And,
                Some("or") => BinaryOp::Or,
                Some("unless") => BinaryOp::Unless,
                Some("atan2") => BinaryOp::Atan2,
                _ => return Ok(None),
            },
        };
        Ok(Some(found))
    }

    /// What stands between an operator and its right side.
    fn modifiers(&mut self, op: BinaryOp, sign: &Lexed) -> Parsed<(bool, Matching)> {
        let mut matching = Matching::default();
        let bool = self.peek_word()?.as_deref() == Some("bool");
        if bool {
            let word = self.take()?;
            if !op.is_comparison() {
                let message = format!("`bool` only goes with comparisons, not with `{}`", op.words());
                return Err(self.error(word.span, message));
            }
        }
        let word = self.peek_word()?;
        let matched = matches!(word.as_deref(), Some("on" | "ignoring"));
        if matched {
            self.take()?;
            matching.on = word.as_deref() == Some("on");
            matching.labels = self.label_list()?;
        }
        let word = self.peek_word()?;
        if let Some(group @ ("group_left" | "group_right")) = word.as_deref() {
            let place = self.take()?;
            if !matched {
                let message = format!("expected `on` or `ignoring` in front of `{group}`");
                return Err(self.error(place.span, message));
            }
            if op.is_set() {
                let message = format!("`{}` takes no `{group}`: it matches many to many", op.words());
                return Err(self.error(place.span, message));
            }
            let include =
                if self.peek()?.token == Token::Sign("(") { self.label_list()? } else { Vec::new() };
            if let Some(twice) = include.iter().find(|label| matching.on && matching.labels.contains(label)) {
                let message = format!("label `{twice}` stands in `on` and in `{group}`");
                return Err(self.error(sign.span.to(Span::new(0, self.end)), message));
            }
            matching.group = if group == "group_left" { Group::Left(include) } else { Group::Right(include) };
        }
        self.refuse_fill()?;
        Ok((bool, matching))
    }

    /// `fill(0)` behind an operator is a modifier of Prometheus' behind a flag; `fill`
    /// alone is a metric.
    fn refuse_fill(&mut self) -> Parsed<()> {
        let fill = |word: &String| matches!(word.as_str(), "fill" | "fill_left" | "fill_right");
        let Some(word) = self.peek_word()?.filter(fill) else { return Ok(()) };
        let span = self.peek()?.span;
        let behind = Lexer { text: self.lexer.text, at: span.end }.next(Place::Open)?;
        if behind.token == Token::Sign("(") {
            let message = format!("the modifier `{word}` is experimental in Prometheus and not supported");
            return Err(self.error(span, message));
        }
        Ok(())
    }

    /// `(a, b)` behind `by`, `on` and the like.
    fn label_list(&mut self) -> Parsed<Vec<String>> {
        self.expect("(", "`(` and a list of labels")?;
        self.enter(Place::Braces);
        let mut labels = Vec::new();
        loop {
            let next = self.take()?;
            match next.token {
                Token::Sign(")") => break,
                Token::Word => labels.push(self.words(next.span).to_owned()),
                Token::Text(name) if !name.is_empty() => labels.push(name),
                _ => return Err(self.unexpected(&next, "a label or `)`")),
            }
            if !self.eat(",")? && self.peek()?.token != Token::Sign(")") {
                let next = self.take()?;
                return Err(self.unexpected(&next, "`,` or `)`"));
            }
        }
        self.enter(Place::Open);
        Ok(labels)
    }

    /// A sign and what it stands in front of, or an operand with its ranges and offsets.
    fn operand(&mut self) -> Parsed<Built> {
        let next = self.peek()?.clone();
        if let Token::Sign(sign @ ("+" | "-")) = next.token {
            self.take()?;
            let inner = self.expression(POWER)?;
            return self.signed(next.span, sign == "-", inner);
        }
        let mut built = self.primary()?;
        loop {
            built = match self.peek()?.token {
                Token::Sign("[") => self.range(built)?,
                Token::Sign("@") => self.at(built)?,
                Token::Word => match self.peek_word()?.as_deref() {
                    Some("offset") => self.offset(built)?,
                    Some(word @ ("anchored" | "smoothed")) => {
                        let message =
                            format!("the modifier `{word}` is experimental in Prometheus and not supported");
                        let span = self.peek()?.span;
                        return Err(self.error(span, message));
                    }
                    _ => return Ok(built),
                },
                _ => return Ok(built),
            };
        }
    }

    fn primary(&mut self) -> Parsed<Built> {
        let next = self.take()?;
        let kind = match next.token {
            Token::Number(value) => Kind::Number(value),
            Token::Duration(ms) => Kind::Number(ms as f64 / 1000.0),
            Token::Text(text) => Kind::Text(text),
            Token::Word => return self.word(next.span),
            Token::Sign("{") => return self.selector(None, next.span),
            Token::Sign("(") => {
                let inner = self.expression(0)?;
                let close = self.take()?;
                if close.token != Token::Sign(")") {
                    return Err(self.unexpected(&close, "an operator or `)`"));
                }
                let kind = Kind::Paren(Box::new(inner.expr));
                return self.built(kind, next.span.to(close.span), inner.height);
            }
            _ => return Err(self.unexpected(&next, "an expression")),
        };
        self.built(kind, next.span, 0)
    }

    /// What begins with a word: a function, an aggregation, or a metric.
    fn word(&mut self, span: Span) -> Parsed<Built> {
        let name = self.words(span).to_owned();
        let small = name.to_ascii_lowercase();
        let follows = self.peek()?.token.clone();
        let grouped = matches!(self.peek_word()?.as_deref(), Some("by" | "without"));
        if grouped || follows == Token::Sign("(") {
            if let Some((_, op)) = AggregateOp::ALL.iter().find(|(word, _)| *word == small) {
                return self.aggregation(span, *op);
            }
            if matches!(small.as_str(), "limitk" | "limit_ratio") {
                let message =
                    format!("aggregation `{small}` is experimental in Prometheus and not supported");
                return Err(self.error(span, message));
            }
        }
        if follows == Token::Sign("(") {
            let signature = function::find(&name).map_err(|message| self.error(span, message))?;
            let arguments = self.arguments()?;
            return self.call(span, signature, arguments);
        }
        if ["on", "ignoring", "group_left", "group_right", "bool", "atan2"].contains(&small.as_str()) {
            return Err(self.error(span, format!("expected an expression, found the keyword `{name}`")));
        }
        self.selector(Some(name), span)
    }

    fn aggregation(&mut self, span: Span, op: AggregateOp) -> Parsed<Built> {
        let before = self.grouping()?;
        let arguments = self.arguments()?;
        let grouping = match before {
            Some(grouping) => Some(grouping),
            None => self.grouping()?,
        };
        let (without, labels) = grouping.unwrap_or_default();
        let wanted = 1 + usize::from(op.parameter().is_some());
        let (mut height, count) = (0, arguments.len());
        let span = span.to(Span::new(0, self.end));
        let mut exprs = arguments.into_iter().map(|argument| {
            height = height.max(argument.height);
            argument.expr
        });
        let parameter = if wanted == 2 { exprs.next() } else { None };
        let (Some(expr), None) = (exprs.next(), exprs.next()) else {
            let message = format!("`{}` takes {wanted} argument(s), found {count}", op.words());
            return Err(self.error(span, message));
        };
        if let (Some(wanted), Some(parameter)) = (op.parameter(), &parameter) {
            self.expect_type(parameter, wanted, op.words())?;
        }
        self.expect_type(&expr, super::ast::Type::Vector, op.words())?;
        let aggregate = Aggregate { op, parameter, expr, without, labels };
        self.built(Kind::Aggregate(Box::new(aggregate)), span, height)
    }

    fn grouping(&mut self) -> Parsed<Option<(bool, Vec<String>)>> {
        let without = match self.peek_word()?.as_deref() {
            Some("by") => false,
            Some("without") => true,
            _ => return Ok(None),
        };
        self.take()?;
        Ok(Some((without, self.label_list()?)))
    }

    fn arguments(&mut self) -> Parsed<Vec<Built>> {
        self.expect("(", "`(`")?;
        let mut arguments = Vec::new();
        if self.eat(")")? {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression(0)?);
            let next = self.take()?;
            match next.token {
                Token::Sign(")") => return Ok(arguments),
                Token::Sign(",") => {}
                _ => return Err(self.unexpected(&next, "an operator, `,` or `)`")),
            }
        }
    }
}
