//! Orders and their sagas on a real journal, with a scripted warehouse.

use ::actors::{Message, System};
use contract::{
    DatabaseId, OrderLine, OrderStatus, PaymentStatus, ShipmentId, ShipmentReceipt, ShipmentStatus, UserId,
};
use futures_util::future::BoxFuture;
use http::HeaderMap;
use sea_orm::ConnectionTrait as _;
use service::database::Database;
use service::queries::Reader;
use uuid::Uuid;

use std::collections::HashSet;

use super::*;
use crate::actors::testing::{after, never, now, system};
use crate::actors::warehouses::{dispatcher, registry};
use crate::actors::{availability, journal::Journal};
use crate::db;
use crate::db::testing::{at, book_id, enter_books, enter_warehouse, row, sqlite, warehouse_id};
use crate::domain::delivery::{Call, Delivery};
use crate::domain::payment::{Charge, Operation, Outcome};
use crate::domain::saga::{Options, Policy, Unfit};
use crate::events::Events;
use crate::payments::PaymentGateway;

const SECOND: Duration = Duration::from_secs(1);
/// Of clients whose order is not going to end.
const SHORT: Duration = Duration::from_millis(400);
const LONG: Duration = Duration::from_secs(30);
const OPTIONS: Options = Options { allow_split: true, allow_backorder: false };
const USER: UserId = UserId(Uuid::from_u128(0xAA));

/// Takes every payment, but for what the test has it refuse.
struct Willing(Arc<World>);

impl PaymentGateway for Willing {
    fn call(&self, charge: &Charge) -> BoxFuture<'static, Outcome> {
        let refused = *self.0.refused.lock().unwrap() == Some(charge.operation);
        self.0.charges.lock().unwrap().push((charge.operation, charge.key.clone()));
        now(if refused { Outcome::Refused { reason: "no funds".to_owned() } } else { Outcome::Done })
    }
}

/// Answers every message by a function.
struct Responder<M>(Arc<dyn Fn(M) + Send + Sync>);

impl<M: Message> Actor for Responder<M> {
    const KIND: &'static str = "responder";
    type Msg = M;
    type Args = ();
    type State = ();

    async fn start(&self, (): (), _: &mut Context<M>) -> Result<(), Failure> {
        Ok(())
    }

    async fn handle(&self, msg: M, (): &mut (), _: &mut Context<M>) -> Result<(), Failure> {
        (self.0)(msg);
        Ok(())
    }
}

fn responder<M: Message>(id: &str, answer: impl Fn(M) + Send + Sync + 'static) -> (Address<M>, ChildSpec) {
    let address = Address::new(1_000);
    let spec = ChildSpec::actor(id, &address, Responder(Arc::new(answer)), ());
    (address, spec)
}

/// What the warehouses answer to the n-th call, from 0; none is a shipment that has left.
type Ship = Box<dyn Fn(usize) -> BoxFuture<'static, Option<Delivery>> + Send + Sync>;

/// What the tree and the test share.
#[derive(Default)]
struct World {
    calls: Mutex<Vec<Call>>,
    told: Mutex<Vec<&'static str>>,
    charges: Mutex<Vec<(Operation, String)>>,
    refused: Mutex<Option<Operation>>,
    /// Whether no warehouse has anything.
    short: Mutex<bool>,
}

impl World {
    fn shipment_ids(&self) -> Vec<ShipmentId> {
        self.calls.lock().unwrap().iter().map(|call| call.shipment).collect()
    }

    fn told(&self) -> Vec<&'static str> {
        self.told.lock().unwrap().clone()
    }
}

struct Bench {
    world: Arc<World>,
    orders: Address<Msg>,
    args: Args,
    database: Database,
    system: System,
    _folder: tempfile::TempDir,
}

