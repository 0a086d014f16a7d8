//! Errors of WeCom, as the rest of the gate sees them. They hold numbers, the gate's own texts and at most a parsed address;
//! WeCom's text only redacted, for the log.

mod errcode;

use std::fmt;
use std::net::IpAddr;

use crate::error::{Cause, Failure, FailureWithCause, log_cause};
use crate::message::{Message, message};
use errcode::classify;
pub(crate) use errcode::{Call, Class};

/// Why a call to WeCom failed. Holds no secret (R27). WeCom's own text is kept for the log only, redacted, and is never shown to
/// a member (R24).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WeComError {
    call: Call,
    class: Class,
    errcode: Option<i64>,
    failure: Failure,
    address: Option<IpAddr>,
    /// Redacted; for the log only.
    reason: String,
    /// An earlier error, which has been logged already.
    repeated: bool,
    /// The connection broke after the request was sent.
    broken: bool,
    /// The response is longer than the gate reads.
    too_long: bool,
}

impl WeComError {
    /// WeCom responded with this code; `errmsg` only serves to find the refused address of 60020.
    pub(crate) fn from_errcode(call: Call, errcode: i64, errmsg: &str) -> Self {
        let class = classify(call, errcode);
        let failure = match class {
            Class::Transient => Failure::WeComBusy,
            Class::Config if errcode == 60020 => Failure::WeComIpNotTrusted,
            Class::Token | Class::Config | Class::ThirdParty => Failure::WeComConfig,
            // A used-up ticket needs the same as a used-up code: a new OAuth round.
            Class::Code | Class::Detail => Failure::CodeRejected,
            Class::User => Failure::NotVisible,
            Class::Rate => Failure::WeComRateLimited,
            Class::Bug => Failure::Internal,
            Class::Transport => Failure::WeComUnreachable,
            Class::BadAnswer => Failure::WeComBadAnswer,
        };
        let address = if errcode == 60020 { refused_address(errmsg) } else { None };
        Self {
            call,
            class,
            errcode: Some(errcode),
            failure,
            address,
            reason: String::new(),
            repeated: false,
            broken: false,
            too_long: false,
        }
    }

    /// No response, or none in time.
    pub(crate) fn unreachable(call: Call) -> Self {
        Self::plain(call, Class::Transport, Failure::WeComUnreachable)
    }

    /// A response that differs from the documentation.
    pub(crate) fn bad_answer(call: Call) -> Self {
        Self::plain(call, Class::BadAnswer, Failure::WeComBadAnswer)
    }

    /// A response that is longer than the gate reads.
    pub(super) fn too_long(call: Call) -> Self {
        Self { too_long: true, ..Self::bad_answer(call) }
    }

    /// HTTP 429, without an `errcode`.
    pub(super) fn rate_limited(call: Call) -> Self {
        Self::plain(call, Class::Rate, Failure::WeComRateLimited)
    }

    /// The code cannot be WeCom's (empty, too long).
    pub(super) fn code_rejected() -> Self {
        Self::plain(Call::UserInfo, Class::Code, Failure::CodeRejected)
    }

    /// The person is not let in.
    pub(super) fn person(call: Call, failure: Failure) -> Self {
        Self::plain(call, Class::User, failure)
    }

    /// An allow rule could not be evaluated (R22); keeps the error code that was the reason.
    pub(crate) fn rule_unevaluable(call: Call, errcode: Option<i64>) -> Self {
        Self { errcode, ..Self::plain(call, Class::Config, Failure::RuleUnevaluable) }
    }

    fn plain(call: Call, class: Class, failure: Failure) -> Self {
        Self {
            call,
            class,
            errcode: None,
            failure,
            address: None,
            reason: String::new(),
            repeated: false,
            broken: false,
            too_long: false,
        }
    }

