//! Whom a code belongs to (docs 91023, 98176), and the fields that a member agreed to share (doc 95833).

use serde_json::{Map, Value};

use super::call::Call;
use crate::data::{App, Member, SENSITIVE};
use crate::fail::{Fail, fail};
use crate::range::domain_matches;
use crate::state::{Code, Inner, Person, Ticket, Token, random};

impl Inner {
    /// Whether the code in the call can still be used.
    pub(super) fn code_is_good(&self, call: &Call<'_>) -> bool {
        let code = call.param("code").and_then(|c| self.codes.get(c));
        code.is_some_and(|c| !c.used && call.now < c.until_ms)
    }

    pub(super) fn use_up(&mut self, call: &Call<'_>) {
        if let Some(code) = call.param("code").and_then(|c| self.codes.get_mut(c)) {
            code.used = true;
        }
    }

    pub(super) fn user_info(
        &mut self,
        call: &Call<'_>,
        token: &Token,
        legacy: bool,
    ) -> Result<Map<String, Value>, Fail> {
        let code = call.param("code").ok_or_else(|| fail(41008))?;
        let code = self.codes.get(code).cloned().ok_or_else(|| fail(40029))?;
        // The contact-sync secret may not use codes.
        let agent = token.agent.ok_or_else(|| fail(50001))?;
        if code.corp != token.corp || code.agent.is_some_and(|a| a != agent) {
            return Err(fail(self.settings.foreign_code));
        }
        if code.used {
            return Err(fail(self.settings.used_code));
        }
        if call.now >= code.until_ms {
            return Err(fail(self.settings.expired_code));
        }
        let app = self.data.app(&token.corp, agent).cloned().ok_or_else(|| fail(40014))?;
        if let Some(to) = &code.redirect_uri
            && !domain_matches(to, &app.trusted())
            && !domain_matches(to, &app.callback())
        {
            return Err(fail(50001));
        }
        self.use_up(call);

        let spelling: [&str; 2] =
            if legacy || self.settings.legacy_spelling { ["UserId", "OpenId"] } else { ["userid", "openid"] };
        let [userid_key, openid_key] = spelling;
        let mut out = Map::new();
        match &code.person {
            Person::Member(userid) => {
                out.insert(userid_key.into(), userid.as_str().into());
                if let Some(ticket) = self.new_ticket(&code, &app, userid, call.now) {
                    out.insert("user_ticket".into(), ticket.into());
                    if legacy {
                        out.insert("expires_in".into(), self.settings.ticket_ttl.into());
                    }
                }
            }
            Person::Linked { corp, userid } => {
                out.insert(userid_key.into(), format!("{corp}/{userid}").into());
            }
            Person::External { openid } => {
                out.insert(openid_key.into(), openid.as_str().into());
                if let Some(id) = self.customer_id(&token.corp, &app, openid) {
                    out.insert("external_userid".into(), id.into());
                }
            }
        }
        if legacy {
            out.insert("DeviceId".into(), "".into());
        }
        Ok(out)
    }

    /// A ticket: only after a consent, only in the visible range.
    fn new_ticket(&mut self, code: &Code, app: &App, userid: &str, now: i64) -> Option<String> {
        let fields = code.consent.clone()?;
        let company = self.data.company(&code.corp)?;
        if !company.sees(app, company.member(userid)?) {
            return None;
        }
        let until_ms = now + i64::try_from(self.settings.ticket_ttl).unwrap_or(1800) * 1000;
        let name = random("SimTicket", 200);
        let ticket = Ticket {
            corp: code.corp.clone(),
            agent: app.agent_id,
            userid: userid.to_owned(),
            fields,
            until_ms,
        };
        self.tickets.insert(name.clone(), ticket);
        Some(name)
    }

    /// `external_userid`: of a customer whose follower is in the app's visible range.
    fn customer_id(&self, corp: &str, app: &App, openid: &str) -> Option<String> {
        let company = self.data.company(corp)?;
        let e = company.externals.iter().find(|e| e.openid == openid && !e.external_userid.is_empty())?;
        company.sees(app, company.member(&e.follower)?).then(|| e.external_userid.clone())
    }

    pub(super) fn user_detail(&mut self, call: &Call<'_>, token: &Token) -> Result<Map<String, Value>, Fail> {
        let name = call.field("user_ticket")?.ok_or_else(|| fail(84090))?;
        let ticket = self.tickets.get(&name).ok_or_else(|| fail(84015))?;
        if ticket.corp != token.corp || Some(ticket.agent) != token.agent {
            return Err(fail(84015));
        }
        if call.now >= ticket.until_ms {
            return Err(fail(84014));
        }
        let company = self.data.company(&ticket.corp).ok_or_else(|| fail(84015))?;
        let app = company.app(ticket.agent).ok_or_else(|| fail(84015))?;
        let member = company.member(&ticket.userid).ok_or_else(|| fail(60111))?;
        let mut out = Map::new();
        out.insert("userid".into(), member.userid.as_str().into());
        for field in SENSITIVE {
            let given = ticket.fields.contains(field) && app.sensitive.iter().any(|f| f == field);
            if let Some(value) = sensitive(member, field, given) {
                out.insert(field.into(), value.into());
            }
        }
        Ok(out)
    }
}

/// A sensitive field as the API returns it; without permission it is absent, except gender and avatar, which then have the value
/// for "unknown" (doc 95833).
pub(super) fn sensitive(member: &Member, field: &str, given: bool) -> Option<String> {
    let text = |s: &str| (given && !s.is_empty()).then(|| s.to_owned());
    match field {
        "mobile" => text(&member.mobile),
        "email" => text(&member.email),
        "biz_mail" => text(&member.biz_mail),
        "gender" => Some(text(&member.gender).unwrap_or_else(|| "0".into())),
        "avatar" => Some(if given {
            format!("https://avatar.example/{}.png", member.userid)
        } else {
            "https://avatar.example/default.png".into()
        }),
        "qr_code" => text(&format!("https://qr.example/{}", member.userid)),
        "address" => text("示例路1号 1 Example Road"),
        _ => None,
    }
}
