//! What signing in needs: the pending sign-ins, the limits on them, and the keys of WeCom's events.

use std::collections::HashMap;
use std::sync::Arc;

use super::finished::Finished;
use super::seen_events::SeenEvents;
use super::sessions::Sessions;
use super::throttle::Throttle;
use crate::config::{Config, WeComEntry};
use crate::error::{Failure, OnceAMinute};
use crate::metrics::Metrics;
use crate::session::{CallbackDedup, Keyring, Names, OwnCookies, PendingLinks, PendingSignIns};
use crate::wecom::{self, Agent, event::Receiver};

/// Path at which every sign-in ends.
pub(crate) const CALLBACK: &str = "/wecom-gate/callback";

/// The sign-ins of one gate.
pub(crate) struct SignIns {
    pub(super) config: Arc<Config>,
    pub(super) metrics: Arc<Metrics>,
    /// The sessions that they lead to.
    pub(crate) sessions: Arc<Sessions>,
    /// Limits on signing in.
    pub(crate) throttle: Arc<Throttle>,
    pub(super) pending: PendingSignIns,
    /// Members without a matching user.
    pub(super) links: PendingLinks,
    pub(super) callbacks: CallbackDedup<Finished>,
    receivers: HashMap<String, Receiver>,
    pub(super) events: SeenEvents,
    /// The log line about a profile that cannot be updated.
    pub(super) profile_line: OnceAMinute,
}

