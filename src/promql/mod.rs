//! PromQL. So far only its series selectors: `node_load1{instance=~"a.*"}`.

pub mod selector;
