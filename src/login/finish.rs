//! The end of a flow: WeCom sends the browser back, with a code or without.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::callback_query::{CallbackQuery, Code};
use super::clock::now;
use super::finished::Finished;
use super::sign_in::sign_in;
use super::sign_ins::SignIns;
use super::start::Start;
use crate::decide::target::landing;
use crate::error::Failure;
use crate::session::flow::attempt_of;
use crate::session::{self, OwnCookies, SignInRequest, Stage, Via};
use crate::shared::CallbackId;

/// The callback as it came in.
#[derive(Debug, Clone, Copy)]
pub struct Callback<'a> {
    /// Raw query.
    pub query: Option<&'a str>,
    /// The gate's cookies.
    pub cookies: &'a OwnCookies<'a>,
    /// Where it comes from.
    pub client: IpAddr,
    /// The browser is WeCom's.
    pub in_wecom: bool,
    /// The browser is a phone's.
    pub mobile: bool,
    /// Language of WeCom's page, should the flow start over.
    pub lang: &'static str,
}

/// What the browser is told.
#[derive(Debug, Clone)]
pub enum CallbackResponse {
    /// Go on there.
    Redirect(String),
    /// A page, with the way to try again.
    Failed(Failure, Option<String>),
}

impl SignIns {
    /// Takes a callback to its end. Returns the answer and its cookies.
    pub async fn finish(self: &Arc<Self>, callback: Callback<'_>) -> (CallbackResponse, Vec<String>) {
        let client = callback.client;
        if let Err(failure) = self.throttle.callback(client, Instant::now()) {
            return (CallbackResponse::Failed(failure, None), Vec::new());
        }
        let params = CallbackQuery::read(callback.query.unwrap_or_default());
        let signed_in = self.sessions.live(callback.cookies);
        let Some(state) = params.state else {
            self.throttle.was_rejected(client, Instant::now());
            return (self.stray(signed_in.is_some(), Failure::BadCallback), Vec::new());
        };
        // Before anything is asked of WeCom: is this flow this browser's (R19)?
        let checked = match self.pending.check(callback.cookies, &state, now()) {
            Ok(checked) => checked,
            Err(failure) => {
                self.throttle.was_rejected(client, Instant::now());
                return self.no_flow(&callback, &state, signed_in.is_some(), failure);
            }
        };
        let request = &checked.flow.request;
        let mut cookies: Vec<String> = self.pending.delete(&checked.flow).into_iter().collect();
        let retry = Some(login_address(request));
        let code = match params.code {
            Code::One(code) => code,
            Code::None => {
                // Only WeCom's client asks for consent.
                let failure = match request.via {
                    Via::WeCom => Failure::ConsentDenied,
                    Via::Web => Failure::LoginCancelled,
                };
                self.metrics.sign_ins.refused(&request.entry, failure, Duration::ZERO);
                tracing::info!(
                    event = "sign_in",
                    entry = request.entry,
                    outcome = "refused",
                    label = failure.response().label,
                    "WeCom sent no code"
                );
                return (CallbackResponse::Failed(failure, retry), cookies);
            }
            Code::Several => return (CallbackResponse::Failed(Failure::BadCallback, retry), cookies),
        };

        // The flow's cookie stays: the page comes back by itself with the same code.
        let permit = match self.throttle.permit(client, Instant::now()) {
            Ok(permit) => permit,
            Err(failure) => return (CallbackResponse::Failed(failure, None), Vec::new()),
        };
        let once = session::Callback { code: &code, state: &state, cookie: checked.cookie };
        let (sign_ins, work, spent) = (self.clone(), request.clone(), code.clone());
        // The permit is held for as long as the work goes on, also when the browser does not wait for it.
        let id = CallbackId::of(&once);
        let work = async move {
            let _permit = permit;
            sign_ins.once_in_all(id, sign_in(&sign_ins, &work, &spent)).await
        };
        let finished = self.callbacks.once(once, now(), work).await;
        let finished = finished.unwrap_or_else(|refused| Finished::Failed(refused.into()));
        if matches!(finished, Finished::Failed(Failure::CodeRejected | Failure::FlowMissing)) {
            self.throttle.was_rejected(client, Instant::now());
        }
        let answer = match finished {
            Finished::SignedIn(session) => match self.sessions.cookies.write(&session, now()) {
                Ok(cookie) => {
                    // The flow stays for a minute: WeCom's webviews may ask for the callback twice.
                    cookies = self.pending.keep_briefly(&checked).into_iter().collect();
                    cookies.push(cookie);
                    if callback.cookies.signed_out {
                        cookies.push(self.cookie_names().delete(self.cookie_names().out()));
                    }
                    if self.config.password_form() {
                        // Whoever was here by password before has left: their cookies must not open files any more.
                        cookies.extend(self.sessions.forget_nocobase());
                    }
                    self.sessions.replace(signed_in, &session);
                    CallbackResponse::Redirect(self.landing(request))
                }
                Err(failure) => CallbackResponse::Failed(failure, retry),
            },
            Finished::NeedsConsent => self.again(&callback, request, true, 0, &mut cookies),
            Finished::Failed(Failure::CodeRejected) if signed_in.is_some() => {
                CallbackResponse::Redirect(self.landing(request))
            }
            Finished::Failed(Failure::CodeRejected) if attempt_of(state.as_bytes()) == Some(0) => {
                self.again(&callback, request, request.stage == Stage::Consent, 1, &mut cookies)
            }
            Finished::Failed(failure) => CallbackResponse::Failed(failure, retry),
        };
        (answer, cookies)
    }

