//! A disk in memory that fails on demand and remembers what a power cut leaves.
//!
//! `live` is what the process reads back, `durable` what was synced, `unsynced`
//! the writes in between, in order. A crash image is `durable` with any part of
//! `unsynced`, each write whole or torn at a sector.

use std::io::{Error, Result};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

use crate::store::file::Backing;

const SECTOR: usize = 512;

#[derive(Clone, Debug)]
enum Unsynced {
    Length(usize),
    Write(usize, Vec<u8>),
}

type BeforeSync = Arc<dyn Fn(&MemoryDisk) + Send + Sync>;

#[derive(Default)]
struct State {
    live: Option<Vec<u8>>,
    durable: Vec<u8>,
    unsynced: Vec<Unsynced>,
    /// Calls until one fails; `None`: none does.
    countdown: Option<u64>,
    /// The failure stays.
    broken: bool,
    sticky: bool,
    kind: Option<std::io::ErrorKind>,
    before_sync: Option<BeforeSync>,
}

#[derive(Clone, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for MemoryDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryDisk")
    }
}

impl MemoryDisk {
    pub fn holding(bytes: Vec<u8>) -> Self {
        let this = Self::default();
        this.lock().durable.clone_from(&bytes);
        this.lock().live = Some(bytes);
        this
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The call after `calls` more fails, once or from then on.
    pub fn fail_after(&self, calls: u64, sticky: bool, kind: std::io::ErrorKind) {
        let mut state = self.lock();
        state.countdown = Some(calls);
        state.sticky = sticky;
        state.kind = Some(kind);
    }

    /// Repairs the disk. Returns whether a failure had been met.
    pub fn heal(&self) -> bool {
        let mut state = self.lock();
        state.broken = false;
        state.countdown.take().is_none()
    }

    pub fn before_sync(&self, call: impl Fn(&MemoryDisk) + Send + Sync + 'static) {
        self.lock().before_sync = Some(Arc::new(call));
    }

    /// What a power cut now would leave; `seed` decides which unsynced writes
    /// arrived. Seed 0: none did.
    pub fn crash_image(&self, seed: u64) -> Vec<u8> {
        let state = self.lock();
        let mut image = state.durable.clone();
        let mut random = seed;
        for operation in &state.unsynced {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let dice = (random >> 33) % 4;
            if seed == 0 || dice == 0 {
                continue;
            }
            match operation {
                Unsynced::Length(length) => image.resize(*length, 0),
                Unsynced::Write(offset, data) => {
                    let sectors = data.len().div_ceil(SECTOR);
                    let arrived =
                        if dice == 1 { (random >> 40) as usize % (sectors + 1) * SECTOR } else { data.len() };
                    let arrived = arrived.min(data.len()).min(image.len().saturating_sub(*offset));
                    image[*offset..offset + arrived].copy_from_slice(&data[..arrived]);
                }
            }
        }
        image
    }

    fn call(&self) -> Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        let failed = match &mut state.countdown {
            Some(0) => {
                state.countdown = None;
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        };
        state.broken |= failed && state.sticky;
        if failed || state.broken {
            let kind = state.kind.unwrap_or(std::io::ErrorKind::Other);
            return Err(Error::new(kind, "injected"));
        }
        Ok(state)
    }
}

impl StorageBackend for MemoryDisk {
    fn len(&self) -> Result<u64> {
        Ok(self.call()?.live.as_ref().map_or(0, Vec::len) as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let state = self.call()?;
        let start = offset as usize;
        let bytes = state.live.as_ref().and_then(|live| live.get(start..start + out.len()));
        out.copy_from_slice(bytes.ok_or(std::io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut state = self.call()?;
        state.live.get_or_insert_default().resize(len as usize, 0);
        state.unsynced.push(Unsynced::Length(len as usize));
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        let call = self.lock().before_sync.clone();
        if let Some(call) = call {
            call(self);
        }
        let mut state = self.call()?;
        state.durable = state.live.clone().unwrap_or_default();
        state.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut state = self.call()?;
        let start = offset as usize;
        let live = state.live.get_or_insert_default();
        if live.len() < start + data.len() {
            live.resize(start + data.len(), 0);
        }
        live[start..start + data.len()].copy_from_slice(data);
        state.unsynced.push(Unsynced::Write(start, data.to_vec()));
        Ok(())
    }
}

impl Backing for MemoryDisk {
    fn length(&self, _: &Path) -> Result<Option<u64>> {
        Ok(self.lock().live.as_ref().map(|live| live.len() as u64))
    }

    fn open(&self, _: &Path, _: bool) -> Result<Box<dyn StorageBackend>> {
        self.lock().live.get_or_insert_default();
        Ok(Box::new(self.clone()))
    }

    fn set_aside(&self, _: &Path, _: &Path) -> Result<()> {
        let mut state = self.lock();
        state.live = None;
        state.durable.clear();
        state.unsynced.clear();
        Ok(())
    }

    fn available(&self, _: &Path) -> Option<u64> {
        None
    }
}
