//! Every failure of the gate, and the one place that turns it into a response: status, page text, log level and a label that
//! never changes (it appears in logs, metrics and `docs/troubleshooting.md`).
//!
//! A `Failure` holds no secret: the details are logged where they occur.

mod cause;
mod descriptors;
mod once_a_minute;
mod outage;

pub(crate) use cause::{Cause, FailureWithCause, log_cause, with_causes};
pub(crate) use descriptors::is_out_of_files;
pub(crate) use once_a_minute::{OnceAMinute, line_due};
pub(crate) use outage::{Outage, STEADY};

/// Why the gate did not do what was requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    // The request itself.
    /// The path is not canonical (R1).
    BadPath,
    /// The message's framing or headers are not acceptable.
    BadRequest,
    /// `Host` does not name the configured origin.
    UnknownHost,
    /// The gate has no such page.
    NotFound,
    /// The gate's page does not accept this method.
    MethodNotAllowed,
    /// The request names a NocoBase application other than `nocobase.app` (R44).
    OtherApplication,
    /// Another site caused the request.
    CrossSite,
    /// The body is larger than allowed.
    TooLarge,
    /// The headers are larger than allowed.
    HeadersTooLarge,
    /// Too many sign-ins from one address.
    TooManyRequests,
    // The session.
    /// No session, and the request is not a page load.
    NoSession,
    /// There was a session; it has ended.
    SessionEnded,
    /// The API key or token is not valid.
    InvalidToken,
    /// Browsers of this kind are not let in (`access.browsers = "deny"`).
    BrowserDenied,
    /// Personal WeChat or a phone's own browser: the page must be opened in WeCom.
    OpenInWeCom,
    // The flow.
    /// No flow cookie for this state.
    FlowMissing,
    /// The browser did not send the flow cookie back, twice in a row.
    CookiesBlocked,
    /// The flow is older than ten minutes.
    FlowExpired,
    /// `state` or `code` is missing where it is required, occurs twice, or has the wrong form.
    BadCallback,
    /// The member did not agree, or closed WeCom's page.
    ConsentDenied,
    /// The QR code on WeCom's page was not scanned, and its "cancel" was used.
    LoginCancelled,
    /// The sign-in was repeated several times without success.
    LoginLoop,
    /// WeCom does not accept the code (used, expired, or not ours).
    CodeRejected,
    // The member.
    /// WeCom knows the person, but not as a member of the company.
    NotAMember,
    /// A member of a linked company.
    OtherCompany,
    /// Outside the app's visible range, or no longer in the company.
    NotVisible,
    /// Disabled, not activated, or has left.
    MemberDisabled,
    /// Not in `allow_departments`, `allow_tags`, `allow_users`.
    NotAllowed,
    /// An allow rule could not be evaluated (R22).
    RuleUnevaluable,
    // The account.
    /// The first sign-in was outside WeCom's client, which gives no phone number.
    FirstTimeInWeCom,
    /// WeCom gave nothing to match by (no phone number, or the member did not consent).
    NothingToMatch,
    /// No NocoBase user matches, and the gate may not create one.
    NoMatchingUser,
    /// More than one NocoBase user matches.
    AmbiguousUser,
    /// The matching NocoBase user is bound to another member already.
    AlreadyBound,
    /// NocoBase does not accept the account and password that the member has entered to link it.
    PasswordRejected,
    /// The account that the member wants to link is an administrator's, or the gate's own.
    LinkDenied,
    /// The NocoBase user has no role, and NocoBase requires one.
    NoRole,
    // WeCom's side.
    /// Wrong corp id, secret, agent, domain or privilege.
    WeComConfig,
    /// 60020: the gate's address is not among the app's trusted ones.
    WeComIpNotTrusted,
    /// Not reachable, or no response in time.
    WeComUnreachable,
    /// System busy (-1), even after retries.
    WeComBusy,
    /// Rate limit (45009, 45033).
    WeComRateLimited,
    /// Not JSON, or not the documented fields.
    WeComBadAnswer,
    // This machine.
    /// `limits.connections` is reached; this connection is one of the few that still get a response.
    TooManyConnections,
    /// No file descriptor is left (`RLIMIT_NOFILE`).
    TooManyOpenFiles,
    // NocoBase's side.
    /// Not reachable.
    NocoBaseUnreachable,
    /// Closed for maintenance (`pages.maintenance_file`).
    Maintenance,
    /// Starting or restarting (503).
    NocoBaseStarting,
    /// No response in time.
    NocoBaseTimeout,
    /// NocoBase is at its limit (`upstream.max_requests`), or has stopped responding.
    NocoBaseBusy,
    /// Does not accept tokens made with `nocobase.jwt_secret`.
    NocoBaseSecretWrong,
    /// The service account lacks a permission that it needs.
    NocoBaseServiceDenied,
    /// A response that the gate does not understand, or an error.
    NocoBaseBadAnswer,
    /// A defect of the gate.
    Internal,
}