    /// Adds a reason for the log; `reason` must be redacted.
    pub(super) fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..self }
    }

    /// Notes that the connection broke after the request was sent.
    pub(super) fn broken_midway(self) -> Self {
        Self { broken: true, ..self }
    }

    /// The same error, returned again without another call; [`WeComError::log`] does not log it.
    pub(super) fn repeated(&self) -> Self {
        Self { repeated: true, ..self.clone() }
    }

    /// The reason given to [`WeComError::because`].
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    /// Writes a log line, with the failure's level: for tasks that have no line of their own for the cause.
    pub(crate) fn log(&self, entry: &str) {
        if self.repeated {
            return;
        }
        let response = self.failure.response();
        let cause = FailureWithCause::from(self.clone()).cause;
        log_cause!(response.level, cause, [entry, label = response.label,], "WeCom call failed");
    }

    /// Which call it was.
    pub(crate) fn call(&self) -> Call {
        self.call
    }
    /// How the error is handled.
    pub(crate) fn class(&self) -> Class {
        self.class
    }
    /// WeCom's `errcode`, if there was one.
    pub(crate) fn errcode(&self) -> Option<i64> {
        self.errcode
    }
    /// Did the connection break after the request was sent? Then WeCom may have processed it.
    pub(crate) fn is_broken_midway(&self) -> bool {
        self.broken
    }
    /// Was the response longer than the gate reads?
    pub(crate) fn is_too_long(&self) -> bool {
        self.too_long
    }
    /// The failure that the caller reports.
    pub(crate) fn failure(&self) -> Failure {
        self.failure
    }
    /// For 60020: the address that must be added to the app's trusted ones.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// What has happened, as a sentence. `url`: the entry's `api_base`.
    pub(crate) fn message(&self, url: &str) -> Message {
        match (self.errcode, self.failure) {
            (Some(60020), _) => match self.address {
                Some(address) => message!("WeCom refuses calls from {address} (errcode 60020)", address),
                None => message!("WeCom refuses calls from this machine's address (errcode 60020)"),
            },
            (Some(code), _) => message!(
                "{call} answers errcode {code}; WeCom explains it at {page}",
                call = self.call.name(),
                code,
                page = format!("{ERRCODE_PAGE}{code}")
            ),
            (None, Failure::WeComUnreachable) => message!("{url} does not answer in time", url),
            (None, Failure::WeComRateLimited) => message!("WeCom refuses for now: too many calls (HTTP 429)"),
            (None, _) => message!("{url} answers, but not as WeCom's API does", url),
        }
    }

    /// What the operator can do, in English. Never empty if WeCom returned an `errcode`.
    pub(crate) fn remedy(&self) -> String {
        self.remedy_message().to_string()
    }

    /// The same, as a sentence that the console translates.
    pub(crate) fn remedy_message(&self) -> Message {
        match (self.errcode, self.failure) {
            (Some(60020), _) => match self.address {
                Some(address) => {
                    message!("add {address} to the app's trusted IPs: console -> app -> 企业可信IP", address)
                }
                None => message!(
                    "add the gate's public address to the app's trusted IPs: console -> app -> 企业可信IP"
                ),
            },
            (Some(40058 | 40063), _) => match self.call {
                Call::GetToken => message!("check corp_id and secret: WeCom does not accept them"),
                Call::Agent => message!("check agent_id: WeCom does not accept it"),
                Call::Departments | Call::Tag => rules(),
                _ => remedy(self.class),
            },
            (Some(code), _) => match known_remedy(code) {
                Some(remedy) => remedy,
                None if self.class == Class::BadAnswer => {
                    message!("look the code up: {page}", page = format!("{ERRCODE_PAGE}{code}"))
                }
                None => remedy(self.class),
            },
            (None, Failure::WeComRateLimited) => remedy(Class::Rate),
            (None, Failure::WeComUnreachable) => remedy(Class::Transport),
            (None, Failure::WeComBadAnswer) => message!(
                "check api_base, userinfo_path and userdetail_path, and that no proxy responds instead of WeCom"
            ),
            (None, Failure::RuleUnevaluable) => rules(),
            _ => Message::default(),
        }
    }

    /// The rule is the cause, not a temporary error: repeating the call does not help (R22).
    pub(super) fn invalidates_rule(&self) -> bool {
        match self.class {
            Class::Transient | Class::Rate | Class::Transport | Class::Token => false,
            Class::Config => {
                matches!(
                    self.errcode,
                    Some(40058 | 40063 | 40068 | 48001 | 48002 | 60003 | 60011 | 60123 | 81011)
                )
            }
            _ => true,
        }
    }
}

fn rules() -> Message {
    message!(
        "check the ids in allow_departments, allow_tags and roles; the app's visible range must contain these departments and \
         their parents"
    )
}

/// WeCom's page that explains an `errcode`.
const ERRCODE_PAGE: &str = "https://open.work.weixin.qq.com/devtool/query?e=";

