//! `holdfast setup`: a first configuration and the data directory.
//!
//! It only adds: a configuration that is there stays as it is, and running it twice
//! changes nothing.

mod lan;

use std::io::{BufRead as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::Global;
use super::exit::{CONFIGURATION, Done, Failure, OK, USAGE};
use super::output::{note, print, print_json};
use super::surroundings::Surroundings;
use crate::config::load::{Loaded, load, load_text};
use crate::config::overlay::Overlay;
use crate::config::problem::Problems;
use crate::config::storage::Profile;

#[derive(Args, Debug)]
pub struct SetupArguments {
    /// Ask nothing and take what is suggested
    #[arg(long, short)]
    pub yes: bool,
    /// Listen on the address of the local network too, with TLS and a first user: for a host without a screen
    #[arg(long)]
    pub lan: bool,
    /// The address to listen on [default: the one that leads to other networks]
    #[arg(long, value_name = "IP", requires = "lan")]
    pub address: Option<IpAddr>,
    /// Name of the first user
    #[arg(long, value_name = "NAME", default_value = "admin", requires = "lan")]
    pub user: String,
    /// Read the first user's password from standard input instead of making one
    #[arg(long, requires = "lan")]
    pub password_stdin: bool,
}

/// # Errors
/// A file or directory cannot be written, or the configuration that is there is
/// wrong.
pub fn setup(arguments: &SetupArguments, global: &Global, surroundings: &Surroundings) -> Done {
    let path = surroundings.config_file(global).unwrap_or_else(|| surroundings.own_config_file());
    let created = !path.exists();
    let mut sources = surroundings.sources(global, Vec::new());
    sources.file = Some(path.clone());
    let wrong = |problems: Problems| Failure::new(CONFIGURATION, problems);
    if arguments.lan && !created {
        let message = format!(
            "{} is there and stays as it is: add the address to `listen` and `self_signed = true` to [tls] there, \
             start the agent, then `holdfast user set-password {}`",
            path.display(),
            arguments.user
        );
        return Err(Failure::new(USAGE, message));
    }
    let first = arguments.lan.then(|| lan::First::of(arguments, surroundings)).transpose()?;
    let loaded = if created {
        let data_dir = surroundings.data_dir(global);
        let disk = Disk::below(&data_dir, Path::new("/sys"));
        let profile = choose(&disk, arguments, surroundings)?;
        let text = document(&data_dir, profile, first.as_ref().map(|first| first.address));
        // Checked first: what is refused leaves nothing behind.
        let name = path.display().to_string();
        let loaded = load_text(sources, &name, &text, Overlay::default()).map_err(wrong)?;
        write_new(&path, &text)?;
        loaded
    } else {
        note(&format!("{} is there and stays as it is", path.display()));
        load(sources, Overlay::default()).map_err(wrong)?
    };
    let data_dir = loaded.config.data_dir.clone();
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&data_dir).map_err(|error| {
        Failure::io(format!("cannot create the data directory {}", data_dir.display()), &error)
    })?;
    let made = first.as_ref().map(|first| first.prepare(&loaded)).transpose()?;
    let page = page_address(&loaded);
    let token = data_dir.join("admin.token");
    if global.json {
        let mut said = json!({
            "config": path, "created": created, "data_dir": data_dir, "page": page, "token_file": token,
        });
        if let Some(made) = &made {
            said["lan"] = made.json();
        }
        print_json(&said)?;
        return Ok(OK);
    }
    let said = if created { "written" } else { "kept" };
    let page = page.unwrap_or_else(|| String::from("only through the unix socket"));
    let lan = made.map(|made| made.text()).unwrap_or_default();
    print(&format!(
        "configuration   {} ({said})\ndata directory  {}\npage            {page}\nadmin token     {} (after the first start)\n{lan}\nstart it with   holdfast run --config {}\n",
        path.display(),
        data_dir.display(),
        token.display(),
        path.display(),
    ))?;
    Ok(OK)
}

/// The page of the last address that is no socket.
fn page_address(loaded: &Loaded) -> Option<String> {
    let scheme = if loaded.config.tls.is_on() { "https" } else { "http" };
    let address = loaded.config.listen.iter().rfind(|address| !address.starts_with("unix:"))?;
    Some(format!("{scheme}://{address}/ui/"))
}

fn document(data_dir: &Path, profile: Profile, lan: Option<IpAddr>) -> String {
    let (lan, tls) = match lan {
        Some(ip) => (
            format!(", \"{}\"", SocketAddr::new(ip, 3003)),
            "[tls]\n# A certificate of its own, in the data directory.\nself_signed = true\n\n",
        ),
        None => (String::new(), ""),
    };
    let profile = if profile == Profile::Flash { "flash" } else { "default" };
    let data_dir = toml::Value::from(data_dir.display().to_string());
    format!(
        "# Every option with its default: holdfast config example\n\
         listen = [\"127.0.0.1:3003\"{lan}]\n\
         data_dir = {data_dir}\n\
         \n\
         {tls}\
         [storage]\n\
         # \"default\" writes every 30 s, \"flash\" every 120 s for flash that wears and disks that sleep.\n\
         profile = \"{profile}\"\n\
         cap = \"512MiB\"\n"
    )
}

/// Writes a file that is not there yet, readable by its owner and group.
fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::io(format!("cannot write {}", path.display()), &error);
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o640).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}

