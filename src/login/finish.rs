//! The end of a sign-in: WeCom redirects the browser back, with a code or without.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tracing::Instrument as _;

use super::callback_query::{CallbackQuery, Code};
use super::clock::now;
use super::finished::Finished;
use super::link_offer::LinkOffer;
use super::other_applications::OtherApplication;
use super::sign_in::{refused, sign_in};
use super::sign_ins::SignIns;
use super::start::Start;
use super::throttle::Charge;
use crate::audit::Source;
use crate::decide::target::landing;
use crate::error::Failure;
use crate::session::flow::attempt_of;
use crate::session::{self, OwnCookies, Session, SignInRequest, Stage, Via};
use crate::shared::CallbackId;

/// A callback request.
#[derive(Clone, Copy)]
pub(crate) struct Callback<'a> {
    /// The request.
    pub(crate) source: &'a Source,
    /// Raw query.
    pub(crate) query: Option<&'a str>,
    /// The gate's cookies.
    pub(crate) cookies: &'a OwnCookies<'a>,
    /// The client's address.
    pub(crate) client: IpAddr,
    /// The browser is WeCom's client.
    pub(crate) in_wecom: bool,
    /// The browser is on a phone.
    pub(crate) mobile: bool,
    /// Language of WeCom's page, if the sign-in starts over.
    pub(crate) lang: &'static str,
    /// The gate's other applications.
    pub(crate) others: &'a [OtherApplication<'a>],
}

/// The response to a callback.
#[derive(Debug, Clone)]
pub(crate) enum CallbackResponse {
    /// A redirect to this target.
    Redirect(String),
    /// A page with the reason.
    Failed {
        /// The reason.
        failure: Failure,
        /// How to try again, where that makes sense.
        retry: Option<Retry>,
        /// The failure has been logged already, with its cause.
        logged: bool,
    },
}

/// What a new attempt needs to return to the same page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Retry {
    /// The page after the sign-in; the start page by default.
    pub(crate) target: Option<String>,
    /// Which of WeCom's pages to use.
    pub(crate) via: Option<Via>,
    /// Name of the WeCom entry.
    pub(crate) entry: Option<String>,
    /// The member may prove which user is theirs.
    pub(crate) link: Option<LinkOffer>,
}

impl From<&SignInRequest> for Retry {
    fn from(request: &SignInRequest) -> Self {
        Retry {
            target: Some(request.target.clone()),
            via: Some(request.via),
            entry: Some(request.entry.clone()),
            link: None,
        }
    }
}

impl CallbackResponse {
    /// A failure that has not been logged yet.
    pub(super) fn failed(failure: Failure, retry: Option<Retry>) -> Self {
        CallbackResponse::Failed { failure, retry, logged: false }
    }
}

