//! Late samples into an hour that is written already, and rows of many hours
//! into one blob.

use std::collections::BTreeMap;
use std::collections::HashMap;

use super::blob;
use super::blob::{Group, GroupWriter};
use super::bytes::Corrupt;
use super::column;
use super::column::Effort;
use super::head::Inserted;
use super::hour;
use super::hour::{HourBlobs, HourWriter};
use super::presence;
use super::presence::Runs;
use super::segment;
use super::segment::MAX_TIMES;
use super::tier;
use super::tier::Row;
use super::{Hour, Sample, SeriesId};

/// Name of the groups that imports make.
const IMPORT: &str = "import";

/// Adds samples of `hour` to its raw blob (`None`: there is none yet) and
/// makes all three blobs again. Series without new samples keep their bytes.
/// Samples outside the hour are ignored.
///
/// # Errors
/// [`Corrupt`] when `existing` is not a raw hour.
pub fn merge_hour(
    existing: Option<&[u8]>,
    hour: Hour,
    samples: &[(SeriesId, Sample)],
) -> Result<(HourBlobs, Inserted), Corrupt> {
    let groups = existing.map(blob::directory).transpose()?.unwrap_or_default();
    let raw = existing.unwrap_or(&[]);
    let mut added: BTreeMap<u32, Vec<Sample>> = BTreeMap::new();
    for (id, sample) in samples {
        if sample.at > hour.start().millis() && sample.at <= hour.end().millis() {
            added.entry(id.0).or_default().push(*sample);
        }
    }
    let mut writer = HourWriter::new(hour);
    writer.groups =
        groups.iter().map(|group| GroupWriter::new(&group.name, group.head.times.clone())).collect();
    let mut ids: Vec<u32> = groups.iter().flat_map(|group| group.head.columns().map(|(id, _)| id)).collect();
    ids.extend(added.keys());
    ids.sort_unstable();
    ids.dedup();
    let mut report = Inserted::default();
    let mut by_times: HashMap<Vec<i64>, usize> = HashMap::new();
    for id in ids {
        let new = added.remove(&id);
        let mut held = held(&groups, raw, id, new.is_none().then_some(&mut writer))?;
        if let Some(mut new) = new {
            let before = held.len();
            let offered = new.len();
            // Stable, and what was there stands first: it wins over its double.
            held.append(&mut new);
            held.sort_by_key(|sample| sample.at);
            held.dedup_by_key(|sample| sample.at);
            held.truncate(MAX_TIMES);
            let accepted = held.len().saturating_sub(before);
            report.accepted += accepted as u64;
            report.duplicate += (offered - accepted) as u64;
            put(&mut writer, &mut by_times, id, &held);
        }
        writer.add_rows(id, &mut held);
    }
    Ok((writer.finish(Vec::new()), report))
}

/// The samples of a series in the old blob; `copy` receives its chunks as they are.
fn held(
    groups: &[Group],
    raw: &[u8],
    id: u32,
    mut copy: Option<&mut HourWriter>,
) -> Result<Vec<Sample>, Corrupt> {
    let (mut samples, mut scratch, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (number, group) in groups.iter().enumerate() {
        let Some((runs, place)) = group.find(id) else { continue };
        let chunk = raw.get(place).ok_or(Corrupt("a chunk is cut off"))?;
        hour::read_raw(group, runs, chunk, &mut scratch, &mut values)?;
        segment::each(&group.head.times, runs, &values, |at, value| samples.push(Sample { at, value }));
        if let Some(target) = copy.as_mut().and_then(|writer| writer.groups.get_mut(number)) {
            target.add(id, runs.to_vec(), |out| out.extend_from_slice(chunk));
        }
    }
    samples.sort_by_key(|sample| sample.at);
    samples.dedup_by_key(|sample| sample.at);
    Ok(samples)
}

/// Puts a series into the group that has exactly its times.
fn put(writer: &mut HourWriter, by_times: &mut HashMap<Vec<i64>, usize>, id: u32, samples: &[Sample]) {
    let times: Vec<i64> = samples.iter().map(|sample| sample.at).collect();
    let values: Vec<f64> = samples.iter().map(|sample| sample.value).collect();
    if values.is_empty() {
        return;
    }
    let number = *by_times.entry(times).or_insert_with_key(|times| {
        writer.groups.push(GroupWriter::new(IMPORT, times.clone()));
        writer.groups.len() - 1
    });
    if let Some(group) = writer.groups.get_mut(number) {
        group.add(id, Runs::new(), |out| column::encode(&values, Effort::Small, out));
    }
}

/// Joins blobs of tier rows (`hour_row` of the hours of a day, or joined ones)
/// into one. Later parts win where labels meet.
///
/// # Errors
/// [`Corrupt`] when a part is not a blob of rows.
pub fn merge_rows(parts: &[&[u8]]) -> Result<Vec<u8>, Corrupt> {
    let mut series: BTreeMap<u32, BTreeMap<i64, Row>> = BTreeMap::new();
    for part in parts {
        for group in blob::directory(part)? {
            for (index, (id, runs)) in group.head.columns().enumerate() {
                let chunk = part.get(group.chunk(index)).ok_or(Corrupt("a chunk is cut off"))?;
                let rows = hour::read_rows(&group, runs, chunk)?;
                series.entry(id).or_default().extend(rows.into_iter().map(|row| (row.end, row)));
            }
        }
    }
    let mut labels: Vec<i64> = series.values().flat_map(|rows| rows.keys().copied()).collect();
    labels.sort_unstable();
    labels.dedup();
    if labels.len() > MAX_TIMES {
        return Err(Corrupt("a blob of rows has too many times"));
    }
    let mut group = GroupWriter::new("", labels);
    for (id, rows) in series {
        let rows: Vec<Row> = rows.into_values().collect();
        let mut runs = Runs::new();
        for row in &rows {
            if let Ok(position) = group.times.binary_search(&row.end) {
                presence::push(&mut runs, position as u32);
            }
        }
        if rows.len() == group.times.len() {
            runs.clear();
        }
        group.add(id, runs, |out| tier::encode(&rows, out));
    }
    Ok(blob::encode(&[group]))
}
