//! The store's schema.

use sea_orm_migration::prelude::*;

mod m20261122_000001_users;
mod m20261122_000002_catalogue;
mod m20261122_000003_orders;
mod m20261122_000004_sagas;
mod m20261122_000005_books_version;
mod m20261122_000006_order_surface;
mod m20261122_000007_audit;
mod m20261122_000008_gateway_ledger;
mod m20261122_000009_sagas;

/// The store's migrations, oldest first.
#[derive(Clone, Copy, Debug)]
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261122_000001_users::Migration),
            Box::new(m20261122_000002_catalogue::Migration),
            Box::new(m20261122_000003_orders::Migration),
            Box::new(m20261122_000004_sagas::Migration),
            Box::new(m20261122_000005_books_version::Migration),
            Box::new(m20261122_000006_order_surface::Migration),
            Box::new(m20261122_000007_audit::Migration),
            Box::new(m20261122_000008_gateway_ledger::Migration),
            Box::new(m20261122_000009_sagas::Migration),
            // `migrate store generate` adds the next one above this line.
        ]
    }
}