/// Alpha first, then beta, by what is excluded.
fn plan(wants: &availability::Wants, short: bool) -> Result<availability::Plan, Vec<Shortfall>> {
    let all = [(warehouse_id(1), "alpha"), (warehouse_id(2), "beta")];
    let found = all.into_iter().find(|(id, _)| !short && !wants.exclude.contains(id));
    let nothing = || vec![Shortfall { book_id: book_id(1), requested: 2, available: 1 }];
    let (warehouse, name) = found.ok_or_else(nothing)?;
    let lines = wants.demand.lines().to_vec();
    let part = crate::domain::sourcing::Part { warehouse, name: name.to_owned(), lines };
    Ok(availability::Plan { parts: vec![part], reason: "because".to_owned() })
}

fn receipt(call: &Call) -> Delivery {
    Delivery::Shipped(ShipmentReceipt {
        order_id: call.order,
        shipment_id: call.shipment,
        warehouse_name: "alpha".to_owned(),
        shipped: true,
        shipped_at: at(90),
        stock: vec![row(1, 7, 3)],
        database_id: DatabaseId(Uuid::nil()),
    })
}

async fn world() -> (Database, tempfile::TempDir) {
    let (database, folder) = sqlite().await;
    enter_books(&database, 2).await;
    enter_warehouse(&database, 1, "alpha").await;
    enter_warehouse(&database, 2, "beta").await;
    let user = format!("X'{}'", USER.uuid().simple());
    let sql = format!(
        "INSERT INTO users (id, email, password_hash, password_version, role, created_at, updated_at)
         VALUES ({user}, 'a@b.example', '', 1, 'CUSTOMER', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)"
    );
    database.ready().unwrap().execute_unprepared(&sql).await.unwrap();
    (database, folder)
}

async fn bench(ship: Ship) -> Bench {
    let (database, folder) = world().await;
    open(database, folder, ship, LONG, true).await
}

async fn impatient(ship: Ship) -> Bench {
    let (database, folder) = world().await;
    open(database, folder, ship, SHORT, true).await
}

async fn open(database: Database, folder: tempfile::TempDir, ship: Ship, wait: Duration, with_journal: bool) -> Bench {
    let world = Arc::new(World::default());
    let (heard, calls) = (Arc::clone(&world), Arc::clone(&world));
    let (availability, availability_spec) = responder("availability", move |msg: availability::Msg| {
        heard.told.lock().unwrap().push(msg.name());
        if let availability::Msg::Plan { wants, reply, .. } = msg {
            let short = *heard.short.lock().unwrap();
            reply.send(plan(&wants, short));
        }
    });
    let (dispatcher, dispatcher_spec) = responder("dispatcher", move |msg: dispatcher::Msg| {
        if let dispatcher::Msg::Call { call, reply, .. } = msg {
            let mut calls = calls.calls.lock().unwrap();
            let answer = ship(calls.len());
            calls.push(call.clone());
            tokio::spawn(async move { reply.send(answer.await.unwrap_or_else(|| receipt(&call))) });
        }
    });
    let (registry, registry_spec) = responder("registry", move |msg: registry::Msg| {
        if let registry::Msg::Find { id, reply } = msg {
            let (name, dispatcher) = ("any".to_owned(), dispatcher.clone());
            reply.send(Some(registry::Known { id, name, database_id: DatabaseId(Uuid::nil()), dispatcher }));
        }
    });
    let (journal, catalog, orders) = (Address::new(1_000), Address::new(1_000), Address::new(1_000));
    let (reader, sagas) = (Reader::new(1_000), SupervisorAddress::new());
    let policy = Policy {
        first_retry: Duration::from_millis(10),
        longest_retry: Duration::from_millis(20),
        attention_retry: Duration::from_millis(50),
        attention_after: SECOND * 3_600,
        ..Policy::default()
    };
    let peers = Peers {
        journal: journal.clone(),
        availability,
        registry,
        orders: orders.clone(),
        events: Events::default(),
        reader: reader.clone(),
        gateway: Arc::new(Willing(Arc::clone(&world))),
        policy,
        stalled_after: LONG,
    };
    let args = Args {
        peers: Arc::new(peers),
        catalog: catalog.clone(),
        sagas: sagas.clone(),
        wait,
        rate: Rate::per_minute(0),
        mailbox_bound: 100,
    };
    let kept = args.clone();
    let write = journal::Args { database: database.clone(), events: Events::default() };
    let mut children = vec![
        reader.child(&database),
        ChildSpec::actor("catalog", &catalog, catalog::Catalog, catalog::Args { database: database.clone() }),
        availability_spec,
        dispatcher_spec,
        registry_spec,
        ChildSpec::supervisor("sagas", &sagas, Vec::new()),
        ChildSpec::actor("orders", &orders, Orders, args),
    ];
    if with_journal {
        children.insert(0, ChildSpec::actor("journal", &journal, Journal, write));
    }
    Bench { world, orders, args: kept, database, system: system(children).await, _folder: folder }
}

