//! A password or key that is written in the configuration, in a file, or in the
//! environment.
//!
//! A file is read again at every use, so that replacing it is all a rotation
//! needs. Reading happens on a thread of its own and under the caller's deadline: a
//! file on a hung mount must not hang a probe or a delivery, and is not read a second
//! time while the first reading hangs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio::time::Instant;

use super::solitary::{Solitary, SolitaryError};
use crate::base::secret::Secret;

/// A secret file larger than this is refused, bytes.
const MAX_FILE: u64 = 64 << 10;

/// Why there is no secret; names the place, never the content.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    #[error("cannot read the secret in {}: {reason}", path.display())]
    Read { path: PathBuf, reason: String },
    #[error("the secret file {} is still being read", path.display())]
    StillReading { path: PathBuf },
    #[error("the environment variable {name} is not set")]
    Unset { name: String },
}

/// See the module.
#[derive(Clone, Debug)]
pub enum Credential {
    None,
    Value(Secret),
    File { path: PathBuf, reader: Solitary },
    Environment { name: String, value: Option<Secret> },
}

impl Credential {
    /// The first of the three that is given.
    pub fn of(
        value: Option<&Secret>,
        file: Option<&Path>,
        variable: Option<&str>,
        environment: &BTreeMap<String, Secret>,
    ) -> Self {
        if let Some(value) = value {
            return Self::Value(value.clone());
        }
        if let Some(path) = file {
            return Self::File { path: path.to_owned(), reader: Solitary::default() };
        }
        variable.map_or(Self::None, |name| Self::Environment {
            name: name.to_owned(),
            value: environment.get(name).cloned(),
        })
    }

    /// The secret as it is now, or `None` where none is configured. A line end
    /// at the end of a file does not belong to it.
    ///
    /// # Errors
    /// [`CredentialError`] naming the file or the variable.
    pub async fn read(&self, deadline: Instant) -> Result<Option<Secret>, CredentialError> {
        match self {
            Self::None => Ok(None),
            Self::Value(secret) => Ok(Some(secret.clone())),
            Self::Environment { value: Some(secret), .. } => Ok(Some(secret.clone())),
            Self::Environment { name, value: None } => Err(CredentialError::Unset { name: name.clone() }),
            Self::File { path, reader } => {
                let wanted = path.clone();
                let read = reader.run("secret", Instant::now(), deadline, move || read_file(&wanted)).await;
                let reason = match read {
                    Ok(Ok(secret)) => return Ok(Some(secret)),
                    Ok(Err(reason)) => reason,
                    Err(SolitaryError::Busy) => {
                        return Err(CredentialError::StillReading { path: path.clone() });
                    }
                    Err(error) => error.to_string(),
                };
                Err(CredentialError::Read { path: path.clone(), reason })
            }
        }
    }
}

fn read_file(path: &Path) -> Result<Secret, String> {
    let found = std::fs::metadata(path).map_err(|error| error.to_string())?;
    // Asked before opening: opening a pipe waits for whoever writes it.
    if !found.is_file() {
        return Err(String::from("it is not a regular file"));
    }
    if found.len() > MAX_FILE {
        return Err(format!("it is larger than {MAX_FILE} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + std::time::Duration::from_secs(5)
    }

    #[tokio::test]
    async fn a_replaced_file_is_read_again() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let credential = Credential::of(None, Some(file.path()), None, &BTreeMap::new());
        for text in ["first", "second"] {
            std::fs::write(file.path(), format!("{text}\n")).unwrap();
            assert_eq!(credential.read(soon()).await.unwrap().unwrap().expose(), text);
        }
    }

    #[tokio::test]
    async fn a_pipe_is_refused_and_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
        let credential = Credential::of(None, Some(&path), None, &BTreeMap::new());
        for _ in 0..2 {
            let refused = credential.read(soon()).await.unwrap_err().to_string();
            assert!(refused.ends_with("it is not a regular file"), "{refused}");
        }
    }

    #[tokio::test]
    async fn a_file_whose_reading_hangs_is_not_read_again_meanwhile() {
        let credential = Credential::of(None, Some(Path::new("/nonexistent")), None, &BTreeMap::new());
        let Credential::File { reader, .. } = &credential else { panic!("no file") };
        let (release, released) = std::sync::mpsc::sync_channel::<()>(0);
        let now = Instant::now();
        reader.run("test", now, now, move || released.recv()).await.unwrap_err();
        let refused = credential.read(soon()).await.unwrap_err();
        assert!(matches!(refused, CredentialError::StillReading { .. }), "{refused}");
        release.send(()).unwrap();
    }

    #[tokio::test]
    async fn a_missing_file_or_variable_is_named() {
        let file = Credential::of(None, Some(Path::new("/nonexistent")), None, &BTreeMap::new());
        assert!(file.read(soon()).await.unwrap_err().to_string().contains("/nonexistent"));
        let variable = Credential::of(None, None, Some("PG_PASSWORD"), &BTreeMap::new());
        assert!(variable.read(soon()).await.unwrap_err().to_string().contains("PG_PASSWORD"));
    }
}
