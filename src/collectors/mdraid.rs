//! Software RAID from `/proc/mdstat`.
//!
//! An array is its line (`md0 : active raid1 sdb1[1] sda1[0](F)`), then indented
//! lines: the size with `[2/1] [_U]`, perhaps a bitmap, perhaps a progress line.
//! raid0 and linear have no counts: all their disks are active. A resync that
//! waits (`PENDING`, `DELAYED`) has synced nothing.

use super::source::{Source, fields, malformed, number};
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;

#[derive(Debug, Default, PartialEq, Clone)]
struct Array {
    name: String,
    state: &'static str,
    disks_required: f64,
    disks_active: f64,
    disks_failed: f64,
    disks_spare: f64,
    blocks: f64,
    blocks_synced: f64,
}

/// The states that are shown, each as a series with 0 or 1.
const STATES: [&str; 5] = ["active", "check", "inactive", "recovering", "resync"];

/// See the module.
pub struct MdraidCollector {
    mdstat: Source,
}

impl MdraidCollector {
    pub fn new(roots: &Roots) -> Self {
        Self { mdstat: Source::new(roots.procfs.join("mdstat")) }
    }
}

fn parse(text: &str) -> (Vec<Array>, usize) {
    let mut arrays = Vec::new();
    let mut broken = 0;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let general = line.starts_with("Personalities") || line.starts_with("unused");
        if line.trim().is_empty() || line.starts_with([' ', '\t']) || general {
            continue;
        }
        let mut indented = Vec::new();
        while let Some(next) = lines.next_if(|next| next.starts_with([' ', '\t'])) {
            indented.push(next);
        }
        match parse_array(line, &indented) {
            Some(array) => arrays.push(array),
            None => broken += 1,
        }
    }
    (arrays, broken)
}

fn parse_array(line: &str, indented: &[&str]) -> Option<Array> {
    let mut words = fields(line);
    let name = words.next()?.to_owned();
    let word = words.nth(1)?;
    let state = STATES.into_iter().find(|state| *state == word).unwrap_or("");
    let size = indented.first()?;
    let blocks = number(fields(size).next()?)?;
    let mut array = Array {
        name,
        state,
        disks_failed: line.matches("(F)").count() as f64,
        disks_spare: line.matches("(S)").count() as f64,
        blocks,
        blocks_synced: blocks,
        ..Array::default()
    };
    let has_counts = !fields(line).any(|word| matches!(word, "raid0" | "linear"));
    if !has_counts {
        array.disks_required = line.matches('[').count() as f64;
        array.disks_active = array.disks_required;
    } else if state != "inactive" {
        (array.disks_required, array.disks_active) = counts(size)?;
    }
    if let Some(progress) = indented[1..].iter().find(|line| !line.contains("bitmap")) {
        follow(&mut array, progress);
    }
    Some(array)
}

/// The `[2/1]` of the size line: disks required and active.
fn counts(size: &str) -> Option<(f64, f64)> {
    fields(size).find_map(|word| {
        let (required, active) = word.strip_prefix('[')?.strip_suffix(']')?.split_once('/')?;
        Some((number(required)?, number(active)?))
    })
}

fn follow(array: &mut Array, progress: &str) {
    array.state = if progress.contains("recovery") {
        "recovering"
    } else if progress.contains("check") {
        "check"
    } else if progress.contains("resync") {
        "resync"
    } else {
        return;
    };
    let waits = progress.contains("PENDING") || progress.contains("DELAYED");
    let synced = fields(progress).find_map(|word| {
        let (synced, _) = word.strip_prefix('(')?.strip_suffix(')')?.split_once('/')?;
        number(synced)
    });
    match synced {
        _ if waits => array.blocks_synced = 0.0,
        Some(synced) => array.blocks_synced = synced,
        None => {}
    }
}

