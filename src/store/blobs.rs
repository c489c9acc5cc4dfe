//! Blobs cut into pieces that fill redb's pages.
//!
//! redb gives every large value a page of a power of two of 4 KiB: a value of 17
//! KiB would waste 15. So a blob is cut into pieces that just fit a page of 16
//! KiB, its end into pieces for 8 and 4 KiB. The cut follows from the length alone:
//!
//! ```text
//! blob   |--- 16,352 ---|--- 16,352 ---|-- 8,160 --|- 4,064 -|rest|
//! page        16 KiB         16 KiB        8 KiB       4 KiB   4 KiB
//! ```
//!
//! Larger pieces would save a little in keys, but a query for one series reads
//! whole pages. One would get it wrong by changing the sizes: stored blobs are
//! found by them; that needs a new class.

use std::cell::RefCell;
use std::collections::HashMap;

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, WriteTransaction};

use super::api::StoreError;
use super::fault::Fault;
use super::records::Holding;
use super::ring::{BlobRef, Blobs, HOUR_MS};
use super::tables::{CLASS_HOUR, CLASS_MINUTE, CLASS_RAW, HOLDINGS, RING};
use crate::base::time::Timestamp;
use crate::model::query::Resolution;

/// Room for the key and redb's own words in a leaf page.
const LEAF_OVERHEAD: usize = 32;
const PAGE: usize = 4096;
const PIECES: [usize; 3] = [4 * PAGE - LEAF_OVERHEAD, 2 * PAGE - LEAF_OVERHEAD, PAGE - LEAF_OVERHEAD];

fn class_of(resolution: Resolution) -> u8 {
    match resolution {
        Resolution::Raw => CLASS_RAW,
        Resolution::Minute => CLASS_MINUTE,
        Resolution::Hour => CLASS_HOUR,
    }
}

/// The pieces of a blob of `len` bytes: offset and length of each.
fn pieces(len: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut offset = 0;
    std::iter::from_fn(move || {
        let rest = len - offset;
        let size = PIECES.into_iter().find(|size| *size <= rest).unwrap_or(rest);
        let piece = (rest > 0).then_some((offset, size));
        offset += size;
        piece
    })
}

/// Bytes of pages a blob takes, without the branches above it.
pub fn page_bytes(len: u64) -> u64 {
    let whole = len / PIECES[0] as u64 * (4 * PAGE) as u64;
    let rest = (len % PIECES[0] as u64) as usize;
    whole + pieces(rest).map(|(_, size)| (size + LEAF_OVERHEAD).div_ceil(PAGE) * PAGE).sum::<usize>() as u64
}

/// Writes a blob; a former one under the same number must be removed before.
pub fn put(tx: &WriteTransaction, class: u8, number: u32, blob: &[u8]) -> Result<(), Fault> {
    let mut ring = tx.open_table(RING)?;
    for (index, (offset, size)) in pieces(blob.len()).enumerate() {
        ring.insert((class, number, index as u32), &blob[offset..offset + size])?;
    }
    Ok(())
}

/// Removes a blob of any length; absent is fine.
pub fn remove(tx: &WriteTransaction, class: u8, number: u32) -> Result<(), Fault> {
    let mut ring = tx.open_table(RING)?;
    let doomed = ring.extract_from_if((class, number, 0)..=(class, number, u32::MAX), |_, _| true)?;
    for piece in doomed {
        piece?;
    }
    Ok(())
}

/// Replaces the blob of a tier that starts at `holding.start`.
pub fn put_tier(tx: &WriteTransaction, class: u8, holding: Holding, blob: &[u8]) -> Result<(), Fault> {
    let mut holdings = tx.open_table(HOLDINGS)?;
    let former = holdings.insert((class, holding.start), super::record::Raw::encode(&holding))?.is_some();
    drop(holdings);
    if former {
        remove(tx, class, holding.start)?;
    }
    put(tx, class, holding.start, blob)
}

pub fn remove_tier(tx: &WriteTransaction, class: u8, start: u32) -> Result<(), Fault> {
    tx.open_table(HOLDINGS)?.remove((class, start))?;
    remove(tx, class, start)
}

