//! Points in time on the wire: RFC 3339 in UTC with microseconds, which is what the databases keep.

use chrono::{DateTime, Datelike, SecondsFormat, SubsecRound, Utc};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

/// A point in time.
pub type Timestamp = DateTime<Utc>;

/// The time as it goes on the wire.
pub fn format(time: &Timestamp) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Reads RFC 3339, with any offset, cut to microseconds. Years outside 1 to 9999 are refused: no database here keeps all of those.
pub fn parse(text: &str) -> Option<Timestamp> {
    let time = DateTime::parse_from_rfc3339(text).ok()?.to_utc().trunc_subsecs(6);
    (1..=9999).contains(&time.year()).then_some(time)
}

/// For `#[serde(with = "time")]`.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(time))
}

/// For `#[serde(with = "time")]`.
///
/// # Errors
/// When it is not a string in RFC 3339.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| D::Error::custom("expected a time like 2026-11-22T10:00:00.123Z"))
}

/// For `#[serde(with = "time::option", default)]`.
pub mod option {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Timestamp;

    /// For `#[serde(with = "time::option")]`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::serialize(time, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// For `#[serde(with = "time::option")]`.
    ///
    /// # Errors
    /// When it is neither null nor a string in RFC 3339.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        super::parse(&text).map(Some).ok_or_else(|| D::Error::custom("expected a time like 2026-11-22T10:00:00.123Z"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_offsets_and_writes_utc() {
        let time = parse("2026-11-22T12:00:00.123456789+02:00").unwrap();
        assert_eq!(format(&time), "2026-11-22T10:00:00.123456Z");
        for text in ["2026-11-22", "tomorrow", "", "+12026-01-01T00:00:00Z", "0000-01-01T00:00:00Z"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
