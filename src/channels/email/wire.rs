//! The bytes below a conversation: plain or encrypted, with a bound on what is read.
//!
//! What comes before STARTTLS is spoken here, because the encrypted conversation begins
//! anew and nothing that was said in clear may be taken into it. The library above waits
//! for a greeting, which a server does not repeat: it is given one. Wrong would be to go
//! on in clear where a server does not offer to encrypt.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::base::words::{clip, one_line};

/// Bytes that a server may say in a conversation.
const MOST: usize = 256 << 10;
/// Bytes of one answer before STARTTLS.
const LONGEST_ANSWER: usize = 8 << 10;
/// What stands in place of the greeting that was given in clear.
const GREETING: &[u8] = b"220 encrypted\r\n";

enum Inner {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

/// See the module.
pub struct Wire {
    inner: Inner,
    greeting: &'static [u8],
    read: usize,
}

impl Wire {
    pub fn plain(stream: TcpStream) -> Self {
        Self { inner: Inner::Plain(stream), greeting: &[], read: 0 }
    }

    /// `greeted` when the server greeted before it encrypted.
    pub fn encrypted(stream: TlsStream<TcpStream>, greeted: bool) -> Self {
        let greeting = if greeted { GREETING } else { &[] };
        Self { inner: Inner::Encrypted(Box::new(stream)), greeting, read: 0 }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("read", &self.read).finish_non_exhaustive()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.greeting.is_empty() {
            let (now, later) = self.greeting.split_at(self.greeting.len().min(into.remaining()));
            into.put_slice(now);
            self.greeting = later;
            return Poll::Ready(Ok(()));
        }
        if self.read > MOST {
            return Poll::Ready(Err(io::Error::other(format!("the server said more than {MOST} bytes"))));
        }
        let before = into.filled().len();
        let polled = match &mut self.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_read(context, into),
            Inner::Encrypted(stream) => Pin::new(stream).poll_read(context, into),
        };
        self.read += into.filled().len() - before;
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Inner::Encrypted(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_flush(context),
            Inner::Encrypted(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Inner::Encrypted(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        match &self.inner {
            Inner::Plain(stream) => stream.peer_addr(),
            Inner::Encrypted(stream) => stream.get_ref().0.peer_addr(),
        }
    }
}

/// Asks the server on `stream` to encrypt; what it said goes to `heard`.
///
/// # Errors
/// It is no mail server, does not offer to encrypt, or ends the connection.
pub async fn start_tls(stream: &mut TcpStream, hello: &str, heard: &mut Vec<String>) -> Result<(), String> {
    let greeting = ask(stream, None, heard).await?;
    expect(&greeting, "220")?;
    let offers = ask(stream, Some(&format!("EHLO {hello}")), heard).await?;
    expect(&offers, "250")?;
    let offered =
        offers.lines().any(|line| line.get(4..).is_some_and(|word| word.eq_ignore_ascii_case("STARTTLS")));
    if !offered {
        return Err(String::from("the server does not offer to encrypt, and nothing is sent in clear"));
    }
    let answer = ask(stream, Some("STARTTLS"), heard).await?;
    expect(&answer, "220")
}

fn expect(answer: &str, code: &str) -> Result<(), String> {
    if answer.starts_with(code) { Ok(()) } else { Err(clip(&one_line(answer), 200)) }
}

/// Says `line`, if there is one, and reads the answer to its end: not a byte more, for
/// what follows belongs to the encrypted part.
async fn ask(stream: &mut TcpStream, line: Option<&str>, heard: &mut Vec<String>) -> Result<String, String> {
    if let Some(line) = line {
        let line = format!("{line}\r\n");
        stream.write_all(line.as_bytes()).await.map_err(|error| error.to_string())?;
    }
    let mut answer = Vec::new();
    loop {
        let start = answer.len();
        loop {
            let byte = stream.read_u8().await.map_err(|error| error.to_string())?;
            if answer.len() >= LONGEST_ANSWER {
                return Err(format!("the server said more than {LONGEST_ANSWER} bytes"));
            }
            answer.push(byte);
            if byte == b'\n' {
                break;
            }
        }
        // `250-` goes on, `250 ` ends.
        if answer.get(start + 3) != Some(&b'-') {
            let answer = String::from_utf8_lossy(&answer).into_owned();
            heard.push(format!("{}: {}", line.unwrap_or("greeting"), one_line(&answer)));
            return Ok(answer.replace('\r', ""));
        }
    }
}
