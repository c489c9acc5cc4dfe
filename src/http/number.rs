//! Sample values in JSON, which knows neither infinity nor NaN.
//!
//! Those are written as the texts Prometheus uses; the NaN that means "no sample
//! here" is `null`. Whole numbers are written without `.0`, which halves a long
//! answer of counters.

use serde::{Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};

use crate::model::query::is_no_value;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number(pub f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.0;
        if is_no_value(value) {
            serializer.serialize_none()
        } else if value.is_nan() {
            serializer.serialize_str("NaN")
        } else if value.is_infinite() {
            serializer.serialize_str(if value > 0.0 { "+Inf" } else { "-Inf" })
        } else if value.fract() == 0.0 && value.abs() < 9e15 {
            serializer.serialize_i64(value as i64)
        } else {
            serializer.serialize_f64(value)
        }
    }
}

impl utoipa::PartialSchema for Number {
    fn schema() -> RefOr<Schema> {
        let types = SchemaType::from_iter([Type::Number, Type::String, Type::Null]);
        ObjectBuilder::new()
            .schema_type(types)
            .description(Some("A number, \"NaN\", \"+Inf\" or \"-Inf\"; null where there is no sample."))
            .into()
    }
}

impl utoipa::ToSchema for Number {}

/// Many of them without copying.
#[derive(Clone, Debug)]
pub struct Numbers(pub Vec<f64>);

impl Serialize for Numbers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|value| Number(*value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::query::no_value;

    #[test]
    fn every_value_has_its_text() {
        let values = [1.0, 0.5, -3.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, no_value(), 1e300];
        let text = serde_json::to_string(&Numbers(values.to_vec())).unwrap();
        assert_eq!(text, r#"[1,0.5,-3,"NaN","+Inf","-Inf",null,1e+300]"#);
    }
}
