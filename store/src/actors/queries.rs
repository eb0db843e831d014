//! What may be read of the store, a method a question: how handlers ask the actor `queries` ([`service::queries`]).

use contract::{Order, OrderId, Shortfall};
use service::queries::{ReadError, Reader};

use crate::db::{history, idempotency, orders, sagas};

pub use crate::db::history::History;
pub use crate::db::idempotency::{Kept, Key};
pub use crate::db::orders::{Cursor, Customer, Filter as OrderFilter};
pub use crate::db::sagas::{Filter as SagaFilter, Overview};

/// Whoever has this may ask. A question that fails may simply be asked again.
#[derive(Clone)]
pub struct Queries(pub Reader);

impl Queries {
    /// An order.
    ///
    /// # Errors
    /// When it cannot be read now.
    pub async fn order(&self, id: OrderId) -> Result<Option<Order>, ReadError> {
        self.0.read("orders.get", move |db| async move { orders::find(&db, id).await }).await
    }

    /// Orders, newest first, at most `limit`.
    ///
    /// # Errors
    /// When they cannot be read now.
    pub async fn orders(&self, filter: OrderFilter, limit: u64) -> Result<Vec<Order>, ReadError> {
        self.0.read("orders.list", move |db| async move { orders::list(&db, &filter, limit).await }).await
    }

    /// An order as it stands, and of what there were too few, if that is why it was rejected.
    ///
    /// # Errors
    /// When it cannot be read now.
    pub async fn outcome(&self, id: OrderId) -> Result<Option<(Order, Vec<Shortfall>)>, ReadError> {
        self.0.read("orders.look-up", move |db| async move { orders::outcome(&db, id).await }).await
    }

    /// What a key of this customer's was used for.
    ///
    /// # Errors
    /// When it cannot be read now.
    pub async fn kept(&self, key: &Key) -> Result<Option<Kept>, ReadError> {
        let (user, name) = (key.user_id, key.key.clone());
        self.0.read("orders.key", move |db| async move { idempotency::find(&db, user, &name).await }).await
    }

    /// An order's steps after one of them, or from the first.
    ///
    /// # Errors
    /// When they cannot be read now.
    pub async fn history(&self, order: OrderId, after: Option<i64>) -> Result<Option<History>, ReadError> {
        self.0.read("orders.events", move |db| async move { history::since(&db, order, after).await }).await
    }

    /// Sagas, of the oldest orders first, at most `limit`.
    ///
    /// # Errors
    /// When they cannot be read now.
    pub async fn sagas(&self, filter: SagaFilter, limit: u64) -> Result<Vec<Overview>, ReadError> {
        self.0.read("sagas.list", move |db| async move { sagas::list(&db, &filter, limit).await }).await
    }

    /// An order's saga, with all of its steps.
    ///
    /// # Errors
    /// When it cannot be read now.
    pub async fn saga(&self, order: OrderId) -> Result<Option<(Overview, History)>, ReadError> {
        let read = self.0.read("sagas.get", move |db| async move {
            Ok(sagas::overview(&db, order).await?.zip(history::since(&db, order, None).await?))
        });
        read.await
    }
}
