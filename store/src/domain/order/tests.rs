use chrono::DateTime;
use uuid::Uuid;

use super::*;
use contract::{ShipmentId, WarehouseId};

use crate::domain::saga::Part;

const OPTIONS: Options = Options { allow_split: true, allow_backorder: false };

fn id(n: u128) -> BookId {
    BookId(Uuid::from_u128(n))
}

fn line(book: u128, quantity: u32) -> OrderLine {
    OrderLine { book_id: id(book), quantity }
}

fn request(items: &[OrderLine], payment: Option<PaymentRequest>) -> Result<Request, Vec<String>> {
    let (order, user) = (OrderId(Uuid::nil()), UserId(Uuid::nil()));
    Request::new(order, user, items, payment, OPTIONS)
        .map_err(|errors| errors.into_iter().map(|error| error.field).collect())
}

fn book(n: u128, cents: i64) -> Option<Arc<Book>> {
    let now = DateTime::from_timestamp(0, 0).unwrap();
    Some(Arc::new(Book {
        id: id(n),
        isbn: format!("isbn-{n}"),
        title: format!("title {n}"),
        author: String::new(),
        publisher: None,
        price: Money(cents),
        description: None,
        genre: None,
        published_year: None,
        is_active: true,
        version: 1,
        created_at: now,
        updated_at: now,
    }))
}

fn priced(request: &Request, books: &[Option<Arc<Book>>]) -> Result<Order, Vec<FieldError>> {
    request.priced(books, || OrderItemId(Uuid::nil()), DateTime::from_timestamp(0, 0).unwrap())
}

#[test]
fn lines_of_a_book_are_added_up_where_it_was_first_named() {
    let request = request(&[line(1, 2), line(2, 1), line(1, 3)], None).unwrap();
    assert_eq!(request.lines, [line(1, 5), line(2, 1)]);
    assert_eq!(request.method, DEFAULT_METHOD);
}

#[test]
fn what_is_out_of_bounds_is_named() {
    let many: Vec<_> = (0..101).map(|n| line(n, 1)).collect();
    let method = |method: &str| Some(PaymentRequest { method: Some(method.to_owned()), amount: None });
    let table: [(&[OrderLine], Option<PaymentRequest>, &[&str]); 8] = [
        (&[], None, &["items"]),
        (&[line(1, 0)], None, &["items[0].quantity"]),
        (&[line(1, 1), line(2, 1_001)], None, &["items[1].quantity"]),
        (&[line(1, 600), line(1, 600)], None, &["items[1].quantity"]),
        (&[line(1, u32::MAX), line(1, u32::MAX)], None, &["items[0].quantity", "items[1].quantity"]),
        (&many, None, &["items"]),
        (&[line(1, 1)], method(" "), &["payment.method"]),
        (&[line(1, 1)], method(&"x".repeat(41)), &["payment.method"]),
    ];
    for (items, payment, fields) in table {
        assert_eq!(request(items, payment.clone()).unwrap_err(), fields, "{items:?} {payment:?}");
    }
    assert!(request(&many[..100], None).is_ok());
    assert!(request(&[line(1, 1_000)], None).is_ok());
}

#[test]
fn the_total_is_right_to_the_cent() {
    let request = request(&[line(1, 3), line(2, 1)], None).unwrap();
    let order = priced(&request, &[book(1, 1_499), book(2, 4_997)]).unwrap();
    assert_eq!(order.total_amount.to_string(), "94.94", "which is 94.94999999999999 in floating point");
    assert_eq!(order.payment.amount, order.total_amount);
    assert_eq!((order.items[0].price_at_purchase, order.items[0].book_title.as_str()), (Money(1_499), "title 1"));
}

#[test]
fn a_book_that_is_not_on_sale_and_an_amount_that_is_not_the_total_are_refused() {
    let two = request(&[line(1, 1), line(2, 1)], None).unwrap();
    let errors = priced(&two, &[book(1, 100), None]).unwrap_err();
    assert!(errors[0].message.contains(&id(2).to_string()), "{errors:?}");
    let payment = |amount| Some(PaymentRequest { method: None, amount: Some(Money(amount)) });
    let errors = priced(&request(&[line(1, 2)], payment(199)).unwrap(), &[book(1, 100)]).unwrap_err();
    assert_eq!(errors[0].field, "payment.amount");
    assert!(priced(&request(&[line(1, 2)], payment(200)).unwrap(), &[book(1, 100)]).is_ok());
}

#[test]
fn a_price_beyond_counting_is_refused() {
    let request = request(&[line(1, 1_000)], None).unwrap();
    assert_eq!(priced(&request, &[book(1, i64::MAX / 10)]).unwrap_err()[0].field, "items");
}

#[test]
fn an_order_follows_its_shipments() {
    let lines = [Line { book: id(1), quantity: 2 }];
    let mut order = priced(&request(&[line(1, 2)], None).unwrap(), &[book(1, 100)]).unwrap();
    let part = |n: u128, name: &str, state| {
        let (id, at) = (ShipmentId(Uuid::from_u128(n)), WarehouseId(Uuid::nil()));
        let mut part = Part::new(id, at, name.to_owned(), lines.to_vec(), true);
        part.state = state;
        part
    };
    let now = DateTime::from_timestamp(0, 0).unwrap();
    let mut saga = Saga::new(vec![part(1, "alpha", PartState::Planned)], OPTIONS, now, now);
    follow(&mut order, &saga, None);
    assert_eq!(order.fulfillment_warehouse.as_deref(), Some("alpha"));
    saga.replaced = vec![part(1, "alpha", PartState::Refused)];
    saga.parts = vec![part(2, "beta", PartState::Planned)];
    follow(&mut order, &saga, None);
    assert_eq!((order.status, order.fulfillment_warehouse.as_deref()), (OrderStatus::Pending, Some("beta")));
    let at = DateTime::from_timestamp(9, 0).unwrap();
    saga.parts = vec![part(2, "beta", PartState::Shipped { at })];
    follow(&mut order, &saga, None);
    assert_eq!((order.status, order.shipped_at), (OrderStatus::PartiallyShipped, None));
    saga.stage = Stage::Capturing;
    follow(&mut order, &saga, None);
    assert_eq!((order.status, order.shipped_at), (OrderStatus::Shipped, Some(at)));
    let statuses: Vec<_> = order.shipments.iter().map(|shipment| shipment.status).collect();
    assert_eq!(statuses, [ShipmentStatus::Refused, ShipmentStatus::Shipped]);
    saga.parts[0].returned = lines.to_vec();
    saga.stage = Stage::Shipped;
    follow(&mut order, &saga, None);
    assert_eq!((order.status, order.items[0].returned), (OrderStatus::Returned, 2));
}
