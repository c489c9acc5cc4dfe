//! Starts the keeper of the memory budget with all that can be given back.

use std::sync::Arc;

use super::Agent;
use crate::engine::memory_keeper::{MemoryKeeper, Samples, Shrinks};
use crate::http::Front;
use crate::runtime::memory::MemoryFiles;
use crate::runtime::supervisor::{Phase, Policy};

impl Agent {
    pub(super) fn spare_memory(&self, front: &Front) {
        let Some(store) = self.store.get().cloned() else { return };
        let mut caches = front.caches();
        caches.push(Arc::new(Samples(store.clone())) as Arc<dyn Shrinks>);
        let keeper = MemoryKeeper {
            clock: self.clock.clone(),
            config: self.settings.subscribe(),
            store,
            bus: self.bus.clone(),
            files: MemoryFiles::default(),
            caches: caches.into(),
            view: self.memory.clone(),
        };
        self.supervisor.spawn("memory", Policy::Restart, Phase::Engine, move |stop| keeper.clone().run(stop));
    }
}
