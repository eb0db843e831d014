//! What can be asked of the stock, and what can come of it.

use std::time::Duration;

use contract::{BookId, DatabaseId, Reservation, ReturnReceipt, ShipmentId, ShipmentReceipt, Shortfall, StockRow};

use crate::domain::adjustment::{self, Adjustment};
use crate::domain::returned::Return;
use crate::domain::shelf::Row;
use crate::domain::shipment::{Outcome, Shipment};

/// One thing asked of the stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// Ship, all lines or none; what is set aside for it under its id, or else what is free.
    Ship(Shipment),
    /// Set aside, all lines or none, for so long.
    Reserve(Shipment, Duration),
    /// Keep what is set aside until it is shipped or voided.
    Confirm(Named),
    /// Ship what is set aside.
    ShipHeld(Named),
    /// Make sure that it never ships, and release what is set aside for it.
    Void(Named),
    /// Release what is set aside, if its time is over.
    Expire(ShipmentId),
    /// Take back copies that were shipped.
    Return(Return),
    /// Change what is there.
    Adjust(Adjustment),
}

/// A shipment that is only named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// Which.
    pub id: ShipmentId,
    /// The database that the caller believes this to be.
    pub expected_database: Option<DatabaseId>,
}

impl Member {
    /// The books that it names; those of a reservation that it touches are with that one.
    pub fn books(&self) -> impl Iterator<Item = BookId> + '_ {
        let (lines, adjusted) = match self {
            Self::Ship(shipment) | Self::Reserve(shipment, _) => (Some(&shipment.lines), None),
            Self::Return(returned) => (Some(&returned.lines), None),
            Self::Adjust(adjustment) => (None, Some(adjustment.book_id)),
            Self::Confirm(_) | Self::ShipHeld(_) | Self::Void(_) | Self::Expire(_) => (None, None),
        };
        lines.into_iter().flat_map(|lines| lines.keys().copied()).chain(adjusted)
    }

    /// The shipment it is about.
    pub const fn shipment(&self) -> Option<ShipmentId> {
        match self {
            Self::Ship(shipment) | Self::Reserve(shipment, _) => Some(shipment.id),
            Self::Confirm(named) | Self::ShipHeld(named) | Self::Void(named) => Some(named.id),
            Self::Expire(id) => Some(*id),
            Self::Return(returned) => Some(returned.shipment_id),
            Self::Adjust(_) => None,
        }
    }

    /// The database that its caller believes this to be.
    pub(super) const fn expected_database(&self) -> Option<DatabaseId> {
        match self {
            Self::Ship(shipment) | Self::Reserve(shipment, _) => shipment.expected_database,
            Self::Confirm(named) | Self::ShipHeld(named) | Self::Void(named) => named.expected_database,
            Self::Return(returned) => returned.expected_database,
            Self::Expire(_) | Self::Adjust(_) => None,
        }
    }
}

/// What a member is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// How the shipment ended, now or when it was first asked for.
    Decided(Outcome),
    /// Copies are set aside.
    Held {
        /// What its caller is told.
        reservation: Reservation,
        /// Whether they were not before.
        is_new: bool,
    },
    /// It will never leave; the rows of what was set aside for it.
    Voided(Vec<StockRow>),
    /// The copies are back.
    Returned(ReturnReceipt),
    /// More came back than is away.
    NotShipped(Vec<Shortfall>),
    /// It was voided before and will never leave; the rows of what was set aside for it.
    Never(Vec<StockRow>),
    /// Nothing was ever asked under this id.
    Unknown,
    /// The id is known with other items, or for another order.
    Mismatch,
    /// The caller means another database.
    OtherDatabase,
    /// It has left, so it can be neither set aside nor voided any more.
    AlreadyShipped(ShipmentReceipt),
    /// The row as the batch left it.
    Adjusted(Row),
    /// The change cannot be made.
    Refused(adjustment::Refusal),
    /// What is overdue is released.
    Swept,
}
