//! `link`: the form with which a member without a matching user proves, by its password, which NocoBase user is theirs. Only where
//! `nocobase.link_by_password` is on.
//!
//! Must never: put account or password into an address or a log, or the password into a page.

use http::header;
use pingora::proxy::Session as HttpSession;

use super::body;
use super::request::RouteRequest;
use super::sign_in::{self, callback_of};
use crate::error::Failure;
use crate::login::LinkForm;
use crate::proxy::context::Context;
use crate::proxy::gate::Gate;
use crate::proxy::headers::text;
use crate::proxy::response::language::lang;
use crate::proxy::response::reply::Reply;

/// Longest body in bytes: three fields, each character percent-encoded.
const LARGEST_BODY: usize = 16 * 1024;
/// Longest account in characters, as in NocoBase's columns.
const MAX_ACCOUNT: usize = 255;
/// Longest password in bytes.
const MAX_PASSWORD: usize = 1024;

/// Handles the form.
pub(crate) async fn link(
    gate: &Gate,
    downstream: &mut HttpSession,
    ctx: &mut Context,
    request: &RouteRequest<'_>,
) -> Result<Reply, Failure> {
    let head = downstream.req_header();
    let kind = text(head, &header::CONTENT_TYPE).and_then(|kind| kind.split(';').next()).map(str::trim);
    if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")) {
        return Err(Failure::BadRequest);
    }
    let (wecom_lang, lang) = (crate::proxy::response::language::wecom_lang(head), lang(head).tag());
    let body = body::read(downstream, LARGEST_BODY).await?;
    let form = read(&body, lang).ok_or(Failure::BadRequest)?;
    let source = ctx.source();
    let callback = callback_of(ctx, request, &source, wecom_lang);
    let (response, cookies) = gate.sign_ins.link(callback, form).await;
    let mut reply = sign_in::respond(gate, downstream, ctx, (response, cookies), &source);
    if reply.status == 302 {
        // The next request must not send the password again.
        reply.status = 303;
    }
    Ok(reply)
}

/// `None`: not this form, or a field is repeated, empty or too long.
fn read(body: &[u8], lang: String) -> Option<LinkForm> {
    let mut fields = [None, None, None];
    for (name, value) in url::form_urlencoded::parse(body) {
        let field = match &*name {
            "link" => 0,
            "account" => 1,
            "password" => 2,
            _ => continue,
        };
        if fields.get_mut(field)?.replace(value.into_owned()).is_some() {
            return None;
        }
    }
    let [Some(id), Some(account), Some(password)] = fields else { return None };
    let account = account.trim();
    let good = (1..=MAX_ACCOUNT).contains(&account.chars().count())
        && !account.chars().any(char::is_control)
        && (1..=MAX_PASSWORD).contains(&password.len());
    good.then(|| LinkForm { id, account: account.to_owned(), password: password.into(), lang })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn form(body: &str) -> Option<(String, String, String)> {
        let form = read(body.as_bytes(), "en".into())?;
        Some((form.id, form.account, form.password.expose_secret().to_owned()))
    }

    #[test]
    fn each_field_is_there_once_and_has_a_value_of_some_length() {
        let good = form("link=a&account=+li%40x.cn+&password=+p%26%C3%BC+&more=1").unwrap();
        assert_eq!(good, ("a".into(), "li@x.cn".into(), " p&ü ".into()));
        for bad in [
            "",
            "link=a&account=b",
            "link=a&account=&password=c",
            "link=a&account=+&password=c",
            "link=a&account=b&password=",
            "link=a&link=a&account=b&password=c",
            "link=a&account=b&account=b&password=c",
            "link=a&account=b&password=c&password=c",
            "link=a&account=b%00&password=c",
        ] {
            assert!(form(bad).is_none(), "{bad}");
        }
        let long = |name: usize, password: usize| {
            format!("link=a&account={}&password={}", "b".repeat(name), "c".repeat(password))
        };
        assert!(form(&long(MAX_ACCOUNT, MAX_PASSWORD)).is_some());
        assert!(form(&long(MAX_ACCOUNT + 1, 1)).is_none());
        assert!(form(&long(1, MAX_PASSWORD + 1)).is_none());
    }
}
