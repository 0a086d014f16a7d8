//! Everything that the phases share: created once from the configuration, read by every request, without locks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::SystemTime;

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use http::HeaderValue;
use tokio::sync::watch;

use super::assets::store::Assets;
use super::coded_script::CodedScript;
use super::forward::without_script::WithoutScript;
use super::headers;
use super::maintenance::Maintenance;
use super::request::request_id::RequestIds;
use super::upstream::{NodeState, Places, Uploads, Upstreams};
use crate::acme;
use crate::config::{Config, TokenDelivery};
use crate::decide::{self, Policy};
use crate::login::{Sessions, SignIns};
use crate::metrics::Metrics;
use crate::nocobase::About;
use crate::nocobase::page_settings::Mismatch;
use crate::nocobase::versions::Support;
use crate::pages;

/// The gate of the last valid configuration. A request uses the one that is current when it begins.
pub(crate) struct CurrentGate(ArcSwap<Gate>);

impl CurrentGate {
    /// With this gate first.
    pub(crate) fn new(gate: Arc<Gate>) -> CurrentGate {
        CurrentGate(ArcSwap::new(gate))
    }

    /// The gate for new requests. Takes no lock.
    pub(crate) fn now(&self) -> Arc<Gate> {
        self.0.load_full()
    }

    /// Ends streams that outlive their sessions. Never returns.
    pub(crate) async fn watch_streams(&self) {
        loop {
            let gate = self.now();
            let mut looks: Vec<_> =
                gate.all_sessions().map(|sessions| Box::pin(sessions.next_look())).collect();
            std::future::poll_fn(|cx| match looks.iter_mut().any(|look| look.as_mut().poll(cx).is_ready()) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            })
            .await;
            // Meanwhile the gate may have been replaced.
            self.now().all_sessions().for_each(Sessions::end_streams);
        }
    }

    /// New requests get this gate from now on.
    pub(crate) fn replace(&self, gate: Arc<Gate>) {
        let before = self.0.swap(gate.clone());
        gate.sessions.replaces(&before.sessions);
        gate.sessions.report_from_now_on();
        for app in &gate.apps {
            if let Some(before) = before.application(&app.config.nocobase.app) {
                app.sessions.replaces(&before.sessions);
            }
            app.sessions.report_from_now_on();
        }
        gate.metrics.set_entries(&gate.config.entry_names());
        for gone in before.nodes.iter().filter(|old| gate.nodes.iter().all(|new| new.name != old.name)) {
            gate.metrics.nodes.forget(&gone.name);
        }
    }
}

/// The gate.
pub(crate) struct Gate {
    /// As loaded.
    pub config: Arc<Config>,
    /// Since when this configuration is in use.
    pub loaded: SystemTime,
    /// The basis of decisions; changes when NocoBase's page has other addresses.
    policy: ArcSwap<Policy>,
    /// What NocoBase last reported about itself.
    about: ArcSwap<About>,
    /// What every request with a session needs.
    pub(crate) sessions: Arc<Sessions>,
    /// What signing in needs in addition.
    pub(crate) sign_ins: Arc<SignIns>,
    /// The gate for each of `nocobase.apps`: with its own policy, cookies, sessions and accounts. A request is for one of them or
    /// for none. Those at the main host name come first.
    pub(crate) apps: Vec<Arc<Gate>>,
    /// Names of the applications at the main host name.
    pub(crate) app_names: Vec<String>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The metrics of each node.
    pub nodes: Vec<crate::metrics::Node>,
    /// NocoBase's nodes.
    pub upstreams: Arc<Upstreams>,
    /// Cached files of NocoBase's client; `None`: no cache.
    pub assets: Option<Assets>,
    /// `gate.js`, compressed.
    pub(crate) coded_script: CodedScript,
    /// `Host` and the other forwarding headers.
    pub origin: headers::Origin,
    /// Creates request ids.
    pub request_ids: Arc<RequestIds>,
    /// Requests in flight.
    pub in_flight: Arc<AtomicUsize>,
    /// Limits the requests to NocoBase that are in progress at once.
    pub(crate) places: Arc<Places>,
    /// Limit of uploads to NocoBase in progress.
    pub(crate) uploads: Arc<Uploads>,
    /// The app's name and picture in WeCom, once they are known.
    pub(crate) app_card: Arc<ArcSwapOption<pages::AppCard>>,
    /// Whether the app is closed for maintenance.
    pub(crate) maintenance: Arc<Maintenance>,
    /// The certificate that the gate orders itself.
    pub(crate) acme: Arc<acme::State>,
    /// Reasons for which pages did not get the gate's script.
    pub without_script: WithoutScript,
    /// The gate is stopping: it is not ready, and no connection is kept for another request.
    pub stopping: Arc<AtomicBool>,
    /// Becomes true when WebSockets have to end, because the gate is stopping.
    pub tunnels_end: watch::Sender<bool>,
}

