//! The functions a template may call: one name and one line each.
//!
//! What needs the run (`query`, the short-circuiting `and` and `or`) is called by it;
//! everything else is here. Arguments are checked as Go checks them: a number is not
//! taken for a text, but the `humanize` functions take numbers as texts.
//! Sources: the documentation of Go's `text/template` and the template reference of
//! Prometheus.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::compare::{equal, less, less_or_equal};
use super::value::{DEEPEST, Sample, Value};
use super::{humanize, printf, text, time};
use crate::base::prometheus_duration;

macro_rules! functions {
    ($($function:ident $name:literal $least:literal $most:expr;)*) => {
        /// A function by what it does.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(super) enum Function {
            $($function,)*
        }

        impl Function {
            /// The function of this name.
            pub fn of(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$function),)*
                    _ => None,
                }
            }

            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$function => $name,)*
                }
            }

            /// Fewest and most arguments.
            const fn arity(self) -> (usize, usize) {
                match self {
                    $(Self::$function => ($least, $most),)*
                }
            }
        }
    };
}

const ANY: usize = usize::MAX;

functions! {
    And "and" 1 ANY;
    Or "or" 1 ANY;
    Not "not" 1 1;
    Length "len" 1 1;
    Index "index" 1 ANY;
    Slice "slice" 1 4;
    Equal "eq" 2 ANY;
    NotEqual "ne" 2 2;
    Less "lt" 2 2;
    LessOrEqual "le" 2 2;
    Greater "gt" 2 2;
    GreaterOrEqual "ge" 2 2;
    Print "print" 0 ANY;
    Printf "printf" 1 ANY;
    PrintLine "println" 0 ANY;
    Html "html" 0 ANY;
    Javascript "js" 0 ANY;
    UrlQuery "urlquery" 0 ANY;
    Query "query" 1 1;
    First "first" 1 1;
    Label "label" 2 2;
    ValueOf "value" 1 1;
    TextValueOf "strvalue" 1 1;
    SortByLabel "sortByLabel" 2 2;
    Arguments "args" 0 ANY;
    Humanize "humanize" 1 1;
    Humanize1024 "humanize1024" 1 1;
    HumanizeDuration "humanizeDuration" 1 1;
    HumanizePercentage "humanizePercentage" 1 1;
    HumanizeTimestamp "humanizeTimestamp" 1 1;
    ToTime "toTime" 1 1;
    ParseDuration "parseDuration" 1 1;
    Now "now" 0 0;
    Title "title" 1 1;
    ToUpper "toUpper" 1 1;
    ToLower "toLower" 1 1;
    Match "match" 2 2;
    ReplaceAll "reReplaceAll" 3 3;
    SafeHtml "safeHtml" 1 1;
    StripPort "stripPort" 1 1;
    StripDomain "stripDomain" 1 1;
    GraphLink "graphLink" 1 1;
    TableLink "tableLink" 1 1;
    ExternalUrl "externalURL" 0 0;
    PathPrefix "pathPrefix" 0 0;
}

/// What some functions need beside their arguments.
pub(super) struct Context<'a> {
    pub external_url: &'a str,
    /// Seconds since 1970.
    pub now: f64,
    /// Most bytes of one text.
    pub most: usize,
}

/// # Errors
/// The number of arguments is wrong for `function`.
pub(super) fn check_count(function: Function, count: usize) -> Result<(), String> {
    let (least, most) = function.arity();
    if (least..=most).contains(&count) {
        return Ok(());
    }
    let name = function.name();
    let wanted = match (least, most) {
        (least, ANY) => format!("at least {least}"),
        (least, most) if least == most => least.to_string(),
        (least, most) => format!("{least} to {most}"),
    };
    Err(format!("`{name}` takes {wanted} arguments, {count} given"))
}