fn request(quantity: u32) -> Request {
    let lines = [OrderLine { book_id: book_id(1), quantity }];
    Request::new(OrderId::new(), USER, &lines, None, OPTIONS).unwrap()
}

impl Bench {
    async fn place(&self, request: Request) -> Result<Placed, Unplaced> {
        self.wish(request, None, false).await
    }

    async fn wish(&self, request: Request, key: Option<Key>, respond_async: bool) -> Result<Placed, Unplaced> {
        let wish = Box::new(Wish { request, key, respond_async, trace: Trace::of(&HeaderMap::new()) });
        let msg = |reply| Msg::Place { wish, reply };
        self.orders.ask(LONG * 2, msg).await.unwrap()
    }

    async fn confirm(&self, order: OrderId, shipment: Option<ShipmentId>, name: &str) -> Result<(), ConfirmError> {
        let confirmation = Confirmation {
            status: OrderStatus::Shipped,
            shipped_at: at(91),
            warehouse_name: Some(name.to_owned()),
            shipment_id: shipment,
            stock: None,
        };
        self.orders.ask(SECOND * 10, |reply| Msg::Confirm { order, confirmation, reply }).await.unwrap()
    }

    async fn read(&self, order: OrderId) -> Order {
        db::orders::find(self.database.ready().unwrap(), order).await.unwrap().unwrap()
    }

