//! The functions there are: names, arguments, results.
//!
//! All that Prometheus 3 has on samples of numbers without a feature flag, and
//! `first_over_time`. The others it has are listed too, so that a text that uses one is
//! refused with the reason instead of a shrug.

use super::ast::Type;

/// A function of one number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Math {
    Abs,
    Acos,
    Acosh,
    Asin,
    Asinh,
    Atan,
    Atanh,
    Ceil,
    Cos,
    Cosh,
    Deg,
    Exp,
    Floor,
    Ln,
    Log10,
    Log2,
    Rad,
    Sgn,
    Sin,
    Sinh,
    Sqrt,
    Tan,
    Tanh,
}

/// A part of a date in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Date {
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    DaysInMonth,
    Hour,
    Minute,
    Month,
    Year,
}

/// A function of the samples of a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Window {
    Avg,
    Changes,
    Count,
    Delta,
    Deriv,
    First,
    Idelta,
    Increase,
    Irate,
    Last,
    Max,
    Min,
    PredictLinear,
    Present,
    Quantile,
    Rate,
    Resets,
    Stddev,
    Stdvar,
    Sum,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Function {
    Math(Math),
    Date(Date),
    Window(Window),
    Absent,
    AbsentOverTime,
    Clamp,
    ClampMax,
    ClampMin,
    HistogramFraction,
    HistogramQuantile,
    LabelJoin,
    LabelReplace,
    Pi,
    Round,
    Scalar,
    Sort,
    SortDesc,
    Time,
    Timestamp,
    Vector,
}

/// What a function takes and yields.
#[derive(Debug)]
pub struct Signature {
    pub name: &'static str,
    pub function: Function,
    pub arguments: &'static [Type],
    /// Arguments that cannot be left out.
    pub least: usize,
    /// The last argument may be repeated.
    pub repeated: bool,
    pub returns: Type,
}

const S: Type = Type::Scalar;
const T: Type = Type::String;
const V: Type = Type::Vector;
const M: Type = Type::Matrix;

const fn all(name: &'static str, function: Function, arguments: &'static [Type], returns: Type) -> Signature {
    Signature { name, function, arguments, least: arguments.len(), repeated: false, returns }
}

const fn math(name: &'static str, function: Math) -> Signature {
    all(name, Function::Math(function), &[V], V)
}

const fn date(name: &'static str, function: Date) -> Signature {
    Signature { least: 0, ..all(name, Function::Date(function), &[V], V) }
}

const fn window(name: &'static str, function: Window) -> Signature {
    all(name, Function::Window(function), &[M], V)
}

static TABLE: [Signature; 68] = [
    math("abs", Math::Abs),
    all("absent", Function::Absent, &[V], V),
    all("absent_over_time", Function::AbsentOverTime, &[M], V),
    math("acos", Math::Acos),
    math("acosh", Math::Acosh),
    math("asin", Math::Asin),
    math("asinh", Math::Asinh),
    math("atan", Math::Atan),
    math("atanh", Math::Atanh),
    window("avg_over_time", Window::Avg),
    math("ceil", Math::Ceil),
    window("changes", Window::Changes),
    all("clamp", Function::Clamp, &[V, S, S], V),
    all("clamp_max", Function::ClampMax, &[V, S], V),
    all("clamp_min", Function::ClampMin, &[V, S], V),
    math("cos", Math::Cos),
    math("cosh", Math::Cosh),
    window("count_over_time", Window::Count),
    date("day_of_month", Date::DayOfMonth),
    date("day_of_week", Date::DayOfWeek),
    date("day_of_year", Date::DayOfYear),
    date("days_in_month", Date::DaysInMonth),
    math("deg", Math::Deg),
    window("delta", Window::Delta),
    window("deriv", Window::Deriv),
    math("exp", Math::Exp),
    window("first_over_time", Window::First),
    math("floor", Math::Floor),
    all("histogram_fraction", Function::HistogramFraction, &[S, S, V], V),
    all("histogram_quantile", Function::HistogramQuantile, &[S, V], V),
    date("hour", Date::Hour),
    window("idelta", Window::Idelta),
    window("increase", Window::Increase),
    window("irate", Window::Irate),
    Signature { least: 3, repeated: true, ..all("label_join", Function::LabelJoin, &[V, T, T, T], V) },
    all("label_replace", Function::LabelReplace, &[V, T, T, T, T], V),
    window("last_over_time", Window::Last),
    math("ln", Math::Ln),
    math("log10", Math::Log10),
    math("log2", Math::Log2),
    window("max_over_time", Window::Max),
    window("min_over_time", Window::Min),
    date("minute", Date::Minute),
    date("month", Date::Month),
    all("pi", Function::Pi, &[], S),
    all("predict_linear", Function::Window(Window::PredictLinear), &[M, S], V),
    window("present_over_time", Window::Present),
    all("quantile_over_time", Function::Window(Window::Quantile), &[S, M], V),
    math("rad", Math::Rad),
    window("rate", Window::Rate),
    window("resets", Window::Resets),
    Signature { least: 1, ..all("round", Function::Round, &[V, S], V) },
    all("scalar", Function::Scalar, &[V], S),
    math("sgn", Math::Sgn),
    math("sin", Math::Sin),
    math("sinh", Math::Sinh),
    all("sort", Function::Sort, &[V], V),
    all("sort_desc", Function::SortDesc, &[V], V),
    math("sqrt", Math::Sqrt),
    window("stddev_over_time", Window::Stddev),
    window("stdvar_over_time", Window::Stdvar),
    window("sum_over_time", Window::Sum),
    math("tan", Math::Tan),
    math("tanh", Math::Tanh),
    all("time", Function::Time, &[], S),
    all("timestamp", Function::Timestamp, &[V], V),
    all("vector", Function::Vector, &[S], V),
    date("year", Date::Year),
];

