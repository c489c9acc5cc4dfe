//! The ports and the certificate, before anything is served.

use super::AppError;
use crate::base::time::Timestamp;
use crate::config::Config;
use crate::http::Listener;
use crate::runtime::server_tls::ServerTls;

/// The certificate of the listeners, made first if it is our own.
pub fn open_tls(config: &Config, now: Timestamp) -> Result<Option<ServerTls>, AppError> {
    let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Ok(ServerTls::open(config, &hostname, now)?)
}

/// TCP listeners that are bound and not served yet, with what was configured.
pub struct Bound {
    pub listen: Vec<(String, Listener)>,
    pub metrics: Option<(String, Listener)>,
}

/// Takes the ports. Leaves nothing behind when one of them is taken.
pub async fn bind(config: &Config) -> Result<Bound, AppError> {
    let tcp = async |address: &String| match Listener::tcp(address).await {
        Ok(listener) => Ok((address.clone(), listener)),
        Err(reason) => Err(AppError::Listen { address: address.clone(), reason }),
    };
    let mut listen = Vec::new();
    for address in config.listen.iter().filter(|address| !address.starts_with("unix:")) {
        listen.push(tcp(address).await?);
    }
    let metrics = match &config.metrics.listen {
        Some(address) => Some(tcp(address).await?),
        None => None,
    };
    Ok(Bound { listen, metrics })
}