impl Gate {
    /// Builds everything; an error says what cannot be built from the configuration.
    pub(crate) fn new(config: Config) -> Result<Gate, String> {
        Self::after(None, config)
    }

    /// Replaces `before` after a change of the configuration: sessions, counters and work in progress are kept.
    pub(crate) fn after(before: Option<&Gate>, config: Config) -> Result<Gate, String> {
        let config = Arc::new(config);
        let origin = origin(&config)?;
        let entries = config.entry_names();
        let nodes: Vec<&str> = config.upstream.nodes.iter().map(String::as_str).collect();
        let metrics = match before {
            Some(before) => before.metrics.clone(),
            None => Arc::new(Metrics::new(&entries).map_err(|e| format!("metrics: {e}"))?),
        };
        let known = before.map(|before| &*before.upstreams);
        let sign_ins = SignIns::after(before.map(|b| &*b.sign_ins), config.clone(), metrics.clone())?;
        let concurrency = &sign_ins.sessions.concurrency;
        let upstreams = Upstreams::new(&config.upstream, &config.nocobase.public_path, known, concurrency)
            .map_err(|e| e.to_string())?;
        let about = before.map(|before| before.about.load_full()).unwrap_or_default();
        let policy = policy(&config, &about)?;
        let kept = before.and_then(|before| before.assets.as_ref());
        let assets = Assets::new(&config, &origin, &metrics.files, kept)?;
        let (below, with_host): (Vec<_>, Vec<_>) =
            config.nocobase.apps.iter().cloned().partition(|app| app.host.is_none());
        let app_names = below.iter().map(|app| app.name.clone()).collect();
        let app_card = app_card(&sign_ins, [before, None]);
        let mut gate = Gate {
            loaded: SystemTime::now(),
            policy: ArcSwap::from_pointee(policy),
            about: ArcSwap::new(about),
            sessions: sign_ins.sessions.clone(),
            sign_ins: Arc::new(sign_ins),
            apps: Vec::new(),
            app_names,
            nodes: metrics.nodes.of(&nodes),
            metrics,
            upstreams: Arc::new(upstreams),
            assets,
            coded_script: CodedScript::default(),
            origin,
            request_ids: before.map(|b| b.request_ids.clone()).unwrap_or_default(),
            in_flight: before.map(|b| b.in_flight.clone()).unwrap_or_default(),
            places: before.map(|b| b.places.clone()).unwrap_or_default(),
            uploads: before.map(|b| b.uploads.clone()).unwrap_or_default(),
            app_card,
            maintenance: before.map(|b| b.maintenance.clone()).unwrap_or_default(),
            acme: before.map(|b| b.acme.clone()).unwrap_or_default(),
            without_script: WithoutScript::default(),
            stopping: before.map(|b| b.stopping.clone()).unwrap_or_default(),
            tunnels_end: before.map_or_else(|| watch::Sender::new(false), |b| b.tunnels_end.clone()),
            config,
        };
        for app in below.iter().chain(&with_host) {
            let before = before.and_then(|before| before.application(&app.name));
            let config = Arc::new(gate.config.of_application(app));
            let built = gate.beside(before.map(|before| &**before), config);
            gate.apps.push(Arc::new(built.map_err(|e| format!("application {}: {e}", app.name))?));
        }
        Ok(gate)
    }

