//! Everything that the phases share: made once from the configuration, read by every request, locked by none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::HeaderValue;
use tokio::sync::watch;

use super::assets::store::Assets;
use super::forward::without_script::WithoutScript;
use super::headers;
use super::request::request_id::RequestIds;
use super::upstream::{Places, State, Upstreams};
use crate::config::{Config, TokenDelivery};
use crate::decide::{self, Policy};
use crate::login::{Sessions, SignIns};
use crate::metrics::Metrics;
use crate::nocobase::About;
use crate::nocobase::versions::Support;
use crate::pages;

/// The gate as the last good configuration describes it. A request takes it once, at its beginning.
pub(crate) struct CurrentGate(ArcSwap<Gate>);

impl CurrentGate {
    /// Begins with this one.
    pub(crate) fn new(gate: Arc<Gate>) -> CurrentGate {
        CurrentGate(ArcSwap::new(gate))
    }

    /// The one that new requests get. Takes no lock.
    pub(crate) fn now(&self) -> Arc<Gate> {
        self.0.load_full()
    }

    /// Ends what outlives its session, for ever.
    pub(crate) async fn watch_streams(&self) {
        loop {
            let sessions = self.now().sessions.clone();
            sessions.next_look().await;
            // The gate may be another by now.
            self.now().sessions.end_streams();
        }
    }

    /// New requests get this one from now on.
    pub(crate) fn replace(&self, gate: Arc<Gate>) {
        let before = self.0.swap(gate.clone());
        gate.sessions.took_over(&before.sessions);
        gate.sessions.report_from_now_on();
        let entries: Vec<&str> = gate.config.wecom.iter().map(|e| e.name.as_str()).collect();
        gate.metrics.set_entries(&entries);
        for gone in before.nodes.iter().filter(|old| gate.nodes.iter().all(|new| new.name != old.name)) {
            gate.metrics.nodes.forget(&gone.name);
        }
    }
}

/// The gate.
pub(crate) struct Gate {
    /// As loaded.
    pub config: Arc<Config>,
    /// What decisions rest on; changes when NocoBase's page has other addresses.
    policy: ArcSwap<Policy>,
    /// What NocoBase reported about itself when it was asked last.
    about: ArcSwap<About>,
    /// What every request with a session needs.
    pub(crate) sessions: Arc<Sessions>,
    /// What signing in needs besides.
    pub(crate) sign_ins: Arc<SignIns>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What is counted for each node.
    pub nodes: Vec<crate::metrics::Node>,
    /// NocoBase's nodes.
    pub upstreams: Upstreams,
    /// Files of NocoBase's client that are kept; `None`: none are.
    pub assets: Option<Assets>,
    /// `Host` and its companions.
    pub origin: headers::Origin,
    /// Makes request ids.
    pub request_ids: Arc<RequestIds>,
    /// Requests in flight.
    pub in_flight: Arc<AtomicUsize>,
    /// How many requests may be on their way to NocoBase at once.
    pub(crate) places: Arc<Places>,
    /// Pages that could not get the gate's script.
    pub without_script: WithoutScript,
    /// The gate is stopping: it is not ready.
    pub stopping: Arc<AtomicBool>,
    /// Turns true when WebSockets have to end, because the gate stops.
    pub tunnels_end: watch::Sender<bool>,
}

impl Gate {
    /// Builds everything; an error names what of the configuration cannot be built.
    pub(crate) fn new(config: Config) -> Result<Gate, String> {
        Self::after(None, config)
    }

    /// In place of `before` after a change of the configuration: what has been seen, counted and begun goes on.
    pub(crate) fn after(before: Option<&Gate>, config: Config) -> Result<Gate, String> {
        let config = Arc::new(config);
        let authority = config.origin.authority();
        let origin = headers::Origin {
            authority: HeaderValue::from_str(&authority).map_err(|e| format!("origin: {e}"))?,
            scheme: HeaderValue::from_static(config.origin.scheme()),
            app: HeaderValue::from_str(&config.nocobase.app).map_err(|e| format!("nocobase.app: {e}"))?,
        };
        let entries: Vec<&str> = config.wecom.iter().map(|e| e.name.as_str()).collect();
        let nodes: Vec<&str> = config.upstream.nodes.iter().map(String::as_str).collect();
        let metrics = match before {
            Some(before) => before.metrics.clone(),
            None => Arc::new(Metrics::new(&entries).map_err(|e| format!("metrics: {e}"))?),
        };
        let known = before.map(|before| &before.upstreams);
        let sign_ins = SignIns::after(before.map(|b| &*b.sign_ins), config.clone(), metrics.clone())?;
        let concurrency = &sign_ins.sessions.concurrency;
        let upstreams = Upstreams::new(&config.upstream, &config.nocobase.public_path, known, concurrency)
            .map_err(|e| e.to_string())?;
        let about = before.map(|before| before.about.load_full()).unwrap_or_default();
        let policy = policy(&config, &about)?;
        let kept = before.and_then(|before| before.assets.as_ref());
        let assets = Assets::new(&config, &origin, &metrics.files, kept)?;
        Ok(Gate {
            policy: ArcSwap::from_pointee(policy),
            about: ArcSwap::new(about),
            sessions: sign_ins.sessions.clone(),
            sign_ins: Arc::new(sign_ins),
            nodes: metrics.nodes.of(&nodes),
            metrics,
            upstreams,
            assets,
            origin,
            request_ids: before.map(|b| b.request_ids.clone()).unwrap_or_default(),
            in_flight: before.map(|b| b.in_flight.clone()).unwrap_or_default(),
            places: before.map(|b| b.places.clone()).unwrap_or_default(),
            without_script: WithoutScript::default(),
            stopping: before.map(|b| b.stopping.clone()).unwrap_or_default(),
            tunnels_end: before.map_or_else(|| watch::Sender::new(false), |b| b.tunnels_end.clone()),
            config,
        })
    }

