//! One key and what is done with it: ChaCha20-Poly1305 with a random nonce.
//!
//! A sealed text is `sealed:1:<key id>:<base64 of nonce, ciphertext and tag>`. The
//! place it was sealed for and the key's id are authenticated with it, so a sealed
//! text that was moved to another place, or given another id, does not open. An id
//! is made from its key and says nothing about it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest, Sha256};

use super::SealError;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Bytes of a key's id.
const ID_BYTES: usize = 8;
/// In front of every sealed text of this form.
const FORM: &str = "sealed:1:";

/// Which key; shown as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct KeyId([u8; ID_BYTES]);

impl KeyId {
    fn parse(text: &str) -> Option<Self> {
        unhex(text).map(Self)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A key. Nothing prints it.
#[derive(Clone)]
pub struct Key {
    id: KeyId,
    bytes: [u8; KEY_BYTES],
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

impl Key {
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        let digest = Sha256::new().chain_update(b"holdfast key id\0").chain_update(bytes).finalize();
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&digest[..ID_BYTES]);
        Self { id: KeyId(id), bytes }
    }

    /// From the system's random numbers.
    ///
    /// # Errors
    /// [`SealError::Random`]
    pub fn random() -> Result<Self, SealError> {
        random().map(Self::new)
    }

    /// Reads a line of a key file, `<id> <base64>`. `None` for anything but a key of 32
    /// bytes beside its own id.
    pub fn parse(line: &str) -> Option<Self> {
        let (id, key) = line.split_once(' ')?;
        let key = Self::new(STANDARD.decode(key.trim()).ok()?.try_into().ok()?);
        (key.id == KeyId::parse(id)?).then_some(key)
    }

    /// What [`Key::parse`] reads; for the key file alone.
    pub fn to_line(&self) -> String {
        format!("{} {}", self.id, STANDARD.encode(self.bytes))
    }

    pub const fn id(&self) -> KeyId {
        self.id
    }

    fn cipher(&self) -> Result<LessSafeKey, SealError> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &self.bytes).map_err(|_| SealError::Damaged)?;
        Ok(LessSafeKey::new(key))
    }

    /// Seals `text` for `place`, the path of its configuration key.
    ///
    /// # Errors
    /// [`SealError::Random`]
    pub fn seal(&self, place: &str, text: &str) -> Result<String, SealError> {
        self.seal_with(random()?, place, text)
    }

    fn seal_with(&self, nonce: [u8; NONCE_LEN], place: &str, text: &str) -> Result<String, SealError> {
        let mut sealed = text.as_bytes().to_vec();
        let bound = Aad::from(bound_to(self.id, place));
        let tag = self.cipher()?.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            bound,
            &mut sealed,
        );
        let tag = tag.map_err(|_| SealError::Damaged)?;
        let whole = [nonce.as_slice(), &sealed, tag.as_ref()].concat();
        Ok(format!("{FORM}{}:{}", self.id, STANDARD.encode(whole)))
    }

    /// The text that was sealed with this key for `place`.
    ///
    /// # Errors
    /// [`SealError::Damaged`]: it was sealed with another key or for another place, or
    /// is not what was written.
    pub fn open(&self, place: &str, sealed: &Sealed) -> Result<String, SealError> {
        let (nonce, rest) = sealed.bytes.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Damaged)?;
        let mut bytes = rest.to_vec();
        let bound = Aad::from(bound_to(sealed.key, place));
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let text = self.cipher()?.open_in_place(nonce, bound, &mut bytes).map_err(|_| SealError::Damaged)?;
        String::from_utf8(text.to_vec()).map_err(|_| SealError::Damaged)
    }
}

/// A sealed text that has been taken apart and not yet opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed {
    /// The key it says it was sealed with.
    pub key: KeyId,
    bytes: Vec<u8>,
}

impl Sealed {
    /// # Errors
    /// [`SealError::Newer`] for another form than this one, [`SealError::NotSealed`].
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let Some(rest) = text.strip_prefix(FORM) else {
            let other = text.strip_prefix("sealed:").and_then(|rest| rest.split_once(':'));
            let newer = other.is_some_and(|(version, _)| version.parse::<u32>().is_ok_and(|it| it > 1));
            return Err(if newer { SealError::Newer } else { SealError::NotSealed });
        };
        let (key, text) = rest.split_once(':').ok_or(SealError::NotSealed)?;
        let key = KeyId::parse(key).ok_or(SealError::NotSealed)?;
        let bytes = STANDARD.decode(text).map_err(|_| SealError::NotSealed)?;
        Ok(Self { key, bytes })
    }
}

