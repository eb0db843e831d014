//! Configuration: compiled-in defaults ← the file named by `CONFIG_FILE` ← the environment.
//!
//! Keys are flat and in snake case; the environment has them in capitals (`port` is `PORT`). Only keys that the defaults
//! have are read, so the defaults are the list of what can be set: an unknown key in the file stops the start, an
//! unknown variable is none of our business. An empty variable counts as unset.

mod base;
mod secrets;
mod source;

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

pub use base::{BASE, Base, DatabaseUrl, LogFormat};
pub use secrets::check_password;
pub use source::Source;

/// Reads a service's configuration. To take more than one type out of it, see [`Source`].
///
/// # Errors
/// [`ConfigError`], naming the key.
pub fn load<T: DeserializeOwned>(defaults: &str) -> Result<T, ConfigError> {
    Source::read(&[defaults])?.extract()
}

/// A key that stops the start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} ({origin}): {message}")]
pub struct ConfigError {
    /// The key as its origin spells it: `PORT` in the environment, `port` in a file.
    pub name: String,
    /// Where the value comes from.
    pub origin: String,
    /// What is wrong with it.
    pub message: String,
}

impl ConfigError {
    /// A value that has the right type and is wrong all the same. `key` is in snake case.
    pub fn invalid(key: &str, message: impl fmt::Display) -> Self {
        Self { name: key.to_uppercase(), origin: "configuration".to_owned(), message: message.to_string() }
    }
}

/// A value that must not be shown: `Debug` prints `[redacted]`.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// For `#[serde(deserialize_with = "config::blank_is_none")]`: an optional text, whose default is the empty one.
///
/// # Errors
/// Those of the deserializer.
pub fn blank_is_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok((!text.trim().is_empty()).then_some(text))
}
