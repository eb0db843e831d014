//! The ledger: everything that ever changed a row, so that each column is the sum of its movements. Append only.

use contract::Timestamp;
use sea_orm::{DatabaseTransaction, DbErr, EntityTrait as _, Set};
use uuid::Uuid;

use super::entities::inventory_movements::{ActiveModel, Entity};
use crate::domain::batch::Movement;

/// Writes movements by people.
///
/// # Errors
/// Those of the database.
pub async fn insert(
    txn: &DatabaseTransaction,
    movements: Vec<Movement>,
    version: i64,
    at: Timestamp,
) -> Result<(), DbErr> {
    let models: Vec<_> = movements
        .into_iter()
        .map(|movement| ActiveModel {
            id: Set(Uuid::now_v7()),
            book_id: Set(movement.book_id.uuid()),
            kind: Set(movement.kind.as_str().to_owned()),
            on_hand_delta: Set(movement.on_hand_delta),
            reserved_delta: Set(0),
            shipment_id: Set(None),
            order_id: Set(None),
            made_by: Set(movement.made_by),
            reason: Set(movement.reason),
            version: Set(version),
            at: Set(at),
        })
        .collect();
    insert_all(txn, models).await
}

pub(super) async fn insert_all(txn: &DatabaseTransaction, models: Vec<ActiveModel>) -> Result<(), DbErr> {
    for chunk in models.chunks(500) {
        Entity::insert_many(chunk.to_vec()).exec_without_returning(txn).await?;
    }
    Ok(())
}
