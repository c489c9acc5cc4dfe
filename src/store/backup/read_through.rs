//! A file that is looked at and never written.
//!
//! Checking a database writes to it: redb marks it open, and repairs what an unclean end
//! left. Here such writes stay in memory, in blocks over the file, so a backup is read by
//! the same code as a store and is the same bytes afterwards. What is kept is bounded.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

const BLOCK: u64 = 4096;
/// Blocks in memory at most: 64 MiB, which marks and the repair of 512 MiB fit well within.
const MOST_BLOCKS: usize = 16_384;

#[derive(Debug)]
struct Over {
    length: u64,
    blocks: BTreeMap<u64, Box<[u8]>>,
}

/// See the module.
#[derive(Debug)]
pub struct ReadThrough {
    file: File,
    over: Mutex<Over>,
}

impl ReadThrough {
    /// # Errors
    /// The length of the file cannot be read.
    pub fn new(file: File) -> Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file, over: Mutex::new(Over { length, blocks: BTreeMap::new() }) })
    }

    fn lock(&self) -> MutexGuard<'_, Over> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block as the file has it; zeros beyond its end.
    fn of_file(&self, number: u64) -> Result<Box<[u8]>> {
        let mut block = vec![0; BLOCK as usize].into_boxed_slice();
        let mut filled = 0;
        while filled < block.len() {
            match self.file.read_at(&mut block[filled..], number * BLOCK + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(block)
    }
}

/// The blocks that `length` bytes from `offset` on lie in: number, begin and end inside.
fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let end = offset + length as u64;
    (offset / BLOCK..end.div_ceil(BLOCK)).map(move |number| {
        let start = number * BLOCK;
        let inside = |at: u64| at.clamp(start, start + BLOCK).saturating_sub(start) as usize;
        (number, inside(offset), inside(end))
    })
}

impl StorageBackend for ReadThrough {
    fn len(&self) -> Result<u64> {
        Ok(self.lock().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let over = self.lock();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > over.length) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if over.blocks.is_empty() {
            return self.file.read_exact_at(out, offset);
        }
        let mut done = 0;
        for (number, from, to) in parts(offset, out.len()) {
            let target = &mut out[done..done + (to - from)];
            match over.blocks.get(&number) {
                Some(block) => target.copy_from_slice(&block[from..to]),
                None => target.copy_from_slice(&self.of_file(number)?[from..to]),
            }
            done += to - from;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        // What is cut off and grown again would show the file's bytes.
        let mut over = self.lock();
        if len < over.length {
            over.blocks.retain(|number, _| *number < len.div_ceil(BLOCK));
        }
        over.length = len;
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut over = self.lock();
        let mut done = 0;
        for (number, from, to) in parts(offset, data.len()) {
            if !over.blocks.contains_key(&number) {
                if over.blocks.len() >= MOST_BLOCKS {
                    return Err(Error::other("reading it takes too many changes"));
                }
                let block = self.of_file(number)?;
                over.blocks.insert(number, block);
            }
            if let Some(block) = over.blocks.get_mut(&number) {
                block[from..to].copy_from_slice(&data[done..done + (to - from)]);
            }
            done += to - from;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// Reads see what a plain file would hold, and the file stays as it was.
        #[test]
        fn it_reads_back_what_was_written(writes in proptest::collection::vec((0u64..30_000, 0usize..9000), 0..8)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file");
            let before: Vec<u8> = (0..40_000u32).map(|at| (at % 251) as u8).collect();
            std::fs::write(&path, &before).unwrap();
            let through = ReadThrough::new(File::open(&path).unwrap()).unwrap();
            let mut expected = before.clone();
            for (turn, (offset, length)) in writes.into_iter().enumerate() {
                let data = vec![turn as u8; length];
                through.write(offset, &data).unwrap();
                expected[offset as usize..offset as usize + length].copy_from_slice(&data);
                let mut seen = vec![0; 12_345];
                through.read(offset.saturating_sub(99), &mut seen[..length.min(12_345)]).unwrap();
                let from = offset.saturating_sub(99) as usize;
                proptest::prop_assert_eq!(&seen[..length], &expected[from..from + length]);
            }
            let mut all = vec![0; 40_000];
            through.read(0, &mut all).unwrap();
            proptest::prop_assert_eq!(all, expected);
            proptest::prop_assert_eq!(std::fs::read(&path).unwrap(), before);
            proptest::prop_assert!(through.read(39_999, &mut [0; 2]).is_err());
        }
    }
}
