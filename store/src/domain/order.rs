//! Orders: what is asked for, what it costs, and how a saga's steps change it.

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::{
    BookId, FieldError, Money, Order, OrderId, OrderItem, OrderItemId, OrderLine, OrderStatus, Payment, PaymentRequest,
    PaymentStatus, Shipment, ShipmentId, ShipmentLine, ShipmentStatus, Timestamp, UserId,
};

use super::book::Book;
use super::saga::Transition;

/// How an order is paid where it does not say.
pub const DEFAULT_METHOD: &str = "credit_card";

/// The longest name of a means of payment, in bytes.
const MAX_METHOD: usize = 40;

/// An order as a customer wants it, checked as far as that goes without the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What it will be called.
    pub id: OrderId,
    /// Whose it is.
    pub user: UserId,
    /// Books in the order first named, each once.
    pub lines: Vec<OrderLine>,
    /// How it is paid.
    pub method: String,
    /// What the customer believes it to cost.
    pub amount: Option<Money>,
}

impl Request {
    /// Adds up lines of the same book.
    ///
    /// # Errors
    /// Every member that is wrong.
    pub fn new(
        id: OrderId,
        user: UserId,
        items: &[OrderLine],
        payment: Option<PaymentRequest>,
    ) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut wrong = |field: String, message: String| errors.push(FieldError { field, message });
        let mut lines = Vec::<OrderLine>::new();
        let mut places = BTreeMap::<BookId, usize>::new();
        for (index, item) in items.iter().enumerate().take(10 * contract::MAX_LINES) {
            let place = *places.entry(item.book_id).or_insert(lines.len());
            match lines.get_mut(place) {
                Some(line) => line.quantity = line.quantity.saturating_add(item.quantity),
                None => lines.push(*item),
            }
            if item.quantity == 0 || lines[place].quantity > contract::MAX_LINE_QUANTITY {
                let most = contract::MAX_LINE_QUANTITY;
                wrong(format!("items[{index}].quantity"), format!("must be 1 to {most}, all lines of a book together"));
            }
        }
        if lines.is_empty() || lines.len() > contract::MAX_LINES || items.len() > 10 * contract::MAX_LINES {
            wrong("items".to_owned(), format!("must be 1 to {} books", contract::MAX_LINES));
        }
        let payment = payment.unwrap_or_default();
        let method = payment.method.unwrap_or_else(|| DEFAULT_METHOD.to_owned());
        if method.trim().is_empty() || method.len() > MAX_METHOD {
            wrong("payment.method".to_owned(), format!("must be 1 to {MAX_METHOD} bytes"));
        }
        if errors.is_empty() { Ok(Self { id, user, lines, method, amount: payment.amount }) } else { Err(errors) }
    }

    /// What the request asks for, as a fingerprint: the same whatever its spelling, for as long as books, quantities,
    /// means of payment and expected amount are the same, in the same order.
    pub fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(self.lines.len() as u64).to_be_bytes());
        for line in &self.lines {
            hasher.update(line.book_id.uuid().as_bytes()).update(&line.quantity.to_be_bytes());
        }
        hasher.update(&(self.method.len() as u64).to_be_bytes()).update(self.method.as_bytes());
        if let Some(amount) = self.amount {
            hasher.update(&amount.cents().to_be_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// The order that this would be with the catalogue's books, in the order of the lines; `item_id` makes the ids of
    /// its items. It has no shipment yet.
    ///
    /// # Errors
    /// Each book that is not on sale, or an amount that is not the total.
    pub fn priced(
        &self,
        books: &[Option<Arc<Book>>],
        item_id: impl Fn() -> OrderItemId,
        now: Timestamp,
    ) -> Result<Order, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut items = Vec::with_capacity(self.lines.len());
        let mut total = Some(Money(0));
        for (index, line) in self.lines.iter().enumerate() {
            let Some(book) = books.get(index).and_then(Option::as_ref) else {
                let message = format!("book {} is not on sale", line.book_id);
                errors.push(FieldError { field: "items.bookId".to_owned(), message });
                continue;
            };
            total = total.zip(book.price.times(line.quantity)).and_then(|(total, price)| total.checked_add(price));
            items.push(OrderItem {
                id: item_id(),
                book_id: book.id,
                book_title: book.title.clone(),
                isbn: book.isbn.clone(),
                quantity: line.quantity,
                price_at_purchase: book.price,
            });
        }
        let Some(total) = total else {
            return Err(vec![FieldError { field: "items".to_owned(), message: "cost more than we can count".into() }]);
        };
        if let Some(amount) = self.amount.filter(|amount| errors.is_empty() && *amount != total) {
            let message = format!("is {amount}, but the total is {total}");
            errors.push(FieldError { field: "payment.amount".to_owned(), message });
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Order {
            id: self.id,
            user_id: self.user,
            status: OrderStatus::Pending,
            total_amount: total,
            items,
            payment: Payment { method: self.method.clone(), amount: total, status: PaymentStatus::Pending },
            shipments: Vec::new(),
            fulfillment_warehouse: None,
            created_at: now,
            shipped_at: None,
            status_reason: None,
        })
    }
}

