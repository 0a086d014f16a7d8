//! NocoBase's token policy: the age up to which a token counts as fresh.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::Value;

use super::call::Call;
use super::{NocoBase, Service, now_s};
use crate::error::FailureWithCause;
use crate::nocobase::{Class, Turn};

impl NocoBase {
    /// `tokenExpirationTime` of NocoBase's token policy: the age up to which it considers a session's token fresh. `None`: the
    /// service account may not see the policy, or NocoBase has none.
    ///
    /// # Errors
    /// NocoBase does not respond, or is starting.
    pub(crate) async fn token_expiration(&self) -> Result<Option<Duration>, FailureWithCause> {
        let call = Call::get("tokenControlConfig:get")
            .query("filterByTk", "token-policy-config")
            .in_turn(Turn::of_call(Class::New));
        let response = match &self.service {
            Service::Token(token) => self.send(token.expose_secret(), &call).await?,
            Service::User(id) => self.send(self.minter.service(*id, now_s())?.as_str(), &call).await?,
        };
        if response.status != 200 {
            return Ok(None);
        }
        let policy = serde_json::from_slice::<Value>(&response.body).unwrap_or_default();
        let span = policy.pointer("/data/config/tokenExpirationTime").and_then(Value::as_str);
        Ok(span.and_then(policy_span))
    }
}

/// A duration as NocoBase writes it, with one unit: `30m`, `1d`.
pub(super) fn policy_span(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let ms = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "ms" => 1,
        "s" | "sec" | "secs" | "second" | "seconds" => 1000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        "w" | "week" | "weeks" => 604_800_000,
        "y" | "yr" | "yrs" | "year" | "years" => 31_557_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.saturating_mul(ms)))
}
