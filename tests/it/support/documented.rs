//! Every answer that a test gets is held against the API's document: its status and its
//! media type must be there. So what the handlers refuse with cannot go undocumented where
//! any test sees it.

use std::sync::OnceLock;

use serde_json::{Map, Value};

use super::client::Answer;

fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    let read = || serde_json::from_str(include_str!("../../../openapi.json")).unwrap();
    DOCUMENT.get_or_init(read)
}

/// The path of the document that `path` is, the one with the fewest variable parts.
fn item(path: &str) -> Option<&'static Value> {
    let parts: Vec<&str> = path.split('?').next()?.split('/').collect();
    let fits = |template: &str| {
        let template: Vec<&str> = template.split('/').collect();
        template.len() == parts.len()
            && template
                .iter()
                .zip(&parts)
                .all(|(wanted, part)| wanted == part || wanted.starts_with('{') && !part.is_empty())
    };
    let paths: &Map<String, Value> = document()["paths"].as_object()?;
    let fitting = paths.iter().filter(|(template, _)| fits(template));
    fitting.min_by_key(|(template, _)| template.matches('{').count()).map(|(_, item)| item)
}

/// Fails when the document does not know such an answer. What it does not describe at all,
/// such as the page or the listener for metrics alone, is not looked at.
pub fn check(method: &str, path: &str, answer: &Answer) {
    if answer.status == 404 && String::from_utf8_lossy(&answer.body).contains("serves /metrics only") {
        return;
    }
    let Some(operation) = item(path).and_then(|item| item.get(method.to_lowercase())) else { return };
    let status = answer.status.to_string();
    let said = || format!("{method} {path}: {status} {}", String::from_utf8_lossy(&answer.body));
    let mut response = &operation["responses"][&status];
    assert!(!response.is_null(), "not in the document: {}", said());
    if let Some(reference) = response["$ref"].as_str() {
        response = document().pointer(&reference[1..]).unwrap();
    }
    let Some(content) = response["content"].as_object() else {
        assert!(answer.body.is_empty() || status == "101", "a body that is not in the document: {}", said());
        return;
    };
    let media = answer.header("content-type").split(';').next().unwrap_or_default().trim();
    assert!(content.contains_key(media), "{media} is not in the document: {}", said());
}