impl SignIns {
    /// Handles a callback. Returns the response and its cookies.
    pub(crate) async fn finish(self: &Arc<Self>, callback: Callback<'_>) -> (CallbackResponse, Vec<String>) {
        let client = callback.client;
        let charge = match self.throttle.callback(client, Instant::now()) {
            Ok(charge) => charge,
            Err(failure) => return (CallbackResponse::failed(failure, None), Vec::new()),
        };
        let params = CallbackQuery::read(callback.query.unwrap_or_default());
        let before = self.sessions.live(callback.cookies);
        let signed_in = before.len() == 1;
        let Some(state) = params.state else {
            charge.keep();
            return (self.stray(signed_in, Failure::BadCallback), Vec::new());
        };
        // Before any call to WeCom: does this flow belong to this browser (R19)?
        let checked = match self.pending.check(callback.cookies, &state, now()) {
            Ok(checked) => checked,
            Err(failure) => {
                charge.keep();
                return self.no_flow(&callback, &state, signed_in, failure);
            }
        };
        let request = &checked.flow.request;
        let mut cookies: Vec<String> = self.pending.delete(&checked.flow).into_iter().collect();
        let retry = Some(Retry::from(request));
        let code = match params.code {
            Code::One(code) => code,
            Code::None => {
                // Only WeCom's client asks for consent.
                let failure = match request.via {
                    Via::WeCom => Failure::ConsentDenied,
                    Via::Web => Failure::LoginCancelled,
                };
                self.metrics.sign_ins.refused(&request.entry, failure, Duration::ZERO);
                let span = Self::span(&callback);
                span.in_scope(|| refused(self, &failure.into(), request, ("", "", None), callback.source));
                return (CallbackResponse::Failed { failure, retry, logged: true }, cookies);
            }
            Code::Several => {
                charge.keep();
                return (CallbackResponse::failed(Failure::BadCallback, retry), cookies);
            }
        };

        // The flow cookie stays: the page repeats the callback automatically, with the same code.
        let slot = match self.throttle.slot(client, Instant::now()) {
            Ok(slot) => slot,
            Err(failure) => return (CallbackResponse::failed(failure, None), Vec::new()),
        };
        let once = session::Callback { code: &code, state: &state, cookie: checked.cookie };
        let (sign_ins, work, spent) = (self.clone(), request.clone(), code.clone());
        let source = callback.source.clone();
        // Slot and charge are held until the work ends, even if the browser no longer waits for it.
        let id = CallbackId::of(&once);
        let logged = Arc::new(AtomicBool::new(false));
        let written = Arc::clone(&logged);
        let counted = Arc::new(AtomicBool::new(false));
        let counts = Arc::clone(&counted);
        let work = async move {
            let _slot = slot;
            let carry_out = async {
                let finished = sign_in(&sign_ins, &work, &spent, &source).await;
                written.store(true, Ordering::Release);
                finished
            };
            let finished = sign_ins.process_once(id, carry_out).await;
            if is_rejected(&finished) {
                charge.keep();
                counts.store(true, Ordering::Release);
            }
            finished
        }
        .instrument(Self::span(&callback));
        let finished = self.callbacks.once(once, now(), work).await;
        let finished = finished.unwrap_or_else(|refused| Finished::Failed(refused.into()));
        if is_rejected(&finished) && !counted.load(Ordering::Acquire) {
            // A repeated callback, for which WeCom was not called. Without capacity the next one is refused anyway.
            let _ = self.throttle.callback(client, Instant::now()).map(Charge::keep);
        }
        let response = match finished {
            Finished::SignedIn(session) => match self.hand_out(&callback, &session, before) {
                Ok(session_cookies) => {
                    // The flow stays valid for a minute: WeCom's webviews may send the callback twice.
                    cookies = self.pending.keep_briefly(&checked).into_iter().collect();
                    cookies.extend(session_cookies);
                    // A browser that keeps its session does not return, so a browser with a session is not in a redirect loop.
                    let unattended = request.via == Via::WeCom && request.stage == Stage::Silent;
                    if unattended && !signed_in {
                        cookies.push(self.count_return(callback.cookies));
                    }
                    CallbackResponse::Redirect(self.landing(request))
                }
                Err(failure) => CallbackResponse::failed(failure, retry),
            },
            Finished::NeedsConsent => self.again(&callback, request, true, 0, &mut cookies),
            Finished::Failed(Failure::CodeRejected) | Finished::CodeLost(_) if signed_in => {
                CallbackResponse::Redirect(self.landing(request))
            }
            Finished::Failed(Failure::CodeRejected) | Finished::CodeLost(_)
                if attempt_of(state.as_bytes()) == Some(0) =>
            {
                self.again(&callback, request, request.stage == Stage::Consent, 1, &mut cookies)
            }
            Finished::Failed(failure) | Finished::CodeLost(failure) => {
                // A repeated callback was processed, and logged, under the request id of the first.
                let logged = logged.load(Ordering::Acquire);
                CallbackResponse::Failed { failure, retry, logged }
            }
            Finished::Unmatched(failure, link) => {
                let retry = self.offer(&link, LinkOffer::new(&link), &mut cookies);
                let logged = logged.load(Ordering::Acquire);
                CallbackResponse::Failed { failure, retry: Some(retry), logged }
            }
            Finished::PasswordRejected(_) => CallbackResponse::failed(Failure::Internal, retry),
        };
        (response, cookies)
    }

    /// The cookies with which a browser gets this session. Its previous sessions end.
    pub(super) fn hand_out(
        &self,
        callback: &Callback<'_>,
        session: &Session,
        before: Vec<Session>,
    ) -> Result<Vec<String>, Failure> {
        let mut cookies = vec![self.sessions.cookies.write(session, now())?];
        if callback.cookies.signed_out {
            cookies.push(self.cookie_names().delete(self.cookie_names().out()));
        }
        cookies.extend(self.links.delete(callback.cookies));
        if self.config.password_form() {
            // A user who signed in by password before is signed out: their cookies must not give access to files any more.
            cookies.extend(self.sessions.forget_nocobase());
            cookies.extend(self.sessions.cookies.delete_password(callback.cookies));
            self.sessions.end_passwords(callback.cookies, callback.source);
        }
        self.sessions.replace(before, session, callback.source);
        let others = callback.others.iter();
        cookies.extend(others.flat_map(|other| other.end_of_others(session, callback.source)));
        Ok(cookies)
    }

