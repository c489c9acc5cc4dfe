//! A small Nostr relay: WebSocket and NIP-11 at one address, in a mood.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

/// How the relay behaves.
#[derive(Clone, Copy, PartialEq)]
pub enum Mood {
    /// Sends a note and the end.
    Fine,
    /// The same without NIP-11.
    Taciturn,
    /// Offers a login, then serves.
    Offering,
    /// Offers a login and waits for it.
    Insisting,
    /// Ends the subscription with this reason.
    Closing(&'static str),
    /// Says something to people.
    Noticing,
    /// Never answers a question.
    Slow,
    /// Hangs up at the question.
    Leaving,
    /// Sends notes without an end.
    Endless,
    /// Sends what is no list.
    Confused,
    /// Answers every upgrade with this status.
    Refusing(u16),
}

/// Serves until it is dropped.
pub struct Relay {
    pub port: u16,
    _task: JoinSet<()>,
}

impl Relay {
    pub async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut guests = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                guests.spawn(serve(stream, mood));
            }
        });
        Self { port, _task: task }
    }

    /// A target section for this relay.
    pub fn section(&self, more: &str) -> String {
        let port = self.port;
        format!(
            "[[target.nostr]]\nname = \"relay\"\nurl = \"ws://127.0.0.1:{port}\"\ntimeout = \"500ms\"\n{more}\n"
        )
    }
}

async fn serve(stream: TcpStream, mood: Mood) {
    let mut head = [0; 2048];
    // The request is small and comes in one piece.
    let Ok(length) = stream.peek(&mut head).await else { return };
    let head = String::from_utf8_lossy(&head[..length]).to_ascii_lowercase();
    if head.contains("accept: application/nostr+json") {
        let limits = json!({"limitation": {"max_limit": 500, "auth_required": false}});
        let (status, body) = match mood {
            Mood::Taciturn => ("404 Not Found", String::new()),
            _ => ("200 OK", limits.to_string()),
        };
        let length = body.len();
        let answer =
            format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
        return answer_and_leave(stream, &answer).await;
    }
    if let Mood::Refusing(status) = mood {
        let answer = format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        return answer_and_leave(stream, &answer).await;
    }
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    let text = |value: Value| Message::Text(value.to_string().into());
    if matches!(mood, Mood::Offering | Mood::Insisting) {
        let _ = socket.send(text(json!(["AUTH", "challenge"]))).await;
    }
    while let Some(Ok(Message::Text(heard))) = socket.next().await {
        let question: Value = serde_json::from_str(&heard).expect("a question");
        if question[0] != "REQ" {
            continue;
        }
        let note = json!(["EVENT", question[1], {"kind": 1, "content": "hello"}]);
        let answers = match mood {
            Mood::Fine | Mood::Taciturn | Mood::Offering => vec![note, json!(["EOSE", question[1]])],
            Mood::Closing(reason) => vec![json!(["CLOSED", question[1], reason])],
            Mood::Noticing => vec![json!(["NOTICE", "come back later"])],
            Mood::Endless => vec![note; 100],
            Mood::Confused => vec![json!({"hello": "world"})],
            Mood::Leaving => return,
            Mood::Insisting | Mood::Slow | Mood::Refusing(_) => Vec::new(),
        };
        for answer in answers {
            let _ = socket.send(text(answer)).await;
        }
    }
}

async fn answer_and_leave(mut stream: TcpStream, answer: &str) {
    let mut head = [0; 2048];
    let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut head).await;
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}
