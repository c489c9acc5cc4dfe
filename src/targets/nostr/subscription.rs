//! One subscription: a question, the stored notes, and the end of what is stored.
//!
//! The relay chooses what it sends and how much, so the messages that are listened to
//! are counted. An `AUTH` may only be an offer: whether it is needed shows when the
//! notes do not come.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::outcome;
use crate::targets::door::Line;
use crate::targets::outcome::Outcome;

/// What the subscription is called.
const ID: &str = "hf1";
/// Messages that are listened to; one note and its end are two.
const MAX_MESSAGES: usize = 64;
/// How long a farewell may take; the relay notices the end either way.
const FAREWELL: Duration = Duration::from_millis(250);

/// Asks for one note and waits until the relay has sent what it has.
pub async fn run(socket: &mut WebSocketStream<Line>, deadline: Instant) -> Outcome {
    let mut offered = false;
    match timeout_at(deadline, listen(socket, &mut offered)).await {
        Ok(outcome) => outcome,
        Err(_) if offered => outcome::auth("it asked for a login and sent nothing"),
        Err(_) => Outcome::timeout("the relay did not send what it has in time"),
    }
}

async fn listen(socket: &mut WebSocketStream<Line>, offered: &mut bool) -> Outcome {
    let question = format!(r#"["REQ","{ID}",{{"kinds":[1],"limit":1}}]"#);
    if let Err(error) = socket.send(Message::Text(question.into())).await {
        return outcome::of_error(&error);
    }
    for _ in 0..MAX_MESSAGES {
        let text = match socket.next().await {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(_)) | Err(_)) | None if *offered => {
                return outcome::auth("it asked for a login and hung up");
            }
            Some(Ok(Message::Close(_))) | None => return outcome::of_error(&Error::ConnectionClosed),
            // Pings are answered below this.
            Some(Ok(_)) => continue,
            Some(Err(error)) => return outcome::of_error(&error),
        };
        match heard(&text) {
            Heard::Auth => *offered = true,
            Heard::End(outcome) => return outcome,
            Heard::Other => {}
        }
    }
    outcome::protocol("the relay sends more than it was asked for")
}

enum Heard {
    Auth,
    End(Outcome),
    Other,
}

/// What a message of the relay means for our subscription.
fn heard(text: &str) -> Heard {
    let Ok(Value::Array(words)) = serde_json::from_str::<Value>(text) else {
        return Heard::End(outcome::protocol("the relay sends what is no list"));
    };
    let word = |at: usize| words.get(at).and_then(Value::as_str).unwrap_or_default();
    match word(0) {
        "EOSE" if word(1) == ID => Heard::End(Outcome::ok()),
        "CLOSED" if word(1) == ID => Heard::End(outcome::of_closed(word(2))),
        "NOTICE" => Heard::End(outcome::of_notice(word(1))),
        "AUTH" => Heard::Auth,
        _ => Heard::Other,
    }
}

/// Ends the subscription and the connection, as far as there is time.
pub async fn farewell(mut socket: WebSocketStream<Line>, deadline: Instant) {
    let parting = async {
        let _ = socket.send(Message::Text(format!(r#"["CLOSE","{ID}"]"#).into())).await;
        let _ = socket.close(None).await;
    };
    let _ = timeout_at(deadline.min(Instant::now() + FAREWELL), parting).await;
}
