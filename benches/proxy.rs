//! The proxy alone, toward one server: what `benches/proxy.py` measures.
//!
//! `cargo bench --bench proxy --no-run`, then `benches/proxy.py PROGRAM`, which calls
//! it with a listening and a target address.

use std::sync::Arc;
use std::time::Duration;

use holdfast::base::id::Name;
use holdfast::base::time::SystemClock;
use holdfast::model::failover::route::{Address, Route};
use holdfast::runtime::proxy::{Endpoint, Options, Proxy};
use holdfast::runtime::supervisor::Supervisor;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut addresses = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let (Some(listen), Some(target)) = (addresses.next(), addresses.next()) else {
        eprintln!("proxy: give a listening and a target address; benches/proxy.py does");
        return Ok(());
    };
    let (host, port) = target.rsplit_once(':').ok_or("the target has no port")?;
    let member = Name::new("pg1")?;
    let to = vec![Address { member: member.clone(), host: host.to_owned(), port: port.parse()? }];
    let (_route, follow) = watch::channel(Route { epoch: 1, to, keep: vec![member], reason: String::new() });
    let options = Options {
        group: Name::new("bench")?,
        endpoint: Endpoint::Write,
        listen,
        hold_max: Duration::from_secs(5),
        max_connections: 1000,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let supervisor = Supervisor::new(Arc::new(SystemClock::new()));
        let (proxy, stop) = (Proxy::bind(options)?, CancellationToken::new());
        tokio::select! {
            ended = proxy.run(follow, &supervisor, &stop) => ended.map_err(|error| error.to_string())?,
            _ = tokio::signal::ctrl_c() => {}
        }
        Ok(())
    })
}