    /// What decisions rest on. Takes no lock.
    pub(crate) fn policy(&self) -> arc_swap::Guard<Arc<Policy>> {
        self.policy.load()
    }

    /// Asks the first healthy node of NocoBase for its version and its settings, and goes by them from then on. What is
    /// new is logged, what does not fit with its remedy. Where none is healthy, the page of one that responds may show why: its
    /// API is elsewhere.
    pub(crate) async fn learn(&self) {
        let nodes = self.upstreams.nodes();
        let in_state = |state| nodes.iter().find(|node| node.state() == state);
        let healthy = in_state(State::Healthy);
        let Some(node) = healthy.or_else(|| in_state(State::Unhealthy)) else { return };
        let about = Arc::new(self.sessions.about(&node.name).await);
        if healthy.is_none() && about.page.is_none() {
            return;
        }
        let before = self.about.swap(about.clone());
        if about == before {
            return;
        }
        let origin = &self.config.origin;
        let origin = format!("{}://{}", origin.scheme(), origin.authority());
        log_about(&node.name, &about, &before, &self.config.nocobase.public_path, &origin);
        if let Ok(policy) = policy(&self.config, &about) {
            self.policy.store(Arc::new(policy));
        }
    }

    /// Does the browser hold NocoBase's real token?
    pub(crate) fn delivers_tokens(&self) -> bool {
        self.config.nocobase.token_delivery == TokenDelivery::Browser
    }

    /// The script tag for a page of this session.
    pub(crate) fn script_tag(&self, token: &str, user: u64) -> Bytes {
        let (user, sealed) = (user.to_string(), !self.delivers_tokens());
        pages::script_tag(
            &pages::script().src,
            &pages::script_attributes(token, &self.config.nocobase.app, sealed, &user),
        )
    }
}

impl Gate {
    /// The script tag for NocoBase's own sign-in page: a button per entry, in this language.
    pub(crate) fn form_tag(&self, lang: pages::Lang) -> Bytes {
        let entries: Vec<_> = self.config.wecom.iter().map(|e| (&e.name, &e.title)).collect();
        let entries = serde_json::to_string(&entries).unwrap_or_default();
        pages::script_tag(
            &pages::script().src,
            &pages::form_attributes(&self.config.nocobase.app, &entries, &lang.tag()),
        )
    }
}

/// The configuration, as far as decisions rest on it.
fn policy(config: &Config, about: &About) -> Result<Policy, String> {
    let page = about.page.as_ref();
    Ok(Policy {
        authority: config.origin.authority(),
        https: config.origin.https,
        public_path: config.nocobase.public_path.clone(),
        client: decide::ClientPaths::new(
            page.and_then(|page| page.modern_prefix.as_deref()),
            page.and_then(|page| page.ws_path.as_deref()),
        ),
        app: config.nocobase.app.clone(),
        browsers: config.access.browsers,
        api_keys: config.access.api_keys,
        password: config.password_form(),
        public: decide::rules::PublicRules::parse(&config.access.public, &config.nocobase.public_path)
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?,
        preflights: config.access.preflights,
        temporary_file_links: config.access.temporary_file_links,
        bypass: config.access.bypass_networks.clone(),
        verify_files: config.wecom.iter().flat_map(|e| e.verify_files.iter().cloned()).collect(),
        entries: config.wecom.iter().map(|e| e.name.clone()).collect(),
        auto_entry: config.wecom.iter().position(|e| e.auto_login),
    })
}

/// What is new in `about`.
fn log_about(node: &str, about: &About, before: &About, public_path: &str, origin: &str) {
    if let Some(version) = about.version.as_ref().filter(|version| before.version.as_ref() != Some(version)) {
        let row = version.row();
        let (support, means) = (row.support.name(), row.means);
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(event = "nocobase_version", node, %version, support, means, "version of NocoBase")
            };
        }
        match row.support {
            Support::Tested | Support::Tried => line!(info),
            Support::Expected | Support::Unknown => line!(warn),
            Support::Refused => line!(error),
        }
    }
    if let Some(page) = about.page.as_ref().filter(|page| before.page.as_ref() != Some(page)) {
        for mismatch in page.mismatches(public_path, origin) {
            tracing::error!(
                event = "nocobase_settings",
                node,
                setting = mismatch.about,
                reason = mismatch.what,
                remedy = mismatch.remedy,
                "a setting of NocoBase does not fit the gate's"
            );
        }
    }
}
