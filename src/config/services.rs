//! `[services]`

use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::target::systemd::is_unit;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Services {
    /// Units of this host's service manager that the API may restart; none by default.
    pub allow_restart: Vec<String>,
}

impl Services {
    /// Says what is wrong.
    pub fn check(&self, checker: &mut Checker<'_>) {
        for (index, unit) in self.allow_restart.iter().enumerate().filter(|(_, unit)| !is_unit(unit)) {
            let message =
                format!("`{unit}` is not the name of a unit, expected for example \"nginx.service\"");
            checker.say_of("services.allow_restart", index, message);
        }
    }
}
