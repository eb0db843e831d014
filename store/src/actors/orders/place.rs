//! Placing an order: priced, sourced, made durable, its saga started. Runs as an effect of `orders`.

use std::sync::Arc;
use std::time::Duration;

use actors::{Address, AskError, BatchError};
use chrono::TimeDelta;
use contract::{FieldError, Order, OrderId, OrderItemId, OrderStatus, Shortfall, Timestamp};
use serde_json::json;
use service::clock;

use super::{Args, Seed, Wish, saga_of};
use crate::actors::{availability, catalog, journal, saga};
use crate::db::idempotency::{self, Key};
use crate::db::journal::{Accepted, AcceptedLine};
use crate::domain::history::Detail;
use crate::domain::order::{self, Request};
use crate::domain::saga::Saga;
use crate::domain::sourcing::{Demand, Line, Wants};

/// How long placing may take, the journal's time included.
pub(super) const WITHIN: Duration = Duration::from_secs(45);
const ASK_WITHIN: Duration = Duration::from_secs(5);

/// An order that exists, after placing it.
#[derive(Debug)]
pub enum Begun {
    /// It was placed now.
    New {
        /// Its saga.
        saga: Address<saga::Msg>,
        /// As it was accepted.
        order: Box<Order>,
    },
    /// The same was asked for before.
    Known(OrderId),
}

/// What became of an order that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// Shipped.
    Shipped(Box<Order>),
    /// It was refused after all: no warehouse had everything, or the payment was declined.
    Rejected {
        /// The order.
        order: Box<Order>,
        /// What is short.
        shortfalls: Vec<Shortfall>,
    },
    /// As it stands, for a client who does not wait for its end.
    Accepted(Box<Order>),
    /// Still open after the wait.
    Open(OrderId),
}

impl Placed {
    /// Of an order that has come to its end.
    pub(super) fn ended(order: Order, shortfalls: Vec<Shortfall>) -> Self {
        let order = Box::new(order);
        match order.status {
            OrderStatus::Shipped => Self::Shipped(order),
            OrderStatus::Rejected => Self::Rejected { order, shortfalls },
            _ => Self::Accepted(order),
        }
    }
}

/// Why an order was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unplaced {
    /// Something in it is wrong.
    Invalid(Vec<FieldError>),
    /// No warehouse has everything.
    Short(Vec<Shortfall>),
    /// Too much at once, or something that it needs is away. Nothing happened.
    Busy,
    /// It was refused for a reason of ours. Nothing happened.
    Failed(String),
    /// The account places orders faster than it may. Nothing happened; after so long it may again.
    TooMany(Duration),
    /// The idempotency key stands for another request.
    KeyReused,
    /// The same is being placed, and too many wait for it already.
    InProgress,
    /// It may have been accepted.
    Unknown {
        /// As this order.
        order: OrderId,
        /// Why that is not known.
        reason: String,
    },
}

impl Unplaced {
    /// Its name in metrics.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::Short(_) => "short",
            Self::Busy => "busy",
            Self::Failed(_) => "failed",
            Self::TooMany(_) => "too_many",
            Self::KeyReused => "key_reused",
            Self::InProgress => "in_progress",
            Self::Unknown { .. } => "unknown",
        }
    }
}

pub(super) async fn place(args: Args, wish: Wish) -> Result<Begun, Unplaced> {
    let Wish { request, key, trace, .. } = wish;
    if let Some(order) = known(&args, key.as_ref()).await? {
        return Ok(Begun::Known(order));
    }
    // Whoever repeats an order that was placed is answered, however often.
    args.rate.take(request.user).map_err(Unplaced::TooMany)?;
    let books = request.lines.iter().map(|line| line.book_id).collect();
    let ask = args.catalog.ask(ASK_WITHIN, |reply| catalog::Msg::Prices { books, reply });
    let books = ask.await.map_err(|_| Unplaced::Busy)?;
    let now = clock::now();
    let mut order = request.priced(&books, OrderItemId::new, now).map_err(Unplaced::Invalid)?;

    let plan = source(&args, &request).await?;
    let (parts, sourcing) = match plan {
        Some(plan) => {
            let reason = plan.reason.clone();
            (saga::parts(plan), Some(reason))
        }
        None => (Vec::new(), None),
    };
    let held = parts.iter().map(|part| (part.warehouse, part.lines.clone())).collect();
    let patience = TimeDelta::from_std(args.peers.policy.attention_after).unwrap_or(TimeDelta::MAX);
    let deadline = now.checked_add_signed(patience).unwrap_or(Timestamp::MAX_UTC);
    let saga = Saga::new(parts, request.options, now, deadline);
    order::follow(&mut order, &saga, None);

    let written = journal(&args, accepted(&order, &saga, sourcing, key.clone())).await;
    if let (Err(Unplaced::Failed(_)), Some(key)) = (&written, &key)
        && let Some(winner) = known(&args, Some(key)).await?
    {
        // The same was placed by a former life of this actor, whose entry was still on its way. This one was not
        // written, and holds nothing any more.
        return Ok(Begun::Known(winner));
    }
    written?;
    // R9: the allocation may have been lost with a restart of `availability` meanwhile.
    let id = order.id;
    let _ = args.peers.availability.tell(availability::Msg::Assert { order: id, parts: held });
    let seed = Seed { order: order.clone(), saga, trace: Some(trace) };
    let (address, spec) = saga_of(&args, id, Some(seed));
    // Accepted all the same if this is refused: the sweep starts it.
    let _ = args.sagas.start_child(spec).await;
    Ok(Begun::New { saga: address, order: Box::new(order) })
}