    /// The gate for another application of the same NocoBase. `config`: from [`Config::of_application`].
    fn beside(&self, before: Option<&Gate>, config: Arc<Config>) -> Result<Gate, String> {
        let before_it = before.map(|before| &*before.sign_ins);
        let sign_ins = SignIns::beside(&self.sign_ins, before_it, config.clone())?;
        let origin = origin(&config)?;
        let about = self.about.load_full();
        // At its own host name it is another app in WeCom.
        let app_card = app_card(&sign_ins, [Some(self), before]);
        Ok(Gate {
            loaded: SystemTime::now(),
            policy: ArcSwap::from_pointee(policy(&config, &about)?),
            about: ArcSwap::new(about),
            sessions: sign_ins.sessions.clone(),
            sign_ins: Arc::new(sign_ins),
            apps: Vec::new(),
            app_names: Vec::new(),
            nodes: self.metrics.nodes.of(&self.nodes.iter().map(|n| n.name.as_str()).collect::<Vec<_>>()),
            metrics: self.metrics.clone(),
            upstreams: self.upstreams.clone(),
            // The client's files belong to the main application.
            assets: None,
            coded_script: CodedScript::default(),
            origin,
            request_ids: self.request_ids.clone(),
            in_flight: self.in_flight.clone(),
            places: self.places.clone(),
            uploads: self.uploads.clone(),
            app_card,
            maintenance: self.maintenance.clone(),
            acme: self.acme.clone(),
            without_script: WithoutScript::default(),
            stopping: self.stopping.clone(),
            tunnels_end: self.tunnels_end.clone(),
            config,
        })
    }

    /// The applications below `/apps/<name>/`, at the main one's host name.
    pub(crate) fn below(&self) -> &[Arc<Gate>] {
        self.apps.get(..self.app_names.len()).unwrap_or_default()
    }

    /// The applications with a host name of their own.
    pub(crate) fn with_host(&self) -> &[Arc<Gate>] {
        self.apps.get(self.app_names.len()..).unwrap_or_default()
    }

    fn application(&self, name: &str) -> Option<&Arc<Gate>> {
        self.apps.iter().find(|app| app.config.nocobase.app == name)
    }

    /// The sessions of all applications.
    pub(crate) fn all_sessions(&self) -> impl Iterator<Item = &Arc<Sessions>> {
        std::iter::once(&self.sessions).chain(self.apps.iter().map(|app| &app.sessions))
    }

    /// Is the gate stopping?
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// The basis of decisions. Takes no lock.
    pub(crate) fn policy(&self) -> arc_swap::Guard<Arc<Policy>> {
        self.policy.load()
    }

    /// Asks the first healthy NocoBase node for its version and settings, and uses them from then on. Changes are logged,
    /// mismatches with their remedy. If no node is healthy, the page of one that responds may show why: its API has another path.
    pub(crate) async fn learn(&self) {
        let nodes = self.upstreams.nodes();
        let in_state = |state| nodes.iter().find(|node| node.state() == state);
        let healthy = in_state(NodeState::Healthy);
        let Some(node) = healthy.or_else(|| in_state(NodeState::Unhealthy)) else { return };
        let about = Arc::new(self.sessions.about(&node.name).await);
        if healthy.is_none() && about.page.is_none() {
            return;
        }
        let before = self.about.swap(about.clone());
        if about == before {
            return;
        }
        let origin = self.config.origin.url();
        log_about(&node.name, &about, &before, &self.config.nocobase.public_path, &origin);
        for gate in std::iter::once(self).chain(self.apps.iter().map(|app| &**app)) {
            if let Ok(policy) = policy(&gate.config, &about) {
                gate.policy.store(Arc::new(policy));
            }
        }
    }

    /// NocoBase's settings that do not fit the gate's, as last reported.
    pub(crate) fn mismatches(&self) -> Vec<Mismatch> {
        let (about, nocobase) = (self.about.load(), &self.config.nocobase);
        let page = about.page.as_ref();
        page.map(|page| page.mismatches(&nocobase.public_path, &self.config.origin.url())).unwrap_or_default()
    }

    /// Asks WeCom for the app's name and picture, also for the applications at host names of their own. Returns whether there was
    /// a response each time. `missing`: only where they are not known.
    pub(crate) async fn learn_app_cards(&self, missing: bool) -> bool {
        let mut all = true;
        let others = self.with_host().iter().map(|app| &**app);
        let others = others.filter(|app| !Arc::ptr_eq(&app.app_card, &self.app_card));
        for gate in std::iter::once(self).chain(others) {
            if missing && gate.app_card.load().is_some() {
                continue;
            }
            match gate.sign_ins.shown_app().await {
                Some((agent, picture)) => {
                    let card = pages::AppCard::new(&agent.name, picture.as_deref());
                    gate.app_card.store(Some(Arc::new(card)));
                }
                None => all = false,
            }
        }
        all
    }

