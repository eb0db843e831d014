//! Identifiers: UUIDs with a type, so that one cannot be passed for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// The text is not a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedId;

impl fmt::Display for MalformedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a UUID")
    }
}

impl std::error::Error for MalformedId {}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new identifier: UUIDv7, so identifiers sort by the time they were made.
            #[allow(clippy::new_without_default, reason = "every call makes another one")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The bare UUID, as the database keeps it.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = MalformedId;

            fn from_str(text: &str) -> Result<Self, MalformedId> {
                Uuid::parse_str(text).map(Self).map_err(|_| MalformedId)
            }
        }
    )*};
}

ids! {
    /// A book of the catalogue; the same in every service.
    BookId;
    /// An order of a customer.
    OrderId;
    /// A line of an order.
    OrderItemId;
    /// An account, in the service that keeps it.
    UserId;
    /// A warehouse, as the store registered it.
    WarehouseId;
    /// One instruction to ship: the key that makes repeating it harmless.
    ShipmentId;
    /// Copies of a shipment that come back: the key that makes repeating it harmless.
    ReturnId;
    /// A line of a warehouse's shipment log.
    ShipmentLogId;
    /// An entry of a warehouse's ledger.
    MovementId;
    /// A warehouse's database, named by its first migration: another identity under a known name is another stock.
    DatabaseId;
}

impl From<OrderId> for ShipmentId {
    /// The shipment of an order that was sent without an id of its own.
    fn from(order: OrderId) -> Self {
        Self(order.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn travel_as_plain_strings() {
        let id = BookId::new();
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{id}\""));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("not-a-uuid".parse::<BookId>(), Err(MalformedId));
    }
}
