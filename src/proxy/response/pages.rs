//! The gate's own pages as responses.

use pingora::proxy::Session as HttpSession;

use super::language::lang;
use super::links;
use super::reply::Reply;
use crate::pages::{self, Page, View};
use crate::proxy::context::Context;
use crate::proxy::gate::Gate;

/// The gate's own sign-in page.
pub(crate) fn sign_in(gate: &Gate, downstream: &HttpSession, ctx: &Context, target: &str) -> Reply {
    render(gate, downstream, ctx, Page::SignIn, Some(target))
}

/// "You are signed out."
pub(crate) fn signed_out(gate: &Gate, downstream: &HttpSession, ctx: &Context, target: &str) -> Reply {
    render(gate, downstream, ctx, Page::SignedOut, Some(target))
}

/// Asks before signing out.
pub(crate) fn ask_logout(gate: &Gate, downstream: &HttpSession, ctx: &Context) -> Reply {
    render(gate, downstream, ctx, Page::Logout, None)
}

/// `target`: where to go after signing in, if the page offers that.
fn render(gate: &Gate, downstream: &HttpSession, ctx: &Context, page: Page, target: Option<&str>) -> Reply {
    let id = ctx.request_id.to_str().unwrap_or_default();
    let mut view = View::new(lang(downstream.req_header()), page, id, std::time::SystemTime::now());
    let retry = target.map(|target| links::login_address(target, None));
    let password = target.and_then(|target| links::password_address(gate, target));
    let card = gate.app_card.load();
    view.appearance = &gate.config.pages.appearance;
    view.app = card.as_deref();
    view.retry = retry.as_deref();
    view.password = password.as_deref();
    let ways = target.map(|target| links::ways(gate, target, None)).unwrap_or_default();
    let entries = links::buttons(&ways);
    view.entries = &entries;
    pages::render(&view).into()
}