impl SignIns {
    /// Replaces `before` after a change of the configuration: limits, callbacks and events seen so far still count.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub(crate) fn after(
        before: Option<&SignIns>,
        config: Arc<Config>,
        metrics: Arc<Metrics>,
    ) -> Result<SignIns, String> {
        let keyring = keyring(&config)?;
        let sessions =
            Sessions::after(before.map(|b| &*b.sessions), config.clone(), metrics.clone(), &keyring)?;
        let limits = |c: &Config| {
            let l = &c.limits;
            (l.sign_ins_per_minute, l.bad_callbacks_per_minute, l.sign_ins_at_once)
        };
        let throttle = before.filter(|b| limits(&b.config) == limits(&config)).map(|b| b.throttle.clone());
        let throttle = throttle.unwrap_or_else(|| Arc::new(Throttle::new(&config.limits)));
        Self::made(before, config, sessions, throttle, keyring)
    }

    /// The sign-ins of another application at the same gate, within the same limits: see [`Sessions::beside`].
    ///
    /// # Errors
    /// As above.
    pub(crate) fn beside(
        main: &SignIns,
        before: Option<&SignIns>,
        config: Arc<Config>,
    ) -> Result<SignIns, String> {
        let keyring = keyring(&config)?;
        let before_it = before.map(|b| &*b.sessions);
        let sessions = Sessions::beside(&main.sessions, before_it, config.clone(), &keyring)?;
        Self::made(before, config, sessions, main.throttle.clone(), keyring)
    }

    fn made(
        before: Option<&SignIns>,
        config: Arc<Config>,
        sessions: Sessions,
        throttle: Arc<Throttle>,
        keyring: Arc<Keyring>,
    ) -> Result<SignIns, String> {
        Ok(SignIns {
            throttle,
            links: PendingLinks::new(keyring.clone(), sessions.cookies.names().clone()),
            pending: PendingSignIns::new(keyring, sessions.cookies.names().clone()),
            metrics: sessions.metrics.clone(),
            sessions: Arc::new(sessions),
            callbacks: before.map_or_else(CallbackDedup::new, |before| before.callbacks.clone()),
            receivers: receivers(&config)?,
            profile_line: OnceAMinute::new(),
            events: before.map_or_else(SeenEvents::new, |before| before.events.clone()),
            config,
        })
    }

    /// The WeCom clients by entry.
    pub(crate) fn wecom(&self) -> impl Iterator<Item = (&str, &wecom::Client)> {
        self.sessions.wecom.iter().map(|(entry, client)| (entry.as_str(), client))
    }

    /// Opens the event callbacks of this entry, if they are configured.
    pub(crate) fn receiver(&self, entry: &str) -> Option<&Receiver> {
        self.receivers.get(entry)
    }

    /// Names and attributes of the gate's cookies.
    pub(super) fn cookie_names(&self) -> &Names {
        self.sessions.cookies.names()
    }

    /// Do the departments and tags of the allow rules exist (R22)? The error names the entry. If WeCom is unreachable the gate
    /// still starts: rules that cannot be evaluated deny.
    pub(crate) async fn check_rules(&self) -> Result<(), String> {
        for (entry, client) in &self.sessions.wecom {
            match client.check_rules().await {
                Err(e) if e.failure() == Failure::RuleUnevaluable => {
                    e.log(entry);
                    return Err(format!(
                        "wecom {entry}: allow_departments or allow_tags names one that WeCom does not know or does not \
                         show to this app; compare the ids with the console, or widen the app's visible range"
                    ));
                }
                Err(e) => {
                    e.log(entry);
                    tracing::warn!(
                        event = "rules",
                        entry,
                        label = e.failure().response().label,
                        "the allow rules could not be checked at start"
                    );
                }
                Ok(()) => {}
            }
            // These rules let no member in: the gate starts, and changes no role by a rule that it cannot evaluate.
            if let Err(e) = client.check_roles().await {
                e.log(entry);
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

    /// Whether every entry gets an access token from WeCom. Failures are logged and shown in `/readyz`.
    pub(crate) async fn probe(&self) -> bool {
        let mut all = true;
        for (entry, client) in &self.sessions.wecom {
            if let Err(error) = client.probe().await {
                error.log(entry);
                all = false;
            }
        }
        all
    }

    /// The entry of the app whose name and picture the pages show: the only one, or the one that signs members in automatically.
    fn shown_entry(&self) -> Option<&WeComEntry> {
        let only = self.config.wecom.first().filter(|_| self.config.wecom.len() == 1);
        only.or_else(|| self.config.auto_entry())
    }

    /// Do the pages show the same app as those of `other`?
    pub(crate) fn shows_app_of(&self, other: &SignIns) -> bool {
        let app =
            |entry: &WeComEntry| (entry.corp_id.clone(), entry.agent_id.clone(), entry.api_base.clone());
        self.shown_entry().map(app) == other.shown_entry().map(app)
    }

    /// The app that the pages show, as it is in WeCom's console, and the bytes of its picture.
    pub(crate) async fn shown_app(&self) -> Option<(Agent, Option<Vec<u8>>)> {
        let (entry, client) = self.entry(&self.shown_entry()?.name)?;
        let agent = match client.agent().await {
            Ok(agent) => agent,
            Err(error) => {
                let label = error.failure().response().label;
                tracing::debug!(entry = entry.name, label, "the app's name and picture cannot be fetched");
                return None;
            }
        };
        let picture = match client.picture(&agent.picture).await {
            Ok(picture) => Some(picture),
            Err(error) => {
                tracing::debug!(entry = entry.name, error, "the app's picture cannot be fetched");
                None
            }
        };
        Some((agent, picture))
    }

    pub(super) fn entry(&self, name: &str) -> Option<(&WeComEntry, &wecom::Client)> {
        Some((self.config.entry(name)?, self.sessions.wecom.get(name)?))
    }

    /// Did the sign-in with this state begin in this browser, according to its cookie?
    pub(crate) fn began(&self, cookies: &OwnCookies<'_>, state: &str) -> bool {
        self.pending.has(cookies, state)
    }

    pub(super) fn redirect_uri(&self) -> String {
        format!("{}{CALLBACK}", self.config.origin.url())
    }
}

pub(super) fn keyring(config: &Config) -> Result<Arc<Keyring>, String> {
    let keyring = Keyring::new(&config.session.keys, &config.origin.url());
    keyring.map(Arc::new).map_err(|e| format!("session.keys: {e}"))
}

fn receivers(config: &Config) -> Result<HashMap<String, Receiver>, String> {
    let with_events = config.wecom.iter().filter_map(|entry| Some((entry, entry.events.as_ref()?)));
    with_events
        .map(|(entry, keys)| {
            let receiver =
                Receiver::new(&entry.corp_id, keys).map_err(|e| format!("wecom {}: {e}", entry.name))?;
            Ok((entry.name.clone(), receiver))
        })
        .collect()
}
