//! Refuses requests whose length two readers could understand differently.
//!
//! A request with both `Content-Length` and `Transfer-Encoding` is how one is smuggled past a
//! proxy that goes by the one to a server that goes by the other. hyper goes by the
//! encoding and drops the length before anybody sees it, so the bytes are looked at on
//! their way in: heads only, and to know where the next one starts, their lengths. A
//! body of chunks is not followed; the front closes such a connection after its answer,
//! so nothing that comes behind is ever a request. It would go wrong to judge more here: all
//! else hyper refuses itself.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A head that is longer is refused by hyper, whose buffer is this large, bytes.
pub const LONGEST_HEAD: usize = 64 * 1024;

/// Whether the connection has brought a request of two lengths; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Ambiguous(Arc<AtomicBool>);

impl Ambiguous {
    pub fn is(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// What comes next.
#[derive(Debug)]
enum Next {
    /// A head, and so much of it.
    Head(Vec<u8>),
    /// So many bytes of a body.
    Body(u64),
    /// Nothing that is looked at: chunks, another protocol, or what hyper refuses.
    Anything,
}

/// See the module.
#[derive(Debug)]
pub struct HeadGuard<S> {
    stream: S,
    next: Next,
    ambiguous: Ambiguous,
}

impl<S> HeadGuard<S> {
    pub fn new(stream: S) -> (Self, Ambiguous) {
        let ambiguous = Ambiguous::default();
        (Self { stream, next: Next::Head(Vec::new()), ambiguous: ambiguous.clone() }, ambiguous)
    }

    fn look(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match &mut self.next {
                Next::Anything => return,
                Next::Body(left) => {
                    let taken = (bytes.len() as u64).min(*left);
                    *left -= taken;
                    bytes = &bytes[taken as usize..];
                    if *left == 0 {
                        self.next = Next::Head(Vec::new());
                    }
                }
                Next::Head(head) => {
                    let before = head.len();
                    head.extend_from_slice(bytes);
                    let Some(end) = end_of_head(head, before) else {
                        if head.len() > LONGEST_HEAD {
                            self.next = Next::Anything;
                        }
                        return;
                    };
                    bytes = &bytes[end.saturating_sub(before).min(bytes.len())..];
                    self.next = self.judge(end);
                }
            }
        }
    }

    /// What follows the head that ends at `end`.
    fn judge(&self, end: usize) -> Next {
        let Next::Head(head) = &self.next else { return Next::Anything };
        let (mut length, mut lengths, mut encodings, mut upgrades) = (0, 0, 0, false);
        // The first line is the request's own.
        for line in head[..end].split(|byte| *byte == b'\n').skip(1) {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let name = line[..colon].trim_ascii();
            if name.eq_ignore_ascii_case(b"content-length") {
                lengths += 1;
                let text = std::str::from_utf8(line[colon + 1..].trim_ascii()).unwrap_or_default();
                match text.parse::<u64>() {
                    Ok(said) => length = said,
                    Err(_) => return Next::Anything, // hyper refuses it.
                }
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                encodings += 1;
            } else if name.eq_ignore_ascii_case(b"upgrade") {
                upgrades = true;
            }
        }
        if encodings > 1 || lengths > 1 || encodings > 0 && lengths > 0 {
            self.ambiguous.0.store(true, Relaxed);
        }
        if encodings > 0 || lengths > 1 || upgrades {
            Next::Anything
        } else if length > 0 {
            Next::Body(length)
        } else {
            Next::Head(Vec::new())
        }
    }
}

/// Where the empty line ends that ends the head; what lies before `from` was looked at.
fn end_of_head(head: &[u8], from: usize) -> Option<usize> {
    // Empty lines before a request are no head.
    let start = head.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    let mut at = from.saturating_sub(3).max(start);
    while let Some(newline) = head[at..].iter().position(|byte| *byte == b'\n').map(|found| at + found) {
        match head[newline + 1..] {
            [b'\n', ..] => return Some(newline + 2),
            [b'\r', b'\n', ..] => return Some(newline + 3),
            _ => at = newline + 1,
        }
    }
    None
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadGuard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.look(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HeadGuard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
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
    use proptest::prelude::*;

    use super::*;

    /// Whether a connection that brings `bytes`, `step` of them at a time, is ambiguous.
    fn ambiguous(bytes: &[u8], step: usize) -> bool {
        let (mut guard, ambiguous) = HeadGuard::new(());
        bytes.chunks(step).for_each(|chunk| guard.look(chunk));
        ambiguous.is()
    }

    const PLAIN: &str = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n";

    #[test]
    fn two_lengths_are_seen_wherever_they_stand_and_however_they_arrive() {
        let both = "POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n";
        for head in [
            both,
            "POST / HTTP/1.1\r\ntransfer-encoding : chunked\r\nCONTENT-LENGTH: 4\r\n\r\n",
            "POST / HTTP/1.1\nContent-Length: 4\nContent-Length: 5\n\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
        ] {
            for step in [1, 2, 3, 7, 1000] {
                assert!(ambiguous(head.as_bytes(), step), "{head} {step}");
                let behind = format!("\r\n{PLAIN}abcdGET / HTTP/1.1\r\n\r\n{PLAIN}\r\n\r\n{head}");
                assert!(ambiguous(behind.as_bytes(), step), "{behind} {step}");
            }
        }
    }

    #[test]
    fn a_body_is_no_head() {
        let inside = "\r\n\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n";
        let length = inside.len();
        let with_body =
            format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{inside}{PLAIN}abcd{PLAIN}abcd");
        let chunks = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{inside}");
        let socket = format!("GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n{inside}");
        for step in [1, 5, 1000] {
            for text in [&with_body, &chunks, &socket] {
                assert!(!ambiguous(text.as_bytes(), step), "{text} {step}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_or_are_kept_without_bound(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just(b"\r\n".to_vec()), Just(b"\n\n".to_vec()), Just(b"Content-Length: 3\r\n".to_vec()),
                    Just(b"Transfer-Encoding: x\r\n".to_vec()), proptest::collection::vec(any::<u8>(), 0..20),
                ], 0..40),
            step in 1usize..50,
        ) {
            let _ = ambiguous(&parts.concat(), step);
            let (mut guard, _) = HeadGuard::new(());
            guard.look(&vec![b'a'; LONGEST_HEAD + 2]);
            prop_assert!(matches!(guard.next, Next::Anything));
        }
    }
}
