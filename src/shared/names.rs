//! Names of the keys in Redis. All begin with the origin, so that two gates can use one Redis, and an operator can see which gate
//! a key belongs to.

/// The names of one gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    /// `origin` as users open it; the same on all nodes.
    pub(super) fn new(origin: &str) -> Names {
        Names { prefix: format!("wecom-gate:{origin}") }
    }

    /// The names of one of several applications (`[[nocobase.apps]]`): the others do not read what it publishes.
    pub(super) fn of_application(origin: &str, app: &str) -> Names {
        Names { prefix: format!("wecom-gate:{origin}:app:{app}") }
    }

    /// The stream of sessions that have ended.
    pub(super) fn endings(&self) -> String {
        format!("{}:endings", self.prefix)
    }

    /// The list of refused sign-ins.
    pub(super) fn refusals(&self) -> String {
        format!("{}:refusals", self.prefix)
    }

    /// A callback, by the hash of its state.
    pub(super) fn callback(&self, state: &[u8]) -> String {
        format!("{}:callback:{}", self.prefix, hex::encode(state))
    }

    /// WeCom's access token of this app.
    pub(super) fn token(&self, corp_id: &str, agent_id: &str) -> String {
        format!("{}:token:{corp_id}:{agent_id}", self.prefix)
    }

    /// Held by the node that fetches this app's token.
    pub(super) fn token_lease(&self, corp_id: &str, agent_id: &str) -> String {
        format!("{}:fetching:{corp_id}:{agent_id}", self.prefix)
    }

    /// What is known of a member, by the hash of everything that it depends on.
    pub(super) fn member_status(&self, member: &[u8]) -> String {
        format!("{}:member:{}", self.prefix, hex::encode(member))
    }

    /// Held by the node that asks WeCom about this member.
    pub(super) fn member_status_lease(&self, member: &[u8]) -> String {
        format!("{}:asking:{}", self.prefix, hex::encode(member))
    }

    /// That NocoBase has confirmed a session, or that a node asks, by its blind name.
    pub(super) fn session_status(&self, session: &[u8]) -> String {
        format!("{}:session:{}", self.prefix, hex::encode(session))
    }

    /// That a session has ended, by another blind name.
    pub(super) fn session_end(&self, session: &[u8]) -> String {
        format!("{}:ended:{}", self.prefix, hex::encode(session))
    }

    /// When a session was last used, by its blind name.
    pub(super) fn last_use(&self, session: &[u8]) -> String {
        format!("{}:used:{}", self.prefix, hex::encode(session))
    }

    /// One of the attempts to link an account that a member, or an account, has; by its blind name.
    pub(super) fn link_attempt(&self, counted: &[u8], number: u32) -> String {
        format!("{}:link:{}:{number}", self.prefix, hex::encode(counted))
    }

    /// Held by the node that works on a member's attempt.
    pub(super) fn link_lease(&self, member: &[u8]) -> String {
        format!("{}:linking:{}", self.prefix, hex::encode(member))
    }

    /// A challenge of ACME, by the hash of its token.
    pub(super) fn acme_challenge(&self, token: &[u8]) -> String {
        format!("{}:acme:challenge:{}", self.prefix, hex::encode(token))
    }

    /// Held by the node that orders this certificate.
    pub(super) fn acme_turn(&self, order: &[u8]) -> String {
        format!("{}:acme:ordering:{}", self.prefix, hex::encode(order))
    }

    /// A certificate, by the hash of what was ordered.
    pub(super) fn acme_certificate(&self, order: &[u8]) -> String {
        format!("{}:acme:certificate:{}", self.prefix, hex::encode(order))
    }

    /// Written to test whether Redis accepts writes.
    pub(super) fn probe(&self) -> String {
        format!("{}:probe", self.prefix)
    }

    /// The same, as a list.
    pub(super) fn probe_list(&self) -> String {
        format!("{}:probe-list", self.prefix)
    }

    /// The same, as a stream.
    pub(super) fn probe_stream(&self) -> String {
        format!("{}:probe-stream", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn all(origin: &str, corp: &str, agent: &str) -> Vec<String> {
        let n = Names::new(origin);
        vec![
            n.endings(),
            n.refusals(),
            n.callback(&[1, 0xab]),
            n.token(corp, agent),
            n.token_lease(corp, agent),
            n.member_status(&[1, 0xab]),
            n.member_status_lease(&[1, 0xab]),
            n.session_status(&[1, 0xab]),
            n.session_end(&[1, 0xab]),
            n.last_use(&[1, 0xab]),
            n.link_attempt(&[1, 0xab], 0),
            n.link_attempt(&[1, 0xab], 1),
            n.link_lease(&[1, 0xab]),
            n.acme_challenge(&[1, 0xab]),
            n.acme_turn(&[1, 0xab]),
            n.acme_certificate(&[1, 0xab]),
            n.probe(),
            n.probe_list(),
            n.probe_stream(),
        ]
    }

    #[test]
    fn they_are_what_the_documentation_says() {
        let n = Names::new("https://nb.example.com");
        assert_eq!(n.callback(&[1, 0xab]), "wecom-gate:https://nb.example.com:callback:01ab");
        assert_eq!(n.member_status(&[1, 0xab]), "wecom-gate:https://nb.example.com:member:01ab");
        assert_eq!(n.token("ww1", "1000002"), "wecom-gate:https://nb.example.com:token:ww1:1000002");
    }

    #[test]
    fn r44_applications_of_one_gate_use_different_keys() {
        let main = Names::new("https://nb.example.com");
        let (crm, hr) = (
            Names::of_application("https://nb.example.com", "crm"),
            Names::of_application("https://nb.example.com", "hr"),
        );
        assert_eq!(crm.endings(), "wecom-gate:https://nb.example.com:app:crm:endings");
        assert!(crm.endings() != main.endings() && crm.endings() != hr.endings());
    }

    #[test]
    fn two_installations_on_one_redis_use_different_keys() {
        let mut seen = BTreeSet::new();
        for origin in ["https://a.example", "http://a.example", "https://a.example:8443", "https://b.example"]
        {
            for name in all(origin, "ww1", "1") {
                assert!(name.starts_with("wecom-gate:") && seen.insert(name.clone()), "{name}");
            }
        }
        let (a, b) = (all("https://a.example", "ww1", "1"), all("https://a.example", "ww1", "2"));
        assert!(a[3] != b[3] && a[4] != b[4], "two apps");
    }
}
