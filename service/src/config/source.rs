//! The layers of configuration, and errors that name the key.

use std::env;
use std::ffi::OsString;

use figment::providers::{Format as _, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use serde::de::DeserializeOwned;
use tracing_subscriber::EnvFilter;

use super::ConfigError;

/// All layers, from which any number of types can be taken: each picks the keys it knows.
pub struct Source {
    figment: Figment,
    defaults: Dict,
    prefix: String,
}

impl Source {
    /// Defaults ← `CONFIG_FILE` ← environment. Later defaults override earlier ones.
    ///
    /// # Errors
    /// When the file cannot be read, has an unknown key, or a variable does not fit the type of its default.
    pub fn read(defaults: &[&str]) -> Result<Self, ConfigError> {
        let file = env::var_os("CONFIG_FILE").filter(|path| !path.is_empty());
        let source = Self::defaults(defaults)?;
        let source = match file {
            Some(path) => source.with_file(&path)?,
            None => source,
        };
        source.with_environment(env::vars_os())
    }

    /// Only the compiled-in layer.
    ///
    /// # Errors
    /// When a text is no TOML.
    pub fn defaults(defaults: &[&str]) -> Result<Self, ConfigError> {
        let figment = defaults.iter().fold(Figment::new(), |figment, text| figment.merge(Toml::string(text)));
        let values = data(&figment, "defaults")?;
        Ok(Self { figment, defaults: values, prefix: String::new() })
    }

    /// Reads the environment under `prefix` (`BOOKSTORE_`): `BOOKSTORE_LISTEN` is `listen`.
    pub fn prefixed(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// Adds a TOML file.
    ///
    /// # Errors
    /// When it cannot be read, is no TOML, or has a key that the defaults have not.
    pub fn with_file(mut self, path: &OsString) -> Result<Self, ConfigError> {
        let origin = path.to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
            name: "CONFIG_FILE".to_owned(),
            origin: origin.clone(),
            message: error.to_string(),
        })?;
        let layer = Figment::from(Toml::string(&text));
        let values = data(&layer, &origin)?;
        if let Some(name) = values.keys().find(|key| !self.defaults.contains_key(*key)) {
            let message = "there is no such key".to_owned();
            return Err(ConfigError { name: name.clone(), origin, message });
        }
        self.figment = self.figment.merge(Toml::file_exact(path));
        Ok(self)
    }

    /// Adds variables. Each must fit the type of its default, so that a password of digits stays a text.
    ///
    /// # Errors
    /// When one does not.
    pub fn with_environment(
        mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut values = Dict::new();
        for (name, value) in variables {
            let Some(name) = name.to_str() else { continue };
            if name == "RUST_LOG" {
                EnvFilter::try_new(value.to_string_lossy()).map_err(|error| wrong(name, error.to_string()))?;
            }
            let Some(bare) = name.strip_prefix(&self.prefix) else { continue };
            let key = bare.to_lowercase();
            let Some(default) = self.defaults.get(&key).filter(|_| bare == key.to_uppercase()) else { continue };
            let text = value.to_str().ok_or_else(|| wrong(name, "it is not UTF-8"))?;
            if !text.is_empty() {
                values.insert(key, parse(text, default).map_err(|message| wrong(name, message))?);
            }
        }
        self.figment = self.figment.merge(Layer { name: "environment".to_owned(), values });
        Ok(self)
    }

    /// Sets one key, as a variable would.
    ///
    /// # Errors
    /// When there is no such key, or the value does not fit its type.
    pub fn with(mut self, key: &str, value: &str) -> Result<Self, ConfigError> {
        let default = self.defaults.get(key).ok_or_else(|| ConfigError::invalid(key, "there is no such key"))?;
        let value = parse(value, default).map_err(|message| ConfigError::invalid(key, message))?;
        self.figment =
            self.figment.merge(Layer { name: "program".to_owned(), values: Dict::from([(key.to_owned(), value)]) });
        Ok(self)
    }

    /// Takes one type out of the layers.
    ///
    /// # Errors
    /// The first key that does not fit, with the layer it came from.
    pub fn extract<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        self.figment.extract().map_err(|error| self.explain(error))
    }

    fn explain(&self, error: figment::Error) -> ConfigError {
        let key = match &error.kind {
            figment::error::Kind::MissingField(field) => field.to_string(),
            _ => error.path.join("."),
        };
        let origin = match &error.metadata {
            Some(Metadata { source: Some(source), .. }) => source.to_string(),
            Some(from) => from.name.to_string(),
            None => "configuration".to_owned(),
        };
        let name = if origin == "environment" { format!("{}{}", self.prefix, key.to_uppercase()) } else { key };
        ConfigError { name, origin, message: error.kind.to_string() }
    }
}

