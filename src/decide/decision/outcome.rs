//! What a decision can be.

use crate::decide::own::OwnPath;
use crate::error::Failure;

/// What to do with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The gate responds itself.
    Own(OwnPath),
    /// The domain verification file with this index in `Policy::verify_files`.
    VerifyFile(usize),
    /// On to NocoBase.
    Forward(ForwardOptions),
    /// 302 to this target on our own origin: the same page, without a `token`, or a `code` and its `state`, in its address.
    Redirect(String),
    /// 302 to this address, NocoBase's sign-in form. NocoBase's page may lead away from there: such redirects are counted.
    Form(String),
    /// Starts a flow that ends where this request wanted to go.
    Login {
        /// Which of WeCom's pages.
        via: LoginKind,
        /// Index in `Policy::entries`.
        entry: usize,
    },
    /// The gate's own page in place of the one asked for.
    Page(Page),
    /// No.
    Refuse {
        /// Why.
        failure: Failure,
        /// A person looks at it: respond with a page, else with JSON.
        page: bool,
    },
}

/// How a request is forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForwardOptions {
    /// In whose name.
    pub identity: Identity,
    /// Put NocoBase's cookies (`nb_auth_token_<app>`, `nb_authenticator_<app>`) into the forwarded `Cookie`.
    pub put_cookies: bool,
    /// If the response is a page: put the gate's script into it.
    pub put_script: bool,
    /// The member made this request, no other site did: it may carry identity headers.
    pub identity_allowed: bool,
    /// Remove `token` from the query: NocoBase would take any token of its own from the address, but in a session only
    /// the session's counts.
    pub strip_token: bool,
    /// Remove `Authorization` and NocoBase's token cookies: it passes without a session, anonymously.
    pub strip_credentials: bool,
    /// This is NocoBase's own sign-out: if it succeeds, the browser's cookies go.
    pub signs_out: bool,
    /// In its WebSocket exactly the tokens pass that pass over HTTP: there is no session yet, or a user has signed in at
    /// NocoBase's own form.
    pub own_tokens: bool,
    /// NocoBase's page asks whose token it holds, which it does after each sign-in at NocoBase's own form and each load: if
    /// NocoBase accepts the token, the browser gets the session's cookie.
    pub opens_password: bool,
    /// No other site can have caused this request, so the size of its response reveals nothing (BREACH).
    pub may_compress: bool,
    /// Renew the session cookie with the response. Only pages and API calls do, so that assets stay cacheable.
    pub renew_cookie: bool,
}

impl ForwardOptions {
    /// Unchanged but for the identity.
    pub(super) const fn plain(identity: Identity) -> ForwardOptions {
        ForwardOptions {
            identity,
            put_cookies: false,
            put_script: false,
            identity_allowed: false,
            strip_token: false,
            strip_credentials: false,
            signs_out: false,
            own_tokens: false,
            opens_password: false,
            may_compress: false,
            renew_cookie: false,
        }
    }
}

/// In whose name a request is forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// The member's: the session's NocoBase token goes where the phantom was, in WebSockets in the first frame.
    Member,
    /// The client's own NocoBase token, unchanged.
    Token,
    /// None; the client's own credentials are forwarded unchanged.
    Nobody,
}

/// Which of WeCom's pages a flow begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginKind {
    /// In-client OAuth: silent.
    WeCom,
    /// Web login: QR code, or one click where WeCom runs.
    Web,
}

/// A gate page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// "Open this in WeCom."
    OpenInWeCom,
    /// The choice of ways in.
    SignIn,
    /// "You are signed out", with a way back in.
    SignedOut,
}
