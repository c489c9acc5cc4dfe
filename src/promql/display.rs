//! An expression as text: one spelling for each tree, which reads back as that tree.

use std::fmt::{self, Display, Formatter, Write as _};

use super::ast::{At, Expr, Group, Kind, Selector, Shift};
use super::labels::NAME;
use super::parser::number::spell;
use crate::model::selector::{MatchOp, Matcher};
use crate::model::series::{is_label_name, is_metric_name};

impl Display for Expr {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Number(value) => write_number(out, *value),
            Kind::Text(text) => write_quoted(out, text),
            Kind::Selector(selector) => {
                write_matchers(out, selector)?;
                write_shift(out, selector.shift)
            }
            Kind::Range(selector, range) => {
                write_matchers(out, selector)?;
                write!(out, "[{}]", spell(*range))?;
                write_shift(out, selector.shift)
            }
            Kind::Subquery(subquery) => {
                let step = subquery.step.map(spell).unwrap_or_default();
                write!(out, "{}[{}:{step}]", subquery.expr, spell(subquery.range))?;
                write_shift(out, subquery.shift)
            }
            Kind::Negative(inner) => write!(out, "-{inner}"),
            Kind::Positive(inner) => write!(out, "+{inner}"),
            Kind::Paren(inner) => write!(out, "({inner})"),
            Kind::Call(function, arguments) => write_arguments(out, function.name(), arguments.iter()),
            Kind::Aggregate(aggregate) => {
                out.write_str(aggregate.op.words())?;
                let word = if aggregate.without { " without " } else { " by " };
                let mut space = "";
                if aggregate.without || !aggregate.labels.is_empty() {
                    write_labels(out, word, &aggregate.labels)?;
                    space = " ";
                }
                write_arguments(out, space, aggregate.parameter.iter().chain([&aggregate.expr]))
            }
            Kind::Binary(binary) => {
                write!(out, "{} {}", binary.left, binary.op.words())?;
                out.write_str(if binary.bool { " bool" } else { "" })?;
                let matching = &binary.matching;
                if matching.on || !matching.labels.is_empty() || matching.group != Group::One {
                    write_labels(out, if matching.on { " on " } else { " ignoring " }, &matching.labels)?;
                }
                match &matching.group {
                    Group::One => {}
                    Group::Left(labels) => write_labels(out, " group_left ", labels)?,
                    Group::Right(labels) => write_labels(out, " group_right ", labels)?,
                }
                write!(out, " {}", binary.right)
            }
        }
    }
}

/// As short as it reads back.
fn write_number(out: &mut Formatter<'_>, value: f64) -> fmt::Result {
    if value.is_nan() {
        out.write_str("NaN")
    } else if value.is_infinite() {
        out.write_str(if value > 0.0 { "Inf" } else { "-Inf" })
    } else if value == 0.0 || (1e-6..1e15).contains(&value.abs()) {
        write!(out, "{value}")
    } else {
        write!(out, "{value:e}")
    }
}

fn write_quoted(out: &mut Formatter<'_>, text: &str) -> fmt::Result {
    out.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}

fn write_label(out: &mut Formatter<'_>, name: &str) -> fmt::Result {
    if is_label_name(name) { out.write_str(name) } else { write_quoted(out, name) }
}

fn write_labels(out: &mut Formatter<'_>, word: &str, labels: &[String]) -> fmt::Result {
    write!(out, "{word}(")?;
    for (at, label) in labels.iter().enumerate() {
        out.write_str(if at > 0 { ", " } else { "" })?;
        write_label(out, label)?;
    }
    out.write_char(')')
}

fn write_arguments<'a>(
    out: &mut Formatter<'_>,
    name: &str,
    arguments: impl Iterator<Item = &'a Expr>,
) -> fmt::Result {
    write!(out, "{name}(")?;
    for (at, argument) in arguments.enumerate() {
        out.write_str(if at > 0 { ", " } else { "" })?;
        argument.fmt(out)?;
    }
    out.write_char(')')
}

fn write_shift(out: &mut Formatter<'_>, shift: Shift) -> fmt::Result {
    match shift.at {
        None => {}
        Some(At::Start) => out.write_str(" @ start()")?,
        Some(At::End) => out.write_str(" @ end()")?,
        Some(At::Time(ms)) => {
            let sign = if ms < 0 { "-" } else { "" };
            let ms = ms.unsigned_abs();
            write!(out, " @ {sign}{}.{:03}", ms / 1000, ms % 1000)?;
        }
    }
    if shift.offset != 0 {
        write!(out, " offset {}", spell(shift.offset))?;
    }
    Ok(())
}

/// Words that mean something else than a metric at the beginning of an expression.
const TAKEN: [&str; 8] = ["on", "ignoring", "group_left", "group_right", "bool", "atan2", "inf", "nan"];

fn write_matchers(out: &mut Formatter<'_>, selector: &Selector) -> fmt::Result {
    let plain = |matcher: &Matcher| {
        let name = matcher.value.as_str();
        matcher.label == NAME
            && matcher.op == MatchOp::Equal
            && is_metric_name(name)
            && !TAKEN.iter().any(|word| word.eq_ignore_ascii_case(name))
    };
    let mut matchers = selector.matchers.as_slice();
    if let [first, rest @ ..] = matchers
        && plain(first)
        && !rest.iter().any(|other| other.label == NAME)
    {
        out.write_str(&first.value)?;
        matchers = rest;
        if rest.is_empty() {
            return Ok(());
        }
    }
    for (at, Matcher { label, op, value }) in matchers.iter().enumerate() {
        out.write_char(if at == 0 { '{' } else { ',' })?;
        write_label(out, label)?;
        out.write_str(op.sign())?;
        write_quoted(out, value)?;
    }
    out.write_char('}')
}
