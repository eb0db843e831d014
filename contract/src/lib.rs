//! What the store and the warehouses put on the wire: identifiers, money, statuses, the bodies of requests and answers, problem details, and
//! the demo data that every service agrees on.
//!
//! JSON members are `camelCase`, times RFC 3339 in UTC with microseconds, money a number with exactly two decimals.

mod account;
mod audit;
pub mod book;
pub mod demo;
mod ids;
mod inventory;
pub mod isbn;
mod money;
mod order;
pub mod problem;
mod reservation;
mod saga;
mod shipment;
mod status;
pub mod time;
mod warehouse;

pub use account::{ChangePassword, LoggedIn, Login, RegisterUser, User};
pub use audit::AuditEntry;
pub use book::{Book, BookAvailability, BookPatch, ImportFault, ImportReport, NewBook};
pub use ids::{
    BookId, DatabaseId, MalformedId, MovementId, OrderId, OrderItemId, ReturnId, ShipmentId, ShipmentLogId, UserId,
    WarehouseId,
};
pub use inventory::{AdjustStock, InventoryItem, Movement, SetStock, StockRow};
pub use money::{MalformedMoney, Money};
pub use order::{
    Confirmation, Confirmed, Order, OrderEvent, OrderItem, OrderLine, Payment, PaymentRequest, PlaceOrder, ReturnOrder,
    Shipment,
};
pub use problem::{FieldError, Problem};
pub use reservation::{Reservation, ReservationEntry, ReservationRequest, ReturnReceipt, ReturnRequest, ShipmentCall};
pub use saga::{Saga, SagaEntry, SagaPart};
pub use shipment::{ShipmentLine, ShipmentLogEntry, ShipmentReceipt, ShipmentRequest, Shortfall, VoidReceipt};
pub use status::{
    AuditPhase, Breaker, MovementKind, OrderStatus, PaymentStatus, ReservationStatus, Role, ShipmentStatus,
    UnknownName, WarehouseHealth,
};
pub use time::Timestamp;
pub use warehouse::{
    Health, PatchWarehouse, Readiness, ReconcileReport, ReconcileResult, Registered, Registration, RestartActor,
    WarehouseHealthReport, WarehouseInfo, WarehouseView,
};

/// Response header of `GET /inventory`: the warehouse's version counter, read in the same snapshot as the rows.
pub const INVENTORY_VERSION_HEADER: &str = "inventory-version";

/// The most copies that one line of an order or shipment may ask for.
pub const MAX_LINE_QUANTITY: u32 = 1_000;

/// The most distinct books in one order or shipment.
pub const MAX_LINES: usize = 100;

/// The most copies of one book that a warehouse can hold. Far above any real shelf, far below where sums over a catalogue overflow.
pub const MAX_STOCK: i64 = 1_000_000_000;

/// The longest that a reservation is held without being confirmed: a day.
pub const MAX_HOLD_SECONDS: u32 = 86_400;
