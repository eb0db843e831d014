//! The examples of environment files: every key that there is, with its default and a line on it, and none that there is not.

use std::collections::BTreeMap;

use figment::Figment;
use figment::providers::{Format as _, Toml};
use figment::value::{Dict, Value};

use super::read;

/// Keys that are read before the configuration: what names a file of it, and what is logged.
const BEFORE: [&str; 2] = ["CONFIG_FILE", "RUST_LOG"];
/// Given without a # since they must be set.
const REQUIRED: [&str; 2] = ["SERVICE_SECRET", "WAREHOUSE_NAME"];

/// A key of an example.
#[derive(Debug)]
pub struct Entry {
    pub value: String,
    /// Whether it is there for somebody to take the # off.
    pub commented: bool,
    has_comment: bool,
}

/// Reads an example: `KEY=value` and `#KEY=value`, each below a comment or another key's line.
pub fn example(file: &str) -> BTreeMap<String, Entry> {
    let mut entries = BTreeMap::new();
    let mut has_comment = false;
    for line in read(file).lines() {
        let bare = line.strip_prefix('#').unwrap_or(line);
        let is_key = |name: &str| {
            !name.is_empty() && name.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_')
        };
        match bare.split_once('=').filter(|(name, _)| is_key(name)) {
            Some((name, value)) => {
                let entry = Entry { value: value.to_owned(), commented: line.starts_with('#'), has_comment };
                assert!(entries.insert(name.to_owned(), entry).is_none(), "{file}: {name} is there twice");
            }
            None => has_comment = line.starts_with("# ") && !line.starts_with("# ---"),
        }
    }
    for (name, entry) in &entries {
        assert!(entry.has_comment, "{file}: there is no line on {name}");
    }
    entries
}

fn defaults(texts: &[&str]) -> BTreeMap<String, String> {
    let figment = texts.iter().fold(Figment::new(), |figment, text| figment.merge(Toml::string(text)));
    let values: Dict = figment.extract().unwrap();
    let text = |value: &Value| match value {
        Value::String(_, text) => text.clone(),
        Value::Bool(_, yes) => yes.to_string(),
        other => other.to_i128().unwrap_or_else(|| panic!("{other:?}")).to_string(),
    };
    values.iter().map(|(key, value)| (key.to_uppercase(), text(value))).collect()
}

#[test]
fn the_services_examples_have_each_key_with_its_default() {
    for (file, own) in
        [("store/.env.example", store::config::DEFAULTS), ("warehouse/.env.example", warehouse::config::DEFAULTS)]
    {
        let (entries, expected) = (example(file), defaults(&[service::config::BASE, own]));
        for (key, default) in &expected {
            let entry = entries.get(key).unwrap_or_else(|| panic!("{file}: {key} is missing"));
            assert_eq!(&entry.value, default, "{file}: {key}");
            assert_eq!(entry.commented, !REQUIRED.contains(&&**key), "{file}: {key}");
        }
        let unknown: Vec<_> =
            entries.keys().filter(|key| !expected.contains_key(*key) && !BEFORE.contains(&&***key)).collect();
        assert!(unknown.is_empty(), "{file}: nothing reads {unknown:?}");
        assert!(BEFORE.iter().all(|key| entries.contains_key(*key)), "{file}");
    }
}

/// What an example says is what a service does: taken as it is, it is a configuration.
#[test]
fn the_services_examples_can_be_used_as_they_are() {
    let given = [
        ("SERVICE_SECRET", "6f1c0a9de7b24458"),
        ("DATABASE_URL", "postgres://store@db/store_db"),
        ("WAREHOUSE_NAME", "warehouse-x"),
    ];
    let variables = |file: &str| {
        let entries = example(file).into_iter().map(|(key, entry)| (key, entry.value));
        let given = given.map(|(key, value)| (key.to_owned(), value.to_owned()));
        entries.chain(given).map(|(key, value)| (key.into(), value.into())).collect::<Vec<_>>()
    };
    let source = |own: &str, file: &str| {
        let source = service::config::Source::defaults(&[service::config::BASE, own]).unwrap();
        source.with_environment(variables(file)).unwrap()
    };
    store::config::Config::from_source(&source(store::config::DEFAULTS, "store/.env.example")).unwrap();
    warehouse::config::Config::from_source(&source(warehouse::config::DEFAULTS, "warehouse/.env.example")).unwrap();
}
