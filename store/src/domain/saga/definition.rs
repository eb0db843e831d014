//! What a saga is made of: the steps that it takes outside, and the stages between them.

use serde::{Deserialize, Serialize};
use strum::{EnumIter, IntoStaticStr};

use crate::domain::payment::Operation;

/// Everything that a saga does outside of the store's own memory: its definition. Each may be repeated under its key, and
/// what can be undone names the step that does so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Step {
    /// Has the price set aside.
    Authorize,
    /// Ships a part that is not held: all or nothing in one call.
    Ship,
    /// Has a part held for a while.
    Reserve,
    /// Makes a hold last.
    Confirm,
    /// Ships a part that is held.
    ShipHeld,
    /// Takes the price of what has left.
    Capture,
    /// Makes sure that a part never leaves, and lets go of what is held.
    Void,
    /// Gives back what was set aside.
    VoidPayment,
    /// Puts returned copies back.
    Restock,
    /// Gives back the price of what was returned.
    Refund,
}

impl Step {
    /// The name in journals and fault points.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// What takes it back; none where what was done stays done.
    pub const fn undo(self) -> Option<Self> {
        match self {
            Self::Authorize => Some(Self::VoidPayment),
            // As long as it is not known to have left.
            Self::Ship | Self::Reserve | Self::Confirm | Self::ShipHeld => Some(Self::Void),
            Self::Capture => Some(Self::Refund),
            Self::Void | Self::VoidPayment | Self::Restock | Self::Refund => None,
        }
    }
}

impl From<Operation> for Step {
    fn from(operation: Operation) -> Self {
        match operation {
            Operation::Authorize => Self::Authorize,
            Operation::Capture => Self::Capture,
            Operation::Void => Self::VoidPayment,
            Operation::Refund => Self::Refund,
        }
    }
}

/// Where a saga stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, EnumIter, IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Stage {
    /// The payment is being authorised.
    Authorizing,
    /// Warehouses are looked for.
    Sourcing,
    /// None has it, or none that has it can be reached.
    AwaitingStock,
    /// Parts are being held.
    Reserving,
    /// Their holds are being made to last.
    Confirming,
    /// Parts are being shipped.
    Shipping,
    /// The payment is being captured.
    Capturing,
    /// Parts are being given up.
    Undoing,
    /// The payment is being given back.
    VoidingPayment,
    /// Copies are on their way back to the shelf.
    Returning,
    /// The price of what was returned is being given back.
    Refunding,
    /// Over: everything has left, or what a person left of it.
    Shipped,
    /// Over: refused, nothing has left.
    Rejected,
    /// Over: cancelled, nothing has left.
    Cancelled,
}

impl Stage {
    /// Its name in journals and metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether nothing follows by itself any more.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Shipped | Self::Rejected | Self::Cancelled)
    }
}
