//! The flush block: what came since the last flush, all streams in one blob.
//!
//! Self-contained, so that a lost block costs its own seconds and nothing
//! else; after a restart blocks become segments of the head as they are.
//!
//! Layout: version byte; varint count; per stream its name and, with a varint
//! length, a [`segment`](super::segment); crc32 of everything before it.

use super::bytes::{Corrupt, Reader, put_varint};

const VERSION: u8 = 1;

/// Writes the segments of a block, each with the name of its stream.
pub(super) fn encode<'a>(parts: impl ExactSizeIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut out = vec![VERSION];
    put_varint(&mut out, parts.len() as u64);
    for (name, segment) in parts {
        put_varint(&mut out, name.len() as u64);
        out.extend_from_slice(name.as_bytes());
        put_varint(&mut out, segment.len() as u64);
        out.extend_from_slice(segment);
    }
    let sum = crc32fast::hash(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

/// The (stream name, segment) pairs of a block.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<(&str, &[u8])>, Corrupt> {
    let body = bytes.len().checked_sub(4).ok_or(Corrupt("a flush block is too short"))?;
    let (body, sum) = bytes.split_at(body);
    if crc32fast::hash(body).to_le_bytes() != sum {
        return Err(Corrupt("a flush block fails its checksum"));
    }
    let mut reader = Reader::new(body);
    if reader.byte()? != VERSION {
        return Err(Corrupt("a flush block has an unknown version"));
    }
    let mut parts = Vec::new();
    for _ in 0..reader.count(reader.remaining(), "a flush block has too many parts")? {
        parts.push((reader.text()?, reader.block()?));
    }
    if reader.remaining() == 0 { Ok(parts) } else { Err(Corrupt("a flush block has bytes left over")) }
}
