//! A stream of bytes sealed to a passphrase: what a backup becomes before it leaves the host.
//!
//! ```text
//! header: "holdfast" 1, chunk size, costs and salt of Argon2id, check, crc32
//! chunk:  number and last flag (4 bytes), ciphertext, tag        repeated
//! ```
//! Chunks are sealed by ChaCha20-Poly1305 as in the STREAM construction of Hoang,
//! Reyhanitabar, Rogaway and Vizar ("Online Authenticated-Encryption and its Nonce-Reuse
//! Misuse-Resistance", CRYPTO 2015): the nonce is the number of the chunk and whether it is
//! the last one, so a stream that was cut, reordered or lengthened does not open. The salt
//! is new for every stream and so is the key, hence no nonce is used twice; the header is
//! authenticated with every chunk. The numbers in clear are for a person: they tell a
//! chunk that was moved from one that was altered, and decide nothing. The check is a
//! second half of what Argon2id makes: a wrong passphrase is told before anything is read.
//! One would get it wrong by handing out a chunk before its tag was looked at, or by
//! taking the end of the input for the end of the stream.

mod chunks;
mod header;

#[cfg(test)]
mod tests;

use std::io;

use crate::base::secret::Secret;

pub use self::chunks::{Opener, Sealing};
pub use self::header::{Costs, MARK};

/// Fewest characters and most bytes of a passphrase.
pub const SHORTEST: usize = 12;
pub const LONGEST: usize = 1024;

/// Why a stream is not sealed or does not open. Holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    #[error("the passphrase has fewer than {SHORTEST} characters")]
    Short,
    #[error("the passphrase has more than {LONGEST} bytes")]
    Long,
    #[error("it is not sealed: it does not begin as a sealed backup does")]
    NotSealed,
    #[error("a newer holdfast sealed it: form {form}, this one knows {known}")]
    Newer { form: u8, known: u8 },
    #[error("its header is damaged: {reason}")]
    Header { reason: &'static str },
    #[error("the passphrase is not the one that it was sealed with")]
    Passphrase,
    #[error("it is cut off: it ends in chunk {chunk}, and none before was the last")]
    Cut { chunk: u32 },
    #[error("its chunks are not in order: chunk {found} stands where chunk {expected} was expected")]
    Order { expected: u32, found: u32 },
    #[error("chunk {chunk} was altered")]
    Altered { chunk: u32 },
    #[error("there is something after its last chunk, {chunk}")]
    Longer { chunk: u32 },
    #[error("it has too many chunks")]
    TooLong,
    #[error("there is no memory to make a key of the passphrase")]
    Memory,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Whether backups may be sealed to `passphrase`.
///
/// # Errors
/// What is wrong with it; never the passphrase.
pub fn check(passphrase: &Secret) -> Result<(), ContainerError> {
    let text = passphrase.expose();
    if text.len() > LONGEST {
        Err(ContainerError::Long)
    } else if text.chars().count() < SHORTEST {
        Err(ContainerError::Short)
    } else {
        Ok(())
    }
}
