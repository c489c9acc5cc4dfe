//! Hosts of their own for servers: a network namespace each, joined by a bridge, so that
//! a host can be cut off as if somebody pulled its cable. Its packets vanish; nothing
//! refuses, nothing is reset, and its processes go on.
//!
//! It takes root and the programs of iproute2. Wrong would be to skip a test without a
//! word where they are missing: whoever calls [`Lan::new`] gets the reason and says it.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// The network, gone when dropped.
pub struct Lan {
    name: String,
    net: u32,
    hosts: Vec<String>,
}

impl Lan {
    /// A bridge and `hosts` namespaces behind it.
    ///
    /// # Errors
    /// Why this machine lets us have none.
    pub fn new(hosts: u32) -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let pid = std::process::id();
        // 15 characters at most; the test binary of another user has another pid.
        let name = format!("hf{pid}{}", char::from(b'a' + (number % 26) as u8));
        let mut lan = Self { name, net: (pid + number * 53) % 250 + 1, hosts: Vec::new() };
        lan.build(hosts)?;
        Ok(lan)
    }

    fn build(&mut self, hosts: u32) -> Result<(), String> {
        let bridge = self.name.clone();
        ip(&["link", "add", &bridge, "type", "bridge"])?;
        ip(&["address", "add", &format!("{}/24", self.address(0)), "dev", &bridge])?;
        ip(&["link", "set", &bridge, "up"])?;
        for number in 1..=hosts {
            let (space, outside) = (format!("{bridge}-{number}"), format!("{bridge}{number}"));
            ip(&["netns", "add", &space])?;
            self.hosts.push(space.clone());
            ip(&["link", "add", &outside, "type", "veth", "peer", "name", "eth0", "netns", &space])?;
            ip(&["link", "set", &outside, "master", &bridge, "up"])?;
            let address = format!("{}/24", self.address(number));
            ip(&["-n", &space, "address", "add", &address, "dev", "eth0"])?;
            ip(&["-n", &space, "link", "set", "lo", "up"])?;
            ip(&["-n", &space, "link", "set", "eth0", "up"])?;
        }
        Ok(())
    }

    /// The address of a host, from 1; 0 is this side.
    pub fn address(&self, host: u32) -> String {
        format!("10.213.{}.{}", self.net, host + 1)
    }

    /// The namespace of a host, from 1.
    pub fn space(&self, host: u32) -> String {
        self.hosts[host as usize - 1].clone()
    }

    /// Pulls the cable of a host: what is sent to it and by it is lost without a trace.
    pub fn cut(&self, host: u32) {
        ip(&["link", "set", &format!("{}{host}", self.name), "down"]).expect("cut a host off");
    }

    /// Puts it back.
    pub fn heal(&self, host: u32) {
        ip(&["link", "set", &format!("{}{host}", self.name), "up"]).expect("put the cable back");
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        // The pairs of interfaces end with their namespace; nothing here may panic.
        for space in &self.hosts {
            let _ = ip(&["netns", "delete", space]);
        }
        let _ = ip(&["link", "delete", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let told = Command::new("ip").args(arguments).output();
    let told = told.map_err(|error| format!("the program `ip` cannot be run: {error}"))?;
    let said = String::from_utf8_lossy(&told.stderr).trim().to_owned();
    if told.status.success() { Ok(()) } else { Err(format!("ip {}: {said}", arguments.join(" "))) }
}
