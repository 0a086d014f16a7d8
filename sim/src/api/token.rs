//! `gettoken` (doc 91039).

use serde_json::{Map, Value};

use super::call::Call;
use crate::fail::{Fail, fail};
use crate::limit::{HOUR, Key, MINUTE};
use crate::state::{Inner, Token, random};

impl Inner {
    pub(super) fn get_token(&mut self, call: &Call<'_>) -> Result<Map<String, Value>, Fail> {
        let failures = self.settings.limits.gettoken_failures;
        if self.limiter.blocked(Key::Failure(call.ip), HOUR, call.now) {
            return Err(fail(45009));
        }
        let checked = self.check_secret(call);
        let Ok((corp, agent)) = checked else {
            // The call that reaches the limit still gets its own error.
            self.limiter.hit(Key::Failure(call.ip), HOUR, failures.saturating_sub(1), call.now);
            return checked.map(|_| Map::new());
        };
        let limits = &self.settings.limits;
        let key = || Key::Api(corp.clone(), call.path);
        let within = self.limiter.hit(key(), MINUTE, limits.api_minute, call.now)
            & self.limiter.hit(key(), HOUR, limits.api_hour, call.now);
        if !within {
            return Err(fail(45009));
        }
        let (name, until_ms) = self.token_for(corp, agent, call.now);
        let mut out = Map::new();
        out.insert("access_token".into(), name.into());
        out.insert("expires_in".into(), ((until_ms - call.now + 999) / 1000).into());
        Ok(out)
    }

    /// The company and app that the secret belongs to.
    fn check_secret(&self, call: &Call<'_>) -> Result<(String, Option<u64>), Fail> {
        let corp = call.param("corpid").ok_or_else(|| fail(41002))?;
        let secret = call.param("corpsecret").ok_or_else(|| fail(41004))?;
        let company = self.data.company(corp).ok_or_else(|| fail(40013))?;
        if secret == company.contact_secret {
            return Ok((corp.to_owned(), None));
        }
        match company.apps.iter().find(|a| a.secret == secret) {
            Some(app) if app.closed => Err(fail(50003)),
            Some(app) => Ok((corp.to_owned(), Some(app.agent_id))),
            None => {
                let elsewhere = self.data.companies.iter().any(|c| c.apps.iter().any(|a| a.secret == secret));
                Err(fail(if elsewhere { 40091 } else { 40001 }))
            }
        }
    }

    /// The current token of this app, or a new one.
    fn token_for(&mut self, corp: String, agent: Option<u64>, now: i64) -> (String, i64) {
        let usable = |t: &Token| t.corp == corp && t.agent == agent && now < t.until_ms;
        if self.settings.same_token
            && let Some((name, t)) = self.tokens.iter().find(|(_, t)| usable(t))
        {
            return (name.clone(), t.until_ms);
        }
        let until_ms = now + i64::try_from(self.settings.token_ttl).unwrap_or(7200) * 1000;
        // WeCom's tokens have about 214 characters; at most 512.
        let name = random("SimToken", 214);
        self.tokens.insert(name.clone(), Token { corp, agent, until_ms });
        (name, until_ms)
    }
}
