//! Databases and trees that tests stand on.

use actors::{ChildSpec, System};
use service::config::DatabaseUrl;
use service::database::{Database, Preparation, Settings};
use tempfile::TempDir;

/// A bcrypt cost that takes a millisecond.
pub(crate) const CHEAP: u32 = 4;

/// An empty database of either kind, gone when this is dropped.
pub(crate) enum Scratch {
    Sqlite(TempDir),
    Postgres(kit::Database),
}

impl Scratch {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub(crate) async fn postgres() -> Self {
        Self::Postgres(kit::Database::create("service").await.unwrap())
    }

    /// One of each.
    pub(crate) async fn both() -> [Self; 2] {
        [Self::sqlite(), Self::postgres().await]
    }

    pub(crate) fn settings(&self) -> Settings {
        let url = match self {
            Self::Sqlite(folder) => format!("sqlite://{}", folder.path().join("data/service.db").display()),
            Self::Postgres(database) => database.url(),
        };
        Settings::small(DatabaseUrl::parse(&url).unwrap())
    }
}

pub(crate) fn store_schema() -> Preparation {
    Preparation::new().migrate::<migrations::store::Migrator>(true)
}

/// A tree with the database, migrated as the store's, and what stands on it.
pub(crate) async fn tree(database: &Database, children: Vec<ChildSpec>) -> System {
    let mut all = vec![database.child(store_schema())];
    all.extend(children);
    let system = System::start("test", all).await.unwrap();
    assert!(system.started().await, "{:?}", system.ended().await);
    system
}