/// The order that a key stands for.
async fn known(args: &Args, key: Option<&Key>) -> Result<Option<OrderId>, Unplaced> {
    let Some(key) = key else { return Ok(None) };
    let (user, name) = (key.user_id, key.key.clone());
    let read = args.peers.reader.read("orders.key", move |db| async move { idempotency::find(&db, user, &name).await });
    match read.await {
        Ok(None) => Ok(None),
        Ok(Some(kept)) if kept.body_hash == key.body_hash => Ok(Some(kept.order)),
        Ok(Some(_)) => Err(Unplaced::KeyReused),
        Err(_) => Err(Unplaced::Busy),
    }
}

/// Where it comes from; nowhere yet, where it may wait for stock.
async fn source(args: &Args, request: &Request) -> Result<Option<availability::Plan>, Unplaced> {
    let lines: Vec<_> = request.lines.iter().map(|line| Line { book: line.book_id, quantity: line.quantity }).collect();
    let allow_split = request.options.allow_split;
    let (order, wants) = (request.id, Wants { demand: Demand::new(&lines), allow_split, exclude: Vec::new() });
    match args.peers.availability.ask(ASK_WITHIN, |reply| availability::Msg::Plan { order, wants, reply }).await {
        Ok(Ok(plan)) => Ok(Some(plan)),
        Ok(Err(_)) if request.options.allow_backorder => Ok(None),
        Ok(Err(shortfalls)) => Err(Unplaced::Short(shortfalls)),
        Err(_) => {
            release(args, request);
            Err(Unplaced::Busy)
        }
    }
}

fn release(args: &Args, request: &Request) {
    let _ = args.peers.availability.tell(availability::Msg::Release { order: request.id });
}

async fn journal(args: &Args, accepted: Accepted) -> Result<(), Unplaced> {
    let order = accepted.order_id;
    let entry = journal::Entry::Accept(Arc::new(accepted));
    let ask = args.peers.journal.ask(saga::WRITE_WITHIN, |reply| journal::Msg::Write { entry, reply });
    let refused = |unplaced| {
        let _ = args.peers.availability.tell(availability::Msg::Release { order });
        Err(unplaced)
    };
    match ask.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(BatchError::Failed(reason))) => refused(Unplaced::Failed(reason)),
        Err(AskError::Refused) => refused(Unplaced::Busy),
        // What it holds is let go when the audit of allocations finds no such order.
        Ok(Err(BatchError::Unavailable(reason))) => Err(Unplaced::Unknown { order, reason }),
        Err(error) => Err(Unplaced::Unknown { order, reason: error.to_string() }),
    }
}

fn accepted(order: &Order, saga: &Saga, sourcing: Option<String>, key: Option<Key>) -> Accepted {
    let line = |item: &contract::OrderItem| AcceptedLine {
        id: item.id,
        order_id: order.id,
        book_id: item.book_id,
        book_title: item.book_title.clone(),
        isbn: item.isbn.clone(),
        quantity: item.quantity,
        price_cents: item.price_at_purchase.cents(),
    };
    let shipment = |(shipment, part)| saga::instructed(order, shipment, part, order.created_at);
    Accepted {
        order_id: order.id,
        user_id: order.user_id,
        total_cents: order.total_amount.cents(),
        method: order.payment.method.clone(),
        state: json!(saga),
        stage: saga.stage.name(),
        detail: json!(Detail {
            status: Some(order.status),
            shipment_id: order.shipments.last().map(|shipment| shipment.id),
            warehouse_name: order.shipments.last().map(|shipment| shipment.warehouse_name.clone()),
            sourcing,
            ..Detail::default()
        }),
        shipments: order.shipments.iter().zip(&saga.parts).map(shipment).collect(),
        at: order.created_at,
        lines: order.items.iter().map(line).collect(),
        key,
    }
}
