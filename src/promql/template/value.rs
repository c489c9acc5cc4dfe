//! What a template computes with, shown as Go shows it.
//!
//! Integers and floats stay apart, because Go's comparison refuses to mix them and a
//! published template that does so renders as an error in Prometheus too. Values are
//! cheap to copy. A value can hold others (`args`), so its depth is bounded where it is
//! made; else showing or dropping it could exhaust the stack.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::number;
use crate::promql::labels::Labels;

/// `args` in `args`.
pub(super) const DEEPEST: usize = 20;

/// One result of a query.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Sample {
    pub labels: Labels,
    pub value: f64,
}

/// What `.` is at the beginning.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Root {
    pub labels: Labels,
    pub external_labels: Labels,
    pub external_url: Arc<str>,
    pub value: f64,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Value {
    Nil,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(Arc<str>),
    Labels(Labels),
    /// The result of `args`, and how deep it is.
    Arguments(Arc<BTreeMap<String, Self>>, usize),
    Sample(Arc<Sample>),
    Vector(Arc<Vec<Arc<Sample>>>),
    Root(Arc<Root>),
    /// Milliseconds since 1970, in UTC.
    Time(i64),
}

impl Value {
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// The type's name in Go, as messages and `%T` show it.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Integer(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Labels(_) => "map[string]string",
            Self::Arguments(..) => "map[string]interface {}",
            Self::Sample(_) => "*template.sample",
            Self::Vector(_) => "template.queryResult",
            Self::Root(_) => "template data",
            Self::Time(_) => "*time.Time",
        }
    }

    /// Whether `if` takes it for true: not zero, not empty.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Integer(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Labels(map) => !map.is_empty(),
            Self::Arguments(map, _) => !map.is_empty(),
            Self::Vector(samples) => !samples.is_empty(),
            Self::Sample(_) | Self::Root(_) | Self::Time(_) => true,
        }
    }

    /// How many values it holds, if it is one that holds any.
    pub fn length(&self) -> Option<usize> {
        match self {
            Self::Text(text) => Some(text.len()),
            Self::Labels(map) => Some(map.len()),
            Self::Arguments(map, _) => Some(map.len()),
            Self::Vector(samples) => Some(samples.len()),
            _ => None,
        }
    }

    /// The field `name`. A label that is not there is the empty text.
    ///
    /// # Errors
    /// The value has no fields, or not that one.
    pub fn field(&self, name: &str) -> Result<Self, String> {
        let label = |labels: &Labels| Self::text(labels.value(name));
        match (self, name) {
            (Self::Labels(map), _) => Ok(label(map)),
            (Self::Arguments(map, _), _) => Ok(map.get(name).cloned().unwrap_or(Self::Nil)),
            (Self::Sample(sample), "Labels") => Ok(Self::Labels(sample.labels.clone())),
            (Self::Sample(sample), "Value") => Ok(Self::Float(sample.value)),
            (Self::Root(root), "Labels") => Ok(Self::Labels(root.labels.clone())),
            (Self::Root(root), "ExternalLabels") => Ok(Self::Labels(root.external_labels.clone())),
            (Self::Root(root), "ExternalURL") => Ok(Self::Text(root.external_url.clone())),
            (Self::Root(root), "Value") => Ok(Self::Float(root.value)),
            (Self::Nil, _) => Err(format!("nothing has no field `{name}`")),
            _ => Err(format!("a value of type {} has no field `{name}`", self.type_name())),
        }
    }

    /// What an action prints.
    pub fn printed(&self, most: usize) -> String {
        let mut out = String::new();
        match self {
            Self::Nil => out.push_str("<no value>"),
            other => other.show(&mut out, most),
        }
        out
    }

    /// Appends the value as Go's `%v` shows it. Stops soon after `out` exceeds `most`
    /// bytes, because one value may be held many times.
    pub fn show(&self, out: &mut String, most: usize) {
        if out.len() > most {
            return;
        }
        match self {
            Self::Nil => out.push_str("<nil>"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Integer(value) => out.push_str(&value.to_string()),
            Self::Float(value) => out.push_str(&number::shortest(*value)),
            Self::Text(text) => out.push_str(text),
            Self::Time(millis) => out.push_str(&super::time::show(*millis)),
            Self::Labels(_) | Self::Arguments(..) | Self::Sample(_) | Self::Vector(_) | Self::Root(_) => {
                self.compose(out, most, &mut |value, out| value.show(out, most));
            }
        }
    }

    /// Appends a value that holds others, each shown by `element`.
    pub fn compose(&self, out: &mut String, most: usize, element: &mut dyn FnMut(&Self, &mut String)) {
        match self {
            Self::Labels(map) => {
                let pairs = map.iter().map(|(name, value)| (name, Self::text(value)));
                show_map(out, most, pairs, element);
            }
            Self::Arguments(map, _) => {
                let pairs = map.iter().map(|(name, value)| (name.as_str(), value.clone()));
                show_map(out, most, pairs, element);
            }
            Self::Sample(sample) => {
                let parts = [Self::Labels(sample.labels.clone()), Self::Float(sample.value)];
                show_list(out, ('{', '}'), most, parts, element);
            }
            Self::Vector(samples) => {
                show_list(out, ('[', ']'), most, samples.iter().cloned().map(Self::Sample), element);
            }
            Self::Root(root) => {
                let parts = [
                    Self::Labels(root.labels.clone()),
                    Self::Labels(root.external_labels.clone()),
                    Self::Text(root.external_url.clone()),
                    Self::Float(root.value),
                ];
                show_list(out, ('{', '}'), most, parts, element);
            }
            other => element(other, out),
        }
    }
}

fn show_map<'a>(
    out: &mut String,
    most: usize,
    pairs: impl Iterator<Item = (&'a str, Value)>,
    element: &mut dyn FnMut(&Value, &mut String),
) {
    out.push_str("map[");
    for (at, (name, value)) in pairs.enumerate() {
        if out.len() > most {
            break;
        }
        if at > 0 {
            out.push(' ');
        }
        element(&Value::text(name), out);
        out.push(':');
        element(&value, out);
    }
    out.push(']');
}

fn show_list(
    out: &mut String,
    (open, close): (char, char),
    most: usize,
    parts: impl IntoIterator<Item = Value>,
    element: &mut dyn FnMut(&Value, &mut String),
) {
    out.push(open);
    for (at, part) in parts.into_iter().enumerate() {
        if out.len() > most {
            break;
        }
        if at > 0 {
            out.push(' ');
        }
        element(&part, out);
    }
    out.push(close);
}
