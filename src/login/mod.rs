//! One sign-in from its start to the session, and a session from then to its end: uses `wecom`, `nocobase` and
//! `session`, knows no Pingora.
//!
//! Must never: spend a code before the state is checked, or hand out a session that is not registered.

mod account;
mod events;
mod finish;
mod nodes;
mod roles;
mod sessions;
mod start;
mod throttle;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use secrecy::ExposeSecret;

pub(crate) use account::person;
pub use finish::{Callback, CallbackResponse, Finished};
pub use sessions::FoundSession;
pub use start::{Start, Started};
pub use throttle::Throttle;

use crate::config::{Config, WeComEntry};
use crate::error::Failure;
use crate::metrics::Metrics;
use crate::nocobase::{Accounts, Minter, NocoBase};
use crate::session::{
    CallbackDedup, Keyring, Names, PendingSignIns, SessionCache, SessionCookies, SessionLimits, UnixMillis,
};
use crate::shared::Shared;
use crate::wecom::{self, event::Receiver};

/// Path of the end of every flow.
pub const CALLBACK: &str = "/wecom-gate/callback";

/// Now, by this machine's clock.
pub fn now() -> UnixMillis {
    SystemTime::now().into()
}

/// Sign-ins and sessions of one gate.
pub struct SignIns {
    config: Arc<Config>,
    metrics: Arc<Metrics>,
    /// Reads and writes session cookies.
    pub sessions: SessionCookies,
    /// Bounds on signing in.
    pub throttle: Arc<Throttle>,
    flows: PendingSignIns,
    /// Names and attributes of the gate's cookies.
    pub cookie_names: Names,
    /// Makes and checks NocoBase's tokens.
    pub minter: Arc<Minter>,
    limits: SessionLimits,
    clients: HashMap<String, wecom::Client>,
    nocobase: Arc<NocoBase>,
    accounts: Accounts,
    seen: SessionCache,
    callbacks: CallbackDedup<Finished>,
    /// What the nodes share, where `session.redis` says so.
    shared: Option<Arc<Shared>>,
    receivers: HashMap<String, Receiver>,
    notices: moka::sync::Cache<String, ()>,
    token_cookie: String,
    authenticator_cookie: String,
}

impl SignIns {
    /// Builds everybody that takes part; an error says what of the configuration is at fault.
    pub fn new(config: Arc<Config>, metrics: Arc<Metrics>) -> Result<SignIns, String> {
        Self::after(None, config, metrics)
    }

    /// In place of `before` after a change of the configuration: nobody is signed out, NocoBase is not asked anew,
    /// callbacks count once, and WeCom's access tokens go on where the app is the same.
    pub fn after(
        before: Option<&SignIns>,
        config: Arc<Config>,
        metrics: Arc<Metrics>,
    ) -> Result<SignIns, String> {
        let clients = config
            .wecom
            .iter()
            .map(|e| {
                let client = match before.and_then(|b| b.clients.get(&e.name)) {
                    Some(old) => wecom::Client::after(old, e),
                    None => wecom::Client::new(e),
                };
                let client = client.map_err(|x| format!("wecom {}: {x}", e.name))?;
                client.count_into(&metrics.wecom);
                Ok((e.name.clone(), client))
            })
            .collect::<Result<HashMap<_, _>, String>>()?;
        let keyring = Arc::new(Keyring::new(&config.session.keys).map_err(|e| format!("session.keys: {e}"))?);
        let shared =
            Shared::after(before.and_then(|b| b.shared.as_deref()), &config, &keyring, &metrics.redis)?;
        if let Some(shared) = &shared {
            clients.values().for_each(|client| client.share(shared));
        }
        let receivers = config
            .wecom
            .iter()
            .filter_map(|e| Some((e, e.events.as_ref()?)))
            .map(|(e, keys)| {
                let receiver =
                    Receiver::new(&e.corp_id, keys).map_err(|x| format!("wecom {}: {x}", e.name))?;
                Ok((e.name.clone(), receiver))
            })
            .collect::<Result<HashMap<_, _>, String>>()?;
        let minter = Arc::new(Minter::new(config.nocobase.jwt_secret.expose_secret()));
        let nocobase = NocoBase::new(&config.upstream, &config.nocobase, minter.clone())
            .map_err(|e| format!("nocobase: {e}"))?;
        let nocobase = Arc::new(nocobase.counted(&metrics.nocobase));
        let cookie_names = Names::new(config.origin.https);
        let limits = |c: &Config| {
            let l = &c.limits;
            (l.sign_ins_per_minute, l.bad_callbacks_per_minute, l.sign_ins_at_once)
        };
        let throttle = before.filter(|b| limits(&b.config) == limits(&config)).map(|b| b.throttle.clone());
        Ok(SignIns {
            sessions: SessionCookies::of(&config, keyring.clone()),
            throttle: throttle.unwrap_or_else(|| Arc::new(Throttle::new(&config.limits))),
            flows: PendingSignIns::new(keyring, cookie_names),
            cookie_names,
            minter,
            limits: SessionLimits { idle: config.session.idle, absolute: config.session.absolute },
            clients,
            accounts: Accounts::new(nocobase.clone(), &config.nocobase),
            nocobase,
            seen: before
                .map_or_else(|| SessionCache::new(config.session.absolute), |before| before.seen.clone()),
            callbacks: before.map_or_else(CallbackDedup::new, |before| before.callbacks.clone()),
            shared,
            receivers,
            notices: before.map_or_else(
                || moka::sync::Cache::builder().max_capacity(10_000).time_to_live(events::REPEATS).build(),
                |before| before.notices.clone(),
            ),
            token_cookie: format!("nb_auth_token_{}", config.nocobase.app),
            authenticator_cookie: format!("nb_authenticator_{}", config.nocobase.app),
            config,
            metrics,
        })
    }

