//! The audit log.

use sea_orm_migration::prelude::*;

use crate::audit;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        audit::up(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        audit::down(manager).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
