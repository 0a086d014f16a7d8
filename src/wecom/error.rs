//! What WeCom's error codes mean: one table from `errcode` to class, and the error that the rest of the gate
//! sees. An error carries numbers, the gate's own words and at most a parsed address: none of WeCom's texts.

use std::fmt;
use std::net::IpAddr;

use crate::error::{Cause, Failure, FailureWithCause, Level};

/// A call to WeCom's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Call {
    /// `gettoken` (doc 91039).
    GetToken,
    /// `auth/getuserinfo` (doc 91023).
    UserInfo,
    /// `auth/getuserdetail` (doc 95833).
    UserDetail,
    /// `user/get` (doc 90196).
    UserGet,
    /// `department/simplelist` (doc 95350).
    Departments,
    /// `tag/get` (doc 90213).
    Tag,
    /// `agent/get` (doc 90227).
    Agent,
}

impl Call {
    /// Stable name for logs and metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Call::GetToken => "gettoken",
            Call::UserInfo => "getuserinfo",
            Call::UserDetail => "getuserdetail",
            Call::UserGet => "user/get",
            Call::Departments => "department/simplelist",
            Call::Tag => "tag/get",
            Call::Agent => "agent/get",
        }
    }
}

/// What kind of "no" it is, and therefore what may be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    /// System busy: at most three tries.
    Transient,
    /// The access token is stale: refresh it, try once more.
    Token,
    /// The code is used, old or not ours: start the sign-in again, once.
    Code,
    /// This person may not: deny, end the session.
    User,
    /// An operator must act; never tried again in a loop.
    Config,
    /// Rate limit: back off.
    Rate,
    /// The `user_ticket` is used up: a new OAuth round.
    Detail,
    /// The gate made a wrong request.
    Bug,
    /// No response, or none in time.
    Transport,
    /// Codes of third-party apps, which the gate is not.
    ThirdParty,
    /// Not JSON, not the documented fields, or a code that is not in the table.
    BadAnswer,
}

impl Class {
    /// Stable name for logs and metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Class::Transient => "transient",
            Class::Token => "token",
            Class::Code => "code",
            Class::User => "user",
            Class::Config => "config",
            Class::Rate => "rate",
            Class::Detail => "detail",
            Class::Bug => "bug",
            Class::Transport => "transport",
            Class::ThirdParty => "third_party",
            Class::BadAnswer => "bad_answer",
        }
    }
}

/// The codes that matter for signing in (doc 90313), sorted; where a call gives a code another meaning, see
/// [`classify`].
const TABLE: &[(i64, Class)] = &[
    (-1, Class::Transient),
    (40001, Class::Token), // from gettoken: Config
    (40003, Class::User),
    (40013, Class::Config),
    (40014, Class::Token),
    (40029, Class::Code),
    (40056, Class::Config),
    (40057, Class::Config),
    (40058, Class::Bug), // a parameter is refused; what that means depends on the call
    (40063, Class::Bug),
    (40068, Class::Config),
    (40078, Class::Code),
    (40082, Class::ThirdParty),
    (40091, Class::Config),
    (40163, Class::Code), // not in WeCom's list; official accounts' "code been used"
    (41001, Class::Token),
    (41002, Class::Bug), // from gettoken: Config
    (41004, Class::Bug), // from gettoken: Config
    (41008, Class::Bug), // from getuserinfo: Code
    (41009, Class::Bug),
    (41011, Class::Bug),
    (42001, Class::Token),
    (42003, Class::Code),
    (42009, Class::ThirdParty),
    (42022, Class::Code),
    (43009, Class::Config),
    (45009, Class::Rate),
    (45031, Class::Config),
    (45033, Class::Rate),
    (46004, Class::User),
    (48001, Class::Config),
    (48002, Class::Config),
    (48004, Class::Config),
    (48006, Class::Config),
    (48009, Class::Config),
    (48010, Class::Transport),
    (50001, Class::Config),
    (50002, Class::User),
    (50003, Class::Config),
    (50006, Class::Config),
    (60003, Class::Config),
    (60011, Class::User), // from department and tag calls: Config
    (60020, Class::Config),
    (60021, Class::User),
    (60031, Class::Config),
    (60111, Class::User),
    (60123, Class::Config),
    (80001, Class::Config),
    (81011, Class::Config),
    (84014, Class::Detail),
    (84015, Class::Detail),
    (84025, Class::Bug),
    (84090, Class::Detail),
    (85004, Class::Config),
    (85005, Class::Config),
    (85111, Class::Config),
    (301002, Class::Config),
];

