//! Records: a version byte, then postcard, decoded fallibly.
//!
//! postcard does not describe itself: a field added, dropped or swapped reads as
//! other values without an error, and `from_bytes` ignores what is left over. So
//! the first byte is the version of the layout, the struct of every former
//! version stays in the source, leftovers are refused, and a golden-bytes test
//! pins each version. `redb::Value::from_bytes` cannot fail, therefore the table
//! holds a lazy [`Raw`] view and [`Raw::decode`] does the work. One would get it
//! wrong by changing a stored struct in place.

use std::borrow::Cow;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A struct that is stored.
pub trait Record: Serialize + DeserializeOwned + 'static {
    /// Part of the redb type name; never reused.
    const NAME: &'static str;
    /// First byte of what is written now.
    const VERSION: u8;

    /// Reads a body of an older version, `1..VERSION`.
    ///
    /// # Errors
    /// [`DecodeError`] when that version is unknown or the body does not fit it.
    fn upgrade(version: u8, body: &[u8]) -> Result<Self, DecodeError> {
        let _ = body;
        Err(DecodeError::Corrupt { version, reason: String::from("no such version") })
    }
}

/// Why stored bytes are not the record they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("empty record")]
    Empty,
    #[error("record version {found}, newer than {supported}")]
    TooNew { found: u8, supported: u8 },
    #[error("record version {version} does not decode: {reason}")]
    Corrupt { version: u8, reason: String },
    #[error("record version {version} has {extra} bytes too many")]
    Trailing { version: u8, extra: usize },
}

/// The value type of a table that holds `T`.
#[derive(Debug)]
pub struct Stored<T>(PhantomData<T>);

/// The bytes of one record, not decoded yet.
#[derive(Debug)]
pub struct Raw<'a, T> {
    bytes: Cow<'a, [u8]>,
    record: PhantomData<T>,
}

impl<T: Record> Raw<'_, T> {
    /// A record that cannot be encoded does not exist: postcard fails only on
    /// sequences of unknown length, which no record has.
    pub fn encode(record: &T) -> Self {
        let bytes = postcard::to_extend(record, vec![T::VERSION]).unwrap_or_default();
        Self { bytes: Cow::Owned(bytes), record: PhantomData }
    }

    /// What [`Self::encode`] made before.
    pub fn stored(bytes: &[u8]) -> Raw<'_, T> {
        Raw { bytes: Cow::Borrowed(bytes), record: PhantomData }
    }

    /// # Errors
    /// [`DecodeError`], see there.
    pub fn decode(&self) -> Result<T, DecodeError> {
        let (&version, body) = self.bytes.split_first().ok_or(DecodeError::Empty)?;
        match version {
            found if found > T::VERSION => Err(DecodeError::TooNew { found, supported: T::VERSION }),
            version if version == T::VERSION => decode_body(version, body),
            version => T::upgrade(version, body),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads all of `body` as `T`; for the current version and for old structs.
///
/// # Errors
/// [`DecodeError::Corrupt`] or [`DecodeError::Trailing`].
pub fn decode_body<T: DeserializeOwned>(version: u8, body: &[u8]) -> Result<T, DecodeError> {
    let (record, rest) = postcard::take_from_bytes(body)
        .map_err(|error| DecodeError::Corrupt { version, reason: error.to_string() })?;
    if rest.is_empty() { Ok(record) } else { Err(DecodeError::Trailing { version, extra: rest.len() }) }
}

/// Reads a record that was stored outside a `Stored` column.
///
/// # Errors
/// [`DecodeError`], see there.
pub fn decode<T: Record>(bytes: &[u8]) -> Result<T, DecodeError> {
    Raw::<T>::stored(bytes).decode()
}

impl<T: Record + std::fmt::Debug> redb::Value for Stored<T> {
    type SelfType<'a>
        = Raw<'a, T>
    where
        Self: 'a;
    type AsBytes<'a>
        = &'a [u8]
    where
        Self: 'a;

    fn fixed_width() -> Option<usize> {
        None
    }

    fn from_bytes<'a>(data: &'a [u8]) -> Raw<'a, T>
    where
        Self: 'a,
    {
        Raw { bytes: Cow::Borrowed(data), record: PhantomData }
    }

    fn as_bytes<'a, 'b: 'a>(value: &'a Raw<'b, T>) -> &'a [u8]
    where
        Self: 'b,
    {
        &value.bytes
    }

    fn type_name() -> redb::TypeName {
        redb::TypeName::new(T::NAME)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// Version 2 of a record whose version 1 had no `note`.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Thing {
        count: u32,
        note: String,
    }

    #[derive(Deserialize)]
    struct ThingV1 {
        count: u32,
    }

    impl Record for Thing {
        const NAME: &'static str = "test::Thing";
        const VERSION: u8 = 2;

        fn upgrade(version: u8, body: &[u8]) -> Result<Self, DecodeError> {
            let old: ThingV1 = decode_body(version, body)?;
            Ok(Self { count: old.count, note: String::from("was v1") })
        }
    }

    #[test]
    fn an_old_version_is_upgraded_on_reading() {
        assert_eq!(decode::<Thing>(&[1, 7]), Ok(Thing { count: 7, note: String::from("was v1") }));
        let thing = Thing { count: 7, note: String::from("n") };
        assert_eq!(Raw::encode(&thing).bytes(), [2, 7, 1, b'n']);
        assert_eq!(decode::<Thing>(&[2, 7, 1, b'n']), Ok(thing));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(decode::<Thing>(&[]), Err(DecodeError::Empty));
        assert_eq!(decode::<Thing>(&[3, 7]), Err(DecodeError::TooNew { found: 3, supported: 2 }));
        assert_eq!(decode::<Thing>(&[2, 7, 0, 9]), Err(DecodeError::Trailing { version: 2, extra: 1 }));
        assert!(matches!(decode::<Thing>(&[2, 7, 5]), Err(DecodeError::Corrupt { version: 2, .. })));
    }
}