/// Functions of Prometheus 3 that are behind a feature flag there.
const EXPERIMENTAL: [&str; 17] = [
    "double_exponential_smoothing",
    "end",
    "histogram_quantiles",
    "info",
    "integral",
    "limit_ratio",
    "limitk",
    "mad_over_time",
    "range",
    "sort_by_label",
    "sort_by_label_desc",
    "start",
    "step",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
];

/// Functions of native histograms, which are not stored here.
const OF_HISTOGRAMS: [&str; 5] =
    ["histogram_avg", "histogram_count", "histogram_stddev", "histogram_stdvar", "histogram_sum"];

impl Function {
    pub fn signature(self) -> &'static Signature {
        // Every function stands in the table; a test sees to it.
        TABLE.iter().find(|signature| signature.function == self).unwrap_or(&TABLE[0])
    }

    pub fn name(self) -> &'static str {
        self.signature().name
    }

    pub fn returns(self) -> Type {
        self.signature().returns
    }
}

/// The function of that name.
///
/// # Errors
/// Why there is none.
pub fn find(name: &str) -> Result<&'static Signature, String> {
    if let Some(signature) = TABLE.iter().find(|signature| signature.name == name) {
        return Ok(signature);
    }
    if EXPERIMENTAL.contains(&name) {
        return Err(format!("function `{name}` is experimental in Prometheus and not supported"));
    }
    if OF_HISTOGRAMS.contains(&name) {
        return Err(format!("function `{name}` needs native histograms, which are not supported"));
    }
    if name == "holt_winters" {
        return Err(String::from("function `holt_winters` is gone since Prometheus 3"));
    }
    let near = TABLE.iter().map(|signature| (strsim::damerau_levenshtein(signature.name, name), signature));
    match near.min_by_key(|(distance, _)| *distance) {
        Some((1..=2, near)) => Err(format!("unknown function `{name}`, did you mean `{}`?", near.name)),
        _ => Err(format!("unknown function `{name}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        for signature in &TABLE {
            assert_eq!(signature.function.name(), signature.name);
            assert!(signature.least <= signature.arguments.len());
            assert!(find(signature.name).is_ok());
        }
        assert!(TABLE.windows(2).all(|pair| pair[0].name < pair[1].name), "sorted, each once");
    }

    #[test]
    fn what_is_not_there_is_refused_with_the_reason() {
        for (name, reason) in [
            ("mad_over_time", "experimental"),
            ("histogram_sum", "native histograms"),
            ("holt_winters", "Prometheus 3"),
            ("rte", "did you mean `rate`?"),
            ("frobnicate", "unknown function `frobnicate`"),
        ] {
            let error = find(name).unwrap_err();
            assert!(error.contains(reason) && error.contains(name), "{error}");
        }
    }
}