/// What an operator can do about a code without its own remedy.
fn remedy(class: Class) -> Message {
    match class {
        Class::Transient => message!("wait: WeCom is busy, and the gate has tried again"),
        Class::Code => message!(
            "none, if it happens now and then: the sign-in starts over by itself. If it always does, corp_id, agent_id and \
             secret must belong to the same app"
        ),
        Class::Detail => {
            message!("none, if it happens now and then: the member signs in once more and agrees again")
        }
        Class::Bug => message!(
            "the gate made a wrong request: report it with the errcode, the name of the call and the gate's version"
        ),
        Class::Rate => {
            message!("wait, and look for what calls WeCom's API with this app's secret besides the gate")
        }
        Class::User => {
            message!("if this member should have access: console -> app -> visible range (可见范围)")
        }
        Class::Token | Class::Config => {
            message!("check corp_id, agent_id and secret, and that the app is enabled in the console")
        }
        Class::Transport => {
            message!("check api_base, http_proxy, DNS and the firewall between the gate and WeCom")
        }
        Class::ThirdParty => message!("corp_id and secret must be a custom-built app's"),
        Class::BadAnswer => message!("check api_base, and that no proxy responds instead of WeCom"),
    }
}

/// What an operator can do about this particular code.
fn known_remedy(errcode: i64) -> Option<Message> {
    Some(match errcode {
        40001 | 40091 | 41004 => message!(
            "check secret and corp_id (console -> app -> Secret; My Company -> CorpID), and that the app is enabled"
        ),
        40013 | 41002 => message!("check corp_id: console -> My Company -> CorpID"),
        40014 | 41001 | 42001 => {
            message!("WeCom refuses a fresh access token: check that secret is this app's own")
        }
        40056 | 41011 | 301002 => message!("check agent_id: it must be the app that secret belongs to"),
        45031 => message!(
            "WeCom finds the app's secret too weak: reset it in the console and put the new one into secret"
        ),
        40057 | 50001 | 80001 | 85004 | 85005 | 85111 => message!(
            "set the host (and port) of origin as the app's OAuth callback domain in the console, verified; secret \
             must be this app's own, not the contact-sync one"
        ),
        43009 => message!("the company must be verified in WeCom's console"),
        48001 | 48002 | 48004 | 48009 => {
            message!("give the app this privilege in the console; use the app's own secret")
        }
        48006 | 50003 | 50006 | 60031 => message!("enable the app in the console"),
        48010 => message!("the connection to WeCom needs TLS 1.2 or newer: check http_proxy and api_base"),
        40068 | 60003 | 60123 | 81011 => rules(),
        45009 | 45033 => message!(
            "wait; a block can be looked up and lifted at https://open.work.weixin.qq.com/wwopen/devtool/checkCorpSpamBlock"
        ),
        40082 | 42009 => message!(
            "WeCom takes this for a third-party app: corp_id and secret must be a custom-built app's"
        ),
        40207..=40210 => message!(
            "WeCom asks for its two-factor check, which sign-in by the gate does not have: turn it off for this app in the console"
        ),
        84025 => message!(
            "WeCom does not accept the state parameter: is authorize_url WeCom's, or your private deployment's, own?"
        ),
        _ => return None,
    })
}

/// Extracts the address from "... from ip: 1.2.3.4, more info at ..." (doc 90313, code 60020). Returns only what parses as an
/// address, so that no other part of WeCom's text is passed on.
fn refused_address(errmsg: &str) -> Option<IpAddr> {
    let (_, rest) = errmsg.split_once("from ip:")?;
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    let end = rest.find(|c: char| !(c.is_ascii_hexdigit() || c == '.' || c == ':')).unwrap_or(rest.len());
    rest.get(..end)?.trim_end_matches('.').parse().ok()
}

impl fmt::Display for WeComError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (class {}", self.call.name(), self.failure, self.class.name())?;
        if let Some(code) = self.errcode {
            write!(f, ", errcode {code}")?;
        }
        if let Some(ip) = self.address {
            write!(f, ", from {ip}")?;
        }
        f.write_str(")")
    }
}

impl std::error::Error for WeComError {}

impl From<WeComError> for FailureWithCause {
    fn from(error: WeComError) -> Self {
        let remedy = Some(error.remedy()).filter(|remedy| !remedy.is_empty());
        FailureWithCause::new(
            error.failure,
            Cause {
                call: Some(error.call.name().to_owned()),
                class: Some(error.class.name()),
                errcode: error.errcode,
                errmsg: Some(error.reason).filter(|reason| !reason.is_empty()),
                remedy,
                ..Cause::default()
            },
        )
    }
}

#[cfg(test)]
mod tests;