/// The profile: what the disk suggests, unless a person says otherwise.
fn choose(disk: &Disk, arguments: &SetupArguments, surroundings: &Surroundings) -> Result<Profile, Failure> {
    let (suggested, why) = disk.suggestion();
    if arguments.yes || suggested == Profile::Default {
        note(&why);
        return Ok(suggested);
    }
    if !surroundings.input_terminal {
        return Err(Failure::new(USAGE, "nobody can answer here: use --yes to take what is suggested"));
    }
    let mut error = std::io::stderr().lock();
    let _ =
        write!(error, "{why}\nUse the flash profile, which writes every 120 s instead of every 30 s? [Y/n] ");
    let _ = error.flush();
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Failure::io("cannot read the answer", &error))?;
    let no = answer.trim().to_lowercase().starts_with('n');
    Ok(if no { Profile::Default } else { suggested })
}

/// What the data directory will lie on.
#[derive(Debug, PartialEq, Eq)]
struct Disk {
    /// `sda`, `mmcblk0`; `None` where the kernel names no disk, e.g. tmpfs.
    name: Option<String>,
    rotational: bool,
    /// A memory card or a stick.
    card: bool,
}

impl Disk {
    /// The disk of `directory` or of the nearest directory above it that exists.
    fn below(directory: &Path, sysfs: &Path) -> Self {
        let existing = directory.ancestors().find_map(|above| std::fs::metadata(above).ok());
        existing.map_or_else(Self::unknown, |metadata| Self::numbered(metadata.dev(), sysfs))
    }

    const fn unknown() -> Self {
        Self { name: None, rotational: false, card: false }
    }

    fn numbered(device: u64, sysfs: &Path) -> Self {
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let Ok(block) = sysfs.join(format!("dev/block/{major}:{minor}")).canonicalize() else {
            return Self::unknown();
        };
        // A partition lies inside the folder of its disk.
        let disk =
            if block.join("partition").exists() { block.parent().map(PathBuf::from) } else { Some(block) };
        let Some(disk) = disk else { return Self::unknown() };
        let name = disk.file_name().map(|name| name.to_string_lossy().into_owned());
        let rotational = std::fs::read_to_string(disk.join("queue/rotational"));
        let usb = disk.components().any(|part| part.as_os_str().to_string_lossy().starts_with("usb"));
        let memory_card = name.as_deref().is_some_and(|name| name.starts_with("mmcblk"));
        Self { name, rotational: rotational.is_ok_and(|text| text.trim() == "1"), card: usb || memory_card }
    }

    /// The profile that is kind to it, and why.
    fn suggestion(&self) -> (Profile, String) {
        let name = self.name.as_deref().unwrap_or("unknown");
        if self.rotational {
            (
                Profile::Flash,
                format!(
                    "the data directory is on the disk {name}, which turns and may sleep: the flash profile suits it"
                ),
            )
        } else if self.card {
            (
                Profile::Flash,
                format!(
                    "the data directory is on {name}, a card or stick that wears: the flash profile suits it"
                ),
            )
        } else {
            (
                Profile::Default,
                format!("the data directory is on the disk {name}: the default profile suits it"),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A /sys with one disk and a partition on it.
    fn sysfs(device: &str, disk: &str, rotational: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let disk = root.path().join(device).join("block").join(disk);
        std::fs::create_dir_all(disk.join("part1")).unwrap();
        std::fs::create_dir_all(disk.join("queue")).unwrap();
        std::fs::write(disk.join("part1/partition"), "1").unwrap();
        std::fs::write(disk.join("queue/rotational"), rotational).unwrap();
        std::fs::create_dir_all(root.path().join("dev/block")).unwrap();
        std::os::unix::fs::symlink(disk.join("part1"), root.path().join("dev/block/8:1")).unwrap();
        root
    }

    #[test]
    fn disks_that_sleep_or_wear_get_the_flash_profile() {
        for (device, disk, rotational, profile) in [
            ("devices/ata1", "sda", "1\n", Profile::Flash),
            ("devices/ata1", "sda", "0\n", Profile::Default),
            ("devices/usb2/2-1", "sdb", "0\n", Profile::Flash),
            ("devices/mmc0", "mmcblk0", "0\n", Profile::Flash),
        ] {
            let root = sysfs(device, disk, rotational);
            let found = Disk::numbered(rustix::fs::makedev(8, 1), root.path());
            assert_eq!(found.name.as_deref(), Some(disk));
            assert_eq!(found.suggestion().0, profile, "{device} {disk}");
        }
        assert_eq!(Disk::numbered(rustix::fs::makedev(0, 42), Path::new("/nonexistent")), Disk::unknown());
    }

    #[test]
    fn the_first_configuration_is_valid() {
        for profile in [Profile::Default, Profile::Flash] {
            let text = document(Path::new("/srv/a \"b\""), profile, None);
            let loaded =
                crate::config::load::load_text(Default::default(), "h.toml", &text, Overlay::default())
                    .unwrap();
            assert_eq!(loaded.config.storage.profile, profile);
            assert_eq!(loaded.config.data_dir, Path::new("/srv/a \"b\""));
        }
        let text = document(Path::new("/srv"), Profile::Default, Some("192.0.2.7".parse().unwrap()));
        let loaded = load_text(Default::default(), "h.toml", &text, Overlay::default()).unwrap();
        assert_eq!(page_address(&loaded).unwrap(), "https://192.0.2.7:3003/ui/");
    }
}