/// The class of `errcode` (not 0) in the response to `call`.
pub(super) fn classify(call: Call, errcode: i64) -> Class {
    match (call, errcode) {
        // Refreshing a token cannot cure a refused request for a token.
        (Call::GetToken, 40001 | 40014 | 41001 | 41002 | 41004 | 42001) => Class::Config,
        // What is sent comes from the configuration, or from the browser.
        (Call::GetToken | Call::Departments | Call::Tag | Call::Agent, 40058 | 40063) => Class::Config,
        (Call::UserInfo, 40058 | 40063 | 41008) => Class::Code,
        // A department or tag that the app may not read: the rule is wrong, not the member.
        (Call::Departments | Call::Tag | Call::Agent, 60011) => Class::Config,
        _ => TABLE
            .binary_search_by_key(&errcode, |row| row.0)
            .ok()
            .and_then(|i| TABLE.get(i))
            .map_or(Class::BadAnswer, |row| row.1),
    }
}

/// Why a call to WeCom failed. Holds no secret (R27). WeCom's own text is in it for the log alone, redacted, and is never
/// shown to a member (R24).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WeComError {
    call: Call,
    class: Class,
    errcode: Option<i64>,
    failure: Failure,
    address: Option<IpAddr>,
    /// Redacted; for the log alone.
    reason: String,
    /// An error from before, which has been logged.
    repeated: bool,
    /// The connection broke after the request was sent.
    broken: bool,
}

impl WeComError {
    /// WeCom answered with this code; `errmsg` only serves to find the refused address of 60020.
    pub(crate) fn from_errcode(call: Call, errcode: i64, errmsg: &str) -> Self {
        let class = classify(call, errcode);
        let failure = match class {
            Class::Transient => Failure::WeComBusy,
            Class::Config if errcode == 60020 => Failure::WeComIpNotTrusted,
            Class::Token | Class::Config | Class::ThirdParty => Failure::WeComConfig,
            // A used-up ticket is cured like a used-up code: by a new OAuth round.
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
        }
    }

    /// No response, or none in time.
    pub(crate) fn unreachable(call: Call) -> Self {
        Self::plain(call, Class::Transport, Failure::WeComUnreachable)
    }

    /// A response that is not the documented one.
    pub(crate) fn bad_answer(call: Call) -> Self {
        Self::plain(call, Class::BadAnswer, Failure::WeComBadAnswer)
    }

    /// HTTP 429, without an `errcode`.
    pub(super) fn rate_limited(call: Call) -> Self {
        Self::plain(call, Class::Rate, Failure::WeComRateLimited)
    }

    /// The code cannot be from WeCom (empty, too long).
    pub(super) fn code_rejected() -> Self {
        Self::plain(Call::UserInfo, Class::Code, Failure::CodeRejected)
    }

    /// The person is not let in.
    pub(super) fn person(call: Call, failure: Failure) -> Self {
        Self::plain(call, Class::User, failure)
    }

