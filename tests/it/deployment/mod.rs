//! The deployment: the real Traefik before the services, what compose.yml says, the steps of the image, and the way without Docker.

mod compose;
#[cfg(feature = "docker")]
mod containers;
mod docker;
mod examples;
mod image;
mod limits;
#[cfg(feature = "docker")]
mod project;
mod restarts;
mod retries;
mod routes;
mod tls;
mod traefik;
mod up_local;

use std::path::{Path, PathBuf};

use traefik::Traefik;

/// A file of the repository.
fn repository(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn read(file: &str) -> String {
    std::fs::read_to_string(repository(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The folder in which `make` builds.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository("target"), PathBuf::from)
}
