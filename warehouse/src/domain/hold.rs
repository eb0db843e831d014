//! Copies set aside under the id of the shipment that they are for.

use contract::{OrderId, ReservationStatus, Timestamp};

use super::shipment::Line;

/// What a reservation has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The order it is for.
    pub order_id: OrderId,
    /// A digest of its lines.
    pub items_hash: String,
    /// What it sets aside while it is live.
    pub lines: Vec<Line>,
    /// Where it stands.
    pub status: ReservationStatus,
    /// When its time is over, or would have been; none once it is confirmed.
    pub expires_at: Option<Timestamp>,
}

impl Hold {
    /// Whether its copies are set aside.
    pub const fn is_live(&self) -> bool {
        matches!(self.status, ReservationStatus::Held | ReservationStatus::Confirmed)
    }

    /// Whether it is held and its time is over: at the very instant that it expires, it has.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.status == ReservationStatus::Held && self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }
}
