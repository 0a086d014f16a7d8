//! What follows from the data: who belongs where, and who can see what.

use std::collections::BTreeSet;

use url::Url;

use crate::data::{App, Company, Department, Member, Tag};

impl Company {
    /// The app with this AgentID.
    pub fn app(&self, agent_id: u64) -> Option<&App> {
        self.apps.iter().find(|a| a.agent_id == agent_id)
    }

    /// The member, case-insensitive.
    pub fn member(&self, userid: &str) -> Option<&Member> {
        self.members.iter().find(|m| m.userid.eq_ignore_ascii_case(userid))
    }

    /// The department.
    pub fn department(&self, id: u64) -> Option<&Department> {
        self.departments.iter().find(|d| d.id == id)
    }

    /// The tag.
    pub fn tag(&self, id: u64) -> Option<&Tag> {
        self.tags.iter().find(|t| t.id == id)
    }

    pub(crate) fn parent_of(&self, id: u64) -> Option<u64> {
        self.department(id).map(|d| d.parent)
    }

    /// The department and all above it, lowest first; ends if a parent is missing or repeated.
    pub fn ancestors(&self, id: u64) -> Vec<u64> {
        let mut chain = Vec::new();
        let mut at = id;
        while self.department(at).is_some() && !chain.contains(&at) {
            chain.push(at);
            at = self.parent_of(at).unwrap_or(0);
        }
        chain
    }

    /// Whether the department is one of these, or below one of them.
    pub fn is_below(&self, id: u64, tops: &[u64]) -> bool {
        self.ancestors(id).iter().any(|d| tops.contains(d))
    }

    /// Whether the member is in one of these departments, or below one of them.
    fn works_below(&self, member: &Member, tops: &[u64]) -> bool {
        member.departments.iter().any(|d| self.is_below(*d, tops))
    }

    /// Whether the member is in the app's visible range (doc 90665); their status does not matter.
    pub fn sees(&self, app: &App, member: &Member) -> bool {
        let named = |list: &[String]| list.iter().any(|u| u.eq_ignore_ascii_case(&member.userid));
        named(&app.visible.members)
            || self.works_below(member, &app.visible.departments)
            || (app.visible.tags.iter().filter_map(|t| self.tag(*t)))
                .any(|t| named(&t.members) || self.works_below(member, &t.departments))
    }

    /// The departments that the app may view.
    pub fn visible_departments(&self, app: &App) -> BTreeSet<u64> {
        let mut tops = app.visible.departments.clone();
        let tags = app.visible.tags.iter().filter_map(|t| self.tag(*t));
        tops.extend(tags.flat_map(|t| t.departments.iter().copied()));
        self.departments.iter().map(|d| d.id).filter(|d| self.is_below(*d, &tops)).collect()
    }
}

impl Member {
    /// The main department.
    pub fn main_department(&self) -> u64 {
        match self.main_department {
            0 => self.departments.first().copied().unwrap_or(0),
            d => d,
        }
    }
}

impl App {
    /// `host` or `host:port` of the gate.
    fn gate_authority(&self) -> String {
        Url::parse(&self.gate).ok().map(|u| authority(&u)).unwrap_or_default()
    }

    /// 可信域名 (trusted domain); by default the gate's host.
    pub fn trusted(&self) -> String {
        if self.trusted_domain.is_empty() { self.gate_authority() } else { self.trusted_domain.clone() }
    }

    /// 授权回调域 (callback domain); by default the gate's host.
    pub fn callback(&self) -> String {
        if self.callback_domain.is_empty() { self.gate_authority() } else { self.callback_domain.clone() }
    }

    /// The receive-message URL.
    pub fn events(&self) -> String {
        if self.event_url.is_empty() {
            format!("{}/wecom-gate/events/{}", self.gate.trim_end_matches('/'), self.entry)
        } else {
            self.event_url.clone()
        }
    }

    /// An address that signs in through the gate like a browser in WeCom, and ends at `rd`.
    pub fn entrance(&self, rd: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("via", "wecom");
        if !self.entry.is_empty() {
            query.append_pair("with", &self.entry);
        }
        query.append_pair("rd", rd);
        format!("{}/wecom-gate/login?{}", self.gate.trim_end_matches('/'), query.finish())
    }
}

/// `host`, or `host:port` unless the port is the scheme's default.
///
/// WeCom compares text: there `https://host:443/` is *not* `https://host/`. [`raw_authority`] preserves that.
pub(crate) fn authority(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => String::new(),
    }
}

/// The authority as written: between `//` and the next `/`, `?` or `#`, including a default port.
pub(crate) fn raw_authority(address: &str) -> Option<&str> {
    let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"))?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    // `user@host` and a backslash are the classic ways to imitate another host.
    let plain = !authority.is_empty() && !authority.contains(['@', '\\']);
    (plain && Url::parse(address).is_ok()).then_some(authority)
}

/// Whether host and port of the address equal the configured domain exactly (doc 91335).
pub(crate) fn domain_matches(address: &str, domain: &str) -> bool {
    !domain.is_empty() && raw_authority(address).is_some_and(|a| a.eq_ignore_ascii_case(domain))
}