    /// The same flow once more.
    fn again(
        &self,
        callback: &Callback<'_>,
        request: &SignInRequest,
        consent: bool,
        attempt: u8,
        cookies: &mut Vec<String>,
    ) -> CallbackResponse {
        let Some(entry) = self.config.wecom.iter().position(|e| e.name == request.entry) else {
            return CallbackResponse::Failed(Failure::NotFound, None);
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
        };
        match self.start(callback.cookies, &start) {
            Ok(started) => {
                cookies.extend(started.cookies);
                CallbackResponse::Redirect(started.location)
            }
            Err(failure) => CallbackResponse::Failed(failure, Some(login_address(request))),
        }
    }

    /// A callback without a flow of this browser: old, foreign, or the browser keeps no cookies. It starts over once,
    /// with a code of its own; a second time in a row it is told that its cookies are blocked.
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
                CallbackResponse::Failed(Failure::CookiesBlocked, Some("/wecom-gate/login".into())),
                Vec::new(),
            );
        }
        let entry = self.config.wecom.iter().position(|e| e.auto_login);
        let (Some(entry), true, false) = (entry, callback.in_wecom, callback.cookies.signed_out) else {
            return (CallbackResponse::Failed(failure, Some("/wecom-gate/login".into())), Vec::new());
        };
        let start = Start {
            via: Via::WeCom,
            entry,
            target: "/".into(),
            mobile: callback.mobile,
            automatic: true,
            attempt: 1,
            consent: false,
            lang: callback.lang,
        };
        match self.start(callback.cookies, &start) {
            Ok(started) => (CallbackResponse::Redirect(started.location), started.cookies),
            Err(failure) => (CallbackResponse::Failed(failure, Some("/wecom-gate/login".into())), Vec::new()),
        }
    }

    /// Whoever is signed in already and comes back to an old callback goes on to the start page.
    fn stray(&self, signed_in: bool, failure: Failure) -> CallbackResponse {
        if signed_in {
            CallbackResponse::Redirect("/".into())
        } else {
            CallbackResponse::Failed(failure, Some("/wecom-gate/login".into()))
        }
    }

    fn landing(&self, request: &SignInRequest) -> String {
        match self.config.entry(&request.entry) {
            Some(e) => {
                let path = &self.config.nocobase.public_path;
                landing(&request.target, &e.home, &e.home_mobile, request.mobile, path).to_owned()
            }
            None => request.target.clone(),
        }
    }
}

/// `/wecom-gate/login` with everything that leads back into this flow.
fn login_address(request: &SignInRequest) -> String {
    let via = match request.via {
        Via::WeCom => "wecom",
        Via::Web => "web",
    };
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("rd", &request.target).append_pair("via", via).append_pair("with", &request.entry);
    format!("/wecom-gate/login?{}", query.finish())
}