/// Calls `function`. The number of `arguments` must have been checked.
///
/// # Errors
/// An argument has the wrong type, or a value that the function refuses.
pub(super) fn call(function: Function, arguments: &[Value], context: &Context<'_>) -> Result<Value, String> {
    use Function as F;
    let argument = |at: usize| arguments.get(at).unwrap_or(&Value::Nil);
    let string = |at: usize| text_of(function, argument(at));
    let number = || number_of(function, argument(0));
    let bool = |truth: Result<bool, String>| truth.map(Value::Bool);
    let rest = arguments.get(1..).unwrap_or_default();
    match function {
        F::And | F::Or | F::Query => Err(format!("`{}` is called by the run", function.name())),
        F::Not => Ok(Value::Bool(!argument(0).is_true())),
        F::Length => length(argument(0)),
        F::Index => index(argument(0), rest),
        F::Slice => slice(argument(0), rest),
        F::Equal => bool(equal(argument(0), rest)),
        F::NotEqual => bool(equal(argument(0), rest).map(|same| !same)),
        F::Less => bool(less(argument(0), argument(1))),
        F::LessOrEqual => bool(less_or_equal(argument(0), argument(1))),
        F::Greater => bool(less_or_equal(argument(0), argument(1)).map(|not| !not)),
        F::GreaterOrEqual => bool(less(argument(0), argument(1)).map(|not| !not)),
        F::Print => Ok(Value::text(print(arguments, context.most))),
        F::PrintLine => Ok(Value::text(print_line(arguments, context.most))),
        F::Printf => printf::sprintf(&string(0)?, rest, context.most).map(Value::text),
        F::Html => Ok(Value::text(text::html(&joined(arguments, context.most)))),
        F::Javascript => Ok(Value::text(text::javascript(&joined(arguments, context.most)))),
        F::UrlQuery => Ok(Value::text(text::query(&joined(arguments, context.most)))),
        F::First => first(argument(0)),
        F::Label => {
            let name = string(0)?;
            sample_of(function, argument(1)).map(|sample| label(&sample, &name))
        }
        F::ValueOf => sample_of(function, argument(0)).map(|sample| Value::Float(sample.value)),
        F::TextValueOf => sample_of(function, argument(0)).map(|sample| label(&sample, "__value__")),
        F::SortByLabel => sort_by_label(&string(0)?, argument(1)),
        F::Arguments => pack(arguments),
        F::Humanize => number().map(|number| Value::text(humanize::humanize(number))),
        F::Humanize1024 => number().map(|number| Value::text(humanize::humanize_1024(number))),
        F::HumanizeDuration => number().map(|number| Value::text(humanize::humanize_duration(number))),
        F::HumanizePercentage => number().map(|number| Value::text(humanize::humanize_percentage(number))),
        F::HumanizeTimestamp => humanize::humanize_timestamp(number()?).map(Value::text),
        F::ToTime => time::from_seconds(number()?).map(Value::Time),
        F::ParseDuration => match prometheus_duration::parse(&string(0)?) {
            Ok(duration) => Ok(Value::Float(duration.as_secs_f64())),
            Err(error) => Err(error.to_string()),
        },
        F::Now => Ok(Value::Float(context.now)),
        F::Title => Ok(Value::text(text::title(&string(0)?))),
        F::ToUpper => Ok(Value::text(string(0)?.to_uppercase())),
        F::ToLower => Ok(Value::text(string(0)?.to_lowercase())),
        F::Match => bool(text::matches(&string(0)?, &string(1)?)),
        F::ReplaceAll => text::replace(&string(0)?, &string(1)?, &string(2)?).map(Value::text),
        F::SafeHtml => Ok(Value::Text(string(0)?)),
        F::StripPort => Ok(Value::text(text::strip_port(&string(0)?))),
        F::StripDomain => Ok(Value::text(text::strip_domain(&string(0)?))),
        F::GraphLink => Ok(Value::text(link(&string(0)?, 0))),
        F::TableLink => Ok(Value::text(link(&string(0)?, 1))),
        F::ExternalUrl => Ok(Value::text(context.external_url)),
        F::PathPrefix => Ok(Value::text(text::path_of(context.external_url))),
    }
}

fn link(expr: &str, tab: u8) -> String {
    format!("/graph?g0.expr={}&g0.tab={tab}", text::query(expr))
}

fn text_of(function: Function, value: &Value) -> Result<Arc<str>, String> {
    match value {
        Value::Text(text) => Ok(text.clone()),
        other => Err(format!("`{}` takes a text, found {}", function.name(), other.type_name())),
    }
}

fn number_of(function: Function, value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(number) => Ok(*number),
        Value::Integer(number) => Ok(*number as f64),
        Value::Text(text) => read_number(text).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            format!("`{}` takes a number, found {}", function.name(), printf::quote(&shown))
        }),
        other => Err(format!("`{}` takes a number, found {}", function.name(), other.type_name())),
    }
}

/// Underscores may stand between digits, as in Go's literals.
fn read_number(text: &str) -> Option<f64> {
    let whole = text.split('_').all(|part| {
        let ends = (part.bytes().next(), part.bytes().last());
        matches!(ends, (Some(first), Some(last)) if first.is_ascii_digit() && last.is_ascii_digit())
    });
    match (text.contains('_'), whole) {
        (true, true) => text.replace('_', "").parse().ok(),
        (true, false) => None,
        (false, _) => text.parse().ok(),
    }
}

fn sample_of(function: Function, value: &Value) -> Result<Arc<Sample>, String> {
    match value {
        Value::Sample(sample) => Ok(sample.clone()),
        other => {
            let name = function.name();
            Err(format!("`{name}` takes one result of a query, found {}; use `first`", other.type_name()))
        }
    }
}

