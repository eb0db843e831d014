//! Roles and statuses, by the names they have on the wire and in the databases.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// The text names no value of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownName {
    /// The names there are.
    pub expected: &'static [&'static str],
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected one of {}", self.expected.join(", "))
    }
}

impl std::error::Error for UnknownName {}

macro_rules! names {
    ($($(#[doc = $doc:literal])* $type:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)* })*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $type {
            $($(#[$variant_doc])* #[serde(rename = $name)] $variant,)*
        }

        impl $type {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name on the wire and in the database.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        // The derived one does not see names that come through this macro.
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                let description = concat!($($doc),*).trim();
                ObjectBuilder::new().schema_type(Type::String).enum_values(Some([$($name),*])).description(Some(description)).into()
            }
        }

        impl ToSchema for $type {}

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;

            fn from_str(text: &str) -> Result<Self, UnknownName> {
                match text {
                    $($name => Ok(Self::$variant),)*
                    _ => Err(UnknownName { expected: &[$($name),*] }),
                }
            }
        }
    )*};
}

names! {
    /// What an account may do.
    Role {
        /// Buys books.
        Customer = "CUSTOMER",
        /// Runs the store.
        StoreAdmin = "STORE_ADMIN",
        /// Runs a warehouse.
        WarehouseStaff = "WAREHOUSE_STAFF",
    }

    /// Where an order stands.
    OrderStatus {
        /// Accepted; its end is being worked on.
        Pending = "PENDING",
        /// Everything has left a warehouse.
        Shipped = "SHIPPED",
        /// Ended at the customer's wish, nothing shipped.
        Cancelled = "CANCELLED",
        /// Ended because nobody has the books, nothing shipped.
        Rejected = "REJECTED",
        /// Still open, and a person should look.
        NeedsAttention = "NEEDS_ATTENTION",
        /// Waits for stock.
        Backordered = "BACKORDERED",
        /// Some of its shipments have left.
        PartiallyShipped = "PARTIALLY_SHIPPED",
        /// Came back.
        Returned = "RETURNED",
    }

    /// Where the payment of an order stands.
    PaymentStatus {
        /// Not asked for yet.
        Pending = "PENDING",
        /// The amount is held.
        Authorized = "AUTHORIZED",
        /// The amount is taken.
        Captured = "CAPTURED",
        /// The hold is released, nothing was taken.
        Voided = "VOIDED",
        /// The amount went back.
        Refunded = "REFUNDED",
        /// It could not be had.
        Failed = "FAILED",
    }

    /// Where one shipment of an order stands.
    ShipmentStatus {
        /// Asked for, not answered.
        Pending = "PENDING",
        /// It has left.
        Shipped = "SHIPPED",
        /// The warehouse lacks the stock.
        Refused = "REFUSED",
        /// It can never be shipped any more.
        Voided = "VOIDED",
    }

    /// Where copies that a warehouse has set aside stand.
    ReservationStatus {
        /// Set aside until it expires.
        Held = "HELD",
        /// Set aside until it is shipped or released.
        Confirmed = "CONFIRMED",
        /// It has left.
        Shipped = "SHIPPED",
        /// Given up by the store.
        Released = "RELEASED",
        /// Given up because its time was over.
        Expired = "EXPIRED",
    }

    /// What a warehouse's ledger calls a movement.
    MovementKind {
        /// Copies came in.
        Received = "received",
        /// The count was corrected.
        Adjusted = "adjusted",
        /// Copies left in a shipment.
        Shipped = "shipped",
        /// Copies were set aside.
        Reserved = "reserved",
        /// Copies are no more set aside.
        Released = "released",
        /// Copies came back.
        Returned = "returned",
    }

    /// What the store's monitor says of a warehouse.
    WarehouseHealth {
        /// Answers.
        Healthy = "HEALTHY",
        /// Does not.
        Offline = "OFFLINE",
    }

    /// Which of the two entries of a change this is.
    AuditPhase {
        /// Noted before anything was done.
        Requested = "requested",
        /// Noted after the answer was known.
        Answered = "answered",
    }

    /// The state of the circuit breaker before a warehouse.
    Breaker {
        /// Calls pass.
        Closed = "closed",
        /// Calls are not even tried until a health probe succeeds.
        Open = "open",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_agree_with_serde_and_from_str() {
        for status in OrderStatus::ALL {
            assert_eq!(serde_json::to_string(status).unwrap(), format!("\"{status}\""));
            assert_eq!(status.as_str().parse(), Ok(*status));
        }
        assert!("shipped".parse::<OrderStatus>().unwrap_err().to_string().contains("SHIPPED"));
    }
}