/// What is authenticated beside the text. The id has a fixed length, so no two pairs
/// give the same bytes.
fn bound_to(key: KeyId, place: &str) -> Vec<u8> {
    format!("{FORM}{key}:{place}").into_bytes()
}

fn random<const N: usize>() -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| SealError::Random(error.to_string()))?;
    Ok(bytes)
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: &str = "target.postgres[pg9].password";

    fn key(byte: u8) -> Key {
        Key::new([byte; KEY_BYTES])
    }

    fn open(key: &Key, place: &str, text: &str) -> Result<String, SealError> {
        key.open(place, &Sealed::parse(text)?)
    }

    #[test]
    fn the_first_form_stays_readable() {
        let golden = "sealed:1:25fe1c3aef849fd6:CQkJCQkJCQkJCQkJmxyTso1jSX6c9zgA0kOnt/SYfEbhkw==";
        assert_eq!(key(7).seal_with([9; NONCE_LEN], PLACE, "geheim").unwrap(), golden);
        assert_eq!(open(&key(7), PLACE, golden).unwrap(), "geheim");
    }

    #[test]
    fn only_the_same_key_opens_it_and_only_at_its_place() {
        let sealed = key(1).seal(PLACE, "geheim").unwrap();
        assert!(!sealed.contains("geheim"));
        assert_ne!(sealed, key(1).seal(PLACE, "geheim").unwrap());
        assert_eq!(open(&key(1), PLACE, &sealed).unwrap(), "geheim");
        assert!(matches!(open(&key(2), PLACE, &sealed), Err(SealError::Damaged)));
        let elsewhere = "target.postgres[pg8].password";
        assert!(matches!(open(&key(1), elsewhere, &sealed), Err(SealError::Damaged)));
        // Said to be another key's.
        let renamed = sealed.replace(&key(1).id().to_string(), &key(2).id().to_string());
        assert!(matches!(open(&key(1), PLACE, &renamed), Err(SealError::Damaged)));
    }

    #[test]
    fn what_was_cut_or_flipped_does_not_open() {
        let sealed = key(1).seal(PLACE, "geheim").unwrap();
        let (head, body) = sealed.rsplit_once(':').unwrap();
        let bytes = STANDARD.decode(body).unwrap();
        for length in 0..bytes.len() {
            let cut = format!("{head}:{}", STANDARD.encode(&bytes[..length]));
            assert!(matches!(open(&key(1), PLACE, &cut), Err(SealError::Damaged)), "{length}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let flipped = format!("{head}:{}", STANDARD.encode(flipped));
            assert!(matches!(open(&key(1), PLACE, &flipped), Err(SealError::Damaged)), "{bit}");
        }
    }

    #[test]
    fn what_is_no_sealed_text_is_called_that() {
        let id = key(1).id().to_string();
        for (text, newer) in [
            ("", false),
            ("geheim", false),
            ("sealed:", false),
            ("sealed:0:x", false),
            ("sealed:1:", false),
            ("sealed:1:abc:AAAA", false),
            ("sealed:2:anything", true),
            (&format!("sealed:1:{id}:*"), false),
            (&format!("sealed:1:{id}"), false),
            (&format!("sealed:1:+{}:AAAA", &id[1..]), false),
        ] {
            let error = Sealed::parse(text).unwrap_err();
            assert_eq!(matches!(error, SealError::Newer), newer, "{text}");
            assert_eq!(matches!(error, SealError::NotSealed), !newer, "{text}");
        }
    }

    #[test]
    fn a_key_is_read_as_it_is_written_and_shown_as_nothing() {
        let made = Key::random().unwrap();
        assert_ne!(made.id(), Key::random().unwrap().id());
        let line = made.to_line();
        assert_eq!(Key::parse(&line).unwrap().id(), made.id());
        let other = line.replace(&made.id().to_string(), &key(1).id().to_string());
        for wrong in ["", "AAAA", "0 AAAA", &line[1..], &line[17..], &line[..line.len() - 4], &other] {
            assert!(Key::parse(wrong).is_none(), "{wrong}");
        }
        assert_eq!(format!("{made:?} {:?}", [&made]), "Key(***) [Key(***)]");
    }

    proptest::proptest! {
        #[test]
        fn any_text_comes_back(bytes: [u8; KEY_BYTES], place in "\\PC{0,40}", text in "\\PC{0,200}") {
            let key = Key::new(bytes);
            let sealed = key.seal(&place, &text).unwrap();
            assert_eq!(open(&key, &place, &sealed).unwrap(), text);
        }

        #[test]
        fn no_text_makes_opening_panic(text in "(sealed:1:[0-9a-f]{16}:)?[A-Za-z0-9+/=]{0,60}") {
            open(&key(1), PLACE, &text).unwrap_err();
        }
    }
}
