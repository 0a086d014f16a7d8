//! How each failure is presented to people: text, icon and next step.
//!
//! Several failures share one text if a person can do the same about them. In particular, everything that only an operator can
//! fix has one page: it names the person to contact, not what is broken.

use crate::error::Failure;

/// The icon above the title, which also determines the colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Icon {
    /// Sign in, or give consent.
    Key,
    /// Done.
    Check,
    /// Not allowed.
    Lock,
    /// Resolves itself.
    Clock,
    /// Something to do.
    Info,
    /// Something is broken.
    Alert,
    /// Continue in WeCom's client.
    Phone,
}

/// The next step that the page offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextStep {
    /// Signing in is the next step.
    SignIn,
    /// Trying again will probably help.
    Again,
    /// Trying again helps only after someone has done something.
    AgainLater,
    /// To the start page.
    Start,
    /// No button.
    Nowhere,
}

/// A page without its texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    /// Message in `texts/*/pages.ftl`.
    pub(super) key: &'static str,
    pub(super) icon: Icon,
    pub(super) way: NextStep,
    /// Whether the address to open in WeCom is shown.
    pub(super) link: bool,
}

const fn kind(key: &'static str, icon: Icon, way: NextStep) -> Kind {
    Kind { key, icon, way, link: false }
}

const fn with_link(key: &'static str) -> Kind {
    Kind { key, icon: Icon::Phone, way: NextStep::Nowhere, link: true }
}

/// The page for a failure.
pub(super) const fn of(failure: Failure) -> Kind {
    use Failure as F;
    match failure {
        F::BadPath | F::BadRequest | F::MethodNotAllowed => kind("bad-address", Icon::Info, NextStep::Start),
        F::UnknownHost => kind("unknown-host", Icon::Info, NextStep::Nowhere),
        F::NotFound => kind("not-found", Icon::Info, NextStep::Start),
        F::OtherApplication => kind("other-application", Icon::Lock, NextStep::Start),
        F::CrossSite => kind("cross-site", Icon::Lock, NextStep::Start),
        F::TooLarge => kind("too-large", Icon::Info, NextStep::Start),
        F::HeadersTooLarge => kind("headers-too-large", Icon::Info, NextStep::Start),
        F::TooManyRequests => kind("too-many-requests", Icon::Clock, NextStep::Again),
        F::NoSession => kind("no-session", Icon::Key, NextStep::SignIn),
        F::SessionEnded => kind("session-ended", Icon::Key, NextStep::SignIn),
        F::InvalidToken => kind("invalid-token", Icon::Lock, NextStep::SignIn),
        F::BrowserDenied => with_link("browser-denied"),
        F::OpenInWeCom => with_link("open-in-wecom"),
        F::FlowMissing => kind("flow-missing", Icon::Info, NextStep::Again),
        F::CookiesBlocked => kind("cookies-blocked", Icon::Alert, NextStep::Again),
        F::FlowExpired => kind("flow-expired", Icon::Clock, NextStep::Again),
        F::BadCallback | F::CodeRejected => kind("code-rejected", Icon::Info, NextStep::Again),
        F::ConsentDenied => kind("consent-denied", Icon::Info, NextStep::Again),
        F::LoginCancelled => kind("login-cancelled", Icon::Info, NextStep::Again),
        F::LoginLoop => kind("login-loop", Icon::Alert, NextStep::Again),
        F::NotAMember => kind("not-a-member", Icon::Lock, NextStep::AgainLater),
        F::OtherCompany => kind("other-company", Icon::Lock, NextStep::AgainLater),
        F::NotVisible => kind("not-visible", Icon::Lock, NextStep::AgainLater),
        F::MemberDisabled => kind("member-disabled", Icon::Lock, NextStep::AgainLater),
        F::NotAllowed => kind("not-allowed", Icon::Lock, NextStep::AgainLater),
        // Once that is done, this is where to continue.
        F::FirstTimeInWeCom => Kind { way: NextStep::AgainLater, ..with_link("first-time-in-wecom") },
        F::NothingToMatch => kind("nothing-to-match", Icon::Info, NextStep::Again),
        F::NoMatchingUser => kind("no-matching-user", Icon::Lock, NextStep::AgainLater),
        F::AmbiguousUser => kind("ambiguous-user", Icon::Lock, NextStep::AgainLater),
        F::AlreadyBound => kind("already-bound", Icon::Lock, NextStep::AgainLater),
        F::PasswordRejected => kind("password-rejected", Icon::Lock, NextStep::AgainLater),
        F::LinkDenied => kind("link-denied", Icon::Lock, NextStep::AgainLater),
        F::NoRole => kind("no-role", Icon::Lock, NextStep::AgainLater),
        F::RuleUnevaluable
        | F::WeComConfig
        | F::WeComIpNotTrusted
        | F::NocoBaseSecretWrong
        | F::NocoBaseServiceDenied => kind("setup", Icon::Alert, NextStep::AgainLater),
        F::WeComUnreachable | F::WeComBadAnswer => kind("wecom-unreachable", Icon::Alert, NextStep::Again),
        F::WeComBusy | F::WeComRateLimited => kind("wecom-busy", Icon::Clock, NextStep::Again),
        F::NocoBaseUnreachable | F::TooManyOpenFiles => kind("app-unreachable", Icon::Alert, NextStep::Again),
        F::Maintenance => kind("maintenance", Icon::Clock, NextStep::Again),
        F::NocoBaseStarting => kind("app-starting", Icon::Clock, NextStep::Again),
        F::NocoBaseTimeout | F::NocoBaseBusy | F::TooManyConnections => {
            kind("app-slow", Icon::Clock, NextStep::Again)
        }
        F::NocoBaseBadAnswer | F::Internal => kind("internal", Icon::Alert, NextStep::Again),
    }
}

/// Pages that are not about a failure.
pub(super) const SIGNED_OUT: Kind = kind("signed-out", Icon::Check, NextStep::SignIn);
/// A button per entry.
pub(super) const SIGN_IN: Kind = kind("sign-in", Icon::Key, NextStep::Nowhere);
/// Asks for confirmation.
pub(super) const LOGOUT: Kind = kind("logout", Icon::Key, NextStep::Nowhere);
