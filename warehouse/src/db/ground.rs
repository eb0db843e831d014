//! What a batch has to know before it is decided.

use std::collections::BTreeSet;

use contract::{BookId, DatabaseId, ShipmentId, Timestamp};
use sea_orm::{DatabaseTransaction, DbErr};

use super::{inventory, returns, shipments, state};
use crate::domain::batch::{Ground, Member};

/// Locks the counter, sees what is known of the members' shipments, then locks the rows of all books that they touch, by
/// book: those of what is set aside for them, too, whose books they do not name (R13). Whoever changes stock comes through
/// here.
///
/// # Errors
/// Those of the database.
pub async fn ground(
    txn: &DatabaseTransaction,
    warehouse_name: &str,
    members: &[Member],
    now: Timestamp,
) -> Result<Ground, DbErr> {
    let state = state::raise(txn).await?;
    let ids: BTreeSet<ShipmentId> = members.iter().filter_map(Member::shipment).collect();
    let shipments::Met { known, holds } = shipments::met(txn, ids).await?;
    let returns::Past { shipped, returns } = returns::past(txn, members).await?;
    let held = holds.values().flat_map(|hold| hold.lines.iter().map(|line| line.book_id));
    let books: BTreeSet<BookId> = members.iter().flat_map(Member::books).chain(held).collect();
    Ok(Ground {
        warehouse_name: warehouse_name.to_owned(),
        database_id: DatabaseId(state.database_id),
        version: state.version,
        now,
        shelf: inventory::lock(txn, books).await?,
        known,
        holds,
        shipped,
        returns,
    })
}
