//! WeCom's access token, fetched by one node for all: WeCom limits how often it may be fetched, and a token that WeCom has
//! refused on one node is replaced for all.

use std::time::Duration;

use redis::cmd;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::{Instant, sleep};

use super::node::{Shared, now};
use super::payload::{AccessToken, fingerprint};
use crate::config::WeComEntry;
use crate::metrics::RedisOperation::Token as OPERATION;
use crate::session::Purpose;

/// How long a node waits for the token that another fetches; after that it fetches one itself.
const MAX_WAIT: Duration = Duration::from_secs(2);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long a node may take to fetch one before another node does.
const LEASE: Duration = Duration::from_secs(10);
/// WeCom's tokens are valid for two hours; one of more than a day is not accepted.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// The app that a token is for.
pub(crate) struct App {
    name: String,
    lease: String,
    fingerprint: [u8; 32],
}

/// A token that another node has fetched.
pub(crate) struct SharedToken {
    /// The token.
    pub(crate) value: SecretString,
    /// How long it remains valid.
    pub(crate) life: Duration,
}

/// Where to get the token.
pub(crate) enum Token {
    /// From another node.
    SharedToken(SharedToken),
    /// From WeCom. The lease must be returned with [`Shared::fetched`].
    Fetch(Lease),
}

/// The right to fetch the token while other nodes wait; empty while Redis is unreachable.
pub(crate) struct Lease {
    until: Option<Instant>,
}

impl Shared {
    /// The app of this entry.
    pub(crate) fn app(&self, entry: &WeComEntry) -> App {
        let (corp, agent) = (&entry.corp_id, &entry.agent_id);
        App {
            name: self.names.token(corp, agent),
            lease: self.names.token_lease(corp, agent),
            fingerprint: fingerprint(&[corp, agent, entry.api_base.as_str(), entry.secret.expose_secret()]),
        }
    }

    /// This app's token, but never the one that WeCom has `refused`; or the task of fetching one.
    pub(crate) async fn token(&self, app: &App, refused: Option<&SecretString>) -> Token {
        let until = Instant::now() + MAX_WAIT;
        let mut take = cmd("SET");
        take.arg(&app.lease).arg("1").arg("NX").arg("PX").arg(millis(LEASE));
        loop {
            if let Some(shared_token) = self.shared_token(app, refused).await {
                return Token::SharedToken(shared_token);
            }
            let asked_at = Instant::now();
            match self.link.ask::<Option<String>>(OPERATION, &take).await {
                // While Redis is unreachable each node fetches its own.
                None => return Token::Fetch(Lease { until: None }),
                Some(Some(_)) => {
                    // The previous holder of the lease may have stored the token between the two commands.
                    return match self.shared_token(app, refused).await {
                        Some(shared_token) => {
                            self.give_back(app, &Lease { until: Some(asked_at + LEASE) }).await;
                            Token::SharedToken(shared_token)
                        }
                        None => Token::Fetch(Lease { until: Some(asked_at + LEASE) }),
                    };
                }
                Some(None) if Instant::now() >= until => return Token::Fetch(Lease { until: None }),
                Some(None) => sleep(POLL_INTERVAL).await,
            }
        }
    }

    /// The token in Redis, if it can be used.
    async fn shared_token(&self, app: &App, refused: Option<&SecretString>) -> Option<SharedToken> {
        let mut get = cmd("GET");
        get.arg(&app.name);
        let text = self.link.ask::<Option<Vec<u8>>>(OPERATION, &get).await??;
        let context = app.name.as_bytes();
        let Some(token) = self.keyring.open::<AccessToken>(Purpose::AccessToken, context, &text) else {
            self.ignored(OPERATION, 1);
            return None;
        };
        let life = token.life(&app.fingerprint, refused.map(|r| r.expose_secret()), now())?;
        Some(SharedToken { value: token.value.into(), life: life.min(MAX_LIFETIME) })
    }

    /// Shares a fetched token (value, validity, time until renewal), or nothing, and returns the lease.
    pub(crate) async fn fetched(
        &self,
        app: &App,
        lease: Lease,
        token: Option<(&SecretString, Duration, Duration)>,
    ) {
        if let Some((value, life, renew_after)) = token
            && !life.is_zero()
        {
            let now = now();
            let token = AccessToken {
                app: app.fingerprint,
                value: value.expose_secret().to_owned(),
                renew_at: now.plus(renew_after),
                end: now.plus(life),
            };
            if let Ok(sealed) = self.keyring.seal(Purpose::AccessToken, app.name.as_bytes(), &token) {
                let mut set = cmd("SET");
                set.arg(&app.name).arg(sealed).arg("PX").arg(millis(life));
                self.link.ask::<()>(OPERATION, &set).await;
            }
        }
        self.give_back(app, &lease).await;
    }

    /// Releases the lease, unless it has expired and another node may hold it.
    async fn give_back(&self, app: &App, lease: &Lease) {
        if lease.until.is_some_and(|until| Instant::now() < until) {
            let mut del = cmd("DEL");
            del.arg(&app.lease);
            self.link.ask::<()>(OPERATION, &del).await;
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1)
}
