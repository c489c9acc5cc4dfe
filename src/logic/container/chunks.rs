//! Sealing and opening chunk by chunk: memory for one chunk, whatever the length.

use std::io::{self, Read, Write};

use ring::aead::{Aad, CHACHA20_POLY1305, NONCE_LEN, Nonce};

use super::ContainerError;
use super::header::{Costs, HEADER, Header, StreamKey};
use crate::base::secret::Secret;

/// Set in the number of the last chunk.
const LAST: u32 = 1 << 31;

fn nonce(number: u32, last: bool) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[7..11].copy_from_slice(&number.to_be_bytes());
    bytes[11] = u8::from(last);
    Nonce::assume_unique_for_key(bytes)
}

/// Seals what is written to it; [`Sealing::finish`] makes it whole.
pub struct Sealing<W> {
    to: W,
    header: Header,
    bound: [u8; HEADER],
    key: StreamKey,
    chunk: Vec<u8>,
    number: u32,
}

impl<W: Write> Sealing<W> {
    /// Begins a stream. `salt` is random and never used again.
    ///
    /// # Errors
    /// The passphrase is too short or too long, there is no memory, or the header cannot
    /// be written.
    pub fn begin(to: W, passphrase: &Secret, salt: [u8; 16], costs: Costs) -> Result<Self, ContainerError> {
        let (header, key) = Header::new(passphrase, salt, costs)?;
        Self::with(to, header, key)
    }

    pub(super) fn with(mut to: W, header: Header, key: StreamKey) -> Result<Self, ContainerError> {
        let bound = header.to_bytes();
        to.write_all(&bound)?;
        let chunk = Vec::with_capacity(header.chunk_bytes());
        Ok(Self { to, header, bound, key, chunk, number: 0 })
    }

    /// Adds `bytes`.
    ///
    /// # Errors
    /// They cannot be written, or there are too many.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), ContainerError> {
        while !bytes.is_empty() {
            // Only with more to come is a full chunk not the last one.
            if self.chunk.len() == self.header.chunk_bytes() {
                self.put(false)?;
            }
            let fits = bytes.len().min(self.header.chunk_bytes() - self.chunk.len());
            self.chunk.extend_from_slice(&bytes[..fits]);
            bytes = &bytes[fits..];
        }
        Ok(())
    }

    fn put(&mut self, last: bool) -> Result<(), ContainerError> {
        if self.number >= LAST - 1 {
            return Err(ContainerError::TooLong);
        }
        let bound = Aad::from(self.bound);
        let tag = self.key.key.seal_in_place_separate_tag(nonce(self.number, last), bound, &mut self.chunk);
        let tag = tag.map_err(|_| ContainerError::TooLong)?;
        let mark = if last { self.number | LAST } else { self.number };
        self.to.write_all(&mark.to_be_bytes())?;
        self.to.write_all(&self.chunk)?;
        self.to.write_all(tag.as_ref())?;
        self.chunk.clear();
        self.number += 1;
        Ok(())
    }

    /// Writes the last chunk and returns what was written to.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(mut self) -> Result<W, ContainerError> {
        self.put(true)?;
        self.to.flush()?;
        Ok(self.to)
    }
}

/// Opens a stream; every byte that it hands out was authenticated.
pub struct Opener<R> {
    from: R,
    bound: [u8; HEADER],
    key: StreamKey,
    most: usize,
    number: u32,
    ended: bool,
}

impl<R: Read> Opener<R> {
    /// Reads the header. Takes some 100 ms and the memory that it says.
    ///
    /// # Errors
    /// It is no sealed stream, or the passphrase is another one.
    pub fn begin(mut from: R, passphrase: &Secret) -> Result<Self, ContainerError> {
        let header = Header::read(&mut from)?;
        let key = header.key(passphrase)?;
        let most = header.chunk_bytes() + CHACHA20_POLY1305.tag_len();
        Ok(Self { from, bound: header.to_bytes(), key, most, number: 0, ended: false })
    }

    /// The next chunk; `None` after the last.
    ///
    /// # Errors
    /// The stream is cut off, out of order, altered or longer than it was.
    pub fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, ContainerError> {
        if self.ended {
            return Ok(None);
        }
        let chunk = self.number;
        let mut mark = [0; 4];
        if fill(&mut self.from, &mut mark)? < mark.len() {
            return Err(ContainerError::Cut { chunk });
        }
        let mark = u32::from_be_bytes(mark);
        let (found, last) = (mark & !LAST, mark & LAST != 0);
        if found != chunk {
            return Err(ContainerError::Order { expected: chunk, found });
        }
        let mut sealed = vec![0; self.most];
        let read = fill(&mut self.from, &mut sealed)?;
        if read < self.most && !last {
            return Err(ContainerError::Cut { chunk });
        }
        sealed.truncate(read);
        if last && fill(&mut self.from, &mut [0])? > 0 {
            return Err(ContainerError::Longer { chunk });
        }
        let opened = self.key.key.open_in_place(nonce(chunk, last), Aad::from(self.bound), &mut sealed);
        let length = opened.map_err(|_| ContainerError::Altered { chunk })?.len();
        sealed.truncate(length);
        self.number += 1;
        self.ended = last;
        Ok(Some(sealed))
    }
}

/// Reads until `bytes` is full or there is no more; says how many.
fn fill(from: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match from.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