/// What a shipment of the whole order contains.
pub fn contents(order: &Order) -> Vec<ShipmentLine> {
    let line =
        |item: &OrderItem| ShipmentLine { book_id: item.book_id, isbn: item.isbn.clone(), quantity: item.quantity };
    order.items.iter().map(line).collect()
}

/// Adds a shipment of the whole order.
pub fn instruct(order: &mut Order, id: ShipmentId, warehouse_name: &str) {
    let items = contents(order);
    let warehouse_name = warehouse_name.to_owned();
    order.shipments.push(Shipment { id, warehouse_name, status: ShipmentStatus::Pending, items, shipped_at: None });
    order.fulfillment_warehouse = fulfillment_warehouse(&order.shipments);
}

/// The warehouse that ships an order, or is to: the latest one asked that has not refused.
pub fn fulfillment_warehouse(shipments: &[Shipment]) -> Option<String> {
    let live = |shipment: &&Shipment| matches!(shipment.status, ShipmentStatus::Pending | ShipmentStatus::Shipped);
    shipments.iter().rfind(live).map(|shipment| shipment.warehouse_name.clone())
}

/// What a transition makes of the order and of the shipment it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where the order stands.
    pub order: OrderStatus,
    /// Why.
    pub reason: Option<String>,
    /// Where the shipment stands.
    pub shipment: ShipmentStatus,
    /// When it left.
    pub shipped_at: Option<Timestamp>,
    /// Where the payment stands; none leaves it as it is.
    pub payment: Option<PaymentStatus>,
}

impl Change {
    /// Of a transition.
    pub fn of(transition: &Transition) -> Self {
        let (reason, shipped_at, payment) = (None, None, None);
        let given_up = |refused: bool| if refused { ShipmentStatus::Refused } else { ShipmentStatus::Voided };
        match transition {
            Transition::Shipped { shipped_at, .. } => Self {
                order: OrderStatus::Shipped,
                reason,
                shipment: ShipmentStatus::Shipped,
                shipped_at: Some(*shipped_at),
                payment: Some(PaymentStatus::Captured),
            },
            Transition::Moved { refused, .. } => {
                Self { order: OrderStatus::Pending, reason, shipment: given_up(*refused), shipped_at, payment }
            }
            Transition::Rejected { refused, reason, .. } => Self {
                order: OrderStatus::Rejected,
                reason: Some(reason.clone()),
                shipment: given_up(*refused),
                shipped_at,
                payment: Some(PaymentStatus::Voided),
            },
            Transition::Flagged { reason } => Self {
                order: OrderStatus::NeedsAttention,
                reason: Some(reason.clone()),
                shipment: ShipmentStatus::Pending,
                shipped_at,
                payment,
            },
        }
    }

    /// Applies it to the order as people see it.
    pub fn apply(&self, order: &mut Order, shipment: ShipmentId) {
        order.status = self.order;
        order.status_reason.clone_from(&self.reason);
        order.shipped_at = self.shipped_at;
        if let Some(payment) = self.payment {
            order.payment.status = payment;
        }
        if let Some(shipment) = order.shipments.iter_mut().find(|known| known.id == shipment) {
            shipment.status = self.shipment;
            shipment.shipped_at = self.shipped_at;
        }
        order.fulfillment_warehouse = fulfillment_warehouse(&order.shipments);
    }
}

#[cfg(test)]
mod tests;
