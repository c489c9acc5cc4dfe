//! The bytes of one connection, counted.
//!
//! The protocol lets a server announce messages of up to 2 GiB and the library
//! collects a whole answer in memory, so what may be read for one question is
//! bounded here, below both. The first byte's time is kept: it tells a server that is far away
//! from one that does not answer.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;
use tokio_util::either::Either;

/// What may be read for one question, bytes: far above the largest answer to any
/// query of the table.
const ALLOWANCE: usize = 8 << 20;

/// How much may still be read; shared by a connection and whoever asks on it.
#[derive(Clone, Debug)]
pub struct Allowance(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    left: AtomicUsize,
    heard: OnceLock<Instant>,
}

impl Allowance {
    pub fn new() -> Self {
        Self(Arc::new(Shared { left: AtomicUsize::new(ALLOWANCE), heard: OnceLock::new() }))
    }

    /// A new question is asked.
    pub fn renew(&self) {
        self.0.left.store(ALLOWANCE, Ordering::Relaxed);
    }

    /// When the server said its first word on this connection.
    pub fn heard(&self) -> Option<Instant> {
        self.0.heard.get().copied()
    }
}

/// See the module.
#[derive(Debug)]
pub struct Wire {
    stream: Either<TcpStream, UnixStream>,
    allowance: Allowance,
}

impl Wire {
    pub fn new(stream: Either<TcpStream, UnixStream>, allowance: Allowance) -> Self {
        Self { stream, allowance }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Asked before reading: a read that failed must not have put anything in the
        // buffer. What is read beyond the allowance is less than one buffer.
        if self.allowance.0.left.load(Ordering::Relaxed) == 0 {
            let error = format!("the answer is larger than {ALLOWANCE} bytes");
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = buffer.filled().len() - before;
        // One task at a time reads, so nothing comes between the two.
        let left = self.allowance.0.left.load(Ordering::Relaxed);
        self.allowance.0.left.store(left.saturating_sub(read), Ordering::Relaxed);
        if read > 0 {
            self.allowance.0.heard.get_or_init(Instant::now);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_server_that_never_stops_talking_is_cut_off() {
        let (mut talker, listener) = UnixStream::pair().unwrap();
        let allowance = Allowance::new();
        let mut wire = Wire::new(Either::Right(listener), allowance.clone());
        let noise = vec![0; ALLOWANCE * 2];
        let mut heard = Vec::new();
        // The talker is never done; it stops when the listener does.
        let read = tokio::select! {
            read = wire.read_to_end(&mut heard) => read,
            _ = talker.write_all(&noise) => panic!("everything was taken"),
        };
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(heard.len() < ALLOWANCE * 2);
        allowance.renew();
        drop(talker);
        assert!(wire.read_to_end(&mut heard).await.is_ok());
    }
}
