//! The gate's own addresses below `/wecom-gate/`, one file each, the domain verification files, and the
//! challenges of ACME.
//!
//! Must never: forward anything to NocoBase's address space, or decide who may call a route: `decide` has done that.

pub(super) mod acme_challenge;
mod body;
pub(super) mod console;
pub(super) mod events;
pub(super) mod forward_auth;
pub(super) mod link;
pub(super) mod logout;
pub(super) mod me;
pub(super) mod request;
pub(super) mod script;
pub(super) mod sign_in;
pub(super) mod verify_file;

use http::{HeaderName, Method, header};
use pingora::proxy::Session as HttpSession;

use self::request::{Head, RouteRequest};
use super::context::Context;
use super::gate::Gate;
use super::headers::text;
use super::request::credential;
use super::response::language::lang;
use super::response::pages;
use super::response::reply::Reply;
use crate::decide::{self, OwnPath};
use crate::error::Failure;

const X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Serves one of the gate's own addresses.
pub(super) async fn serve(
    gate: &Gate,
    downstream: &mut HttpSession,
    ctx: &mut Context,
    request: RouteRequest<'_>,
) -> Result<Reply, Failure> {
    let sent = downstream.req_header();
    let head = Head::of(sent);
    ctx.as_page = ctx.as_page
        || matches!(
            request.path,
            OwnPath::Login | OwnPath::Callback | OwnPath::SignIn | OwnPath::Link | OwnPath::Logout
        ) && decide::takes_page(
            text(sent, &X_REQUESTED_WITH),
            text(sent, &SEC_FETCH_MODE),
            text(sent, &header::ACCEPT),
        );
    match request.path {
        OwnPath::Login => sign_in::login(gate, ctx, &request, &head).await,
        OwnPath::Callback => Ok(sign_in::callback(gate, downstream, ctx, &request, &head).await),
        OwnPath::SignIn => Ok(sign_in::page(gate, downstream, ctx, &request, &head)),
        OwnPath::Link => link::link(gate, downstream, ctx, &request).await,
        OwnPath::Logout if head.method == Method::POST => {
            logout::logout(gate, credential::own_token(gate, sent), &request, &ctx.source()).await
        }
        OwnPath::Logout => Ok(pages::ask_logout(gate, downstream, ctx)),
        OwnPath::Me => me::me(gate, &request).await,
        OwnPath::Auth => forward_auth::auth(gate, downstream, &request).await,
        OwnPath::Events(entry) => events::serve(gate, downstream, &head, entry).await,
        OwnPath::Console(page) => {
            let lang = lang(downstream.req_header());
            console::serve(gate, &request, &head, page, (lang, &ctx.source())).await
        }
        OwnPath::Script => {
            let version = head.parameter("v");
            Ok(script::serve(gate, downstream.req_header(), version.as_deref()).await)
        }
    }
}
