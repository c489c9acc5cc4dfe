//! The tail file: frames since the last flush, on memory-backed storage.
//!
//! A record per frame, only values whose bits changed; the first frame of a
//! stream in a file is preceded by its layout. Series whose index row may not
//! be on disk are written with their definition, because their ids mean
//! nothing after a crash. Reading stops at the first record that is torn.
//!
//! Layout of the file: `HFTAIL`, version byte, store id (u64), generation
//! (u64), crc32 of those; then records of length (u32), crc32 of the payload
//! (u32), payload. All little-endian. A payload is a kind byte and
//! 1: stream name, varint count, per series varint id + 1, or 0 and key,
//!    family, kind byte, help;
//! 2: stream name, zigzag time, then (varint gap, eight bytes) per changed value.

use super::bytes::{Corrupt, Reader, put_varint, put_zigzag};

const MAGIC: &[u8; 6] = b"HFTAIL";
const VERSION: u8 = 1;
const HEADER: usize = 6 + 1 + 8 + 8 + 4;
const LAYOUT: u8 = 1;
const FRAME: u8 = 2;

/// What a new tail file starts with.
pub fn header(store_id: u64, generation: u64) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.push(VERSION);
    out.extend_from_slice(&store_id.to_le_bytes());
    out.extend_from_slice(&generation.to_le_bytes());
    let sum = crc32fast::hash(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

/// The generation of a tail file that belongs to this store.
pub fn generation(bytes: &[u8], store_id: u64) -> Option<u64> {
    let head = bytes.get(..HEADER)?;
    let (body, sum) = head.split_at(HEADER - 4);
    let mut reader = Reader::new(body);
    let magic = reader.take(MAGIC.len()).ok()?;
    let version = reader.byte().ok()?;
    let (store, generation) = (reader.u64().ok()?, reader.u64().ok()?);
    let whole = crc32fast::hash(body).to_le_bytes() == sum;
    (magic == MAGIC && version == VERSION && whole && store == store_id).then_some(generation)
}

/// One series of a layout record.
pub(super) enum Entry<'a> {
    Known(u32),
    Defined { key: &'a str, family: &'a str, kind: u8, help: &'a str },
}

/// One record of a tail file.
pub(super) enum Record<'a> {
    Layout {
        stream: &'a str,
        entries: Vec<Entry<'a>>,
    },
    /// `changes` are (position in the layout, value).
    Frame {
        stream: &'a str,
        at: i64,
        changes: Vec<(usize, f64)>,
    },
}

/// Appends a record whose payload `write` makes.
fn framed(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    write(out);
    let length = (out.len() - start - 8) as u32;
    let sum = crc32fast::hash(&out[start + 8..]);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + 8].copy_from_slice(&sum.to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn put_layout<'a>(
    out: &mut Vec<u8>,
    stream: &str,
    entries: impl ExactSizeIterator<Item = Entry<'a>>,
) {
    framed(out, |out| {
        out.push(LAYOUT);
        put_text(out, stream);
        put_varint(out, entries.len() as u64);
        for entry in entries {
            match entry {
                Entry::Known(id) => put_varint(out, u64::from(id) + 1),
                Entry::Defined { key, family, kind, help } => {
                    put_varint(out, 0);
                    put_text(out, key);
                    put_text(out, family);
                    out.push(kind);
                    put_text(out, help);
                }
            }
        }
    });
}

/// `before` are the values the reader has: those of the frame before, or
/// `None` right after a layout, when it has zeros.
pub(super) fn put_frame(out: &mut Vec<u8>, stream: &str, at: i64, values: &[f64], before: Option<&[f64]>) {
    framed(out, |out| {
        out.push(FRAME);
        put_text(out, stream);
        put_zigzag(out, at);
        let mut next = 0;
        for (position, value) in values.iter().enumerate() {
            let old = before.and_then(|before| before.get(position)).map_or(0, |value| value.to_bits());
            if old != value.to_bits() {
                put_varint(out, (position - next) as u64);
                out.extend_from_slice(&value.to_bits().to_le_bytes());
                next = position + 1;
            }
        }
    });
}

/// The whole records of a file, until the first that is torn.
pub(super) fn records(bytes: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut reader = Reader::new(bytes.get(HEADER..).unwrap_or(&[]));
    std::iter::from_fn(move || {
        let length = reader.u32().ok()?;
        let sum = reader.u32().ok()?;
        let payload = reader.take(length as usize).ok()?;
        (crc32fast::hash(payload) == sum).then(|| record(payload).ok()).flatten()
    })
}

fn record(payload: &[u8]) -> Result<Record<'_>, Corrupt> {
    let mut reader = Reader::new(payload);
    let kind = reader.byte()?;
    let stream = reader.text()?;
    if kind == LAYOUT {
        let count = reader.count(reader.remaining(), "a layout has too many series")?;
        let mut entries = Vec::new();
        for _ in 0..count {
            entries.push(entry(&mut reader)?);
        }
        return Ok(Record::Layout { stream, entries });
    }
    if kind != FRAME {
        return Err(Corrupt("an unknown record of the tail"));
    }
    let at = reader.zigzag()?;
    let mut changes = Vec::new();
    let mut next = 0usize;
    while reader.remaining() > 0 {
        let position = next + reader.count(u32::MAX as usize, "a position is too large")?;
        changes.push((position, f64::from_bits(reader.u64()?)));
        next = position + 1;
    }
    Ok(Record::Frame { stream, at, changes })
}

fn entry<'a>(reader: &mut Reader<'a>) -> Result<Entry<'a>, Corrupt> {
    let id = reader.count(u32::MAX as usize, "a series id is too large")?;
    if let Some(id) = id.checked_sub(1) {
        return Ok(Entry::Known(id as u32));
    }
    let (key, family) = (reader.text()?, reader.text()?);
    Ok(Entry::Defined { key, family, kind: reader.byte()?, help: reader.text()? })
}
