//! What stands in front of the chunks, and the key that a passphrase makes with it.
//!
//! The costs are read from a file that anybody may have written, before anything in it is
//! authenticated: they have a bound, or a file of a few bytes could take all the memory.

use std::io::{self, Read};

use argon2::{Algorithm, Argon2, Params, Version};
use ring::aead::{CHACHA20_POLY1305, LessSafeKey, UnboundKey};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::ContainerError;
use crate::base::secret::Secret;

/// In front of every sealed stream.
pub const MARK: [u8; 8] = *b"holdfast";
/// Of the layout, behind the mark.
const FORM: u8 = 1;
const SALT: usize = 16;
const CHECK: usize = 32;
/// Mark, form, chunk size, lanes, a spare byte, memory, passes, salt, check, crc32.
pub const HEADER: usize = 8 + 4 + 4 + 4 + SALT + CHECK + 4;

/// 256 KiB, and what may be asked for, as powers of two.
const CHUNK: u8 = 18;
const CHUNKS: std::ops::RangeInclusive<u8> = 10..=20;
/// The second choice of RFC 9106 for a file that can be guessed at without us.
const MEMORY: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 1;
const MOST_MEMORY: u32 = 256 * 1024;
const MOST_PASSES: u32 = 16;
const MOST_LANES: u32 = 8;

/// How dear one guess of the passphrase is; Argon2id version 1.3.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Costs {
    /// KiB.
    pub memory: u32,
    pub passes: u32,
    pub lanes: u32,
}

impl Default for Costs {
    fn default() -> Self {
        Self { memory: MEMORY, passes: PASSES, lanes: LANES }
    }
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    pub costs: Costs,
    pub salt: [u8; SALT],
    chunk: u8,
    check: [u8; CHECK],
}

/// The key of one stream. Nothing prints it.
pub(super) struct StreamKey {
    pub key: LessSafeKey,
    check: [u8; CHECK],
}

impl Header {
    /// Of a new stream. `salt` is random and never used again. Takes some 100 ms and the
    /// memory that `costs` say.
    ///
    /// # Errors
    /// The passphrase is too short or too long, or there is no memory.
    pub(super) fn new(
        passphrase: &Secret,
        salt: [u8; SALT],
        costs: Costs,
    ) -> Result<(Self, StreamKey), ContainerError> {
        super::check(passphrase)?;
        let mut header = Self { costs, salt, chunk: CHUNK, check: [0; CHECK] };
        let key = header.derive(passphrase)?;
        header.check = key.check;
        Ok((header, key))
    }

    /// Smaller chunks, so that a test has many.
    #[cfg(test)]
    pub(super) const fn with_chunk(mut self, chunk: u8) -> Self {
        self.chunk = chunk;
        self
    }

    /// Bytes of a chunk before it is sealed; the last one has fewer.
    pub const fn chunk_bytes(&self) -> usize {
        1 << self.chunk
    }

    pub(super) fn to_bytes(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let parts: [&[u8]; 6] = [
            &MARK,
            &[FORM, self.chunk, self.costs.lanes.to_le_bytes()[0], 0],
            &self.costs.memory.to_le_bytes(),
            &self.costs.passes.to_le_bytes(),
            &self.salt,
            &self.check,
        ];
        let whole = parts.concat();
        let sum = crc32fast::hash(&whole).to_le_bytes();
        for (to, from) in bytes.iter_mut().zip(whole.iter().chain(&sum)) {
            *to = *from;
        }
        bytes
    }

    /// Reads what stands in front of a stream.
    ///
    /// # Errors
    /// It is none, of a newer form, or damaged.
    pub fn read(from: &mut impl Read) -> Result<Self, ContainerError> {
        let mut bytes = [0; HEADER];
        from.read_exact(&mut bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ContainerError::NotSealed,
            _ => ContainerError::Io(error),
        })?;
        Self::parse(&bytes)
    }

    fn parse(bytes: &[u8; HEADER]) -> Result<Self, ContainerError> {
        if bytes[..8] != MARK {
            return Err(ContainerError::NotSealed);
        }
        let (whole, sum) = bytes.split_at(HEADER - 4);
        if crc32fast::hash(whole).to_le_bytes() != *sum {
            return Err(ContainerError::Header { reason: "its checksum is wrong" });
        }
        if whole[8] != FORM {
            return Err(ContainerError::Newer { form: whole[8], known: FORM });
        }
        let number = |at: usize| {
            whole[at..at + 4].iter().rev().fold(0u32, |number, byte| number << 8 | u32::from(*byte))
        };
        let costs = Costs { memory: number(12), passes: number(16), lanes: u32::from(whole[10]) };
        let payable = (1..=MOST_MEMORY).contains(&costs.memory)
            && (1..=MOST_PASSES).contains(&costs.passes)
            && (1..=MOST_LANES).contains(&costs.lanes);
        if !payable || !CHUNKS.contains(&whole[9]) {
            return Err(ContainerError::Header { reason: "it asks for more than a backup takes" });
        }
        let mut header = Self { costs, salt: [0; SALT], chunk: whole[9], check: [0; CHECK] };
        header.salt.copy_from_slice(&whole[20..20 + SALT]);
        header.check.copy_from_slice(&whole[20 + SALT..]);
        Ok(header)
    }

    /// The key of the stream.
    ///
    /// # Errors
    /// The passphrase is another one, or there is no memory.
    pub(super) fn key(&self, passphrase: &Secret) -> Result<StreamKey, ContainerError> {
        if passphrase.expose().len() > super::LONGEST {
            return Err(ContainerError::Long);
        }
        let key = self.derive(passphrase)?;
        if bool::from(key.check.ct_eq(&self.check)) { Ok(key) } else { Err(ContainerError::Passphrase) }
    }

    fn derive(&self, passphrase: &Secret) -> Result<StreamKey, ContainerError> {
        let Costs { memory, passes, lanes } = self.costs;
        let wrong = |_| ContainerError::Header { reason: "its costs do not fit each other" };
        let params = Params::new(memory, passes, lanes, Some(32 + CHECK)).map_err(wrong)?;
        let mut made = [0; 32 + CHECK];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.expose().as_bytes(), &self.salt, &mut made)
            .map_err(|_| ContainerError::Memory)?;
        let (key, half) = made.split_at(32);
        let mut check = [0; CHECK];
        check.copy_from_slice(half);
        let key = UnboundKey::new(&CHACHA20_POLY1305, key).map_err(|_| ContainerError::Memory)?;
        Ok(StreamKey { key: LessSafeKey::new(key), check })
    }
}
