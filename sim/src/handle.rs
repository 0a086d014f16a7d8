//! What a test, the demo or the control API may do with a running simulator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::data::{App, Data, Member, SENSITIVE};
use crate::error::SimError;
use crate::event::{self, Delivery, Event, Forgery};
use crate::fault::Fault;
use crate::settings::Settings;
use crate::state::{Calls, Code, ConsentGiven, LogLine, Shared};

/// Controls a running simulator. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
}

/// A request for a code without a browser.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeRequest {
    /// The company that owns the app.
    pub corp_id: String,
    /// The app.
    pub agent_id: u64,
    /// Userid, `corpid/userid`, or openid.
    pub member: String,
    /// Fields agreed to; if set, the scope is `snsapi_privateinfo`, so a ticket follows.
    #[serde(default)]
    pub fields: Option<Vec<String>>,
    /// Address to which the code was supposedly sent; if set, checked against the trusted domain (50001).
    #[serde(default)]
    pub redirect_uri: Option<String>,
}

impl Handle {
    // Data.

    /// A copy of all companies.
    pub fn data(&self) -> Data {
        self.shared.lock().data.clone()
    }

    /// Replaces all companies.
    ///
    /// # Errors
    /// If they contradict themselves; then nothing changes.
    pub fn set_data(&self, data: Data) -> Result<(), SimError> {
        let data = data.validated()?;
        self.shared.lock().data = data;
        Ok(())
    }

    /// Changes the companies; the closure works on a copy.
    ///
    /// # Errors
    /// If the result contradicts itself; then nothing changes.
    pub fn edit_data(&self, change: impl FnOnce(&mut Data)) -> Result<(), SimError> {
        let mut data = self.data();
        change(&mut data);
        self.set_data(data)
    }

    /// An app.
    ///
    /// # Errors
    /// There is no such app.
    pub fn app(&self, corp_id: &str, agent_id: u64) -> Result<App, SimError> {
        self.shared.lock().data.app(corp_id, agent_id).cloned().ok_or(SimError::Unknown("no such app"))
    }

    /// The members of a company.
    pub fn members(&self, corp_id: &str) -> Vec<Member> {
        self.shared.lock().data.company(corp_id).map(|c| c.members.clone()).unwrap_or_default()
    }

    /// Adds a member, or replaces the one with this userid.
    ///
    /// # Errors
    /// No such company, or the member is invalid there.
    pub fn set_member(&self, corp_id: &str, member: Member) -> Result<(), SimError> {
        self.set_members(corp_id, vec![member])
    }

    /// Adds or replaces many members.
    ///
    /// # Errors
    /// No such company, or one of the members is invalid there; then none is set.
    pub fn set_members(&self, corp_id: &str, members: Vec<Member>) -> Result<(), SimError> {
        let mut data = self.data();
        let company = data.company_mut(corp_id).ok_or(SimError::Unknown("no such company"))?;
        let new: BTreeSet<String> = members.iter().map(|m| m.userid.to_ascii_lowercase()).collect();
        company.members.retain(|m| !new.contains(&m.userid.to_ascii_lowercase()));
        company.members.extend(members);
        self.set_data(data)
    }

    /// Removes a member; returns whether there was one.
    pub fn remove_member(&self, corp_id: &str, userid: &str) -> bool {
        let mut inner = self.shared.lock();
        let Some(company) = inner.data.company_mut(corp_id) else { return false };
        let before = company.members.len();
        company.members.retain(|m| !m.userid.eq_ignore_ascii_case(userid));
        company.members.len() < before
    }

    /// Sets a member's status: 1 active, 2 disabled, 4 not activated, 5 has left.
    ///
    /// # Errors
    /// No such member or status.
    pub fn set_status(&self, corp_id: &str, userid: &str, status: u8) -> Result<(), SimError> {
        let mut member = (self.members(corp_id).into_iter())
            .find(|m| m.userid.eq_ignore_ascii_case(userid))
            .ok_or(SimError::Unknown("no such member"))?;
        member.status = status;
        self.set_member(corp_id, member)
    }

    // Behaviour.

    /// A copy of the settings.
    pub fn settings(&self) -> Settings {
        self.shared.lock().settings.clone()
    }

