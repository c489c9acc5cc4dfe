//! Whatever bytes stand there: an error or samples, never a panic.

use proptest::prelude::*;

use super::super::blob;
use super::super::block;
use super::super::bytes::Reader;
use super::super::column;
use super::super::column::Effort;
use super::super::ints;
use super::super::segment;
use super::super::tier;
use super::super::*;
use super::codecs::grid;
use super::rig::{Rig, START, options};

/// Gives `bytes` to every reader there is.
fn read_all(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    let count = reader.count(4096, "").unwrap_or(17).max(1);
    let (mut numbers, mut values) = (Vec::new(), Vec::new());
    let _ = ints::decode(&mut reader.clone(), count, &mut numbers);
    let _ = column::decode(&mut reader.clone(), count, &mut numbers, &mut values);
    let _ = column::skip(&mut reader.clone(), count);
    let labels: Vec<i64> = (0..count as i64).collect();
    let _ = tier::decode(reader.rest(), &labels);
    let _ = segment::decode(bytes);
    let _ = segment::GroupHead::decode(&mut Reader::new(bytes));
    let _ = block::decode(bytes);
    let _ = blob::directory(bytes);
    let _ = SeriesRecord::decode(bytes);
    let _ = merge_rows(&[bytes]);
    let _ = merge_hour(Some(bytes), Hour(0), &[(SeriesId(1), Sample { at: 5, value: 1.0 })]);
    let mut head = Head::new(options());
    let _ = head.restore_hour(bytes);
    let _ = head.restore_block(bytes);
    let _ = head.replay_tail(bytes, 7);
}

/// Puts right checksums over changed contents, so that the readers behind
/// them are reached.
fn repair(bytes: &mut [u8]) {
    if let Some(end) = bytes.len().checked_sub(4) {
        let sum = crc32fast::hash(&bytes[..end]);
        bytes[end..].copy_from_slice(&sum.to_le_bytes());
    }
}

fn repair_directory(bytes: &mut [u8]) {
    let length = blob::front_length(bytes).unwrap_or(0);
    if let Some(sum) = bytes.get(9..length).map(crc32fast::hash) {
        bytes[5..9].copy_from_slice(&sum.to_le_bytes());
    }
}

fn hour_of_samples() -> HourBlobs {
    let mut rig = Rig::new();
    for tick in 1..900 {
        let wave = (f64::from(tick) / 10.0).sin();
        let at = START + i64::from(tick) * 4000;
        let values = [("a", f64::from(tick)), ("b", wave), ("c", 1.0)];
        rig.tick("host", at, if tick % 7 == 0 { &values[..2] } else { &values });
    }
    rig.compact(START + 2 * HOUR_MS);
    let raw = rig.shelf.0.into_values().map(|(_, bytes)| bytes).collect::<Vec<_>>();
    HourBlobs {
        hour: Hour::of(Timestamp(START + 1)),
        raw: raw[0].clone(),
        minute: raw[1].clone(),
        hour_row: raw[2].clone(),
        series: Vec::new(),
        samples: 1,
    }
}

proptest! {
    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
        // Past the version bytes.
        read_all(&[&[1][..], &bytes].concat());
    }

    #[test]
    fn changed_segments_and_blocks(
        grid in grid(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = Vec::new();
        segment::encode(&grid, Effort::Quick, &mut bytes);
        for (at, value) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        read_all(&bytes);
        let whole = block::encode([("host", bytes.as_slice())].into_iter());
        let _ = Head::new(options()).restore_block(&whole);
        read_all(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn changed_hours(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        which in 0..3usize,
        near_front in any::<bool>(),
    ) {
        thread_local!(static MADE: HourBlobs = hour_of_samples());
        let mut bytes = MADE.with(|made| [&made.raw, &made.minute, &made.hour_row][which].clone());
        let reach = if near_front { bytes.len().min(120) } else { bytes.len() };
        for (at, value) in &changes {
            bytes[at.index(reach)] = *value;
        }
        repair_directory(&mut bytes);
        read_all(&bytes);
        repair(&mut bytes);
        read_all(&bytes);
    }
}

#[test]
fn a_flipped_bit_in_a_block_or_a_directory_is_noticed() {
    let mut rig = Rig::new();
    for tick in 1..100 {
        rig.tick("host", START + tick * 1000, &[("a", tick as f64), ("b", 0.5)]);
    }
    rig.flush();
    let block = &rig.blocks[0].bytes;
    for at in 0..block.len() {
        let mut bad = block.clone();
        bad[at] ^= 0x10;
        assert!(block::decode(&bad).is_err(), "byte {at}");
    }
    let raw = hour_of_samples().raw;
    for at in 0..blob::front_length(&raw).unwrap() {
        let mut bad = raw.clone();
        bad[at] ^= 0x10;
        assert!(blob::directory(&bad).is_err(), "byte {at}");
    }
}

#[test]
fn a_tail_ends_at_the_first_torn_record() {
    let mut head = Head::new(options());
    let mut file = tail::header(7, 3);
    let mut ends = Vec::new();
    for tick in 1..=20 {
        let frame = super::rig::frame(&[("a", tick as f64), ("b", 1.0)]);
        head.append("host", Timestamp(START + tick * 1000), &frame, Some(&mut file));
        ends.push(file.len());
    }
    assert_eq!((tail::generation(&file, 7), tail::generation(&file, 8)), (Some(3), None));
    for cut in 0..file.len() {
        let whole = ends.iter().filter(|end| **end <= cut).count() as u64;
        let mut recovered = Head::new(options());
        assert_eq!(recovered.replay_tail(&file[..cut], 7), whole * 2, "cut at {cut}");
    }
}