    /// An allow rule could not be evaluated (R22); the code that was the reason is kept.
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
        }
    }

    /// The same with what the log says besides; `reason` must be redacted.
    pub(super) fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..self }
    }

    /// The same, because the connection broke after the request was sent.
    pub(super) fn broken_midway(self) -> Self {
        Self { broken: true, ..self }
    }

    /// The same once more, without another call: [`WeComError::log`] is silent about it.
    pub(super) fn repeated(&self) -> Self {
        Self { repeated: true, ..self.clone() }
    }

    /// What [`WeComError::because`] was told.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    /// Writes a line of its own, as loud as the failure's: for tasks that have no line to put the cause into.
    pub(crate) fn log(&self, entry: &str) {
        if self.repeated {
            return;
        }
        let label = self.failure.response().label;
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    entry,
                    call = self.call.name(),
                    label,
                    class = self.class.name(),
                    errcode = self.errcode,
                    errmsg = self.reason,
                    remedy = self.remedy(),
                    "WeCom call failed"
                )
            };
        }
        match self.failure.response().level {
            Level::Debug => line!(debug),
            Level::Info => line!(info),
            Level::Warn => line!(warn),
            Level::Error => line!(error),
        }
    }

    /// Which call it was.
    pub(crate) fn call(&self) -> Call {
        self.call
    }
    /// What may be done about it.
    pub(crate) fn class(&self) -> Class {
        self.class
    }
    /// WeCom's `errcode`, if there was one.
    pub(crate) fn errcode(&self) -> Option<i64> {
        self.errcode
    }
    /// Did the connection break after the request was sent? Then WeCom may have carried it out.
    pub(crate) fn is_broken_midway(&self) -> bool {
        self.broken
    }
    /// The failure that the caller reports.
    pub(crate) fn failure(&self) -> Failure {
        self.failure
    }
    /// With 60020: the address that must be added to the app's trusted ones.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// What the operator can do. Never empty where WeCom gave an `errcode`.
    pub(crate) fn remedy(&self) -> String {
        match (self.errcode, self.failure) {
            (Some(60020), _) => match self.address {
                Some(ip) => format!("add {ip} to the app's trusted IPs: console -> app -> 企业可信IP"),
                None => "add the gate's public address to the app's trusted IPs: console -> app -> 企业可信IP".into(),
            },
            (Some(40058 | 40063), _) => match self.call {
                Call::GetToken => "check corp_id and secret: WeCom does not take them as they are".into(),
                Call::Agent => "check agent_id: WeCom does not take it as it is".into(),
                Call::Departments | Call::Tag => RULES.into(),
                _ => remedy(self.class).into(),
            },
            (Some(code), _) => match known_remedy(code) {
                Some(remedy) => remedy.into(),
                None if self.class == Class::BadAnswer => format!("look the code up: {EXPLAINS}{code}"),
                None => remedy(self.class).into(),
            },
            (None, Failure::WeComRateLimited) => remedy(Class::Rate).into(),
            (None, Failure::WeComUnreachable) => {
                "check api_base, http_proxy, DNS and the firewall between the gate and WeCom".into()
            }
            (None, Failure::WeComBadAnswer) => {
                "check api_base, userinfo_path and userdetail_path, and that no proxy responds instead of WeCom".into()
            }
            (None, Failure::RuleUnevaluable) => RULES.into(),
            _ => String::new(),
        }
    }

    /// The rule is the cause, not a temporary fault: trying again is of no use (R22).
    pub(super) fn spoils_rule(&self) -> bool {
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

const RULES: &str = "check the ids in allow_departments, allow_tags and roles; the app's visible range must contain \
                     these departments and their parents";

/// WeCom's page that explains an `errcode`.
const EXPLAINS: &str = "https://open.work.weixin.qq.com/devtool/query?e=";

/// What an operator can do about a code that has no remedy of its own.
fn remedy(class: Class) -> &'static str {
    match class {
        Class::Transient => "wait: WeCom is busy, and the gate has tried again",
        Class::Code => {
            "none, if it happens now and then: the sign-in starts over by itself. If it always does, corp_id, agent_id and \
             secret must belong to the same app"
        }
        Class::Detail => "none, if it happens now and then: the member signs in once more and agrees again",
        Class::Bug => {
            "the gate made a wrong request: report it with the errcode, the name of the call and the gate's version"
        }
        Class::Rate => "wait, and look for what calls WeCom's API with this app's secret besides the gate",
        Class::User => "if this member should have access: console -> app -> visible range (可见范围)",
        Class::Token | Class::Config => {
            "check corp_id, agent_id and secret, and that the app is enabled in the console"
        }
        Class::Transport => "check api_base, http_proxy, DNS and the firewall between the gate and WeCom",
        Class::ThirdParty => "corp_id and secret must be a custom-built app's",
        Class::BadAnswer => "check api_base, and that no proxy responds instead of WeCom",
    }
}

/// What an operator can do about this code in particular.
fn known_remedy(errcode: i64) -> Option<&'static str> {
    Some(match errcode {
        40001 | 40091 | 41004 => {
            "check secret and corp_id (console -> app -> Secret; My Company -> CorpID), and that the app is enabled"
        }
        40013 | 41002 => "check corp_id: console -> My Company -> CorpID",
        40014 | 41001 | 42001 => "WeCom refuses a fresh access token: check that secret is this app's own",
        40056 | 41011 | 301002 => "check agent_id: it must be the app that secret belongs to",
        45031 => {
            "WeCom finds the app's secret too weak: reset it in the console and put the new one into secret"
        }
        40057 | 50001 | 80001 | 85004 | 85005 | 85111 => {
            "set the host (and port) of origin as the app's OAuth callback domain in the console, verified; secret \
             must be this app's own, not the contact-sync one"
        }
        43009 => "the company must be verified in WeCom's console",
        48001 | 48002 | 48004 | 48009 => {
            "give the app this privilege in the console; use the app's own secret"
        }
        48006 | 50003 | 50006 | 60031 => "enable the app in the console",
        48010 => "the connection to WeCom needs TLS 1.2 or newer: check http_proxy and api_base",
        40068 | 60003 | 60123 | 81011 => RULES,
        45009 | 45033 => {
            "wait; a block can be looked up and lifted at https://open.work.weixin.qq.com/wwopen/devtool/checkCorpSpamBlock"
        }
        40082 | 42009 => {
            "WeCom takes this for a third-party app: corp_id and secret must be a custom-built app's"
        }
        40207..=40210 => {
            "WeCom asks for its two-factor check, which sign-in by the gate does not have: turn it off for this app in the console"
        }
        84025 => {
            "WeCom does not take the state parameter: is authorize_url WeCom's, or your private deployment's, own?"
        }
        _ => return None,
    })
}

/// Takes the address out of "... from ip: 1.2.3.4, more info at ..." (doc 90313, code 60020). Only what
/// parses as an address is returned, so that no other part of WeCom's text is passed on.
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
