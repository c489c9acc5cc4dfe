//! What the file holds, in memory: which blobs, and how many bytes of pages.
//!
//! redb can count its free pages only by reading all of them. The ledger follows
//! from the rows instead: the pages of every blob are known from its length, the
//! small tables are estimated from above. One would get it wrong by trusting it to
//! the byte: `room.rs` leaves a reserve, and the file refuses to outgrow its cap.

use std::collections::BTreeMap;

use super::blobs::page_bytes;
use super::records::Holding;
use super::tables::{CLASS_HOUR, CLASS_MINUTE, CLASS_RAW};

/// Bytes of pages behind one row of a small table, from above.
pub const ROW: u64 = 320;
/// redb's own tables, and the half-filled pages of ours.
const FIXED: u64 = 192 << 10;

/// A flush block in the file.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    pub len: u64,
    /// Newest sample or probe inside, ms.
    pub last: i64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Ledger {
    pub raw: BTreeMap<u32, Holding>,
    pub minute: BTreeMap<u32, Holding>,
    pub hour: BTreeMap<u32, Holding>,
    pub blocks: BTreeMap<u32, Block>,
    /// Rows of the small tables: series, probes, audit, tokens, pings, tasks, failures.
    pub rows: u64,
}

impl Ledger {
    pub fn tier(&self, class: u8) -> &BTreeMap<u32, Holding> {
        match class {
            CLASS_RAW => &self.raw,
            CLASS_MINUTE => &self.minute,
            _ => &self.hour,
        }
    }

    pub fn tier_mut(&mut self, class: u8) -> &mut BTreeMap<u32, Holding> {
        match class {
            CLASS_RAW => &mut self.raw,
            CLASS_MINUTE => &mut self.minute,
            _ => &mut self.hour,
        }
    }

    /// End of the newest samples in the file, ms.
    pub fn newest(&self) -> Option<i64> {
        let raw = self.raw.values().next_back().map(|holding| i64::from(holding.end) * 3_600_000);
        let blocks = self.blocks.values().map(|block| block.last);
        blocks.chain(raw).max().filter(|last| *last > i64::MIN)
    }

    /// Takes over what another one says, except for the blocks.
    pub fn replace_all_but_blocks(&mut self, other: Self) {
        let blocks = std::mem::take(&mut self.blocks);
        *self = Self { blocks, ..other };
    }

    /// Bytes of pages in use, from above.
    pub fn used(&self) -> u64 {
        let tiers = [CLASS_RAW, CLASS_MINUTE, CLASS_HOUR];
        let holdings = tiers.iter().flat_map(|class| self.tier(*class).values()).map(|holding| holding.len);
        let blocks = self.blocks.values().map(|block| block.len);
        let blobs: u64 = holdings.chain(blocks).map(page_bytes).sum();
        // Branch pages: one entry of some 40 bytes per piece.
        blobs + blobs / 128 + self.rows * ROW + FIXED
    }

    /// The oldest blob that gives way: raw, then 1m, then 1h; the newest of each
    /// stays as long as another tier can give.
    pub fn oldest(&self) -> Option<(u8, Holding)> {
        let tiers = [CLASS_RAW, CLASS_MINUTE, CLASS_HOUR];
        let first = |class: &u8, keep: usize| {
            let tier = self.tier(*class);
            tier.values().next().filter(|_| tier.len() > keep).map(|holding| (*class, *holding))
        };
        let spare = tiers.iter().find_map(|class| first(class, 1));
        spare.or_else(|| tiers.iter().find_map(|class| first(class, 0)))
    }

    /// Whether the samples of an hour were here and gave way: rows of it are, or were,
    /// in a coarser tier. A gap inside a joined day is not such an hour.
    pub fn raw_gave_way(&self, hour: u32) -> bool {
        if self.raw.contains_key(&hour) {
            return false;
        }
        let covers = |holding: &Holding| holding.start <= hour && hour < holding.end;
        let day = self.hour.range(..=hour).next_back().is_some_and(|(_, holding)| covers(holding));
        let minutes_gave_way = self.minute.keys().next().is_none_or(|first| *first > hour);
        self.minute.contains_key(&hour) || (day && minutes_gave_way)
    }

    /// Start of the oldest blob of a tier, ms.
    pub fn since(&self, class: u8) -> Option<i64> {
        self.tier(class).values().next().map(|holding| i64::from(holding.start) * 3_600_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(start: u32) -> Holding {
        Holding { start, end: start + 1, len: 1000 }
    }

    #[test]
    fn raw_gives_way_first_and_the_newest_last() {
        let mut ledger = Ledger::default();
        for start in 1..=2 {
            ledger.raw.insert(start, holding(start));
            ledger.minute.insert(start, holding(start));
            ledger.hour.insert(start, holding(start));
        }
        let mut order = Vec::new();
        while let Some((class, holding)) = ledger.oldest() {
            order.push((class, holding.start));
            ledger.tier_mut(class).remove(&holding.start);
        }
        assert_eq!(order, [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (3, 2)]);
    }
}
