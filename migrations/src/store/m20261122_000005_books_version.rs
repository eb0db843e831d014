//! Books get a version, which writers compare with the one they read, and an index to find what was changed lately.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::index;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let version = Table::alter().table("books").add_column(big_integer("version").default(1)).take();
        manager.alter_table(version).await?;
        manager.create_index(index("books", &["updated_at"])).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("books_updated_at_idx").table("books").to_owned()).await?;
        manager.alter_table(Table::alter().table("books").drop_column("version").take()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