    /// Gives every line of a sign-in its request id. At the level of errors, so that no `log.level` hides it.
    pub(super) fn span(callback: &Callback<'_>) -> tracing::Span {
        tracing::error_span!("sign_in", request_id = callback.source.request_id.as_deref())
    }

    /// Starts the same sign-in once more.
    fn again(
        &self,
        callback: &Callback<'_>,
        request: &SignInRequest,
        consent: bool,
        attempt: u8,
        cookies: &mut Vec<String>,
    ) -> CallbackResponse {
        let Some(entry) = self.config.wecom.iter().position(|e| e.name == request.entry) else {
            return CallbackResponse::failed(Failure::NotFound, None);
        };
        let start = Start {
            via: request.via,
            entry,
            target: request.target.clone(),
            mobile: request.mobile,
            automatic: true,
            attempt,
            consent,
            lang: callback.lang,
            source: callback.source,
        };
        match self.start(callback.cookies, &start) {
            Ok(started) => {
                cookies.extend(started.cookies);
                if !consent {
                    cookies.push(self.count_return(callback.cookies));
                }
                CallbackResponse::Redirect(started.location)
            }
            Err(failure) => CallbackResponse::failed(failure, Some(Retry::from(request))),
        }
    }

    /// A callback without a flow of this browser: it is old, belongs to another browser, or this one stores no cookies. The
    /// sign-in starts over once, with a new code; the second time in a row the page explains that cookies are blocked.
    fn no_flow(
        &self,
        callback: &Callback<'_>,
        state: &str,
        signed_in: bool,
        failure: Failure,
    ) -> (CallbackResponse, Vec<String>) {
        if signed_in || failure == Failure::BadCallback {
            return (self.stray(signed_in, failure), Vec::new());
        }
        if attempt_of(state.as_bytes()).is_some_and(|n| n > 0) && failure == Failure::FlowMissing {
            return (
                CallbackResponse::failed(Failure::CookiesBlocked, Some(self.retry_from_the_start())),
                Vec::new(),
            );
        }
        let entry = self.config.wecom.iter().position(|e| e.auto_login);
        let (Some(entry), true, false) = (entry, callback.in_wecom, callback.cookies.signed_out) else {
            return (CallbackResponse::failed(failure, Some(self.retry_from_the_start())), Vec::new());
        };
        let start = Start {
            via: Via::WeCom,
            entry,
            target: self.start_page(),
            mobile: callback.mobile,
            automatic: true,
            attempt: 1,
            consent: false,
            lang: callback.lang,
            source: callback.source,
        };
        match self.start(callback.cookies, &start) {
            Ok(mut started) => {
                started.cookies.push(self.count_return(callback.cookies));
                (CallbackResponse::Redirect(started.location), started.cookies)
            }
            Err(failure) => {
                (CallbackResponse::failed(failure, Some(self.retry_from_the_start())), Vec::new())
            }
        }
    }

    /// A signed-in browser that opens an old callback goes to the start page.
    fn stray(&self, signed_in: bool, failure: Failure) -> CallbackResponse {
        if signed_in {
            CallbackResponse::Redirect(self.start_page())
        } else {
            CallbackResponse::failed(failure, Some(self.retry_from_the_start()))
        }
    }

    /// A new attempt where nothing is known about the previous one.
    pub(super) fn retry_from_the_start(&self) -> Retry {
        let target = self.config.nocobase.is_below_apps().then(|| self.start_page());
        Retry { target, ..Retry::default() }
    }

    /// A target that stands for the entry's home page.
    fn start_page(&self) -> String {
        let nocobase = &self.config.nocobase;
        if nocobase.is_below_apps() { nocobase.start_page() } else { "/".into() }
    }

    pub(super) fn landing(&self, request: &SignInRequest) -> String {
        match self.config.entry(&request.entry) {
            Some(e) => {
                let path = self.config.nocobase.start_page();
                landing(&request.target, &e.home, &e.home_mobile, request.mobile, &path).to_owned()
            }
            None => request.target.clone(),
        }
    }
}

/// Were the callback's state or code rejected?
fn is_rejected(finished: &Finished) -> bool {
    matches!(finished, Finished::Failed(Failure::CodeRejected | Failure::FlowMissing))
}

#[cfg(test)]
mod tests;