fn label(sample: &Sample, name: &str) -> Value {
    Value::text(sample.labels.value(name))
}

fn length(value: &Value) -> Result<Value, String> {
    let length = value.length().ok_or_else(|| format!("`len` of type {}", value.type_name()))?;
    Ok(Value::Integer(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn index(value: &Value, at: &[Value]) -> Result<Value, String> {
    let mut found = value.clone();
    for key in at {
        let position = |length: usize| match key {
            Value::Integer(at) => usize::try_from(*at)
                .ok()
                .filter(|at| *at < length)
                .ok_or_else(|| format!("index {at} is out of range, there are {length}")),
            other => Err(format!("expected a whole number as index, found {}", other.type_name())),
        };
        found = match (&found, key) {
            (Value::Labels(_) | Value::Arguments(..), Value::Text(name)) => found.field(name)?,
            (Value::Labels(_) | Value::Arguments(..), other) => {
                return Err(format!("expected a text as index, found {}", other.type_name()));
            }
            (Value::Vector(samples), _) => Value::Sample(samples[position(samples.len())?].clone()),
            (Value::Text(text), _) => Value::Integer(text.as_bytes()[position(text.len())?].into()),
            (other, _) => return Err(format!("a value of type {} has no index", other.type_name())),
        };
    }
    Ok(found)
}

fn slice(value: &Value, bounds: &[Value]) -> Result<Value, String> {
    let length = value.length().unwrap_or(0);
    let bound = |at: usize, default: usize| match bounds.get(at) {
        None => Ok(default),
        Some(Value::Integer(at)) => usize::try_from(*at)
            .ok()
            .filter(|at| *at <= length)
            .ok_or_else(|| format!("index {at} is out of range, there are {length}")),
        Some(other) => Err(format!("expected a whole number as index, found {}", other.type_name())),
    };
    let (from, to) = (bound(0, 0)?, bound(1, length)?);
    if from > to {
        return Err(format!("the slice ends at {to}, before it begins at {from}"));
    }
    match value {
        Value::Text(text) if bounds.len() < 3 => match text.get(from..to) {
            Some(part) => Ok(Value::text(part)),
            None => Err(String::from("the slice cuts a character in two")),
        },
        Value::Vector(samples) => Ok(Value::Vector(Arc::new(samples[from..to].to_vec()))),
        other => Err(format!("a value of type {} has no such slice", other.type_name())),
    }
}

fn first(value: &Value) -> Result<Value, String> {
    match value {
        Value::Vector(samples) => match samples.first() {
            Some(sample) => Ok(Value::Sample(sample.clone())),
            None => Err(String::from("`first` of a result without elements")),
        },
        other => Err(format!("`first` takes the result of a query, found {}", other.type_name())),
    }
}

fn sort_by_label(name: &str, value: &Value) -> Result<Value, String> {
    let Value::Vector(samples) = value else {
        return Err(format!("`sortByLabel` takes the result of a query, found {}", value.type_name()));
    };
    let mut sorted = samples.as_ref().clone();
    sorted.sort_by(|a, b| a.labels.value(name).cmp(b.labels.value(name)));
    Ok(Value::Vector(Arc::new(sorted)))
}

fn pack(arguments: &[Value]) -> Result<Value, String> {
    let depth = |value: &Value| if let Value::Arguments(_, depth) = value { *depth } else { 0 };
    let deepest = arguments.iter().map(depth).max().unwrap_or(0) + 1;
    if deepest > DEEPEST {
        return Err(format!("`args` are nested deeper than {DEEPEST}"));
    }
    let named = arguments.iter().enumerate().map(|(at, value)| (format!("arg{at}"), value.clone()));
    Ok(Value::Arguments(Arc::new(named.collect::<BTreeMap<_, _>>()), deepest))
}

/// Go's `Sprint`: a blank between two values of which neither is a text.
fn print(values: &[Value], most: usize) -> String {
    let mut out = String::new();
    let mut after_text = true;
    for value in values {
        let is_text = matches!(value, Value::Text(_));
        if !is_text && !after_text {
            out.push(' ');
        }
        value.show(&mut out, most);
        after_text = is_text;
    }
    out
}

fn print_line(values: &[Value], most: usize) -> String {
    let mut out = String::new();
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            out.push(' ');
        }
        value.show(&mut out, most);
    }
    out.push('\n');
    out
}

/// What the escaping functions take: a text as it is, else what `print` makes.
fn joined(values: &[Value], most: usize) -> String {
    match values {
        [Value::Text(text)] => text.to_string(),
        [Value::Nil] => String::from("<no value>"),
        values => print(values, most),
    }
}
