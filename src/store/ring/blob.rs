//! A large blob with a directory: an hour's raw chunks, or the rows of a tier.
//!
//! One series is read with two ranged reads: the front (usually within the
//! first [`FRONT`] bytes) and its chunk. The front has a checksum; chunks are
//! bounded by their lengths and checked by their decoders.
//!
//! Layout: version byte; length of the directory (u32); crc32 of the directory
//! (u32); directory: varint count of groups, per group its name, its
//! [`segment`](super::segment) head and a varint length per column; then all
//! chunks in the order of the directory.

use std::ops::Range;

use super::bytes::{Corrupt, Reader, put_varint};
use super::presence::Runs;
use super::segment;
use super::segment::GroupHead;

const VERSION: u8 = 1;
const PREFIX: usize = 9;
/// Bytes worth reading first: a directory of 500 series fits.
pub(super) const FRONT: usize = 8192;

/// One group on its way into a blob.
#[derive(Debug, Default)]
pub(super) struct GroupWriter {
    pub name: String,
    pub times: Vec<i64>,
    columns: Vec<(u32, Runs)>,
    lengths: Vec<usize>,
    body: Vec<u8>,
}

impl GroupWriter {
    pub(super) fn new(name: &str, times: Vec<i64>) -> Self {
        Self { name: name.to_owned(), times, ..Self::default() }
    }

    /// Adds a series; `write` appends its chunk. Ids ascend.
    pub(super) fn add(&mut self, id: u32, runs: Runs, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.body.len();
        write(&mut self.body);
        self.lengths.push(self.body.len() - start);
        self.columns.push((id, runs));
    }
}

/// Writes the groups that have series.
pub(super) fn encode(groups: &[GroupWriter]) -> Vec<u8> {
    let used = || groups.iter().filter(|group| !group.columns.is_empty());
    let mut directory = Vec::new();
    put_varint(&mut directory, used().count() as u64);
    for group in used() {
        put_varint(&mut directory, group.name.len() as u64);
        directory.extend_from_slice(group.name.as_bytes());
        let columns = group.columns.iter().map(|(id, runs)| (*id, runs.as_slice()));
        segment::encode_head(&group.times, columns, &mut directory);
        for length in &group.lengths {
            put_varint(&mut directory, *length as u64);
        }
    }
    let mut out = vec![VERSION];
    out.extend_from_slice(&(directory.len() as u32).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(&directory).to_le_bytes());
    out.extend_from_slice(&directory);
    for group in used() {
        out.extend_from_slice(&group.body);
    }
    out
}

/// One group of a directory.
#[derive(Debug)]
pub(super) struct Group {
    pub name: String,
    pub head: GroupHead,
    /// Where the chunks start in the blob, one more than there are columns.
    offsets: Vec<usize>,
}

impl Group {
    /// Where the chunk of column `index` is.
    pub(super) fn chunk(&self, index: usize) -> Range<usize> {
        self.offsets[index]..self.offsets[index + 1]
    }

    /// Runs and place of the chunk of a series.
    pub(super) fn find(&self, id: u32) -> Option<(&[Range<u32>], Range<usize>)> {
        self.head.find(id).map(|(index, runs)| (runs, self.chunk(index)))
    }
}

/// Length of the front (prefix and directory) of a blob that starts with `bytes`.
pub(super) fn front_length(bytes: &[u8]) -> Result<usize, Corrupt> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != VERSION {
        return Err(Corrupt("a blob has an unknown version"));
    }
    Ok((reader.u32()? as usize).saturating_add(PREFIX))
}

/// Reads the directory from the first bytes of a blob.
pub(super) fn directory(bytes: &[u8]) -> Result<Vec<Group>, Corrupt> {
    let length = front_length(bytes)?;
    let front = bytes.get(..length).ok_or(Corrupt("a directory is cut off"))?;
    let mut reader = Reader::new(&front[5..]);
    let expected = reader.u32()?;
    if crc32fast::hash(reader.rest()) != expected {
        return Err(Corrupt("a directory fails its checksum"));
    }
    let mut groups = Vec::new();
    let mut offset = length;
    // A backfill may bring as many groups as samples; the bytes that are there bound them.
    for _ in 0..reader.count(reader.remaining(), "a blob has too many groups")? {
        let name = reader.text()?.to_owned();
        let head = GroupHead::decode(&mut reader)?;
        let columns = head.column_count();
        if columns > reader.remaining() {
            return Err(Corrupt("a directory is cut off"));
        }
        let mut offsets = Vec::with_capacity(columns + 1);
        offsets.push(offset);
        for _ in 0..columns {
            offset += reader.count(u32::MAX as usize, "a chunk is too long")?;
            offsets.push(offset);
        }
        groups.push(Group { name, head, offsets });
    }
    Ok(groups)
}
