//! Saying no, in the words of PostgreSQL.
//!
//! An error is understood only where the protocol has one: a question for
//! encryption is declined first, then the startup is answered. Wrong would be to
//! close right after the error: bytes that were not read turn the end into a
//! reset, and the client may never show what it was told.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::packet::{self, LONGEST_OPENING, Opening};

/// Time for all of it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Openings of one client: it asks for two kinds of encryption, then starts.
pub const OPENINGS: usize = 4;

/// What a client is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    pub code: &'static str,
    pub message: String,
}

impl Refusal {
    /// 53300 `too_many_connections`.
    pub fn too_many(why: &str) -> Self {
        Self { code: "53300", message: format!("too many connections: {why}") }
    }

    /// 57P03 `cannot_connect_now`, which drivers take as a reason to try again.
    pub fn not_now(message: String) -> Self {
        Self { code: "57P03", message }
    }
}

/// Why nothing more comes of a client's openings.
#[derive(Debug, PartialEq, Eq)]
pub enum Silence {
    /// It has left.
    Gone,
    /// It does not speak the protocol.
    NotPostgres,
}

/// Reads until `heard` begins with a whole opening, and how long that is.
///
/// # Errors
/// [`Silence`].
pub async fn hear(client: &mut TcpStream, heard: &mut Vec<u8>) -> Result<(Opening, usize), Silence> {
    loop {
        match packet::opening(heard) {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {}
            Err(packet::NotPostgres) => return Err(Silence::NotPostgres),
        }
        heard.reserve(512);
        let room = LONGEST_OPENING.saturating_sub(heard.len()).max(1) as u64;
        match (&mut *client).take(room).read_buf(heard).await {
            Ok(0) | Err(_) => return Err(Silence::Gone),
            Ok(_) => {}
        }
    }
}

/// Tells `client` why there is nothing for it; `unanswered` is what it asked last,
/// already taken from `heard`.
pub async fn farewell(client: TcpStream, heard: Vec<u8>, unanswered: Option<Opening>, refusal: &Refusal) {
    let _ = timeout(PATIENCE, say(client, heard, unanswered, refusal)).await;
}

async fn say(mut client: TcpStream, mut heard: Vec<u8>, unanswered: Option<Opening>, refusal: &Refusal) {
    let mut unanswered = unanswered;
    for _ in 0..OPENINGS {
        let opening = match unanswered.take() {
            Some(opening) => opening,
            None => {
                let Ok((opening, length)) = hear(&mut client, &mut heard).await else { return };
                heard.drain(..length);
                opening
            }
        };
        match opening {
            Opening::Negotiation => {
                if client.write_all(b"N").await.is_err() {
                    return;
                }
            }
            Opening::Startup => {
                let error = packet::error(refusal.code, &refusal.message);
                if client.write_all(&error).await.is_ok() && client.shutdown().await.is_ok() {
                    drain(client).await;
                }
                return;
            }
            Opening::Cancel | Opening::Encrypted => return,
        }
    }
}

/// Until the client has closed too, or has sent more than it has any reason to.
async fn drain(client: TcpStream) {
    let mut rest = client.take(LONGEST_OPENING as u64);
    let mut bytes = [0; 512];
    while matches!(rest.read(&mut bytes).await, Ok(1..)) {}
}
