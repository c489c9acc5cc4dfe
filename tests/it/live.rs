//! Events as WebSocket and as server-sent events: one sequence, resumed by number.

use futures_util::StreamExt as _;
use holdfast::model::event::EventType;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::support::app::{RING, TestApp};
use crate::support::client::Ask;

const PATH: &str = "/api/v1/monitoring/events";

fn publish(app: &TestApp, count: u64) {
    for n in 0..count {
        let kind = if n % 2 == 0 { EventType::Metrics } else { EventType::Target };
        app.bus.publish(kind, json!({ "n": n }));
    }
}

async fn websocket_messages(app: &TestApp, query: &str, count: usize) -> Vec<Value> {
    let address = format!("ws://{}{PATH}{query}", app.address);
    let (mut socket, _) = tokio_tungstenite::connect_async(address).await.unwrap();
    let mut messages = Vec::new();
    while messages.len() < count {
        if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
            messages.push(serde_json::from_str(&text).unwrap());
        }
    }
    messages
}

/// Reads from a raw connection until `enough` says so.
async fn read_until(stream: &mut TcpStream, enough: impl Fn(&str) -> bool) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !enough(&text) {
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "ended early: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    text
}

async fn open(app: &TestApp, path: &str, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", app.address);
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

fn seqs(messages: &[Value]) -> Vec<u64> {
    messages.iter().map(|one| one["seq"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_websocket_resumes_where_it_was() {
    let app = TestApp::start().await;
    publish(&app, 5);
    let messages = websocket_messages(&app, "?since=2", 3).await;
    assert_eq!(seqs(&messages), [3, 4, 5]);
    assert_eq!(messages[0]["type"], "metrics");
    assert_eq!(messages[0]["data"], json!({"n": 2}));
    assert!(messages[0]["timestamp"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn only_the_wanted_types_come_and_a_gap_always_does() {
    let app = TestApp::start().await;
    publish(&app, RING as u64 + 4);
    let messages = websocket_messages(&app, "?since=0&types=target", 1 + RING / 2).await;
    assert_eq!(messages[0]["type"], "gap");
    assert_eq!(messages[0]["data"], json!({"from": 1, "to": 4}));
    assert_eq!(messages[0]["seq"], 4);
    assert_eq!(seqs(&messages[1..]), [6, 8, 10, 12, 14, 16, 18, 20]);
}

#[tokio::test]
async fn new_events_arrive_without_a_since() {
    let app = TestApp::start().await;
    publish(&app, 3);
    let address = format!("ws://{}{PATH}", app.address);
    let (mut socket, _) = tokio_tungstenite::connect_async(address).await.unwrap();
    while app.bus.listeners() == 0 {
        tokio::task::yield_now().await;
    }
    app.bus.publish(EventType::System, json!({"action": "test"}));
    let Message::Text(text) = socket.next().await.unwrap().unwrap() else { panic!("not text") };
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["seq"], 4);
}

#[tokio::test]
async fn server_sent_events_are_the_same_sequence() {
    let app = TestApp::start().await;
    publish(&app, 4);
    for (path, headers) in [
        ("/api/v1/events?since=2", ""),
        ("/api/v1/events?since=0", "Last-Event-ID: 2\r\n"),
        ("/api/v1/monitoring/events?since=2", "Accept: text/event-stream\r\n"),
    ] {
        let mut stream = open(&app, path, headers).await;
        let text =
            read_until(&mut stream, |text| text.contains("id: 4\n") && text.ends_with("\n\n\r\n")).await;
        assert!(text.contains("content-type: text/event-stream"), "{text}");
        assert!(text.contains("id: 3\nevent: metrics\ndata: {\"type\":\"metrics\""), "{text}");
        assert!(!text.contains("id: 2\n"), "{path}: {text}");
    }
}

#[tokio::test]
async fn bad_words_and_numbers_are_refused_before_anything_is_opened() {
    let app = TestApp::start().await;
    for query in ["?types=nonsense", "?types=metrics,", "?since=x", "?since=-1", "?sinse=1"] {
        for path in [PATH, "/api/v1/events"] {
            let answer = app.ask(Ask::get(&format!("{path}{query}"))).await;
            assert_eq!((answer.status, answer.problem().as_str()), (400, "bad_parameter"), "{path}{query}");
        }
    }
}

#[tokio::test]
async fn a_page_of_another_origin_gets_no_socket() {
    let app = TestApp::start().await;
    let mut request = format!("ws://{}{PATH}", app.address).into_client_request().unwrap();
    request.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    let error = tokio_tungstenite::connect_async(request).await.unwrap_err();
    assert!(error.to_string().contains("403"), "{error}");
}

#[tokio::test]
async fn the_number_of_streams_is_bounded_and_a_closed_one_makes_room() {
    let app = TestApp::start().await;
    let mut streams = Vec::new();
    for _ in 0..64 {
        let mut stream = open(&app, "/api/v1/events", "").await;
        read_until(&mut stream, |text| text.contains("retry: ")).await;
        streams.push(stream);
    }
    let full = app.get("/api/v1/events").await;
    assert_eq!((full.status, full.problem().as_str()), (503, "too_many_streams"));
    drop(streams);
    // The server notices a closed connection when it next writes or reads.
    loop {
        let mut stream = open(&app, "/api/v1/events", "").await;
        if read_until(&mut stream, |text| text.contains("\r\n")).await.starts_with("HTTP/1.1 200") {
            break;
        }
    }
}

#[tokio::test]
async fn a_silent_websocket_is_pinged_and_then_closed() {
    let app = TestApp::start().await;
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut stream = open(&app, PATH, upgrade).await;
    let head = read_until(&mut stream, |text| text.contains("\r\n\r\n")).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    // From here on the clock runs by itself whenever everyone waits.
    tokio::time::pause();
    let mut frames = Vec::new();
    stream.read_to_end(&mut frames).await.unwrap();
    assert_eq!(&frames[..2], [0x89, 0], "a ping first: {frames:?}");
    assert_eq!(frames[2], 0x88, "then the close: {frames:?}");
    assert!(String::from_utf8_lossy(&frames).contains("silent for 60 s"));
}

#[tokio::test]
async fn stopping_ends_the_streams() {
    let app = TestApp::start().await;
    let address = format!("ws://{}{PATH}", app.address);
    let (mut socket, _) = tokio_tungstenite::connect_async(address).await.unwrap();
    let mut stream = open(&app, "/api/v1/events", "").await;
    read_until(&mut stream, |text| text.contains("retry: ")).await;
    while app.bus.listeners() < 2 {
        tokio::task::yield_now().await;
    }
    let closed = async {
        let Message::Close(Some(frame)) = socket.next().await.unwrap().unwrap() else { panic!("no close") };
        assert_eq!(frame.reason, "the agent stops");
        // Answers the close, so that the connection ends at once.
        while socket.next().await.is_some() {}
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
    };
    let (stuck, ()) = tokio::join!(app.supervisor.shutdown(std::time::Duration::from_secs(8)), closed);
    assert_eq!(stuck, Vec::<String>::new());
}