impl Collector for MdraidCollector {
    fn name(&self) -> &'static str {
        "mdraid"
    }

    fn collect(&mut self, _tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        let (arrays, broken) = parse(&self.mdstat.text()?);
        if arrays.is_empty() && broken > 0 {
            return Err(malformed(self.mdstat.path(), "arrays such as `md0 : active raid1 sda1[0]`"));
        }
        let mut single = |name: &str, help: &'static str, value: fn(&Array) -> f64| {
            frame.gauge(name, help);
            for array in &arrays {
                frame.push(&[("device", &array.name)], value(array));
            }
        };
        single("node_md_blocks", "Total number of blocks on device.", |array| array.blocks);
        single("node_md_blocks_synced", "Number of blocks synced on device.", |array| array.blocks_synced);
        single("node_md_disks_required", "Total number of disks of device.", |array| array.disks_required);
        frame.gauge("node_md_disks", "Number of active/failed/spare disks of device.");
        for array in &arrays {
            let states = [
                ("active", array.disks_active),
                ("failed", array.disks_failed),
                ("spare", array.disks_spare),
            ];
            for (state, count) in states {
                frame.push(&[("device", &array.name), ("state", state)], count);
            }
        }
        frame.gauge("node_md_state", "Indicates the state of md-device.");
        for array in &arrays {
            for state in STATES {
                let here = f64::from(u8::from(array.state == state));
                frame.push(&[("device", &array.name), ("state", state)], here);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MDSTAT: &str = "\
Personalities : [raid1] [raid6] [raid5] [raid4] [raid0]
md0 : active raid1 sdb1[1] sda1[0]
      1953382400 blocks super 1.2 [2/2] [UU]
      bitmap: 2/15 pages [8KB], 65536KB chunk

md1 : active raid6 sdf1[5](S) sde1[4] sdd1[3](F) sdc1[2] sdb2[1] sda2[0]
      7813529600 blocks super 1.2 level 6, 512k chunk, algorithm 2 [4/3] [UUU_]
      [=>...................]  recovery =  8.5% (332170240/3906764800) finish=172.3min speed=345678K/sec
      bitmap: 0/30 pages [0KB], 65536KB chunk

md2 : active (auto-read-only) raid1 sdg1[0] sdh1[1]
      1047552 blocks super 1.2 [2/2] [UU]
        resync=PENDING

md3 : active raid0 sdi1[0] sdj1[1]
      4096000 blocks super 1.2 512k chunks

md4 : inactive sdk1[0](S)
      1024 blocks super external:imsm

md5 : active raid5 sdl1[0] sdm1[1] sdn1[3]
      2048 blocks level 5, 64k chunk, algorithm 2 [3/3] [UUU]
      [==>..................]  check = 12.0% (246/2048) finish=1.0min speed=1K/sec

unused devices: <none>
";

    #[test]
    fn every_shape_of_array() {
        let (arrays, broken) = parse(MDSTAT);
        assert_eq!((arrays.len(), broken), (6, 0));
        let of = |name: &str| arrays.iter().find(|array| array.name == name).unwrap();
        assert_eq!((of("md0").state, of("md0").blocks_synced), ("active", 1_953_382_400.0));
        let degraded = of("md1");
        assert_eq!((degraded.disks_required, degraded.disks_active), (4.0, 3.0));
        assert_eq!((degraded.disks_failed, degraded.disks_spare), (1.0, 1.0));
        assert_eq!((degraded.state, degraded.blocks_synced), ("recovering", 332_170_240.0));
        assert_eq!((of("md2").state, of("md2").blocks_synced), ("resync", 0.0));
        assert_eq!((of("md3").disks_required, of("md3").disks_active), (2.0, 2.0));
        assert_eq!((of("md4").state, of("md4").disks_required), ("inactive", 0.0));
        assert_eq!((of("md5").state, of("md5").blocks_synced), ("check", 246.0));
    }

    #[test]
    fn a_broken_array_costs_only_itself() {
        let (arrays, broken) =
            parse("md0 : active raid1 a[0]\nmd1 : active raid1 b[0]\n  5 blocks [1/1] [U]\n");
        assert_eq!((arrays.len(), broken), (1, 1));
    }
}