/// A whole blob from its pieces.
pub fn read_whole(
    ring: &impl ReadableTable<(u8, u32, u32), &'static [u8]>,
    class: u8,
    number: u32,
) -> Result<Vec<u8>, Fault> {
    let mut blob = Vec::new();
    for piece in ring.range((class, number, 0)..=(class, number, u32::MAX))? {
        blob.extend_from_slice(piece?.1.value());
    }
    Ok(blob)
}

/// The blobs as one read transaction sees them.
pub struct FileBlobs {
    ring: ReadOnlyTable<(u8, u32, u32), &'static [u8]>,
    holdings: ReadOnlyTable<(u8, u32), super::record::Stored<Holding>>,
    /// Lengths of the blobs that were listed.
    lengths: RefCell<HashMap<(u8, i64), usize>>,
}

impl FileBlobs {
    pub fn new(tx: &ReadTransaction) -> Result<Self, Fault> {
        Ok(Self {
            ring: tx.open_table(RING)?,
            holdings: tx.open_table(HOLDINGS)?,
            lengths: RefCell::default(),
        })
    }

    fn find(&self, resolution: Resolution, from: i64, to: i64) -> Result<Vec<BlobRef>, Fault> {
        let class = class_of(resolution);
        let mut found = Vec::new();
        for row in self.holdings.range((class, 0)..=(class, u32::MAX))? {
            let holding = row?.1.value().decode().map_err(|error| Fault::Damaged(error.to_string()))?;
            let start = i64::from(holding.start) * HOUR_MS;
            let end = i64::from(holding.end) * HOUR_MS;
            if start >= to {
                break;
            }
            if end > from {
                self.lengths.borrow_mut().insert((class, start), holding.len as usize);
                found.push(BlobRef { resolution, start, end });
            }
        }
        Ok(found)
    }

    fn read_pieces(
        &self,
        blob: &BlobRef,
        offset: usize,
        length: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let class = class_of(blob.resolution);
        let whole = self.lengths.borrow().get(&(class, blob.start)).copied();
        let whole = whole.ok_or_else(|| Fault::Broken(String::from("a blob is read that was not listed")))?;
        let end = offset.saturating_add(length).min(whole);
        if offset >= end {
            return Ok(());
        }
        let number = u32::try_from(blob.start / HOUR_MS).unwrap_or(u32::MAX);
        let full = PIECES[0];
        let skipped = offset / full;
        let rest = pieces(whole - skipped * full).map(|(start, size)| (start + skipped * full, size));
        for (index, (start, size)) in rest.enumerate().take_while(|(_, (start, _))| *start < end) {
            if start + size <= offset {
                continue;
            }
            let key = (class, number, (skipped + index) as u32);
            let piece = self.ring.get(key)?;
            let piece = piece.ok_or_else(|| Fault::Damaged(format!("piece {key:?} of a blob is missing")))?;
            let bytes = piece.value();
            if bytes.len() != size {
                return Err(Fault::Damaged(format!("piece {key:?} has {} bytes, not {size}", bytes.len())));
            }
            out.extend_from_slice(&bytes[offset.saturating_sub(start)..(end - start).min(size)]);
        }
        Ok(())
    }
}

impl Blobs for FileBlobs {
    fn list(
        &self,
        resolution: Resolution,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<BlobRef>, StoreError> {
        self.find(resolution, from.millis(), to.millis()).map_err(|fault| fault.error())
    }

    fn read(
        &self,
        blob: &BlobRef,
        offset: usize,
        length: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        out.clear();
        self.read_pieces(blob, offset, length, out).map_err(|fault| fault.error())
    }
}

/// No blobs at all: while the file is being opened again, memory answers alone.
pub struct NoBlobs;

impl Blobs for NoBlobs {
    fn list(&self, _: Resolution, _: Timestamp, _: Timestamp) -> Result<Vec<BlobRef>, StoreError> {
        Ok(Vec::new())
    }

    fn read(&self, _: &BlobRef, _: usize, _: usize, out: &mut Vec<u8>) -> Result<(), StoreError> {
        out.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_the_blob_and_fill_their_pages() {
        for len in [0, 1, 4063, 4064, 4065, 8160, 8161, 16_352, 16_353, 20_000, 900_000] {
            let mut next = 0;
            for (offset, size) in pieces(len) {
                assert_eq!(offset, next);
                next += size;
            }
            assert_eq!(next, len);
            assert!(page_bytes(len as u64) < len as u64 + len as u64 / 200 + 4200, "{len}");
        }
    }
}
