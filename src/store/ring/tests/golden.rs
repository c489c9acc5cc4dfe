//! The bytes of every stored form, version 1. A change here needs a new
//! version and a reader for the old one.

use super::super::block;
use super::super::bytes::Reader;
use super::super::column;
use super::super::column::Effort;
use super::super::segment;
use super::super::segment::{Grid, GridColumn};
use super::super::*;
use super::rig::{START, frame, options};
use crate::model::series::Kind;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn grid() -> Grid {
    let full = |id, values: &[f64]| GridColumn { id, runs: Vec::new(), values: values.to_vec() };
    Grid {
        times: vec![START, START + 1000, START + 2003],
        columns: vec![
            full(0, &[1.5, 1.5, 1.5]),
            full(1, &[100.0, 101.0, 150.0]),
            GridColumn { id: 2, runs: vec![0..1, 2..3], values: vec![f64::NAN, -0.0] },
            full(9, &[0.001, 0.003, 5500.051]),
        ],
    }
}

#[test]
fn a_segment() {
    let mut bytes = Vec::new();
    segment::encode(&grid(), Effort::Quick, &mut bytes);
    assert_eq!(hex(&bytes), SEGMENT);
}

#[test]
fn a_flush_block() {
    let block = block::encode([("host", &[1, 2, 3][..])].into_iter());
    assert_eq!(hex(&block), BLOCK);
}

#[test]
fn an_hour() {
    let samples: Vec<(SeriesId, Sample)> = (1..=90)
        .flat_map(|at| {
            let sample = |value: f64| Sample { at: START + at * 1000, value };
            [(SeriesId(1), sample((at * at % 7) as f64)), (SeriesId(4), sample(0.25))]
        })
        .collect();
    let (made, report) = merge_hour(None, Hour::of(Timestamp(START + 1)), &samples).unwrap();
    assert_eq!((report.accepted, report.duplicate), (180, 0));
    assert_eq!(hex(&made.raw), RAW);
    assert_eq!(hex(&made.minute), MINUTE);
    assert_eq!(hex(&made.hour_row), HOUR_ROW);
}

/// Columns of an hour that pco made. What it writes may change with its version; what
/// it wrote must stay readable.
#[test]
fn columns_of_pco() {
    let decimals: Vec<f64> = (0..300).map(decimal).collect();
    let floats: Vec<f64> = (0..300).map(float).collect();
    for (form, frozen, values) in [(4, PCO_DECIMAL, decimals), (5, PCO_FLOAT, floats)] {
        let mut now = Vec::new();
        column::encode(&values, Effort::Small, &mut now);
        for bytes in [unhex(frozen), now] {
            assert_eq!(bytes[0] & 7, form);
            let (mut numbers, mut back) = (Vec::new(), Vec::new());
            column::decode(&mut Reader::new(&bytes), values.len(), &mut numbers, &mut back).unwrap();
            assert_eq!(back, values);
        }
    }
}

/// Few numbers far apart, in hundredths.
fn decimal(at: u32) -> f64 {
    [0.03, 10_000.0, 700_000.5][(at * at % 7 % 3) as usize]
}

/// Few numbers, none a short decimal.
fn float(at: u32) -> f64 {
    f64::from(at * at % 11 + 1) / 7.0
}

fn unhex(hex: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

#[test]
fn an_index_row() {
    let record = SeriesRecord {
        id: SeriesId(300),
        key: String::from("up{job=\"a\"}"),
        family: String::from("up"),
        kind: Kind::Gauge,
        help: String::from("Up."),
        first: START,
        last: START + 1,
        last_value: 1.0,
    };
    assert_eq!(hex(&record.encode()), INDEX_ROW);
    let back = SeriesRecord::decode(&record.encode()).unwrap();
    assert_eq!(back, record);
}

#[test]
fn a_tail() {
    let mut head = Head::new(options());
    let mut file = tail::header(0x0102_0304_0506_0708, 9);
    head.append("host", Timestamp(START), &frame(&[("a", 1.0), ("b", 2.0)]), Some(&mut file));
    head.append("host", Timestamp(START + 1000), &frame(&[("a", 1.0), ("b", 3.0)]), Some(&mut file));
    assert_eq!(hex(&file), TAIL);
}

const SEGMENT: &str =
    "030180f085e4be68d00f020c020003060101020200010101081e0200c80106402003033301fe3ffd7f001a0202049cb29f0500";
const BLOCK: &str = "010104686f7374030102039d1c7b5f";
const RAW: &str = "011d0000009becdbfd0106696d706f72745a11d0ff85e4be68e807000200020101020100260202000003a1c42094188412835062104a0c4289412831082506a1c42094188412835062104a0c1032";
const MINUTE: &str = "012000000075d8c42001003c11c0998de4be68e0d4030002000201010201020001000201010002141204003c051e00000201010004010200030000040010003c051e00003200000000000000000000";
const HOUR_ROW: &str = "0113000000c5840f9f0100010080aabde7be680002010102010011110000b401000002000006000002000008001000b40100003200000000000000000000";
const INDEX_ROW: &str =
    "01ac020b75707b6a6f623d2261227d027570010355702e80f085e4be6882f085e4be6880808080808080f83f";
const TAIL: &str = "48465441494c0108070605040302010900000000000000e49e4c1b25000000b694526d0104686f73740200016101610108412076616c75652e00016201620108412076616c75652e1e00000028b9f4470204686f737480f085e4be6800000000000000f03f00000000000000004015000000d6323ecb0204686f7374d0ff85e4be68010000000000000840";
const PCO_DECIMAL: &str = "1468300d4eee70636f210300084b0401042b0100003800201900000000000000044402093d00000000000290643b58080000000001879298ae4b74d365896eba2cd14d9725bae9b244375d96e8a6cb12dd7459a29b2e4b74d365896eba2cd17d8f25beaef1ccc7715e819c790300";
const PCO_FLOAT: &str = "05d6010a5f5db370636f210300084b0401062b010022499224499224fc0b3800a00b0000000000000014701500000000000000065a140000000000000001100000000000000000000c001778bd06ad3f552f855e4a8e484d49097605fa3b727592ca52b4a5fc8bd49c94989460bba09f3fa91e55578b8e48cc407d41f34ff28bfc22bfc82ff28bfc22bfc82ff28bfc22bfc82ff28bfc22bfc82ff28bfc22bfc82ff28bfc22bf08c318c63086318c610c6318c318c63086318c610c6318c318c63086318c610ca32744dd36f9ab17c02ff28bfc22bf4818c318c6300200";