/// Level of the log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Normal operation.
    Debug,
    /// A client was refused.
    Info,
    /// An operator should look at it.
    Warn,
    /// An operator must act.
    Error,
}

/// What a failure looks like to a client and in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureResponse {
    /// HTTP status.
    pub status: u16,
    /// Stable label.
    pub label: &'static str,
    /// Level of the log line.
    pub level: Level,
    /// `code` in the JSON body: one of NocoBase's if the page must act on it, else the gate's own.
    pub code: &'static str,
    /// Seconds for `Retry-After`; pages reload by themselves after them.
    pub retry_after: Option<u32>,
}

/// One row per failure: (failure, status, label, level, JSON code, retry-after).
macro_rules! responses {
    ($(($failure:ident, $status:expr, $label:literal, $level:ident, $code:literal, $retry:expr)),+ $(,)?) => {
        impl Failure {
            /// All of them, for tables in documentation and tests.
            pub const ALL: &'static [Failure] = &[$(Failure::$failure),+];

            /// The only mapping from failure to response.
            pub const fn response(self) -> FailureResponse {
                match self {
                    $(Failure::$failure => FailureResponse {
                        status: $status, label: $label, level: Level::$level, code: $code, retry_after: $retry,
                    },)+
                }
            }
        }
    };
}

