//! Stand-ins for the actors and services that an actor under test talks to.

use service::routes::Trace;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::actors::{Actor, Address, ChildSpec, Context, Failure, Message, System};
use contract::{DatabaseId, OrderId, ShipmentId, ShipmentReceipt, WarehouseHealthReport};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, pending, ready};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use uuid::Uuid;

use crate::client::{CallError, WarehouseApi};
use crate::db::testing::at;
use crate::domain::delivery::{Action, Call, Delivery};
use crate::domain::pull::Snapshot;

/// The database of a well-behaved [`Fake`].
pub(crate) fn database_id() -> DatabaseId {
    DatabaseId(Uuid::from_u128(1))
}

/// A tree of only these.
pub(crate) async fn system(children: Vec<ChildSpec>) -> System {
    let system = System::start("test", children).await.expect("a tree");
    assert!(system.started().await);
    system
}

/// An actor that hands every message to a channel.
struct Recorder<M>(UnboundedSender<M>);

impl<M: Message> Actor for Recorder<M> {
    const KIND: &'static str = "recorder";
    type Msg = M;
    type Args = ();
    type State = ();

    async fn start(&self, (): (), _: &mut Context<M>) -> Result<(), Failure> {
        Ok(())
    }

    async fn handle(&self, msg: M, (): &mut (), _: &mut Context<M>) -> Result<(), Failure> {
        let _ = self.0.send(msg);
        Ok(())
    }
}

/// What was sent to an actor that does nothing.
pub(crate) struct Heard<M>(UnboundedReceiver<M>);

/// A stand-in for an actor, and what it hears.
pub(crate) fn recorder<M: Message>(id: &str) -> (Address<M>, ChildSpec, Heard<M>) {
    let address = Address::new(1_000);
    let (sender, receiver) = unbounded_channel();
    let spec = ChildSpec::actor(id, &address, Recorder(sender), ());
    (address, spec, Heard(receiver))
}

impl<M> Heard<M> {
    /// The next message; fails when none comes within an hour, which a paused clock skips.
    pub(crate) async fn next(&mut self) -> M {
        let next = tokio::time::timeout(Duration::from_secs(3_600), self.0.recv()).await;
        next.expect("a message").expect("the tree runs")
    }

    /// The next message that is one of these.
    pub(crate) async fn until<T>(&mut self, mut wanted: impl FnMut(M) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.next().await) {
                return found;
            }
        }
    }

    /// What has come so far.
    pub(crate) fn so_far(&mut self) -> Vec<M> {
        std::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }
}

/// How a fake answers: from the number of the call, the first being 0.
pub(crate) type Script<T> = Box<dyn Fn(usize) -> BoxFuture<'static, T> + Send + Sync>;

/// An answer after this long.
pub(crate) fn after<T: Send + 'static>(delay: Duration, answer: T) -> BoxFuture<'static, T> {
    async move {
        tokio::time::sleep(delay).await;
        answer
    }
    .boxed()
}

/// An answer at once.
pub(crate) fn now<T: Send + 'static>(answer: T) -> BoxFuture<'static, T> {
    ready(answer).boxed()
}

/// No answer, ever.
pub(crate) fn never<T: Send + 'static>() -> BoxFuture<'static, T> {
    pending().boxed()
}

/// A warehouse by script.
pub(crate) struct Fake {
    pub(crate) health: Script<Result<WarehouseHealthReport, CallError>>,
    pub(crate) inventory: Script<Result<Snapshot, CallError>>,
    pub(crate) ship: Script<Option<Delivery>>,
    pub(crate) polls: AtomicUsize,
    pub(crate) pulls: AtomicUsize,
    pub(crate) shipped: Mutex<Vec<Call>>,
}

impl Default for Fake {
    /// Healthy, with nothing on its shelves, ships everything at once.
    fn default() -> Self {
        Self {
            health: Box::new(|_| now(healthy())),
            inventory: Box::new(|_| now(Ok(Snapshot::new(0, [])))),
            ship: Box::new(|_| now(None)),
            polls: AtomicUsize::new(0),
            pulls: AtomicUsize::new(0),
            shipped: Mutex::default(),
        }
    }
}

impl Fake {
    pub(crate) fn api(self) -> (Arc<Self>, Arc<dyn WarehouseApi>) {
        let fake = Arc::new(self);
        (Arc::clone(&fake), fake)
    }

    pub(crate) fn calls(&self) -> usize {
        self.shipped.lock().expect("no panic").len()
    }
}

impl WarehouseApi for Fake {
    fn health(&self) -> BoxFuture<'static, Result<WarehouseHealthReport, CallError>> {
        (self.health)(self.polls.fetch_add(1, Ordering::Relaxed))
    }

    fn inventory(&self) -> BoxFuture<'static, Result<Snapshot, CallError>> {
        (self.inventory)(self.pulls.fetch_add(1, Ordering::Relaxed))
    }

    fn call(&self, call: &Call, _: Option<&Trace>) -> BoxFuture<'static, Delivery> {
        let mut shipped = self.shipped.lock().expect("no panic");
        let answer = (self.ship)(shipped.len());
        shipped.push(call.clone());
        let receipt = Delivery::Shipped(receipt(call));
        async move { answer.await.unwrap_or(receipt) }.boxed()
    }
}

/// The answer of a healthy warehouse.
pub(crate) fn healthy() -> Result<WarehouseHealthReport, CallError> {
    Ok(WarehouseHealthReport { status: "healthy".to_owned(), timestamp: at(0), database_id: database_id() })
}

/// The error of one that is not there.
pub(crate) fn away<T>() -> Result<T, CallError> {
    Err(CallError::Unreachable("refused".to_owned()))
}

/// A call to ship something.
pub(crate) fn to_ship() -> Call {
    let (order, shipment) = (OrderId::new(), ShipmentId::new());
    Call { order, shipment, database_id: database_id(), action: Action::Ship { lines: vec![] } }
}

/// The answer that this call gets.
pub(crate) fn receipt(call: &Call) -> ShipmentReceipt {
    ShipmentReceipt {
        order_id: call.order,
        shipment_id: call.shipment,
        warehouse_name: "alpha".to_owned(),
        shipped: true,
        shipped_at: at(0),
        stock: vec![],
        database_id: database_id(),
    }
}
