//! What a relay tells of itself (NIP-11): a document at its own address.
//!
//! Any field may be missing, and then there is no series.

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use serde_json::Value;
use tokio::time::Instant;

use crate::config::address::Address;
use crate::model::frame::Frame;
use crate::runtime::http_client::HttpClient;
use crate::targets::outcome::{NOT_TRIED, Outcome};

/// Longest document, bytes.
const MAX_DOCUMENT: usize = 256 << 10;

/// Field of `limitation`, name of the series, its help. Booleans are 0 and 1.
const LIMITS: [(&str, &str, &str); 7] = [
    ("max_limit", "holdfast_nostr_max_limit", "Notes that one subscription may ask for."),
    (
        "max_message_length",
        "holdfast_nostr_max_message_length_bytes",
        "Longest message that the relay takes, in bytes.",
    ),
    ("max_subscriptions", "holdfast_nostr_max_subscriptions", "Subscriptions of one connection."),
    ("max_event_tags", "holdfast_nostr_max_event_tags", "Tags of one note."),
    ("auth_required", "holdfast_nostr_auth_required", "Whether the relay wants a login first."),
    ("payment_required", "holdfast_nostr_payment_required", "Whether the relay wants money first."),
    ("restricted_writes", "holdfast_nostr_restricted_writes", "Whether not everybody may write."),
];

/// Asks the relay for its document.
///
/// # Errors
/// An outcome that is never worse than alive.
pub async fn read(client: &HttpClient, address: &Address, deadline: Instant) -> Result<Value, Outcome> {
    let alive = |code: &str, detail: String| Err(Outcome::configuration(code, detail));
    if Instant::now() >= deadline {
        return alive(NOT_TRIED, String::from("no time was left for it"));
    }
    let scheme = if address.scheme == "wss" { "https" } else { "http" };
    let path = if address.path.is_empty() { "/" } else { &address.path };
    let request = Request::get(format!("{scheme}://{}{path}", address.authority()))
        .header(header::ACCEPT, "application/nostr+json")
        .header(header::USER_AGENT, concat!("holdfast/", env!("CARGO_PKG_VERSION")))
        .body(Full::new(Bytes::new()))
        .map_err(|_| Outcome::configuration("url", "no request can be made of it"))?;
    let answer = match client.send(request, MAX_DOCUMENT, deadline).await {
        Ok(answer) => answer,
        Err(error) => return alive(error.failure().word(), error.to_string()),
    };
    if !answer.status.is_success() {
        let status = answer.status.as_u16();
        return alive(&format!("http_{status}"), format!("HTTP {status}: it tells nothing of itself"));
    }
    match serde_json::from_slice::<Value>(&answer.body) {
        Ok(document) if document.is_object() => Ok(document),
        _ => alive("no_document", String::from("what it tells of itself is not a document")),
    }
}

/// Appends the series of a document.
pub fn write(document: &Value, target: &str, frame: &mut Frame) {
    let Some(limitation) = document.get("limitation") else { return };
    for (field, name, help) in LIMITS {
        let value = match limitation.get(field) {
            Some(Value::Bool(value)) => Some(f64::from(u8::from(*value))),
            Some(value) => value.as_f64(),
            None => None,
        };
        if let Some(value) = value {
            frame.gauge(name, help).push(&[("target", target)], value);
        }
    }
}
