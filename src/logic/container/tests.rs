//! What a stream that somebody touched is refused with, and that any other comes back whole.

use proptest::prelude::*;

use super::chunks::{Opener, Sealing};
use super::header::{Costs, HEADER, Header};
use super::{ContainerError, check};
use crate::base::secret::Secret;

/// A guess costs nothing here.
const CHEAP: Costs = Costs { memory: 8, passes: 1, lanes: 1 };
/// 1 KiB.
const SMALL: u8 = 10;
const CHUNK: usize = 1 << SMALL;
/// A chunk with its number and its tag.
const RECORD: usize = CHUNK + 4 + 16;

fn passphrase() -> Secret {
    Secret::new("correct horse battery")
}

fn sealed(text: &[u8]) -> Vec<u8> {
    let (header, key) = Header::new(&passphrase(), [7; 16], CHEAP).unwrap();
    let mut sealing = Sealing::with(Vec::new(), header.with_chunk(SMALL), key).unwrap();
    // In pieces that fit no chunk.
    text.chunks(333).for_each(|piece| sealing.write(piece).unwrap());
    sealing.finish().unwrap()
}

fn opened(bytes: &[u8], passphrase: &Secret) -> Result<Vec<u8>, ContainerError> {
    let mut opener = Opener::begin(bytes, passphrase)?;
    let mut text = Vec::new();
    while let Some(chunk) = opener.next_chunk()? {
        text.extend(chunk);
    }
    Ok(text)
}

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

fn refusal(bytes: &[u8]) -> String {
    opened(bytes, &passphrase()).unwrap_err().to_string()
}

#[test]
fn any_length_comes_back() {
    for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 5 * CHUNK + 17] {
        let sealed = sealed(&text(length));
        assert_eq!(opened(&sealed, &passphrase()).unwrap(), text(length), "{length}");
        assert!(length < 16 || !sealed.windows(16).any(|window| window == &text(length)[..16]));
    }
}

#[test]
fn what_was_done_to_it_is_named() {
    let whole = sealed(&text(3 * CHUNK + 100));
    let record = |number: usize| HEADER + number * RECORD;
    assert_eq!(
        opened(&whole, &Secret::new("correct horse batterx")).unwrap_err().to_string(),
        "the passphrase is not the one that it was sealed with"
    );
    let mut flipped = whole.clone();
    flipped[record(2) + 40] ^= 1;
    assert_eq!(refusal(&flipped), "chunk 2 was altered");
    let mut swapped = whole.clone();
    let (left, right) = swapped.split_at_mut(record(2));
    left[record(1)..].swap_with_slice(&mut right[..RECORD]);
    assert_eq!(refusal(&swapped), "its chunks are not in order: chunk 2 stands where chunk 1 was expected");
    // Whoever writes the numbers anew has gained nothing.
    let (one, two) = (record(1), record(2));
    let numbers = [swapped[one..one + 4].to_vec(), swapped[two..two + 4].to_vec()];
    swapped[one..one + 4].copy_from_slice(&numbers[1]);
    swapped[two..two + 4].copy_from_slice(&numbers[0]);
    assert_eq!(refusal(&swapped), "chunk 1 was altered");

    assert!(refusal(&whole[..record(2)]).starts_with("it is cut off: it ends in chunk 2"));
    assert!(refusal(&whole[..record(1) + 9]).starts_with("it is cut off: it ends in chunk 1"));
    // Cut at a chunk that is then called the last one.
    let mut shortened = whole[..record(2)].to_vec();
    shortened[record(1)] |= 0x80;
    assert_eq!(refusal(&shortened), "chunk 1 was altered");
    let longer = [whole.as_slice(), &[0; 2000]].concat();
    assert!(matches!(opened(&longer, &passphrase()), Err(ContainerError::Longer { chunk: 3 })));
    assert!(refusal(&whole[..HEADER - 1]).starts_with("it is not sealed"));
    assert!(refusal(b"redb\x1a\x0a").starts_with("it is not sealed"));
}

#[test]
fn a_header_that_was_touched_is_refused_before_its_costs_are_paid() {
    let whole = sealed(b"x");
    for at in 8..HEADER {
        let mut touched = whole.clone();
        touched[at] ^= 0xff;
        assert!(refusal(&touched).starts_with("its header is damaged"), "{at}");
    }
    let resummed = |change: fn(&mut [u8])| {
        let mut touched = whole.clone();
        change(&mut touched[..HEADER - 4]);
        let sum = crc32fast::hash(&touched[..HEADER - 4]);
        touched[HEADER - 4..HEADER].copy_from_slice(&sum.to_le_bytes());
        refusal(&touched)
    };
    assert!(resummed(|header| header[12..16].fill(0xff)).contains("asks for more"));
    assert!(resummed(|header| header[9] = 40).contains("asks for more"));
    assert!(resummed(|header| header[8] = 2).contains("a newer holdfast sealed it: form 2"));
    assert!(resummed(|header| header[20] ^= 1).contains("the passphrase is not"), "another salt");
}

#[test]
fn a_passphrase_that_is_easily_guessed_is_refused() {
    for (text, fits) in [("", false), ("eleven char", false), ("twelve chars", true)] {
        assert_eq!(check(&Secret::new(text)).is_ok(), fits, "{text}");
        assert_eq!(Header::new(&Secret::new(text), [0; 16], CHEAP).is_ok(), fits, "{text}");
    }
    assert!(check(&Secret::new("x".repeat(1025))).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_flipped_bit_anywhere_is_found(length in 0usize..5000, place in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = sealed(&text(length));
        let at = place.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(opened(&bytes, &passphrase()).is_err(), "bit {bit} of byte {at}");
    }

    #[test]
    fn any_part_of_it_is_refused(length in 0usize..5000, place in any::<prop::sample::Index>()) {
        let bytes = sealed(&text(length));
        let cut = place.index(bytes.len());
        prop_assert!(opened(&bytes[..cut], &passphrase()).is_err(), "{cut} of {}", bytes.len());
    }

    #[test]
    fn whatever_comes_is_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(opened(&bytes, &passphrase()).is_err());
        let with_header = [&sealed(b"")[..HEADER], &bytes].concat();
        prop_assert!(opened(&with_header, &passphrase()).is_err());
    }
}
