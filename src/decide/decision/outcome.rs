//! The possible decisions.

use crate::decide::own::OwnPath;
use crate::error::Failure;

/// What to do with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The gate responds itself.
    Own(OwnPath),
    /// The domain verification file with this index in `Policy::verify_files`.
    VerifyFile(usize),
    /// Forward to NocoBase.
    Forward(ForwardOptions),
    /// 302 to this target on our own origin: the same page, without a `token`, or a `code` and its `state`, in its address.
    Redirect(String),
    /// 302 to this address, NocoBase's sign-in form. NocoBase's page may redirect away from there, so these redirects are
    /// counted.
    Form(String),
    /// Starts a flow that ends at the address of this request.
    Login {
        /// Which of WeCom's pages.
        via: LoginKind,
        /// Index in `Policy::entries`.
        entry: usize,
    },
    /// A page of the gate instead of the requested one.
    Page(Page),
    /// Refuses the request.
    Refuse {
        /// Why.
        failure: Failure,
        /// The response is shown to a person: respond with a page, otherwise with JSON.
        page: bool,
    },
}

/// How a request is forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForwardOptions {
    /// On whose behalf.
    pub identity: Identity,
    /// Put NocoBase's cookies (`nb_auth_token_<app>`, `nb_authenticator_<app>`) into the forwarded `Cookie`.
    pub put_cookies: bool,
    /// If the response is a page: put the gate's script into it.
    pub put_script: bool,
    /// The member made this request, not another site: it may carry identity headers.
    pub identity_allowed: bool,
    /// Remove `token` from the query: NocoBase would accept any of its tokens there, but in a session only the session's token
    /// counts.
    pub strip_token: bool,
    /// Remove `Authorization` and NocoBase's token cookies: the request passes without a session, anonymously.
    pub strip_credentials: bool,
    /// This is NocoBase's own sign-out: if it succeeds, the browser's cookies are deleted.
    pub signs_out: bool,
    /// In its WebSocket, the tokens that pass are those that pass over HTTP: there is no session yet, or a user has signed in
    /// with NocoBase's own form.
    pub own_tokens: bool,
    /// NocoBase's page asks whose token it holds, as it does after each sign-in with NocoBase's own form and at each load: if
    /// NocoBase accepts the token, the browser gets a session cookie.
    pub opens_password: bool,
    /// No other site can have caused this request, so the size of its response reveals nothing (BREACH).
    pub may_compress: bool,
    /// Renew the session cookie with the response. Only for pages and API calls, so that assets stay cacheable.
    pub renew_cookie: bool,
}

impl ForwardOptions {
    /// Forwards unchanged except for the identity.
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

/// On whose behalf a request is forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// The member's: the session's NocoBase token replaces the phantom, in WebSockets in the first frame.
    Member,
    /// The client's own NocoBase token, unchanged.
    Token,
    /// None; the client's own credentials are forwarded unchanged.
    Anonymous,
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
    /// The choice of ways to sign in.
    SignIn,
    /// "You are signed out", with a link to sign in again.
    SignedOut,
}