fn wrong(name: &str, message: impl Into<String>) -> ConfigError {
    ConfigError { name: name.to_owned(), origin: "environment".to_owned(), message: message.into() }
}

fn parse(text: &str, default: &Value) -> Result<Value, String> {
    let text = text.trim();
    match default {
        Value::Bool(..) => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(Value::from(true)),
            "false" | "0" | "no" | "off" => Ok(Value::from(false)),
            _ => Err(format!("expected true or false, got {text:?}")),
        },
        Value::Num(..) => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(number), _) => Ok(Value::from(number)),
            (_, Ok(number)) => Ok(Value::from(number)),
            _ => Err(format!("expected a number, got {text:?}")),
        },
        _ => Ok(Value::from(text)),
    }
}

fn data(figment: &Figment, origin: &str) -> Result<Dict, ConfigError> {
    let mut profiles = figment.data().map_err(|error| ConfigError {
        name: "CONFIG_FILE".to_owned(),
        origin: origin.to_owned(),
        message: error.to_string(),
    })?;
    Ok(profiles.remove(&Profile::Default).unwrap_or_default())
}

struct Layer {
    name: String,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    const DEFAULTS: &str = "port = 3000\nname = \"alpha\"\nmigrate = true\nratio = 0.5\n";

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Config {
        port: u16,
        name: String,
        migrate: bool,
        ratio: f64,
    }

    fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    fn file(text: &str) -> (tempfile::TempDir, OsString) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("service.toml");
        std::fs::write(&path, text).unwrap();
        (folder, path.into_os_string())
    }

    fn layered(text: &str, pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let (_folder, path) = file(text);
        Source::defaults(&[DEFAULTS])?.with_file(&path)?.with_environment(variables(pairs))?.extract()
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
        let config =
            layered("port = 1\nname = \"file\"", &[("PORT", "2"), ("MIGRATE", "false"), ("HOME", "/")]).unwrap();
        assert_eq!(config, Config { port: 2, name: "file".to_owned(), migrate: false, ratio: 0.5 });
    }

    #[test]
    fn a_value_keeps_the_type_of_its_default() {
        let config = layered("", &[("NAME", "12345"), ("RATIO", "2"), ("PORT", "")]).unwrap();
        assert_eq!(config, Config { port: 3000, name: "12345".to_owned(), migrate: true, ratio: 2.0 });
    }

    #[test]
    fn errors_name_the_key_and_where_it_is_from() {
        let wrong = |text: &str, pairs: &[(&str, &str)]| layered(text, pairs).unwrap_err().to_string();
        assert!(wrong("", &[("PORT", "many")]).starts_with("PORT (environment): expected a number"));
        assert!(wrong("", &[("PORT", "70000")]).starts_with("PORT (environment): "));
        assert!(wrong("", &[("PORT", "-1")]).starts_with("PORT (environment): "));
        assert!(wrong("", &[("MIGRATE", "maybe")]).starts_with("MIGRATE (environment): "));
        assert!(wrong("", &[("RUST_LOG", "info,=x=y")]).starts_with("RUST_LOG (environment): "));
        let unknown = wrong("prot = 1", &[]);
        assert!(unknown.starts_with("prot (") && unknown.ends_with("there is no such key"), "{unknown}");
        let mistyped = wrong("port = \"x\"", &[]);
        assert!(mistyped.starts_with("port (") && mistyped.contains("service.toml"), "{mistyped}");
        assert!(wrong("port = ", &[]).starts_with("CONFIG_FILE ("));
        let missing = Source::defaults(&[DEFAULTS]).unwrap().with_file(&"/nowhere.toml".into()).err().unwrap();
        assert!(missing.to_string().starts_with("CONFIG_FILE (/nowhere.toml)"));
    }

    #[test]
    fn a_prefix_hides_everything_else() {
        let source = Source::defaults(&[DEFAULTS]).unwrap().prefixed("BOOKSTORE_");
        let source = source.with_environment(variables(&[("PORT", "1"), ("BOOKSTORE_NAME", "shop")])).unwrap();
        let config: Config = source.with("migrate", "false").unwrap().extract().unwrap();
        assert_eq!((config.port, config.name.as_str(), config.migrate), (3000, "shop", false));
        let source = Source::defaults(&[DEFAULTS]).unwrap().prefixed("BOOKSTORE_");
        let error = source.with_environment(variables(&[("BOOKSTORE_PORT", "70000")])).unwrap().extract::<Config>();
        assert!(error.unwrap_err().to_string().starts_with("BOOKSTORE_PORT (environment)"));
    }
}