    /// Does the browser hold NocoBase's real token?
    pub(crate) fn delivers_tokens(&self) -> bool {
        self.config.nocobase.token_delivery == TokenDelivery::Browser
    }

    /// The script tag for a page of this session.
    pub(crate) fn script_tag(&self, token: &str, user: u64, path: &str) -> Bytes {
        let (user, sealed) = (user.to_string(), !self.delivers_tokens());
        let closed = self.maintenance.is_on();
        let plugins = self.plugins_of_page(path);
        let app = &self.config.nocobase.app;
        let attributes: Vec<_> =
            pages::script_attributes(token, app, sealed, &user, closed, plugins.as_deref()).collect();
        pages::script_tag(&pages::script(&self.config.pages.appearance).src, &attributes)
    }

    /// The plugin files that the page at this path will request, if they are known.
    fn plugins_of_page(&self, path: &str) -> Option<Arc<str>> {
        let about = self.about.load();
        let mode = about.page.as_ref()?.entry_mode.as_deref();
        // NocoBase's other client, and other applications, have other files.
        let first = mode.is_none_or(|mode| mode == "legacy-default") && {
            let policy = self.policy();
            let folder = path.strip_prefix(policy.public_path.as_str())?.split('/').next()?;
            folder != policy.client.modern && folder != "apps"
        };
        if first { self.assets.as_ref()?.plugins(&about) } else { None }
    }

    /// A member opens a page: brings up to date, in the background, what the next page is told.
    pub(crate) fn learn_plugins(self: &Arc<Self>) {
        if self.assets.as_ref().is_some_and(Assets::may_learn_plugins) {
            let gate = self.clone();
            tokio::spawn(async move {
                if let Some(assets) = &gate.assets {
                    assets.learn_plugins(&gate.upstreams, gate.about.load_full()).await;
                }
            });
        }
    }
}

impl Gate {
    /// The script tag for NocoBase's own sign-in page: a button per entry, in this language.
    pub(crate) fn form_tag(&self, lang: pages::Lang) -> Bytes {
        let entries: Vec<_> = self.config.wecom.iter().map(|e| (&e.name, &e.title)).collect();
        let entries = serde_json::to_string(&entries).unwrap_or_default();
        pages::script_tag(
            &pages::script(&self.config.pages.appearance).src,
            &pages::form_attributes(&self.config.nocobase.app, &entries, &lang.tag()),
        )
    }
}

/// The name and picture that one of these gates knows of the same app.
fn app_card(sign_ins: &SignIns, known: [Option<&Gate>; 2]) -> Arc<ArcSwapOption<pages::AppCard>> {
    let same = known.into_iter().flatten().find(|gate| gate.sign_ins.shows_app_of(sign_ins));
    same.map(|gate| gate.app_card.clone()).unwrap_or_default()
}

/// `Host` and the other forwarding headers.
fn origin(config: &Config) -> Result<headers::Origin, String> {
    let authority = config.origin.authority();
    Ok(headers::Origin {
        authority: HeaderValue::from_str(&authority).map_err(|e| format!("origin: {e}"))?,
        scheme: HeaderValue::from_static(config.origin.scheme()),
        app: HeaderValue::from_str(&config.nocobase.app).map_err(|e| format!("nocobase.app: {e}"))?,
    })
}

/// The part of the configuration on which decisions are based.
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
        several: config.nocobase.beside_others || !config.nocobase.apps.is_empty(),
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
        link: config.nocobase.link_by_password,
        console: config.access.has_admins(),
        auto_entry: config.wecom.iter().position(|e| e.auto_login),
    })
}

/// Logs what has changed in `about`.
fn log_about(node: &str, about: &About, before: &About, public_path: &str, origin: &str) {
    if let Some(version) = about.version.as_ref().filter(|version| before.version.as_ref() != Some(version)) {
        let row = version.row();
        let (support, means) = (row.support.name(), row.means.to_string());
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
                reason = %mismatch.what,
                remedy = %mismatch.remedy,
                "a setting of NocoBase does not fit the gate's"
            );
        }
    }
}
