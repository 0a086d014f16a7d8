//! The id of a NocoBase user.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Largest integer that JavaScript reads exactly from a JSON number.
const MAX_SAFE: u64 = (1 << 53) - 1;

/// Id of a NocoBase user: from 1 to 2^63 - 1 (`bigint`). In JSON it is a number or, since snowflake ids do not fit into
/// JavaScript's numbers, a string of digits: both are read, and what does not fit is written as a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(u64);

impl UserId {
    /// `None` if the number cannot be an id.
    pub const fn new(id: u64) -> Option<Self> {
        if id == 0 || id > i64::MAX as u64 { None } else { Some(Self(id)) }
    }
    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Not the id of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a NocoBase user")]
pub struct NotAUserId;

impl FromStr for UserId {
    type Err = NotAUserId;
    /// Digits only: no sign, no spaces.
    fn from_str(s: &str) -> Result<Self, NotAUserId> {
        if !s.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotAUserId);
        }
        s.parse().ok().and_then(Self::new).ok_or(NotAUserId)
    }
}

impl Serialize for UserId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if self.0 <= MAX_SAFE { s.serialize_u64(self.0) } else { s.collect_str(&self.0) }
    }
}

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Id;
        impl Visitor<'_> for Id {
            type Value = UserId;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the id of a user, as a number or a string of digits")
            }
            fn visit_u64<E: Error>(self, v: u64) -> Result<UserId, E> {
                UserId::new(v).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(v), &self))
            }
            fn visit_i64<E: Error>(self, v: i64) -> Result<UserId, E> {
                u64::try_from(v)
                    .ok()
                    .and_then(UserId::new)
                    .ok_or_else(|| E::invalid_value(Unexpected::Signed(v), &self))
            }
            fn visit_str<E: Error>(self, v: &str) -> Result<UserId, E> {
                v.parse().map_err(|_| E::custom(NotAUserId))
            }
        }
        d.deserialize_any(Id)
    }
}

#[cfg(test)]
mod tests {
    use super::UserId;

    #[test]
    fn numbers_and_strings_up_to_bigint() {
        for (json, want) in [
            ("1", Some(1)),
            ("\"1\"", Some(1)),
            ("398967555620864", Some(398_967_555_620_864)),
            ("\"9223372036854775807\"", Some(i64::MAX as u64)),
            ("9223372036854775807", Some(i64::MAX as u64)),
            ("9223372036854775808", None),
            ("0", None),
            ("-1", None),
            ("1.5", None),
            ("1e3", None),
            ("\"\"", None),
            ("\"+1\"", None),
            ("\" 1\"", None),
            ("\"1 or 1=1\"", None),
            ("null", None),
            ("true", None),
            ("[1]", None),
        ] {
            let got = serde_json::from_str::<UserId>(json).ok().map(UserId::get);
            assert_eq!(got, want, "{json}");
        }
    }

    #[test]
    fn what_javascript_would_round_is_written_as_a_string() {
        let json = |id| serde_json::to_string(&UserId::new(id).unwrap()).unwrap();
        assert_eq!(json(1), "1");
        assert_eq!(json((1 << 53) - 1), "9007199254740991");
        assert_eq!(json(1 << 53), "\"9007199254740992\"");
    }
}
