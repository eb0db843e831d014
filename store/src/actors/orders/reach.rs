//! Reaching an order's saga for somebody, where it has none by starting it. Runs as an effect of `orders`.

use std::time::Duration;

use actors::{Address, AskError, Reply};
use contract::{Order, OrderId};

use super::{Args, saga_id, saga_of};
use crate::actors::{journal, saga};
use crate::db;
use crate::domain::saga::Unfit;

/// How long a person's request may take: longer than anybody waits for the answer.
pub(super) const WITHIN: Duration = Duration::from_secs(60);
/// How long a saga that was started for it may take to open its address.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Why a person's request is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unasked {
    /// There is no such order.
    UnknownOrder,
    /// The order is not where that can be asked.
    Unfit(Unfit),
    /// It has been asked and is not done yet.
    Open,
    /// Something that it needs is away or full. It may have been asked.
    Busy,
}

/// Answers `reply`; returns the address of the saga that it started, if it did.
pub(super) async fn ask(
    args: Args,
    order: OrderId,
    request: saga::Request,
    live: Option<Address<saga::Msg>>,
    reply: Reply<Result<Box<Order>, Unasked>>,
) -> Option<Address<saga::Msg>> {
    if request == saga::Request::Resume && !forget_panics(&args, order).await {
        reply.send(Err(Unasked::Busy));
        return None;
    }
    if let Some(live) = live {
        match put(&args, &live, request.clone()).await {
            // It has ended or failed meanwhile.
            Err(AskError::Refused | AskError::Lost) => {}
            asked => {
                reply.send(answer(asked));
                return None;
            }
        }
    }
    let read = args.peers.reader.read("orders.ask", move |db| async move { db::orders::find(&db, order).await });
    match read.await {
        Ok(Some(_)) => {}
        Ok(None) => {
            reply.send(Err(Unasked::UnknownOrder));
            return None;
        }
        Err(_) => {
            reply.send(Err(Unasked::Busy));
            return None;
        }
    }
    let saga = restart(&args, order).await;
    reply.send(answer(put(&args, &saga, request).await));
    Some(saga)
}

async fn put(args: &Args, saga: &Address<saga::Msg>, request: saga::Request) -> Result<saga::Asked, AskError> {
    saga.ask(args.wait, |reply| saga::Msg::Ask { request, reply }).await
}

fn answer(asked: Result<saga::Asked, AskError>) -> Result<Box<Order>, Unasked> {
    match asked {
        Ok(Ok(order)) => Ok(order),
        Ok(Err(unfit)) => Err(Unasked::Unfit(unfit)),
        Err(AskError::Timeout) => Err(Unasked::Open),
        Err(AskError::Refused | AskError::Lost) => Err(Unasked::Busy),
    }
}

/// R24: a person has looked, so it may panic again.
async fn forget_panics(args: &Args, order: OrderId) -> bool {
    let entry = journal::Entry::ForgetPanics { order };
    let ask = args.peers.journal.ask(saga::WRITE_WITHIN, |reply| journal::Msg::Write { entry, reply });
    matches!(ask.await, Ok(Ok(journal::Written::Noted)))
}

/// A saga whose address is known. One that runs already has an address that a restart of `orders` has forgotten: it
/// makes way.
pub(super) async fn restart(args: &Args, order: OrderId) -> Address<saga::Msg> {
    args.sagas.stop_child(&saga_id(order)).await;
    let (address, spec) = saga_of(args, order, None);
    if args.sagas.start_child(spec).await.is_ok() {
        let open = async {
            while !address.is_open() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let _ = tokio::time::timeout(OPEN_WITHIN, open).await;
    }
    address
}
