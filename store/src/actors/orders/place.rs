//! Placing an order: priced, sourced, made durable, its saga started. Runs as an effect of `orders`.

use std::sync::Arc;
use std::time::Duration;

use actors::{Address, AskError, BatchError};
use chrono::TimeDelta;
use contract::{FieldError, Order, OrderItemId, ShipmentId, Shortfall, Timestamp};
use serde_json::json;
use service::clock;
use service::routes::Trace;

use super::{Args, Seed, saga_of};
use crate::actors::{availability, catalog, journal, saga};
use crate::db::journal::{Accepted, AcceptedLine};
use crate::domain::order::{self, Request};
use crate::domain::saga::Saga;
use crate::domain::sourcing::Line;

/// How long placing may take, the journal's time included.
pub(super) const WITHIN: Duration = Duration::from_secs(45);
const ASK_WITHIN: Duration = Duration::from_secs(5);

/// What became of an order that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// Shipped.
    Shipped(Box<Order>),
    /// No warehouse had everything after all.
    Rejected {
        /// The order.
        order: Box<Order>,
        /// What is short.
        shortfalls: Vec<Shortfall>,
    },
    /// Still open after the wait.
    Open,
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
    /// It may have been accepted.
    Unknown(String),
}

pub(super) async fn place(args: Args, request: Request, trace: Trace) -> Result<Address<saga::Msg>, Unplaced> {
    let books = request.lines.iter().map(|line| line.book_id).collect();
    let ask = args.catalog.ask(ASK_WITHIN, |reply| catalog::Msg::Prices { books, reply });
    let books = ask.await.map_err(|_| Unplaced::Busy)?;
    let now = clock::now();
    let mut order = request.priced(&books, OrderItemId::new, now).map_err(Unplaced::Invalid)?;

    let choice = source(&args, &request).await?;
    let shipment = ShipmentId::new();
    let patience = TimeDelta::from_std(args.attention_after).unwrap_or(TimeDelta::MAX);
    let deadline = now.checked_add_signed(patience).unwrap_or(Timestamp::MAX_UTC);
    let saga = Saga::new(shipment, choice.warehouse, deadline);
    order::instruct(&mut order, shipment, &choice.name);

    journal(&args, &order, &saga, &choice).await?;
    // R9: the allocation may have been lost with a restart of `availability` meanwhile.
    let (id, warehouse, lines) = (order.id, choice.warehouse, lines(&request));
    let _ = args.peers.availability.tell(availability::Msg::Assert { order: id, warehouse, lines });
    let seed = Seed { order, saga, trace: Some(trace) };
    let (address, spec) = saga_of(&args, id, Some(seed));
    // Accepted all the same if this is refused: the sweep starts it.
    let _ = args.sagas.start_child(spec).await;
    Ok(address)
}

fn lines(request: &Request) -> Vec<Line> {
    request.lines.iter().map(|line| Line { book: line.book_id, quantity: line.quantity }).collect()
}

async fn source(args: &Args, request: &Request) -> Result<availability::Choice, Unplaced> {
    let (order, demand, exclude) = (request.id, lines(request), Vec::new());
    let plan = |reply| availability::Msg::Plan { order, demand, exclude, reply };
    match args.peers.availability.ask(ASK_WITHIN, plan).await {
        Ok(Ok(choice)) => Ok(choice),
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

async fn journal(args: &Args, order: &Order, saga: &Saga, choice: &availability::Choice) -> Result<(), Unplaced> {
    let entry = journal::Entry::Accept(Arc::new(accepted(order, saga, choice)));
    let ask = args.peers.journal.ask(saga::WRITE_WITHIN, |reply| journal::Msg::Write { entry, reply });
    let refused = |unplaced| {
        let _ = args.peers.availability.tell(availability::Msg::Release { order: order.id });
        Err(unplaced)
    };
    match ask.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(BatchError::Failed(reason))) => refused(Unplaced::Failed(reason)),
        Err(AskError::Refused) => refused(Unplaced::Busy),
        // What it holds is let go when the audit of allocations finds no such order.
        Ok(Err(BatchError::Unavailable(reason))) => Err(Unplaced::Unknown(reason)),
        Err(error) => Err(Unplaced::Unknown(error.to_string())),
    }
}

fn accepted(order: &Order, saga: &Saga, choice: &availability::Choice) -> Accepted {
    let line = |item: &contract::OrderItem| AcceptedLine {
        id: item.id,
        order_id: order.id,
        book_id: item.book_id,
        book_title: item.book_title.clone(),
        isbn: item.isbn.clone(),
        quantity: item.quantity,
        price_cents: item.price_at_purchase.cents(),
    };
    Accepted {
        order_id: order.id,
        user_id: order.user_id,
        total_cents: order.total_amount.cents(),
        method: order.payment.method.clone(),
        shipment_id: saga.shipment,
        warehouse_id: choice.warehouse,
        warehouse_name: choice.name.clone(),
        contents: json!(order::contents(order)).to_string(),
        state: json!(saga),
        at: order.created_at,
        lines: order.items.iter().map(line).collect(),
    }
}
