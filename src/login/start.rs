//! The start of a sign-in: a flow cookie, and the address of WeCom's page.

use super::clock::now;
use super::sign_ins::SignIns;
use crate::audit::Source;
use crate::error::Failure;
use crate::metrics;
use crate::session::{OwnCookies, SignInRequest, Stage, Via};
use crate::wecom::Scope;

/// Automatic returns from WeCom within a minute after which the gate stops redirecting the browser. Starts are not counted: many
/// tabs may start at once, but a loop has to return.
const MAX_TRIES: u8 = 8;

/// What to start.
#[derive(Debug, Clone)]
pub(crate) struct Start<'a> {
    /// Which of WeCom's pages.
    pub(crate) via: Via,
    /// Index of the entry in the configuration.
    pub(crate) entry: usize,
    /// Where to go afterwards: a path of our own origin.
    pub(crate) target: String,
    /// The browser is a phone's.
    pub(crate) mobile: bool,
    /// Started without a click: counted by the loop protection.
    pub(crate) automatic: bool,
    /// How often this sign-in has been started over (0 to 9).
    pub(crate) attempt: u8,
    /// Ask for consent to read the phone number.
    pub(crate) consent: bool,
    /// Language of WeCom's page: `zh` or `en`.
    pub(crate) lang: &'static str,
    /// The request that starts it.
    pub(crate) source: &'a Source,
}

/// A redirect to WeCom, with its cookies.
#[derive(Debug, Clone)]
pub(crate) struct Started {
    /// WeCom's page.
    pub(crate) location: String,
    /// `Set-Cookie` values.
    pub(crate) cookies: Vec<String>,
}

impl Start<'_> {
    /// Does it return without any action? Web login (a scan, a click) and consent wait for a person, so they cannot loop.
    fn is_unattended(&self) -> bool {
        self.automatic && self.via == Via::WeCom && !self.consent
    }
}

impl SignIns {
    /// Starts a flow.
    pub(crate) fn start(&self, cookies: &OwnCookies<'_>, start: &Start<'_>) -> Result<Started, Failure> {
        if start.is_unattended() && cookies.tries >= MAX_TRIES {
            tracing::warn!(
                event = "sign_in",
                outcome = "refused",
                request_id = start.source.request_id.as_deref(),
                label = Failure::LoginLoop.response().label,
                tries = cookies.tries,
                "redirect loop: does the browser keep cookies, is the clock right?"
            );
            let entry = self.config.wecom.get(start.entry).map_or("", |e| e.name.as_str());
            self.metrics.sign_ins.refused(entry, Failure::LoginLoop, std::time::Duration::ZERO);
            self.sessions.record_refusal(Some(entry), Failure::LoginLoop, start.source);
            return Err(Failure::LoginLoop);
        }
        let entry = self.config.wecom.get(start.entry).ok_or(Failure::NotFound)?;
        let (_, client) = self.entry(&entry.name).ok_or(Failure::Internal)?;
        let request = SignInRequest {
            target: start.target.clone(),
            entry: entry.name.clone(),
            via: start.via,
            stage: if start.consent { Stage::Consent } else { Stage::Silent },
            mobile: start.mobile,
        };
        let begun = self.pending.begin(cookies, request, start.attempt, now())?;
        let via = if start.via == Via::Web { metrics::StartPage::Web } else { metrics::StartPage::WeCom };
        self.metrics.sign_ins.started(&entry.name, via);
        let state = begun.flow.state();
        let redirect_uri = self.redirect_uri();
        let location = match start.via {
            Via::WeCom => {
                let scope = if start.consent { Scope::PrivateInfo } else { Scope::Base };
                client.authorize_url(scope, state, &redirect_uri)
            }
            Via::Web => client.web_login_url(state, &redirect_uri, start.lang),
        };
        Ok(Started { location, cookies: begun.set_cookies })
    }

    /// `Set-Cookie` that counts an automatic return from WeCom.
    pub(super) fn count_return(&self, cookies: &OwnCookies<'_>) -> String {
        self.cookie_names().set_tries(cookies.tries.saturating_add(1))
    }
}

impl From<crate::decide::LoginKind> for Via {
    fn from(via: crate::decide::LoginKind) -> Via {
        match via {
            crate::decide::LoginKind::WeCom => Via::WeCom,
            crate::decide::LoginKind::Web => Via::Web,
        }
    }
}
