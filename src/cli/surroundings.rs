//! What a command finds around it: the environment, the user, the terminal. Read
//! once; nothing else in the program asks for the environment.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Global;
use crate::config::environment::Environment;
use crate::config::file;
use crate::config::load::{Flag, Sources};
use crate::config::schema::shape;
use crate::config::tree::Key;

/// Where the configuration is when nobody says.
const SYSTEM_CONFIG: &str = "/etc/holdfast/holdfast.toml";

/// See the module. Has no `Debug`: the environment holds secrets.
#[derive(Clone)]
pub struct Surroundings {
    pub environment: Environment,
    pub root: bool,
    /// Whether a person reads standard output, standard error.
    pub output_terminal: bool,
    pub error_terminal: bool,
    /// Whether a person can answer questions.
    pub input_terminal: bool,
}

impl Surroundings {
    /// Looks around. Variables that are no text are left out.
    pub fn look() -> Self {
        let text = |value: std::ffi::OsString| value.into_string().ok();
        let environment = std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?)));
        Self {
            environment: environment.collect(),
            root: rustix::process::geteuid().is_root(),
            output_terminal: std::io::stdout().is_terminal(),
            error_terminal: std::io::stderr().is_terminal(),
            input_terminal: std::io::stdin().is_terminal(),
        }
    }

    /// A variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// Whether to colour standard output, see <https://no-color.org>.
    pub fn colour(&self) -> bool {
        self.output_terminal && self.variable("NO_COLOR").is_none() && self.variable("TERM") != Some("dumb")
    }

    fn below_home(&self, variable: &str, folder: &str) -> Option<PathBuf> {
        let named = self.variable(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        named.or_else(|| self.variable("HOME").map(|home| Path::new(home).join(folder)))
    }

    /// `/var/lib/holdfast`, or below the home of a user.
    pub fn default_data_dir(&self) -> PathBuf {
        let own = if self.root { None } else { self.below_home("XDG_DATA_HOME", ".local/share") };
        own.map_or_else(|| PathBuf::from("/var/lib/holdfast"), |own| own.join("holdfast"))
    }

    /// Where `setup` writes the configuration when nobody says.
    pub fn own_config_file(&self) -> PathBuf {
        let own = if self.root { None } else { self.below_home("XDG_CONFIG_HOME", ".config") };
        own.map_or_else(|| PathBuf::from(SYSTEM_CONFIG), |own| own.join("holdfast/holdfast.toml"))
    }

    /// The configuration file: the flag, the variable, or one of the usual places
    /// if it is there. `None`: run on defaults.
    pub fn config_file(&self, global: &Global) -> Option<PathBuf> {
        let named = global.config.clone().or_else(|| self.variable("HOLDFAST_CONFIG").map(PathBuf::from));
        let usual = [self.own_config_file(), PathBuf::from(SYSTEM_CONFIG)];
        named.or_else(|| usual.into_iter().find(|path| path.exists()))
    }

    /// What the configuration is made from.
    pub fn sources(&self, global: &Global, mut flags: Vec<Flag>) -> Sources {
        flags.extend(global.data_dir.as_ref().map(|directory| Flag {
            name: String::from("--data-dir"),
            key: String::from("data_dir"),
            value: Value::from(directory.display().to_string()),
        }));
        Sources {
            file: self.config_file(global),
            data_dir: Some(self.default_data_dir()),
            environment: self.environment.clone(),
            flags,
        }
    }

    /// Where the agent's socket and store are. The configuration is not checked for
    /// this: whoever asks for the status may not be able to read all it names.
    pub fn data_dir(&self, global: &Global) -> PathBuf {
        let said = global.data_dir.clone();
        let said = said.or_else(|| self.variable("HOLDFAST_DATA_DIR").map(PathBuf::from));
        let said = said.or_else(|| {
            let text = file::text_of(&self.config_file(global)?).ok()?;
            let (tree, _) = file::parse("", &text, shape());
            tree.leaf(&Key::parse("data_dir"))?.value.as_str().map(PathBuf::from)
        });
        said.unwrap_or_else(|| self.default_data_dir())
    }
}
