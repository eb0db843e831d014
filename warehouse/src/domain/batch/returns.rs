//! Copies that come back, in a batch.

use std::collections::BTreeMap;

use contract::{BookId, MAX_STOCK, MovementKind, OrderId, ReturnId, ShipmentId, Shortfall};

use super::{Answer, Batch, Fresh, Movement, STORE, Stage, Verdict};
use crate::domain::adjustment::Refusal;
use crate::domain::returned::Return;
use crate::domain::shipment;

impl Batch {
    pub(super) fn take_back(&mut self, asked: &Return) -> Verdict {
        if let Some((shipment_id, order_id, items_hash)) = self.made_before(asked.id) {
            let is_same = shipment_id == asked.shipment_id
                && order_id == asked.order_id
                && items_hash == shipment::digest(&asked.lines);
            return if is_same { Verdict::Returned(asked.id) } else { Verdict::Settled(Answer::Mismatch) };
        }
        let of = match self.standing(asked.shipment_id) {
            Some(standing) if matches!(standing.stage, Stage::Shipped) => standing.order_id,
            _ => return Verdict::Settled(Answer::NotShipped(shortfalls(&asked.lines, &BTreeMap::new()))),
        };
        if of != Some(asked.order_id) {
            return Verdict::Settled(Answer::Mismatch);
        }
        let shortfalls = shortfalls(&asked.lines, &self.away(asked.shipment_id));
        if !shortfalls.is_empty() {
            return Verdict::Settled(Answer::NotShipped(shortfalls));
        }
        let after = asked.lines.iter().filter_map(|(book_id, quantity)| {
            let row = self.ground.shelf.get(book_id)?;
            Some((row.quantity + quantity, row.reserved))
        });
        if let Some((would_be, reserved)) = after.into_iter().find(|(would_be, _)| *would_be > MAX_STOCK) {
            return Verdict::Settled(Answer::Refused(Refusal::OutOfBounds { would_be, reserved }));
        }
        for (&book_id, &quantity) in &asked.lines {
            self.change(book_id, quantity, 0);
            self.movements.push(Movement {
                book_id,
                kind: MovementKind::Returned,
                on_hand_delta: quantity,
                reserved_delta: 0,
                shipment_id: Some(asked.shipment_id),
                order_id: Some(asked.order_id),
                made_by: STORE.to_owned(),
                reason: asked.reason.clone(),
            });
        }
        self.returned.insert(asked.id, asked.clone());
        Verdict::Returned(asked.id)
    }

    fn made_before(&self, id: ReturnId) -> Option<(ShipmentId, OrderId, String)> {
        if let Some(made) = self.returned.get(&id) {
            return Some((made.shipment_id, made.order_id, shipment::digest(&made.lines)));
        }
        let made = self.ground.returns.get(&id)?;
        Some((made.receipt.shipment_id, made.receipt.order_id, made.items_hash.clone()))
    }

    /// What a shipment took and has not come back.
    fn away(&self, id: ShipmentId) -> BTreeMap<BookId, i64> {
        let mut away = match self.fresh.get(&id) {
            Some(Fresh::Ship { lines, .. }) => lines.iter().map(|line| (line.book_id, line.quantity)).collect(),
            _ => self.ground.shipped.get(&id).cloned().unwrap_or_default(),
        };
        let before = self.ground.returns.values().filter(|made| made.receipt.shipment_id == id).map(|made| &made.lines);
        let now = self.returned.values().filter(|made| made.shipment_id == id).map(|made| &made.lines);
        for (book_id, quantity) in before.chain(now).flatten() {
            *away.entry(*book_id).or_insert(0) -= quantity;
        }
        away
    }
}

/// The lines that are more than is away.
fn shortfalls(lines: &BTreeMap<BookId, i64>, away: &BTreeMap<BookId, i64>) -> Vec<Shortfall> {
    let line =
        |(&book_id, &requested)| Shortfall { book_id, requested, available: away.get(&book_id).copied().unwrap_or(0) };
    lines.iter().map(line).filter(|line| line.requested > line.available).collect()
}
