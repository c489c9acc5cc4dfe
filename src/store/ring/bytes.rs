//! Reading and writing of small numbers and single bits.
//!
//! Everything the ring stores goes through [`Reader`] and [`BitReader`], which
//! answer [`Corrupt`] instead of panicking: what they read may be anything.
//! One would get it wrong by indexing a slice with a number that was read from
//! it, or by reserving memory for a count before the bytes behind it were seen.

/// Bytes that are not what was written; the text says which part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stored samples are damaged: {0}")]
pub struct Corrupt(pub &'static str);

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, zigzag(value));
}

/// Small magnitudes of either sign become small numbers.
pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Walks over bytes from outside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Corrupt> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(Corrupt("it ends too early"))?;
        self.bytes = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Corrupt> {
        let (first, rest) = self.bytes.split_first().ok_or(Corrupt("it ends too early"))?;
        self.bytes = rest;
        Ok(*first)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Corrupt> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Corrupt> {
        let low = self.u32()?;
        Ok(u64::from(low) | u64::from(self.u32()?) << 32)
    }

    pub(super) fn varint(&mut self) -> Result<u64, Corrupt> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return Err(Corrupt("a number does not fit 64 bits"));
            }
            value |= part << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Corrupt("a number does not fit 64 bits"))
    }

    pub(super) fn zigzag(&mut self) -> Result<i64, Corrupt> {
        self.varint().map(unzigzag)
    }

    /// A count of things, at most `limit`.
    pub(super) fn count(&mut self, limit: usize, what: &'static str) -> Result<usize, Corrupt> {
        let value = self.varint()?;
        usize::try_from(value).ok().filter(|count| *count <= limit).ok_or(Corrupt(what))
    }

    /// A count, then as many bytes.
    pub(super) fn block(&mut self) -> Result<&'a [u8], Corrupt> {
        let length = self.count(self.remaining(), "a length runs past the end")?;
        self.take(length)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Corrupt> {
        std::str::from_utf8(self.block()?).map_err(|_| Corrupt("a name is not UTF-8"))
    }
}

/// Packs bits, lowest first.
pub(super) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    pending: u128,
    count: u32,
}

impl<'a> BitWriter<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, pending: 0, count: 0 }
    }

    /// The lowest `width` bits of `value`, at most 64.
    pub(super) fn put(&mut self, value: u64, width: u32) {
        let kept = if width >= 64 { value } else { value & ((1 << width) - 1) };
        self.pending |= u128::from(kept) << self.count;
        self.count += width;
        while self.count >= 8 {
            self.out.push(self.pending as u8);
            self.pending >>= 8;
            self.count -= 8;
        }
    }

    pub(super) fn finish(self) {
        if self.count > 0 {
            self.out.push(self.pending as u8);
        }
    }
}

/// Reads what [`BitWriter`] packed. Bits past the end are zero; the caller
/// checks lengths beforehand.
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// At least 57 bits from here, lowest first.
    // A call for every number would cost more than reading it, also where code is to be small.
    #[inline(always)]
    fn window(&self) -> u64 {
        let start = self.at / 8;
        let word = match self.bytes.get(start..start + 8).and_then(|eight| eight.try_into().ok()) {
            Some(eight) => u64::from_le_bytes(eight),
            None => {
                let mut eight = [0; 8];
                let rest = self.bytes.get(start..).unwrap_or(&[]);
                eight[..rest.len()].copy_from_slice(rest);
                u64::from_le_bytes(eight)
            }
        };
        word >> (self.at % 8)
    }

    /// The next `width` bits, at most 64.
    #[inline(always)]
    pub(super) fn get(&mut self, width: u32) -> u64 {
        if width > 56 {
            let low = self.narrow(32);
            return low | self.narrow(width - 32) << 32;
        }
        self.narrow(width)
    }

    /// At most 56 bits.
    #[inline(always)]
    fn narrow(&mut self, width: u32) -> u64 {
        let value = self.window() & ((1 << width) - 1);
        self.at += width as usize;
        value
    }

    /// An Exp-Golomb code of order `k`, at most 48.
    #[inline(always)]
    pub(super) fn golomb(&mut self, k: u32) -> Result<u64, Corrupt> {
        let window = self.window();
        let zeros = window.trailing_zeros();
        if 2 * zeros + 1 + k <= 56 {
            // The whole code is in the window.
            let ones = |width: u32| (1u64 << width) - 1;
            let quotient = (1 << zeros | (window >> (zeros + 1) & ones(zeros))) - 1;
            self.at += (2 * zeros + 1 + k) as usize;
            return Ok(quotient << k | (window >> (2 * zeros + 1) & ones(k)));
        }
        if zeros > 56 {
            return Err(Corrupt("a bit code is too long"));
        }
        self.at += zeros as usize + 1;
        let quotient = (1 << zeros | self.get(zeros)).wrapping_sub(1);
        Ok(quotient << k | self.get(k))
    }

    pub(super) fn is_past_end(&self) -> bool {
        self.at > self.bytes.len() * 8
    }
}
