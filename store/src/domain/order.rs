//! Orders: what is asked for, what it costs, and how a saga's steps change it.

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::{
    BookId, FieldError, Money, Order, OrderId, OrderItem, OrderItemId, OrderLine, OrderStatus, Payment, PaymentRequest,
    PaymentStatus, Shipment, ShipmentLine, ShipmentStatus, Timestamp, UserId,
};

use super::book::Book;
use super::saga::{Item, Options, PartState, Saga, Stage, Terms};
use super::sourcing::Line;

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
    /// What the customer chose of how it may be sent.
    pub options: Options,
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
        options: Options,
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
        if errors.is_empty() {
            Ok(Self { id, user, lines, method, amount: payment.amount, options })
        } else {
            Err(errors)
        }
    }

    /// What the request asks for, as a fingerprint: the same whatever its spelling, for as long as books, quantities,
    /// means of payment, expected amount and options are the same, in the same order.
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
        hasher.update(&[u8::from(self.options.allow_split), u8::from(self.options.allow_backorder)]);
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
                returned: 0,
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
            payment: Payment {
                method: self.method.clone(),
                amount: total,
                status: PaymentStatus::Pending,
                captured: Money(0),
                refunded: Money(0),
            },
            shipments: Vec::new(),
            fulfillment_warehouse: None,
            cancel_requested: false,
            created_at: now,
            shipped_at: None,
            status_reason: None,
        })
    }
}

/// What the saga needs to know of the order.
pub fn terms(order: &Order) -> Terms {
    let item = |item: &OrderItem| Item {
        line: Line { book: item.book_id, quantity: item.quantity },
        price: item.price_at_purchase,
    };
    Terms { order: order.id, items: order.items.iter().map(item).collect(), total: order.total_amount }
}

/// What a shipment of these lines of the order contains.
pub fn contents(order: &Order, lines: &[Line]) -> Vec<ShipmentLine> {
    let isbn = |book| order.items.iter().find(|item| item.book_id == book).map(|item| item.isbn.clone());
    let line = |line: &Line| ShipmentLine {
        book_id: line.book,
        isbn: isbn(line.book).unwrap_or_default(),
        quantity: line.quantity,
    };
    lines.iter().map(line).collect()
}

/// Makes the order what its saga says: an order's status follows its shipments. `reason` is for people, where the
/// status needs one.
pub fn follow(order: &mut Order, saga: &Saga, reason: Option<&str>) {
    for part in saga.replaced.iter().chain(&saga.parts) {
        let known = order.shipments.iter().position(|shipment| shipment.id == part.shipment);
        let index = known.unwrap_or_else(|| {
            let items = contents(order, &part.lines);
            let (id, warehouse_name) = (part.shipment, part.name.clone());
            let status = ShipmentStatus::Pending;
            order.shipments.push(Shipment { id, warehouse_name, status, items, shipped_at: None });
            order.shipments.len() - 1
        });
        let shipment = &mut order.shipments[index];
        (shipment.status, shipment.shipped_at) = (shipment_status(part.state), part.shipped_at());
    }
    for item in &mut order.items {
        let returned = saga.parts.iter().flat_map(|part| &part.returned).filter(|line| line.book == item.book_id);
        item.returned = returned.map(|line| line.quantity).sum();
    }
    order.status = status(saga);
    order.status_reason = reason.map(str::to_owned).or_else(|| lasting_reason(order, saga));
    order.cancel_requested = saga.is_cancelling();
    let is_complete = matches!(order.status, OrderStatus::Shipped | OrderStatus::Returned);
    let left = saga.parts.iter().filter_map(|part| part.shipped_at()).max();
    order.shipped_at = left.filter(|_| is_complete);
    order.payment.status = saga.paid.status;
    (order.payment.captured, order.payment.refunded) = (saga.paid.captured, saga.paid.refunded);
    order.fulfillment_warehouse = fulfillment_warehouse(&order.shipments);
}

const fn shipment_status(state: PartState) -> ShipmentStatus {
    match state {
        PartState::Planned | PartState::Held | PartState::Confirmed => ShipmentStatus::Pending,
        PartState::Shipped { .. } => ShipmentStatus::Shipped,
        PartState::Refused => ShipmentStatus::Refused,
        PartState::Voided => ShipmentStatus::Voided,
    }
}

fn status(saga: &Saga) -> OrderStatus {
    let has_left = saga.parts.iter().any(|part| part.shipped_at().is_some());
    match saga.stage {
        Stage::Rejected => OrderStatus::Rejected,
        Stage::Cancelled => OrderStatus::Cancelled,
        Stage::Shipped if saga.is_returned() => OrderStatus::Returned,
        Stage::Shipped | Stage::Capturing | Stage::Returning | Stage::Refunding => OrderStatus::Shipped,
        _ if saga.attention.is_some() => OrderStatus::NeedsAttention,
        _ if has_left => OrderStatus::PartiallyShipped,
        Stage::AwaitingStock if saga.backordered => OrderStatus::Backordered,
        _ => OrderStatus::Pending,
    }
}

/// What is still to be said though the latest step had nothing to say.
fn lasting_reason(order: &Order, saga: &Saga) -> Option<String> {
    let lasts = saga.short || saga.ending.is_some() || saga.attention.is_some();
    let reason = order.status_reason.clone().filter(|_| lasts);
    reason.or_else(|| saga.short.then(|| "what had not left was given up, and is not charged".to_owned()))
}

/// The warehouse that ships an order, or is to: the latest one asked that has not refused.
pub fn fulfillment_warehouse(shipments: &[Shipment]) -> Option<String> {
    let live = |shipment: &&Shipment| matches!(shipment.status, ShipmentStatus::Pending | ShipmentStatus::Shipped);
    shipments.iter().rfind(live).map(|shipment| shipment.warehouse_name.clone())
}

#[cfg(test)]
mod tests;
