//! What may be read of a warehouse, a method a question: how handlers ask the actor `queries` ([`service::queries`]).

use contract::{BookId, DatabaseId, InventoryItem, Movement, ReservationEntry, ShipmentLogEntry};
use service::queries::{ReadError, Reader};

use crate::db::{inventory, movements, outbox, reservations, shipments, state};

pub use crate::db::inventory::{Head, Range};
pub use crate::db::movements::{Filter as MovementFilter, Place as MovementPlace};
pub use crate::db::outbox::Summary as Outbox;
pub use crate::db::reservations::{Filter as ReservationFilter, Place as ReservationPlace, Summary as Reservations};
pub use crate::db::shipments::{LogCursor, LogFilter};

/// Whoever has this may ask. A question that fails may simply be asked again.
#[derive(Clone)]
pub struct Queries(pub Reader);

impl Queries {
    /// Which database this is.
    ///
    /// # Errors
    /// When it cannot be read now.
    pub async fn identity(&self) -> Result<DatabaseId, ReadError> {
        self.0.read("health", |db| async move { state::identity(&db).await }).await
    }

    /// Copies and books.
    ///
    /// # Errors
    /// When they cannot be read now.
    pub async fn totals(&self) -> Result<(i64, i64), ReadError> {
        self.0.read("info", |db| async move { inventory::totals(&db).await }).await
    }

    /// What there is of the books in a range, put together by `add`, one after another.
    ///
    /// # Errors
    /// When it cannot be read now.
    pub async fn inventory<T: Send + 'static>(
        &self,
        range: Range,
        mut sum: T,
        mut add: impl FnMut(&mut T, InventoryItem) + Send + 'static,
    ) -> Result<(Head, T), ReadError> {
        let read = self.0.read("inventory.list", move |db| async move {
            let head = inventory::list(&db, range, |item| add(&mut sum, item)).await?;
            Ok((head, sum))
        });
        read.await
    }

    /// What there is of a book.
    ///
    /// # Errors
    /// When it cannot be read now.
    pub async fn book(&self, book: BookId) -> Result<Option<InventoryItem>, ReadError> {
        self.0.read("inventory.one", move |db| async move { inventory::one(&db, book).await }).await
    }

    /// A book's movements, newest first, at most `limit`; `None` where it is not known.
    ///
    /// # Errors
    /// When they cannot be read now.
    pub async fn movements(
        &self,
        book: BookId,
        filter: MovementFilter,
        after: Option<MovementPlace>,
        limit: u64,
    ) -> Result<Option<Vec<Movement>>, ReadError> {
        let read = self.0.read("inventory.movements", move |db| async move {
            let entries = movements::page(&db, book, filter, after, limit).await?;
            // A book that is there has at least one entry, so this is asked about few.
            let is_known = !entries.is_empty() || inventory::one(&db, book).await?.is_some();
            Ok(is_known.then_some(entries))
        });
        read.await
    }

    /// Reservations, newest first, at most `limit`.
    ///
    /// # Errors
    /// When they cannot be read now.
    pub async fn reservations(
        &self,
        filter: ReservationFilter,
        after: Option<ReservationPlace>,
        limit: u64,
    ) -> Result<Vec<ReservationEntry>, ReadError> {
        let read = move |db| async move { reservations::page(&db, filter, after, limit).await };
        self.0.read("reservations.page", read).await
    }

    /// What has left, newest first, at most `limit`.
    ///
    /// # Errors
    /// When it cannot be read now.
    pub async fn shipments(
        &self,
        filter: LogFilter,
        after: Option<LogCursor>,
        limit: u64,
    ) -> Result<Vec<ShipmentLogEntry>, ReadError> {
        self.0.read("shipments.page", move |db| async move { shipments::page(&db, &filter, after, limit).await }).await
    }

    /// What waits to be told to the store, and what is set aside.
    ///
    /// # Errors
    /// When it cannot be read now.
    pub async fn set_aside(&self) -> Result<(Outbox, Reservations), ReadError> {
        let read = |db| async move { Ok((outbox::summary(&db).await?, reservations::summary(&db).await?)) };
        self.0.read("actors", read).await
    }
}
