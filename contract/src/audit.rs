//! The audit log.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::time::{self, Timestamp};
use crate::{AuditPhase, Role, UserId};

/// An entry of `GET /audit`: a change that an admin or staff account asked for, or how it was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// The entry; later ones sort behind earlier ones.
    pub id: Uuid,
    /// The request, as the answer's `x-request-id` had it: both its entries have the same.
    pub request_id: String,
    /// When it was noted.
    #[serde(with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Asked for, or answered.
    pub phase: AuditPhase,
    /// Who asked.
    pub account_id: UserId,
    /// Its address.
    pub email: String,
    /// What it might do.
    pub role: Role,
    /// Where the request came from.
    pub client: String,
    /// The method.
    pub method: String,
    /// The route, as `/books/:id`.
    pub route: String,
    /// The path itself.
    pub path: String,
    /// The body as JSON text without passwords and secrets, cut where it is long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The HTTP status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}
