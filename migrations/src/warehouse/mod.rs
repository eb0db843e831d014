//! A warehouse's schema.

use sea_orm_migration::prelude::*;

mod m20261122_000001_users;
mod m20261122_000002_inventory;
mod m20261122_000003_shipments;
mod m20261122_000004_audit;
mod m20261122_000005_reservations;

/// A warehouse's migrations, oldest first.
#[derive(Clone, Copy, Debug)]
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261122_000001_users::Migration),
            Box::new(m20261122_000002_inventory::Migration),
            Box::new(m20261122_000003_shipments::Migration),
            Box::new(m20261122_000004_audit::Migration),
            Box::new(m20261122_000005_reservations::Migration),
            // `migrate warehouse generate` adds the next one above this line.
        ]
    }
}
