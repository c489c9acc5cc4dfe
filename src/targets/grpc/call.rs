//! One call of `grpc.health.v1.Health/Check` over HTTP/2.
//!
//! The status is read before the message: a server that does not know the service
//! sends an empty message along with its refusal, and one that has no health service
//! at all sends its refusal in the headers and nothing else. The connection is driven
//! here while the call lasts, so it needs no task of its own.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use http::{HeaderMap, Request, StatusCode};

use super::outcome;
use crate::targets::door::Line;
use crate::targets::outcome::Outcome;

/// Longest answer, bytes; a real one has 7.
const MAX_MESSAGE: usize = 4 << 10;

/// What the server answered.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// Not gRPC's: something before the server, such as a proxy.
    Http(StatusCode),
    Status {
        /// `grpc-status`.
        code: u16,
        message: String,
        /// `HealthCheckResponse.status`, when there was a whole message.
        serving: Option<u64>,
    },
}

/// Asks over `line` for the health of `service`.
///
/// # Errors
/// The outcome of a call that was not answered.
pub async fn check(line: Line, scheme: &str, authority: &str, service: &str) -> Result<Answer, Outcome> {
    let (client, connection) =
        h2::client::handshake(line).await.map_err(|error| outcome::of_error(&error))?;
    let mut connection = pin!(connection);
    let mut call = pin!(call(client, scheme, authority, service));
    tokio::select! {
        biased;
        answer = &mut call => answer,
        ended = &mut connection => match ended {
            Err(error) => Err(outcome::of_error(&error)),
            // All that was sent is read; the call has its end already.
            Ok(()) => call.await,
        },
    }
}

async fn call(
    client: h2::client::SendRequest<Bytes>,
    scheme: &str,
    authority: &str,
    service: &str,
) -> Result<Answer, Outcome> {
    let failed = |error: h2::Error| outcome::of_error(&error);
    let mut client = client.ready().await.map_err(failed)?;
    let request = Request::post(format!("{scheme}://{authority}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", concat!("holdfast/", env!("CARGO_PKG_VERSION")))
        .body(())
        .map_err(|error| Outcome::configuration("address", error.to_string()))?;
    let (response, mut body) = client.send_request(request, false).map_err(failed)?;
    body.send_data(question(service), true).map_err(failed)?;
    let (head, mut body) = response.await.map_err(failed)?.into_parts();
    if head.status != StatusCode::OK || !is_grpc(&head.headers) {
        return Ok(Answer::Http(head.status));
    }
    if let Some((code, message)) = status_of(&head.headers) {
        return Ok(Answer::Status { code, message, serving: None });
    }
    let bytes = read(&mut body).await?;
    let trailers = body.trailers().await.map_err(failed)?.unwrap_or_default();
    let (code, message) = status_of(&trailers).ok_or_else(|| outcome::protocol("no grpc-status"))?;
    Ok(Answer::Status { code, message, serving: serving(&bytes) })
}

async fn read(body: &mut RecvStream) -> Result<BytesMut, Outcome> {
    let mut bytes = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(|error| outcome::of_error(&error))?;
        if bytes.len() + data.len() > MAX_MESSAGE {
            return Err(outcome::protocol("the answer is longer than a health check's"));
        }
        bytes.extend_from_slice(&data);
        let _ = body.flow_control().release_capacity(data.len());
    }
    Ok(bytes)
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get("content-type").map(http::HeaderValue::as_bytes).unwrap_or_default();
    kind.starts_with(b"application/grpc")
}

/// `grpc-status` and `grpc-message`.
fn status_of(headers: &HeaderMap) -> Option<(u16, String)> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let code = text("grpc-status")?.parse().ok()?;
    Some((code, text("grpc-message").unwrap_or_default().to_owned()))
}

/// `HealthCheckRequest { service }` in a frame: not compressed, length, field 1.
fn question(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        put_varint(&mut message, service.len());
        message.extend_from_slice(service.as_bytes());
    }
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(&message);
    frame.into()
}

fn put_varint(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Field 1 of `HealthCheckResponse`, 0 when it is absent; `None` for what is no
/// whole message.
fn serving(frame: &[u8]) -> Option<u64> {
    let (&compressed, rest) = frame.split_first()?;
    let (length, message) = rest.split_first_chunk::<4>()?;
    if compressed != 0 || u32::from_be_bytes(*length) as usize != message.len() {
        return None;
    }
    match message {
        [] => Some(0),
        [0x08, status, ..] if *status < 0x80 => Some(u64::from(*status)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_those_that_were_seen_on_the_wire() {
        assert_eq!(&question("")[..], b"\0\0\0\0\0");
        assert_eq!(&question("db")[..], b"\0\0\0\0\x04\x0a\x02db");
        assert_eq!(question(&"x".repeat(300)).len(), 5 + 3 + 300);
        assert_eq!(serving(b"\0\0\0\0\x02\x08\x01"), Some(1));
        assert_eq!(serving(b"\0\0\0\0\0"), Some(0));
        for bad in [&b""[..], b"\0\0\0\0\x02\x08", b"\x01\0\0\0\x02\x08\x01", b"\0\0\0\0\x02\x10\x01"] {
            assert_eq!(serving(bad), None);
        }
    }
}
