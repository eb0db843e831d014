//! Amounts of money: integer cents inside, a JSON number with exactly two decimals outside. No floating point on the way.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;
use std::str::FromStr;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// An amount in US dollars, held in cents.
///
/// On the wire it is a JSON number such as `14.99`. Reading takes the literal exactly: at most two decimals, no exponent. Negative
/// amounts are read, since refunds need them; whoever takes one from a client checks its sign.
///
/// It goes through [`RawValue`], which fails to parse inside `#[serde(flatten)]` and tagged enums: keep it out of those.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(pub i64);

impl Money {
    /// The amount in cents.
    pub const fn cents(self) -> i64 {
        self.0
    }

    /// This amount `quantity` times; `None` when that is more than can be held.
    pub fn times(self, quantity: u32) -> Option<Self> {
        self.0.checked_mul(i64::from(quantity)).map(Self)
    }

    /// The sum of both; `None` when that is more than can be held.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }
}

impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self(0), Add::add)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let cents = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", cents / 100, cents % 100)
    }
}

/// The text is not an amount with at most two decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedMoney;

impl fmt::Display for MalformedMoney {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected an amount with at most two decimals, like 14.99")
    }
}

impl std::error::Error for MalformedMoney {}

impl FromStr for Money {
    type Err = MalformedMoney;

    fn from_str(text: &str) -> Result<Self, MalformedMoney> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || !is_digits(fraction) || fraction.len() > 2 {
            return Err(MalformedMoney);
        }
        let scale = if fraction.len() == 1 { 10 } else { 1 };
        let fraction: i64 = fraction.parse().map_err(|_| MalformedMoney)?;
        let sign = if negative { -1 } else { 1 };
        let whole: i64 = whole.parse().map_err(|_| MalformedMoney)?;
        let cents = whole.checked_mul(sign * 100).and_then(|cents| cents.checked_add(sign * fraction * scale));
        cents.map(Self).ok_or(MalformedMoney)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_string()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer)?.get().parse().map_err(D::Error::custom)
    }
}

impl PartialSchema for Money {
    fn schema() -> RefOr<Schema> {
        let amount =
            ObjectBuilder::new().schema_type(Type::Number).description(Some("US dollars, two decimals at most"));
        amount.multiple_of(Some(0.01)).examples([serde_json::json!(14.99)]).into()
    }
}

impl ToSchema for Money {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_literals_exactly() {
        for (literal, cents) in [
            ("14.99", 1499),
            ("15", 1500),
            ("15.0", 1500),
            ("15.00", 1500),
            ("0.05", 5),
            ("-0.05", -5),
            ("-3.5", -350),
            ("94.95", 9495),
        ] {
            assert_eq!(serde_json::from_str::<Money>(literal).unwrap(), Money(cents), "{literal}");
        }
    }

    #[test]
    fn refuses_what_is_not_an_amount() {
        for literal in
            ["14.999", "1e2", "\"14.99\"", "null", "true", "{}", "[1]", "92233720368547758.08", "99999999999999999999"]
        {
            assert!(serde_json::from_str::<Money>(literal).is_err(), "{literal}");
        }
        for text in ["", "-", ".5", "5.", "+5", "1_0", "1.+1"] {
            assert!(text.parse::<Money>().is_err(), "{text}");
        }
    }

    #[test]
    fn writes_two_decimals_always() {
        for (cents, literal) in [(1500, "15.00"), (1499, "14.99"), (5, "0.05"), (0, "0.00"), (-5, "-0.05")] {
            assert_eq!(serde_json::to_string(&Money(cents)).unwrap(), literal);
        }
    }

    proptest! {
        #[test]
        fn survives_the_wire(cents: i64) {
            let written = serde_json::to_string(&Money(cents)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Money>(&written).unwrap(), Money(cents));
        }
    }
}
