//! Errors on the wire: RFC 9457 problem details, with the `error` member that clients of the older API read.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{DatabaseId, Shortfall, StockRow};

/// Not enough copies; `shortfalls` says of what, `stock` what there is (from a warehouse).
pub const INSUFFICIENT_STOCK: &str = "urn:bookstore:problem:insufficient-stock";
/// A shipmentId that is known with other items or for another order.
pub const SHIPMENT_MISMATCH: &str = "urn:bookstore:problem:shipment-mismatch";
/// The payment gateway does not take the payment.
pub const PAYMENT_DECLINED: &str = "urn:bookstore:problem:payment-declined";
/// The order has come to another end.
pub const ORDER_ENDED: &str = "urn:bookstore:problem:order-ended";
/// A shipmentId that was voided and will never ship.
pub const VOIDED: &str = "urn:bookstore:problem:voided";
/// A shipment that cannot be voided, since it has left; `shipment` is the answer it was given.
pub const ALREADY_SHIPPED: &str = "urn:bookstore:problem:already-shipped";
/// Copies that cannot come back, since the shipment did not take them or they are back already; `shortfalls` says which.
pub const NOT_SHIPPED: &str = "urn:bookstore:problem:not-shipped";
/// The database is not the one that the caller believes it talks to.
pub const WAREHOUSE_IDENTITY: &str = "urn:bookstore:problem:warehouse-identity";
/// A confirmation of an order that the store does not know, or never instructed this warehouse to ship.
pub const UNKNOWN_ORDER: &str = "urn:bookstore:problem:unknown-order";
/// A book that is not in the catalogue, or not on sale.
pub const UNKNOWN_BOOK: &str = "urn:bookstore:problem:unknown-book";
/// An ISBN that another book has, on sale or not; `bookId` says which.
pub const ISBN_TAKEN: &str = "urn:bookstore:problem:isbn-taken";
/// An `Idempotency-Key` that was sent before with another body.
pub const IDEMPOTENCY_KEY_REUSED: &str = "urn:bookstore:problem:idempotency-key-reused";
/// A request with this `Idempotency-Key` is still being worked on.
pub const IN_PROGRESS: &str = "urn:bookstore:problem:in-progress";
/// A change that the state of the thing does not allow.
pub const CONFLICT: &str = "urn:bookstore:problem:conflict";
/// A change that would take stock below zero, below what is reserved or above what can be held.
pub const STOCK_BOUNDS: &str = "urn:bookstore:problem:stock-bounds";
/// An e-mail address that has an account already.
pub const EMAIL_TAKEN: &str = "urn:bookstore:problem:email-taken";
/// A body that is not JSON.
pub const MALFORMED_BODY: &str = "urn:bookstore:problem:malformed-body";
/// JSON, or a query, with members of a wrong type or value: `errors` names them.
pub const INVALID: &str = "urn:bookstore:problem:invalid";
/// No credentials, or wrong ones.
pub const UNAUTHORIZED: &str = "urn:bookstore:problem:unauthorized";
/// Known, but not allowed.
pub const FORBIDDEN: &str = "urn:bookstore:problem:forbidden";
/// Nothing at this address.
pub const NOT_FOUND: &str = "urn:bookstore:problem:not-found";
/// The address has other methods.
pub const METHOD_NOT_ALLOWED: &str = "urn:bookstore:problem:method-not-allowed";
/// A body over the limit.
pub const BODY_TOO_LARGE: &str = "urn:bookstore:problem:body-too-large";
/// A body that does not say it is JSON.
pub const UNSUPPORTED_MEDIA_TYPE: &str = "urn:bookstore:problem:unsupported-media-type";
/// A write upon a version that is no longer the latest.
pub const PRECONDITION_FAILED: &str = "urn:bookstore:problem:precondition-failed";
/// More than this client may ask in this time: come back after `Retry-After`.
pub const TOO_MANY_REQUESTS: &str = "urn:bookstore:problem:too-many-requests";
/// Starting, stopping or shedding load: nothing was done, come back.
pub const UNAVAILABLE: &str = "urn:bookstore:problem:unavailable";
/// It may or may not have happened: look it up before repeating it.
pub const OUTCOME_UNKNOWN: &str = "urn:bookstore:problem:outcome-unknown";
/// A fault of ours.
pub const INTERNAL: &str = "urn:bookstore:problem:internal";

/// A problem as it goes on the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// A stable name, one of the constants of this module.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name for people; the same for every problem of the kind.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time.
    #[serde(default)]
    pub detail: String,
    /// Detail and status again, where clients of the older API look.
    #[serde(default)]
    pub error: ErrorMember,
    /// The members of the request that are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// What there is too little of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortfalls: Vec<Shortfall>,
    /// A warehouse's rows of the books that a refused shipment asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stock: Vec<StockRow>,
    /// The database that answered, where a warehouse answers a shipment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_id: Option<DatabaseId>,
    /// Members of the kind's own.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Problem {
    /// A problem without members of its own.
    pub fn new(kind: &str, title: &str, status: u16, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            kind: kind.to_owned(),
            title: title.to_owned(),
            status,
            error: ErrorMember { message: detail.clone(), status },
            detail,
            errors: Vec::new(),
            shortfalls: Vec::new(),
            stock: Vec::new(),
            database_id: None,
            extra: Map::new(),
        }
    }
}

/// The `error` member of the older API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorMember {
    /// What happened.
    pub message: String,
    /// The HTTP status.
    pub status: u16,
}

/// One wrong member of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// The path of the member, like `items[0].quantity`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carries_the_older_error_member_and_leaves_out_what_is_empty() {
        let mut problem = Problem::new(NOT_FOUND, "Not found", 404, "no such book");
        problem.extra.insert("bookId".to_owned(), Value::from("x"));
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "type": NOT_FOUND, "title": "Not found", "status": 404, "detail": "no such book", "bookId": "x",
                "error": {"message": "no such book", "status": 404},
            })
        );
        assert_eq!(serde_json::from_value::<Problem>(json).unwrap(), problem);
    }
}
