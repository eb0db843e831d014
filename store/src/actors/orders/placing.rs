//! From a client's wish to its answer: which orders are being placed, under which idempotency keys, and who waits.
//!
//! A key that is being worked on is known only here: whoever repeats it meanwhile waits for the same answer. What came
//! of it is in the database, with the order and in its transaction. A refusal before an order exists is kept nowhere.

use std::time::{Duration, Instant};

use actors::{Context, Reply};
use contract::{Order, OrderId, OrderStatus, Shortfall};
use metrics::counter;

use super::place::{self, Begun, Placed, Unplaced};
use super::waiting::{Answer, Waiter};
use super::{IN_FLIGHT, Live, Msg, Running, State, Wish};
use crate::db;

/// How long reading an order that is known already may take.
const LOOK_WITHIN: Duration = Duration::from_secs(10);

impl State {
    pub(super) fn place(&mut self, wish: Wish, reply: Reply<Answer>, ctx: &mut Context<Msg>) {
        let waiter = Waiter { reply, respond_async: wish.respond_async };
        let running = wish.key.as_ref().and_then(|key| Some((key, self.keys.get(&(key.user_id, key.key.clone()))?)));
        match running {
            Some((key, running)) if running.body_hash != key.body_hash => {
                return waiter.reply.send(Err(Unplaced::KeyReused));
            }
            Some((_, running)) => return self.wait(running.order, waiter, ctx),
            None if self.placing.len() >= IN_FLIGHT => return waiter.reply.send(Err(Unplaced::Busy)),
            None => {}
        }
        let order = wish.request.id;
        let name = wish.key.as_ref().map(|key| (key.user_id, key.key.clone()));
        if let (Some(name), Some(key)) = (&name, &wish.key) {
            self.keys.insert(name.clone(), Running { order, body_hash: key.body_hash.clone() });
        }
        self.placing.insert(order, name);
        self.wait(order, waiter, ctx);
        let work = place::place(self.args.clone(), wish);
        ctx.effect(place::WITHIN, work, move |outcome| {
            let unknown = |error: actors::EffectError| Err(Unplaced::Unknown { order, reason: error.to_string() });
            Msg::Accepted { order, result: outcome.unwrap_or_else(unknown) }
        });
    }

    fn wait(&mut self, order: OrderId, waiter: Waiter, ctx: &mut Context<Msg>) {
        let wait = self.args.wait;
        self.waiting.add(order, waiter, || ctx.send_after(wait, Msg::WaitOver { order }));
    }

    pub(super) fn accepted(&mut self, order: OrderId, result: Result<Begun, Unplaced>, ctx: &mut Context<Msg>) {
        self.placed(order);
        self.placing.remove(&order);
        match result {
            Ok(Begun::New { saga, order: accepted }) => {
                // Nobody waits any more where the saga has ended before this message came.
                if self.waiting.is_any(order) || saga.is_open() {
                    self.live.insert(order, Live { address: saga, since: Instant::now() });
                }
                self.waiting.accepted(order, &Ok(Placed::Accepted(accepted)));
            }
            Ok(Begun::Known(known)) => self.follow(order, known, ctx),
            Err(unplaced) => {
                counter!("bookstore_orders_total", "outcome" => unplaced.name()).increment(1);
                self.waiting.answer(order, &Err(unplaced));
            }
        }
    }

    /// The key of an order is durable, or free again.
    fn placed(&mut self, order: OrderId) {
        if let Some(Some(name)) = self.placing.get(&order)
            && self.keys.get(name).is_some_and(|running| running.order == order)
        {
            self.keys.remove(name);
        }
    }

    /// Those who repeat a request wait for the order that it made. It may have ended already.
    fn follow(&mut self, repeated: OrderId, order: OrderId, ctx: &mut Context<Msg>) {
        for waiter in self.waiting.take(repeated) {
            self.wait(order, waiter, ctx);
        }
        // Read after they wait, so that an end in between is told to them in the one way or the other.
        let reader = self.args.peers.reader.clone();
        let read = async move {
            reader.read("orders.repeated", move |db| async move { db::orders::outcome(&db, order).await }).await
        };
        ctx.effect(LOOK_WITHIN, read, move |outcome| {
            // Where it cannot be read they go on waiting, and look it up at last.
            Msg::Followed { order, found: outcome.ok().and_then(Result::ok).flatten().map(Box::new) }
        });
    }

    pub(super) fn followed(&mut self, id: OrderId, found: Option<Box<(Order, Vec<Shortfall>)>>) {
        let Some((order, shortfalls)) = found.map(|found| *found) else { return };
        match order.status {
            OrderStatus::Pending | OrderStatus::PartiallyShipped | OrderStatus::NeedsAttention => {
                self.waiting.accepted(id, &Ok(Placed::Accepted(Box::new(order))));
            }
            _ => self.waiting.answer(id, &Ok(Placed::ended(order, shortfalls))),
        }
    }

    /// An order has come to where it is worth telling, or to its end.
    pub(super) fn moved(&mut self, order: Order, shortfalls: Vec<Shortfall>, over: bool) {
        let id = order.id;
        if over {
            // A return is no other order.
            if order.items.iter().all(|item| item.returned == 0) {
                counter!("bookstore_orders_total", "outcome" => order.status.as_str()).increment(1);
            }
            self.live.remove(&id);
        }
        if let (true, Some(shipment)) = (order.shipped_at.is_some(), order.shipments.last()) {
            self.shipped.insert(id, shipment.clone());
        }
        // Whoever repeats it from now on must read it: nobody is going to tell them.
        self.placed(id);
        self.waiting.answer(id, &Ok(Placed::ended(order, shortfalls)));
    }
}