responses! {
    (BadPath, 400, "bad_path", Info, "BAD_REQUEST", None),
    (BadRequest, 400, "bad_request", Info, "BAD_REQUEST", None),
    (UnknownHost, 421, "unknown_host", Info, "UNKNOWN_HOST", None),
    (NotFound, 404, "not_found", Debug, "NOT_FOUND", None),
    (MethodNotAllowed, 405, "method_not_allowed", Debug, "METHOD_NOT_ALLOWED", None),
    (OtherApplication, 403, "other_application", Warn, "OTHER_APPLICATION", None),
    (CrossSite, 403, "cross_site", Warn, "CROSS_SITE", None),
    (TooLarge, 413, "too_large", Info, "TOO_LARGE", None),
    (HeadersTooLarge, 431, "headers_too_large", Info, "HEADERS_TOO_LARGE", None),
    (TooManyRequests, 429, "too_many_requests", Warn, "TOO_MANY_REQUESTS", Some(10)),
    (NoSession, 401, "no_session", Debug, "EMPTY_TOKEN", None),
    (SessionEnded, 401, "session_ended", Debug, "EMPTY_TOKEN", None),
    (InvalidToken, 401, "invalid_token", Info, "INVALID_TOKEN", None),
    (BrowserDenied, 403, "browser_denied", Info, "BROWSER_DENIED", None),
    (OpenInWeCom, 403, "open_in_wecom", Info, "OPEN_IN_WECOM", None),
    (FlowMissing, 400, "flow_missing", Info, "FLOW_MISSING", None),
    (CookiesBlocked, 400, "cookies_blocked", Warn, "COOKIES_BLOCKED", None),
    (FlowExpired, 400, "flow_expired", Info, "FLOW_EXPIRED", None),
    (BadCallback, 400, "bad_callback", Info, "BAD_CALLBACK", None),
    (ConsentDenied, 403, "consent_denied", Info, "CONSENT_DENIED", None),
    (LoginCancelled, 403, "login_cancelled", Info, "LOGIN_CANCELLED", None),
    (LoginLoop, 508, "login_loop", Warn, "LOGIN_LOOP", None),
    (CodeRejected, 400, "code_rejected", Info, "CODE_REJECTED", None),
    (NotAMember, 403, "not_a_member", Info, "NOT_A_MEMBER", None),
    (OtherCompany, 403, "other_company", Info, "OTHER_COMPANY", None),
    (NotVisible, 403, "not_visible", Info, "NOT_VISIBLE", None),
    (MemberDisabled, 403, "member_disabled", Info, "MEMBER_DISABLED", None),
    (NotAllowed, 403, "not_allowed", Info, "NOT_ALLOWED", None),
    (RuleUnevaluable, 403, "rule_unevaluable", Warn, "RULE_UNEVALUABLE", None),
    (FirstTimeInWeCom, 403, "first_time_in_wecom", Info, "FIRST_TIME_IN_WECOM", None),
    (NothingToMatch, 403, "nothing_to_match", Info, "NOTHING_TO_MATCH", None),
    (NoMatchingUser, 403, "no_matching_user", Info, "NO_MATCHING_USER", None),
    (AmbiguousUser, 403, "ambiguous_user", Warn, "AMBIGUOUS_USER", None),
    (AlreadyBound, 403, "already_bound", Warn, "ALREADY_BOUND", None),
    (PasswordRejected, 403, "password_rejected", Info, "PASSWORD_REJECTED", None),
    (LinkDenied, 403, "link_denied", Warn, "LINK_DENIED", None),
    (NoRole, 403, "no_role", Info, "NO_ROLE", None),
    (WeComConfig, 502, "wecom_config", Error, "WECOM_CONFIG", None),
    (WeComIpNotTrusted, 502, "wecom_ip_not_trusted", Error, "WECOM_IP_NOT_TRUSTED", None),
    (WeComUnreachable, 503, "wecom_unreachable", Error, "WECOM_UNREACHABLE", Some(10)),
    (WeComBusy, 503, "wecom_busy", Warn, "WECOM_BUSY", Some(5)),
    (WeComRateLimited, 503, "wecom_rate_limited", Error, "WECOM_RATE_LIMITED", Some(60)),
    (WeComBadAnswer, 502, "wecom_bad_answer", Error, "WECOM_BAD_ANSWER", None),
    (TooManyConnections, 503, "too_many_connections", Warn, "TOO_MANY_CONNECTIONS", Some(5)),
    (TooManyOpenFiles, 503, "too_many_open_files", Error, "TOO_MANY_OPEN_FILES", Some(5)),
    (NocoBaseUnreachable, 502, "nocobase_unreachable", Error, "NOCOBASE_UNREACHABLE", Some(5)),
    (Maintenance, 503, "maintenance", Debug, "MAINTENANCE", Some(30)),
    (NocoBaseStarting, 503, "nocobase_starting", Warn, "NOCOBASE_STARTING", Some(5)),
    (NocoBaseTimeout, 504, "nocobase_timeout", Error, "NOCOBASE_TIMEOUT", None),
    (NocoBaseBusy, 503, "nocobase_busy", Warn, "NOCOBASE_BUSY", Some(3)),
    (NocoBaseSecretWrong, 502, "nocobase_secret_wrong", Error, "NOCOBASE_SECRET_WRONG", None),
    (NocoBaseServiceDenied, 502, "nocobase_service_denied", Error, "NOCOBASE_SERVICE_DENIED", None),
    (NocoBaseBadAnswer, 502, "nocobase_bad_answer", Error, "NOCOBASE_BAD_ANSWER", None),
    (Internal, 500, "internal", Error, "INTERNAL", None),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.response().label)
    }
}
impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::Failure;

    #[test]
    fn labels_are_unique_and_plain() {
        let mut seen = std::collections::HashSet::new();
        for f in Failure::ALL {
            let a = f.response();
            assert!(seen.insert(a.label), "{} twice", a.label);
            assert!(a.label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            assert!((400..600).contains(&a.status));
        }
    }
}