    /// This has taken the place of `before`: tokens are minted anew where they would be others now.
    pub fn took_over(&self, before: &SignIns) {
        let made_of = |l: &SignIns| {
            let nocobase = &l.config.nocobase;
            (nocobase.jwt_secret.expose_secret().to_vec(), nocobase.app.clone())
        };
        if made_of(self) != made_of(before) {
            self.seen.forget_tokens();
        }
    }

    /// How many sessions this process remembers, roughly.
    pub fn sessions_seen(&self) -> u64 {
        self.seen.count()
    }

    /// The clients of WeCom by entry.
    pub fn wecom(&self) -> impl Iterator<Item = (&str, &wecom::Client)> {
        self.clients.iter().map(|(entry, client)| (entry.as_str(), client))
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How long sessions live.
    pub fn limits(&self) -> &SessionLimits {
        &self.limits
    }

    /// Name of the cookie in which NocoBase keeps its token.
    pub fn token_cookie(&self) -> &str {
        &self.token_cookie
    }

    /// NocoBase's API.
    pub fn nocobase(&self) -> &Arc<NocoBase> {
        &self.nocobase
    }

    /// Do the departments and tags of the allow rules exist (R22)? The error says which entry's do not. WeCom being away is
    /// no reason not to start: rules that cannot be evaluated deny.
    pub async fn check_rules(&self) -> Result<(), String> {
        for (entry, client) in &self.clients {
            match client.check_rules().await {
                Err(e) if e.failure() == Failure::RuleUnevaluable => {
                    return Err(format!(
                        "wecom {entry}: allow_departments or allow_tags names one that WeCom does not know or does not \
                         show to this app; compare the ids with the console, or widen the app's visible range"
                    ));
                }
                Err(e) => tracing::warn!(
                    event = "rules",
                    entry,
                    label = e.failure().response().label,
                    "the allow rules could not be checked at start"
                ),
                Ok(()) => {}
            }
            // These let nobody in: the gate starts, and changes no role by a rule that it cannot evaluate.
            if let Err(e) = client.check_roles().await {
                tracing::warn!(
                    event = "rules",
                    entry,
                    label = e.failure().response().label,
                    "a department or tag of [[wecom.roles]] is not known to WeCom, not visible to this app, or could not \
                     be checked"
                );
            }
        }
        Ok(())
    }

    fn entry(&self, name: &str) -> Option<(&WeComEntry, &wecom::Client)> {
        Some((self.config.entry(name)?, self.clients.get(name)?))
    }

    fn redirect_uri(&self) -> String {
        format!("{}{CALLBACK}", self.config.origin.url())
    }
}
