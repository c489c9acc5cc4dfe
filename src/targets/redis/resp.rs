//! RESP2, as much of it as four commands need.
//!
//! A question is an array of strings, an answer a line or a string of announced
//! length. Both are bounded: a peer that announces more is none of ours.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::targets::door::Line;

/// Longest line, bytes: errors are sentences.
const MAX_LINE: u64 = 4 << 10;
/// Longest string, bytes: `INFO` says about 6 KiB, and more with many databases.
const MAX_BULK: u64 = 1 << 20;

/// An answer.
#[derive(Debug, PartialEq)]
pub enum Reply {
    Text(String),
    /// The word of the error and what follows it.
    Error(String),
    Bulk(String),
}

/// See the module.
pub struct Conversation {
    line: BufReader<Line>,
}

impl Conversation {
    pub fn on(line: Line) -> Self {
        Self { line: BufReader::new(line) }
    }

    /// Sends a command and reads its answer. Not bounded in time; after a caller gave
    /// up waiting, the conversation must be dropped.
    ///
    /// # Errors
    /// The connection's, or `InvalidData` for what is no RESP.
    pub async fn ask(&mut self, words: &[&str]) -> io::Result<Reply> {
        let mut text = format!("*{}\r\n", words.len());
        for word in words {
            text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        // A full server says so unasked and hangs up: writing may fail, and what it
        // said can still be read.
        let written = match self.line.write_all(text.as_bytes()).await {
            Ok(()) => self.line.flush().await,
            failed => failed,
        };
        match self.read().await {
            Err(error) if error.kind() != io::ErrorKind::InvalidData => written.and(Err(error)),
            reply => reply,
        }
    }

    async fn read(&mut self) -> io::Result<Reply> {
        let line = self.line().await?;
        let (sort, rest) = line.split_at_checked(1).ok_or_else(invalid)?;
        match sort {
            "+" => Ok(Reply::Text(rest.to_owned())),
            "-" => Ok(Reply::Error(rest.to_owned())),
            "$" => {
                let length = rest.parse::<u64>().ok().filter(|length| *length <= MAX_BULK);
                let length = length.and_then(|length| usize::try_from(length).ok()).ok_or_else(invalid)?;
                let mut text = vec![0; length + 2];
                self.line.read_exact(&mut text).await?;
                let text = text.strip_suffix(b"\r\n").ok_or_else(invalid)?;
                Ok(Reply::Bulk(String::from_utf8_lossy(text).into_owned()))
            }
            _ => Err(invalid()),
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        (&mut self.line).take(MAX_LINE).read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.strip_suffix(b"\r\n").ok_or_else(invalid)?;
        Ok(String::from_utf8_lossy(line).into_owned())
    }
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the answer is not Redis' protocol")
}