    /// Changes the settings; the closure works on a copy.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.settings();
        change(&mut settings);
        self.shared.lock().settings = settings;
    }

    /// Sets 企业可信IP; `None`: every address may call.
    pub fn set_trusted_ips(&self, ips: Option<Vec<IpNet>>) {
        self.configure(|s| s.trusted_ips = ips);
    }

    /// Adds a fault.
    pub fn add_fault(&self, fault: Fault) {
        self.shared.lock().faults.push(fault);
    }

    /// The remaining faults.
    pub fn faults(&self) -> Vec<Fault> {
        self.shared.lock().faults.clone()
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.shared.lock().faults.clear();
    }

    /// The currently valid access tokens.
    pub fn tokens(&self) -> Vec<String> {
        let now = self.shared.now_ms();
        let inner = self.shared.lock();
        inner.tokens.iter().filter(|(_, token)| now < token.until_ms).map(|(name, _)| name.clone()).collect()
    }

    /// Makes every access token expire: 42001.
    pub fn expire_tokens(&self) {
        let now = self.shared.now_ms();
        for token in self.shared.lock().tokens.values_mut() {
            token.until_ms = token.until_ms.min(now);
        }
    }

    /// Forgets every access token: 40014.
    pub fn forget_tokens(&self) {
        self.shared.lock().tokens.clear();
    }

    /// Moves the simulator's clock forward; the real clock is not affected.
    pub fn advance(&self, by: Duration) {
        let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.shared.set_offset_ms(self.shared.offset_ms().saturating_add(ms));
    }

    /// Sets how far the simulator's clock is ahead of (or behind) the real one, in milliseconds.
    pub fn set_clock_offset_ms(&self, ms: i64) {
        self.shared.set_offset_ms(ms);
    }

    /// The simulator's clock, milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.shared.now_ms()
    }

    /// Restores the state after the start: data, settings, clock; no tokens, codes, faults, counts.
    pub fn reset(&self) {
        self.shared.set_offset_ms(0);
        self.shared.lock().reset();
    }

    // Signing in.

    /// Issues a code, as if the member had just opened the link.
    ///
    /// # Errors
    /// No such app or person.
    pub fn issue_code(&self, wanted: &CodeRequest) -> Result<String, SimError> {
        let now = self.shared.now_ms();
        let mut inner = self.shared.lock();
        if inner.data.app(&wanted.corp_id, wanted.agent_id).is_none() {
            return Err(SimError::Unknown("no such app"));
        }
        let person =
            inner.person(&wanted.corp_id, &wanted.member).ok_or(SimError::Unknown("no such member"))?;
        let ttl = i64::try_from(inner.settings.code_ttl).unwrap_or(300);
        Ok(inner.new_code(Code {
            corp: wanted.corp_id.clone(),
            agent: Some(wanted.agent_id),
            person,
            consent: wanted.fields.clone().map(|f| f.into_iter().collect()),
            redirect_uri: wanted.redirect_uri.clone(),
            until_ms: now + ttl * 1000,
            used: false,
        }))
    }

    /// Records that a member agreed to share these fields with an app, as the consent page does; `None`: all.
    pub fn grant_consent(&self, corp_id: &str, agent_id: u64, userid: &str, fields: Option<&[&str]>) {
        let fields = fields.unwrap_or(&SENSITIVE).iter().map(|f| (*f).to_owned()).collect();
        let now = self.shared.now_ms();
        let mut inner = self.shared.lock();
        let until_ms = now + i64::try_from(inner.settings.consent_ttl).unwrap_or(0) * 1000;
        let key = (corp_id.to_owned(), agent_id, userid.to_ascii_lowercase());
        inner.consents.insert(key, ConsentGiven { fields, until_ms });
    }

    /// Forgets all consents.
    pub fn withdraw_consents(&self) {
        self.shared.lock().consents.clear();
    }

    // Events.

    /// Sends an event to an app's receive-message URL.
    ///
    /// # Errors
    /// No such app, or it has no keys. No response is not an error: see [`Delivery`].
    pub async fn send_event(
        &self,
        corp_id: &str,
        agent_id: u64,
        event: &Event,
    ) -> Result<Delivery, SimError> {
        self.send_forged_event(corp_id, agent_id, event, Forgery::None).await
    }

    /// Sends an event that is wrong in one way.
    ///
    /// # Errors
    /// As [`Handle::send_event`].
    pub async fn send_forged_event(
        &self,
        corp_id: &str,
        agent_id: u64,
        event: &Event,
        forgery: Forgery,
    ) -> Result<Delivery, SimError> {
        let app = self.app(corp_id, agent_id)?;
        let settings = self.settings();
        let timing = event::Timing {
            retry: Duration::from_millis(settings.event_retry_ms),
            timeout: Duration::from_millis(settings.event_timeout_ms),
        };
        let now = self.now_ms() / 1000;
        event::send(&self.shared.http, corp_id, &app, event, forgery, now, timing).await
    }

    /// Verifies an app's receive-message URL, as the console does when it is saved.
    ///
    /// # Errors
    /// No such app, or it has no keys.
    pub async fn verify_event_url(&self, corp_id: &str, agent_id: u64) -> Result<Delivery, SimError> {
        let app = self.app(corp_id, agent_id)?;
        event::verify(&self.shared.http, corp_id, &app, Forgery::None, self.now_ms() / 1000).await
    }

    // Records of what happened.

    /// How often this path has been called.
    pub fn calls(&self, path: &str) -> u64 {
        self.shared.lock().calls.get(path).map_or(0, |c| c.calls)
    }

    /// How often each path has been called.
    pub fn all_calls(&self) -> BTreeMap<String, Calls> {
        self.shared.lock().calls.clone()
    }

    /// Resets the counters, and empties the log.
    pub fn clear_calls(&self) {
        let mut inner = self.shared.lock();
        inner.calls.clear();
        inner.log.clear();
    }

    /// The latest requests, oldest first, without secrets.
    pub fn log(&self) -> Vec<LogLine> {
        self.shared.lock().log.iter().cloned().collect()
    }
}
