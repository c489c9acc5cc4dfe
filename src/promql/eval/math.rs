//! Functions of one number, and arguments that are one number for each step.

use crate::promql::function::Math;

/// A scalar argument of a function over windows.
#[derive(Debug)]
pub(super) enum Parameter {
    None,
    Each(Vec<f64>),
}

impl Parameter {
    pub fn at(&self, step: usize) -> f64 {
        match self {
            Self::None => f64::NAN,
            Self::Each(values) => values.get(step).copied().unwrap_or(f64::NAN),
        }
    }

    /// Whether it is the same at all steps.
    pub fn is_same(&self) -> bool {
        match self {
            Self::None => true,
            Self::Each(values) => values.windows(2).all(|pair| pair[0].to_bits() == pair[1].to_bits()),
        }
    }
}

pub(super) fn apply(function: Math, value: f64) -> f64 {
    match function {
        Math::Abs => value.abs(),
        Math::Acos => value.acos(),
        Math::Acosh => value.acosh(),
        Math::Asin => value.asin(),
        Math::Asinh => value.asinh(),
        Math::Atan => value.atan(),
        Math::Atanh => value.atanh(),
        Math::Ceil => value.ceil(),
        Math::Cos => value.cos(),
        Math::Cosh => value.cosh(),
        // As Prometheus orders them: `to_degrees` rounds otherwise.
        Math::Deg => value * 180.0 / std::f64::consts::PI,
        Math::Exp => value.exp(),
        Math::Floor => value.floor(),
        Math::Ln => value.ln(),
        Math::Log10 => value.log10(),
        Math::Log2 => value.log2(),
        Math::Rad => value * std::f64::consts::PI / 180.0,
        Math::Sgn if value > 0.0 => 1.0,
        Math::Sgn if value < 0.0 => -1.0,
        Math::Sgn => value,
        Math::Sin => value.sin(),
        Math::Sinh => value.sinh(),
        Math::Sqrt => value.sqrt(),
        Math::Tan => value.tan(),
        Math::Tanh => value.tanh(),
    }
}

/// To the nearest multiple, halves upwards. By the inverse, which errs less.
pub(super) fn round(value: f64, nearest: f64) -> f64 {
    let inverse = 1.0 / nearest;
    (value * inverse + 0.5).floor() / inverse
}

/// Between the two; what is no number stays none.
pub(super) fn clamp(value: f64, least: f64, most: f64) -> f64 {
    if value.is_nan() || least.is_nan() || most.is_nan() {
        return f64::NAN;
    }
    value.min(most).max(least)
}