    async fn becomes(&self, order: OrderId, status: OrderStatus) -> Order {
        let began = Instant::now();
        loop {
            let now = self.read(order).await;
            if now.status == status {
                return now;
            }
            assert!(began.elapsed() < SECOND * 20, "not {status}: {now:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn key(request: &Request) -> Option<Key> {
    Some(Key { user_id: USER, key: "k".to_owned(), body_hash: request.fingerprint() })
}

fn unknown() -> Option<Delivery> {
    Some(Delivery::Unknown { reason: "reset".to_owned() })
}

fn never_sent() -> Option<Delivery> {
    Some(Delivery::NeverSent { reason: "refused".to_owned() })
}

fn refused() -> Option<Delivery> {
    Some(Delivery::Refused { shortfalls: vec![], stock: vec![row(1, 0, 9)] })
}

#[tokio::test]
async fn an_order_is_shipped_durably_before_it_is_answered() {
    let bench = bench(Box::new(|_| now(None))).await;
    let request = request(2);
    let id = request.id;
    let Ok(Placed::Shipped(order)) = bench.place(request).await else { panic!("not shipped") };
    assert_eq!((order.id, order.status, order.payment.status), (id, OrderStatus::Shipped, PaymentStatus::Captured));
    assert_eq!(*order, bench.read(id).await, "what is answered is what is kept");
    assert_eq!(order.fulfillment_warehouse.as_deref(), Some("alpha"));
    assert_eq!(bench.world.told(), ["Plan", "Assert", "Settle"]);
    assert_eq!(bench.world.calls.lock().unwrap().len(), 1);
    assert!(bench.system.snapshot().unwell.is_empty());
}

#[tokio::test]
async fn r01_an_unanswered_call_is_repeated_with_the_same_key() {
    let bench = bench(Box::new(|nth| now(if nth < 3 { unknown() } else { None }))).await;
    assert!(matches!(bench.place(request(1)).await, Ok(Placed::Shipped(_))));
    let ids = bench.world.shipment_ids();
    assert_eq!((ids.len(), ids.iter().collect::<HashSet<_>>().len()), (4, 1));
}

#[tokio::test]
async fn r01_a_call_that_never_arrived_goes_to_another_warehouse_under_a_new_key() {
    let bench = bench(Box::new(|nth| now(if nth == 0 { never_sent() } else { None }))).await;
    let Ok(Placed::Shipped(order)) = bench.place(request(1)).await else { panic!("not shipped") };
    assert_eq!(order.fulfillment_warehouse.as_deref(), Some("beta"));
    let order = bench.read(order.id).await;
    let statuses: Vec<_> = order.shipments.iter().map(|shipment| shipment.status).collect();
    assert_eq!(statuses, [ShipmentStatus::Voided, ShipmentStatus::Shipped]);
    let ids = bench.world.shipment_ids();
    assert_eq!(ids, order.shipments.iter().map(|shipment| shipment.id).collect::<Vec<_>>());
}

#[tokio::test]
async fn r07_refused_by_all_it_is_rejected_and_nothing_is_charged() {
    let bench = bench(Box::new(|_| now(refused()))).await;
    let Ok(Placed::Rejected { order, shortfalls }) = bench.place(request(2)).await else { panic!("not rejected") };
    assert_eq!(shortfalls[0].available, 1);
    let order = bench.read(order.id).await;
    assert_eq!((order.status, order.payment.status), (OrderStatus::Rejected, PaymentStatus::Voided));
    // Twice each: what they say they have they may be asked for, and this availability does not listen.
    assert_eq!(order.shipments.len(), 4);
    let told = bench.world.told();
    assert_eq!((told.len(), told.last()), (1 + 1 + 4 * 2 + 1, Some(&"Release")), "{told:?}");
}

#[tokio::test]
async fn r07_r11_an_order_open_after_the_wait_is_ended_by_a_confirmation() {
    let bench = impatient(Box::new(|_| never())).await;
    let request = request(1);
    let (id, began) = (request.id, Instant::now());
    assert_eq!(bench.place(request).await, Ok(Placed::Open(id)));
    assert!(began.elapsed() >= SHORT);
    let shipment = bench.read(id).await.shipments[0].id;
    assert_eq!(bench.confirm(id, Some(shipment), "beta").await, Err(ConfirmError::NotInstructed));
    assert_eq!(bench.confirm(id, Some(ShipmentId::new()), "alpha").await, Err(ConfirmError::NotInstructed));
    assert_eq!(bench.confirm(OrderId::new(), Some(shipment), "alpha").await, Err(ConfirmError::UnknownOrder));
    assert_eq!(bench.read(id).await.status, OrderStatus::Pending);
    for again in [Some(shipment), Some(shipment), None] {
        assert_eq!(bench.confirm(id, again, "alpha").await, Ok(()));
        assert_eq!(bench.read(id).await.status, OrderStatus::Shipped);
    }
    assert_eq!(bench.read(id).await.shipped_at, Some(at(91)));
    assert_eq!(bench.confirm(id, Some(shipment), "beta").await, Err(ConfirmError::NotInstructed));
}

#[tokio::test]
async fn r11_a_confirmation_is_taken_though_the_door_has_forgotten_the_saga() {
    let bench = impatient(Box::new(|_| never())).await;
    let request = request(1);
    let id = request.id;
    assert_eq!(bench.place(request).await, Ok(Placed::Open(id)));
    bench.orders.kill();
    while bench.system.snapshot().find("test/orders").unwrap().restarts == 0 || !bench.orders.is_open() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(bench.confirm(id, None, "alpha").await, Ok(()));
    assert_eq!(bench.read(id).await.status, OrderStatus::Shipped);
}

#[tokio::test]
async fn r08_what_was_accepted_before_a_restart_is_resumed_by_the_same_key_and_never_elsewhere() {
    let first = impatient(Box::new(|_| never())).await;
    let request = request(1);
    let id = request.id;
    assert_eq!(first.place(request).await, Ok(Placed::Open(id)));
    let asked = first.world.shipment_ids();
    let Bench { database, system, _folder, .. } = first;
    system.stop().await.unwrap();
    // Refused before sending says nothing now: an earlier life may have sent it.
    let again =
        open(database, _folder, Box::new(|nth| now(if nth < 2 { never_sent() } else { None })), LONG, true).await;
    let order = again.becomes(id, OrderStatus::Shipped).await;
    assert_eq!(again.world.shipment_ids(), [asked[0]; 3]);
    assert_eq!(order.shipments.len(), 1);
}

#[tokio::test]
async fn without_a_journal_nothing_is_ordered_and_nothing_stays_allocated() {
    let (database, folder) = world().await;
    let bench = open(database, folder, Box::new(|_| now(None)), LONG, false).await;
    let request = request(1);
    let id = request.id;
    assert_eq!(bench.place(request).await, Err(Unplaced::Busy));
    assert_eq!(db::orders::find(bench.database.ready().unwrap(), id).await.unwrap(), None);
    assert_eq!(bench.world.told(), ["Plan", "Release"]);
}

#[tokio::test]
async fn a_hundred_orders_at_once_are_a_hundred_shipments() {
    let bench = bench(Box::new(|_| after(Duration::from_millis(5), None))).await;
    let placed = futures_util::future::join_all((0..100).map(|_| bench.place(request(1)))).await;
    assert!(placed.iter().all(|placed| matches!(placed, Ok(Placed::Shipped(_)))));
    let ids: HashSet<_> = bench.world.shipment_ids().into_iter().collect();
    assert_eq!(ids.len(), 100);
    let sagas = bench.system.snapshot().find("test/sagas").unwrap().clone();
    assert!(sagas.children.is_empty(), "ended ones leave the tree");
    assert_eq!(sagas.kinds[0].kind, "saga");
}

#[tokio::test]
async fn an_order_that_cannot_be_is_refused_before_anything_is_allocated() {
    let bench = bench(Box::new(|_| now(None))).await;
    let lines = [OrderLine { book_id: book_id(99), quantity: 1 }];
    let request = Request::new(OrderId::new(), USER, &lines, None, OPTIONS).unwrap();
    assert!(matches!(bench.place(request).await, Err(Unplaced::Invalid(_))));
    assert!(bench.world.told().is_empty());
}

#[tokio::test]
async fn a_key_makes_one_order_of_many_requests_and_gives_its_answer_again() {
    let bench = bench(Box::new(|_| after(Duration::from_millis(50), None))).await;
    let keyed = || {
        let request = request(2);
        let key = key(&request);
        bench.wish(request, key, false)
    };
    let mut answers = futures_util::future::join_all((0..50).map(|_| keyed())).await;
    answers.push(keyed().await);
    assert!(matches!(&answers[0], Ok(Placed::Shipped(_))), "{:?}", answers[0]);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(bench.world.calls.lock().unwrap().len(), 1);
    let other = request(1);
    let reused = Some(Key { body_hash: other.fingerprint(), ..key(&other).unwrap() });
    assert_eq!(bench.wish(other, reused, false).await, Err(Unplaced::KeyReused));
}

#[tokio::test]
async fn a_key_whose_order_is_open_waits_for_its_end_also_after_a_restart_and_a_rejection_keeps_its_shortfalls() {
    let bench = impatient(Box::new(|_| after(SECOND, refused()))).await;
    let first = request(2);
    let (id, key) = (first.id, key(&first));
    assert_eq!(bench.wish(first, key.clone(), false).await, Ok(Placed::Open(id)));
    bench.orders.kill();
    while bench.system.snapshot().find("test/orders").unwrap().restarts == 0 || !bench.orders.is_open() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(bench.wish(request(2), key.clone(), false).await, Ok(Placed::Open(id)), "a wait like the first");
    bench.becomes(id, OrderStatus::Rejected).await;
    let Ok(Placed::Rejected { order, shortfalls }) = bench.wish(request(2), key, true).await else { panic!() };
    assert_eq!((order.id, shortfalls[0].requested), (id, 2));
}

#[tokio::test]
async fn whoever_responds_async_is_answered_once_the_order_is_durable() {
    let bench = bench(Box::new(|_| never())).await;
    let request = request(1);
    let id = request.id;
    let Ok(Placed::Accepted(order)) = bench.wish(request, None, true).await else { panic!("not accepted") };
    assert_eq!((order.id, *order), (id, bench.read(id).await));
}

/// R23: the entry of a former life of the actor may still have been on its way.
#[tokio::test]
async fn two_orders_that_race_for_a_key_are_the_winners_order_and_the_losers_stock_is_free() {
    let bench = bench(Box::new(|_| now(None))).await;
    let args = bench.args.clone();
    let wish = || {
        let request = request(1);
        Wish { key: key(&request), request, respond_async: false, trace: Trace::of(&HeaderMap::new()) }
    };
    let (one, other) = tokio::join!(place::place(args.clone(), wish()), place::place(args, wish()));
    let (winner, known) = match (one.unwrap(), other.unwrap()) {
        (Begun::New { order, .. }, Begun::Known(known)) | (Begun::Known(known), Begun::New { order, .. }) => {
            (order.id, known)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(winner, known);
    bench.becomes(winner, OrderStatus::Shipped).await;
    let told = bench.world.told();
    let count = |name: &str| told.iter().filter(|told| **told == name).count();
    assert_eq!((count("Plan"), count("Release"), count("Assert")), (2, 1, 1), "{told:?}");
}

impl Bench {
    async fn ask(&self, order: OrderId, request: saga::Request) -> Result<Box<Order>, Unasked> {
        self.orders.ask(LONG, |reply| Msg::Ask { order, request, reply }).await.unwrap()
    }
}

fn cancel(operator: bool) -> saga::Request {
    saga::Request::Cancel { operator, reason: "no".to_owned() }
}

fn take_back(quantity: u32) -> saga::Request {
    let lines = vec![crate::domain::sourcing::Line { book: book_id(1), quantity }];
    saga::Request::Return { id: contract::ReturnId::new(), lines }
}

#[tokio::test]
async fn r06_an_order_in_doubt_is_cancelled_once_its_warehouse_has_voided_it() {
    let voided = || Some(Delivery::Voided { stock: vec![] });
    let bench = impatient(Box::new(move |nth| now(if nth == 0 { unknown() } else { voided() }))).await;
    let request = request(1);
    let id = request.id;
    let Ok(Placed::Accepted(_)) = bench.wish(request, None, true).await else { panic!("not accepted") };
    let order = bench.ask(id, cancel(false)).await.unwrap();
    assert_eq!((order.status, order.payment.status), (OrderStatus::Cancelled, PaymentStatus::Voided));
    assert_eq!(*order, bench.read(id).await);
    assert_eq!(bench.ask(id, cancel(false)).await.unwrap(), order, "and again");
    assert_eq!(bench.ask(OrderId::new(), cancel(false)).await, Err(Unasked::UnknownOrder));
}

#[tokio::test]
async fn r06_a_cancel_that_cannot_be_told_the_warehouse_is_open_and_durable() {
    let bench = impatient(Box::new(|_| now(unknown()))).await;
    let request = request(1);
    let id = request.id;
    let Ok(Placed::Accepted(_)) = bench.wish(request, None, true).await else { panic!("not accepted") };
    while bench.world.calls.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(bench.ask(id, cancel(false)).await, Err(Unasked::Open));
    let order = bench.read(id).await;
    assert_eq!((order.status, order.cancel_requested), (OrderStatus::Pending, true));
}

#[tokio::test]
async fn what_has_shipped_is_not_cancelled_but_comes_back() {
    let restocked = || Some(Delivery::Restocked { stock: vec![row(1, 9, 4)] });
    let bench = bench(Box::new(move |nth| now(if nth == 0 { None } else { restocked() }))).await;
    let Ok(Placed::Shipped(order)) = bench.place(request(2)).await else { panic!("not shipped") };
    let id = order.id;
    assert_eq!(bench.ask(id, cancel(false)).await, Err(Unasked::Unfit(Unfit::Leaving)));
    assert!(matches!(bench.ask(id, take_back(3)).await, Err(Unasked::Unfit(Unfit::TooMany(_)))));
    let order = bench.ask(id, take_back(1)).await.unwrap();
    assert_eq!((order.status, order.payment.refunded.cents() * 2), (OrderStatus::Shipped, order.total_amount.cents()));
    let order = bench.ask(id, take_back(1)).await.unwrap();
    assert_eq!((order.status, order.payment.status), (OrderStatus::Returned, PaymentStatus::Refunded));
    assert_eq!(*order, bench.read(id).await);
    assert_eq!(bench.ask(id, saga::Request::Retry).await, Err(Unasked::Unfit(Unfit::Over)));
}

#[tokio::test]
async fn a_declined_payment_asks_no_warehouse_and_what_cannot_be_charged_calls_a_person() {
    let bench = bench(Box::new(|_| now(None))).await;
    *bench.world.refused.lock().unwrap() = Some(Operation::Authorize);
    let Ok(Placed::Rejected { order, .. }) = bench.place(request(1)).await else { panic!("not declined") };
    assert_eq!((order.status, order.payment.status), (OrderStatus::Rejected, PaymentStatus::Failed));
    assert!(bench.world.calls.lock().unwrap().is_empty());

    *bench.world.refused.lock().unwrap() = Some(Operation::Capture);
    let Ok(Placed::Shipped(order)) = bench.place(request(1)).await else { panic!("not shipped") };
    assert_eq!(order.payment.status, PaymentStatus::Failed);
    let unwell = bench.system.snapshot().unwell;
    assert!(unwell.iter().any(|path| format!("{path:?}").contains(&order.id.to_string())), "{unwell:?}");
    *bench.world.refused.lock().unwrap() = None;
    bench.ask(order.id, saga::Request::Retry).await.unwrap();
    while bench.read(order.id).await.payment.status != PaymentStatus::Captured {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let charges = bench.world.charges.lock().unwrap().clone();
    let keys: HashSet<_> = charges.iter().map(|(_, key)| key).collect();
    assert_eq!(keys.len(), charges.len(), "another try has another key: {charges:?}");
}

#[tokio::test]
async fn a_saga_that_cannot_be_read_holds_up_no_other_and_calls_a_person() {
    let first = impatient(Box::new(|_| never())).await;
    let (bad, good) = (request(1), request(1));
    let (bad_id, good_id) = (bad.id, good.id);
    assert_eq!(first.place(bad).await, Ok(Placed::Open(bad_id)));
    assert_eq!(first.place(good).await, Ok(Placed::Open(good_id)));
    let Bench { database, system, _folder, .. } = first;
    system.stop().await.unwrap();
    let spoil = format!("UPDATE sagas SET state = '{{}}' WHERE order_id = X'{}'", bad_id.uuid().simple());
    database.ready().unwrap().execute_unprepared(&spoil).await.unwrap();
    let again = open(database, _folder, Box::new(|_| now(None)), LONG, true).await;
    again.becomes(good_id, OrderStatus::Shipped).await;
    let order = again.becomes(bad_id, OrderStatus::NeedsAttention).await;
    assert!(order.status_reason.is_some());
    let listed = db::sagas::list(again.database.ready().unwrap(), &db::sagas::Filter::default(), 9).await.unwrap();
    assert!(listed.len() == 1 && listed[0].saga.is_err());
}

#[tokio::test]
async fn a_backorder_is_answered_at_once_and_ships_when_its_stock_has_come() {
    let bench = bench(Box::new(|_| now(None))).await;
    *bench.world.short.lock().unwrap() = true;
    let options = Options { allow_backorder: true, ..OPTIONS };
    let lines = [OrderLine { book_id: book_id(1), quantity: 1 }];
    let request = Request::new(OrderId::new(), USER, &lines, None, options).unwrap();
    let id = request.id;
    let Ok(Placed::Accepted(order)) = bench.place(request).await else { panic!("not accepted") };
    assert_eq!((order.status, order.payment.status), (OrderStatus::Backordered, PaymentStatus::Authorized));
    assert!(bench.world.told().contains(&"AwaitStock"));
    *bench.world.short.lock().unwrap() = false;
    bench.orders.tell(Msg::StockCame { order: id }).unwrap();
    bench.becomes(id, OrderStatus::Shipped).await;
}
