//! Templates of labels and annotations: `{{ $labels.instance }} is at {{ $value | humanize }}`.
//!
//! Prometheus uses Go's `text/template` with functions of its own. This is the part of
//! that language which a rule can use, and it renders what Prometheus renders, its
//! oddities included (a float is never equal to an integer, a failed template becomes a
//! text that says so). Reading and rendering are apart: rules are read once and their
//! errors have a line and a column, rendering happens at every evaluation and is bounded
//! in steps and bytes. Not there, and refused by name: `call`, `tmpl`, and
//! `%#v`, `%b` and `%x` of a float.
//! Sources: the documentation of Go's `text/template` and the template reference of
//! Prometheus.

mod compare;
mod function;
mod humanize;
mod node;
mod number;
mod parse;
mod printf;
mod run;
mod text;
mod time;
mod token;
mod value;

use super::labels::Labels;
use crate::base::time::Timestamp;

/// Most bytes of a template.
pub const LONGEST: usize = 65_536;
/// Most bytes that one renders to.
pub const LONGEST_OUTPUT: usize = 65_536;

/// The variables that exist in every template.
const KNOWN: [&str; 5] = ["$", "$labels", "$externalLabels", "$externalURL", "$value"];

/// The labels of a series, and its value.
pub type Element = (Labels, f64);

/// Answers the function `query`: the vector of an expression, or why there is none.
pub type Query<'a> = &'a dyn Fn(&str) -> Result<Vec<Element>, String>;

/// What a template may speak of.
#[derive(Clone, Copy, Debug)]
pub struct Data<'a> {
    /// `$labels`; with `__name__` where the expression keeps it.
    pub labels: &'a Labels,
    /// `$value`
    pub value: f64,
    /// `$externalLabels`
    pub external_labels: &'a Labels,
    /// `$externalURL`; empty when there is none.
    pub external_url: &'a str,
    /// The time of the evaluation.
    pub at: Timestamp,
}

/// Why a template cannot be read or rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct TemplateError {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    pub message: String,
}

/// A template that was read.
#[derive(Clone, PartialEq, Debug)]
pub struct Template {
    text: String,
    tree: node::Tree,
}

impl Template {
    /// Reads a template. A text without `{{` is one, too.
    ///
    /// # Errors
    /// [`TemplateError`] with the place and what was expected.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > LONGEST {
            let message = format!("the template is longer than {LONGEST} bytes");
            return Err(TemplateError { line: 1, column: 1, message });
        }
        let tree = parse::parse(text, &KNOWN).map_err(|problem| problem.located(text))?;
        Ok(Self { text: text.to_owned(), tree })
    }

    /// A text that stays as it is, braces and all.
    pub fn plain(text: &str) -> Self {
        let main = vec![node::Node::Plain(text.to_owned())];
        Self { text: text.to_owned(), tree: node::Tree { main, ..node::Tree::default() } }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Renders it.
    ///
    /// # Errors
    /// [`TemplateError`]: a function refused its arguments, a query failed, or a bound
    /// was reached.
    pub fn render(&self, data: &Data<'_>, query: Query<'_>) -> Result<String, TemplateError> {
        run::render(&self.tree, data, query).map_err(|problem| problem.located(&self.text))
    }

    /// Renders it; an error becomes the text that Prometheus shows in its place.
    pub fn expand(&self, data: &Data<'_>, query: Query<'_>) -> String {
        self.render(data, query).unwrap_or_else(|error| failed(&error))
    }
}

/// Reads and renders `text`; an error becomes the text that Prometheus shows in its place.
pub fn expand(text: &str, data: &Data<'_>, query: Query<'_>) -> String {
    match Template::parse(text) {
        Ok(template) => template.expand(data, query),
        Err(error) => failed(&error),
    }
}

fn failed(error: &TemplateError) -> String {
    format!("<error expanding template: {error}>")
}

/// An error at a byte of the template, before it has a line.
#[derive(Debug, Clone, PartialEq)]
struct Problem {
    at: usize,
    message: String,
}

fn fault(at: usize, message: impl Into<String>) -> Problem {
    Problem { at, message: message.into() }
}

impl Problem {
    fn located(self, text: &str) -> TemplateError {
        let before = text.get(..self.at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        TemplateError {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: self.message,
        }
    }
}

#[cfg(test)]
mod tests;
