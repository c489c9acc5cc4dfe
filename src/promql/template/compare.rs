//! `eq`, `lt` and their kin, with Go's refusal to mix integers and floats.
//!
//! `gt` is "not less or equal" and `ge` is "not less", so both are true of NaN. That
//! looks like a mistake and is what Prometheus renders.
//! Source: the documentation of Go's `text/template`, section Functions.

use super::value::Value;

/// Whether `first` equals any of `others`.
///
/// # Errors
/// The types cannot be compared.
pub(super) fn equal(first: &Value, others: &[Value]) -> Result<bool, String> {
    for other in others {
        if equal_pair(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equal_pair(first: &Value, second: &Value) -> Result<bool, String> {
    match (first, second) {
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Nil, _) | (_, Value::Nil) => Ok(false),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Integer(a), Value::Integer(b)) => Ok(a == b),
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        (Value::Text(a), Value::Text(b)) => Ok(a == b),
        (Value::Sample(a), Value::Sample(b)) => Ok(std::sync::Arc::ptr_eq(a, b)),
        _ => Err(mixed(first, second)),
    }
}

/// Whether `first` is less than `second`.
///
/// # Errors
/// The types have no order, or differ.
pub(super) fn less(first: &Value, second: &Value) -> Result<bool, String> {
    match (first, second) {
        (Value::Integer(a), Value::Integer(b)) => Ok(a < b),
        (Value::Float(a), Value::Float(b)) => Ok(a < b),
        (Value::Text(a), Value::Text(b)) => Ok(a < b),
        _ => Err(mixed(first, second)),
    }
}

/// Whether `first` is less than `second` or equal to it.
///
/// # Errors
/// See [`less`].
pub(super) fn less_or_equal(first: &Value, second: &Value) -> Result<bool, String> {
    Ok(less(first, second)? || equal_pair(first, second)?)
}

fn mixed(first: &Value, second: &Value) -> String {
    let (a, b) = (first.type_name(), second.type_name());
    match (first, second) {
        (Value::Float(_), Value::Integer(_)) | (Value::Integer(_), Value::Float(_)) => {
            format!("cannot compare {a} with {b}, write the number with a point: 5.0")
        }
        _ => format!("cannot compare {a} with {b}"),
    }
}
