//! From the file as written to the configuration that the program uses. Every check reports and goes on, so that
//! one run shows everything that is wrong.
//!
//! Must never: stop at the first error, or put a secret into a report.

mod redis;
mod secrets;
mod values;
mod wecom;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::ExposeSecret;
use tracing_subscriber::EnvFilter;

use super::raw::{self, Raw};
use super::report::Report;
use super::role;
use super::types::{
    Access, Cache, CertificateFiles, Config, Limits, Listen, Log, MatchBy, NocoBase, Origin, ServiceAccount,
    Session, Upstream,
};
use crate::decide::rules::PublicRules;
use values::DAY;

const SECOND: Duration = Duration::from_secs(1);
/// A request remembers the nodes that it has tried in one word.
const MOST_NODES: usize = 64;
/// Shorter secrets of NocoBase are mistakes.
const LEAST_JWT_SECRET: usize = 8;
/// Characters of `access.forward_auth_secret`.
const LEAST_FORWARD_AUTH_SECRET: usize = 16;
/// Shorter secrets of NocoBase can be guessed from one token.
const WEAK_JWT_SECRET: usize = 16;

/// `None` only with errors in the report.
pub(super) fn resolve(raw: Raw, report: &mut Report) -> Option<Config> {
    let origin = values::origin("origin", &raw.origin, report);
    let behind_proxy = !raw.access.trusted_proxies.is_empty();
    let listen = listen(raw.listen, origin.as_ref(), behind_proxy, report);
    let upstream = upstream(raw.upstream, report);
    let public_path = raw.nocobase.public_path.clone();
    let roles = raw.wecom.iter().any(|entry| !entry.roles.is_empty());
    let nocobase = nocobase(raw.nocobase, roles, report);
    let wecom = wecom::entries(raw.wecom, &public_path, report);
    let access = access(raw.access, &public_path, report);
    let session = session(raw.session, report);
    let log = log(raw.log, report);
    let limits = limits(raw.limits, report);
    let cache = cache(&raw.cache, report);
    Some(Config {
        origin: origin?,
        listen: listen?,
        upstream: upstream?,
        nocobase: nocobase?,
        wecom: wecom?,
        access: access?,
        session: session?,
        log: log?,
        limits: limits?,
        cache: cache?,
    })
}

fn listen(
    raw: raw::Listen,
    origin: Option<&Origin>,
    behind_proxy: bool,
    report: &mut Report,
) -> Option<Listen> {
    let before = report.errors.len();
    let default = vec!["0.0.0.0:8080".to_owned()];
    let neither = raw.http.is_none() && raw.https.is_none();
    let http = if neither { default } else { raw.http.unwrap_or_default() };
    let https = raw.https.unwrap_or_default();
    if http.is_empty() && https.is_empty() {
        report.say("listen", "has no address to listen on", "give listen.http or listen.https an address");
    }
    let mut taken = HashSet::new();
    let http = listeners("listen.http", &http, &mut taken, report);
    let https = listeners("listen.https", &https, &mut taken, report);
    let mut ops = None;
    if !raw.ops.is_empty() {
        ops = values::listener("listen.ops", &raw.ops, report);
        if ops.is_some_and(|a| a.port() != 0 && !taken.insert(a)) {
            report.bad(
                "listen.ops",
                &raw.ops,
                "is a public listener's address too",
                "give it a port of its own",
            );
        }
    }
    for (key, file, what) in
        [("listen.cert", &raw.cert, "the certificate chain"), ("listen.key", &raw.key, "the private key")]
    {
        if file.is_empty() {
            if !https.is_empty() {
                let remedy = format!("give the file with {what} (PEM), or remove listen.https");
                report.say(key, "is missing, but listen.https is set", remedy);
            }
        } else if let Err(e) = std::fs::File::open(file) {
            report.bad(key, file, format!("cannot be read: {e}"), format!("give the file with {what} (PEM)"));
        }
    }
    if origin.is_some_and(|o| !o.https) && !https.is_empty() {
        report.warn("origin", "is plain http although the gate listens for TLS");
    }
    let certificates = certificates(&raw.certificates, report);
    if !raw.certificates.is_empty() && https.is_empty() {
        report.warn("listen.certificates", "has no effect without listen.https");
    }
    if raw.redirect_http {
        if origin.is_some_and(|o| !o.https) {
            let remedy = "begin origin with https://, or remove listen.redirect_http";
            report.say("listen.redirect_http", "has nowhere to lead: origin is plain http", remedy);
        } else if https.is_empty() && !behind_proxy {
            let remedy = "set listen.https, or name the proxy that speaks TLS in access.trusted_proxies";
            report.say("listen.redirect_http", "would lead round in circles: nobody speaks TLS", remedy);
        }
    }
    let file = |text: String| (!text.is_empty()).then(|| PathBuf::from(text));
    (report.errors.len() == before).then(|| Listen {
        http,
        https,
        cert: file(raw.cert),
        key: file(raw.key),
        redirect_http: raw.redirect_http,
        certificates,
        ops,
    })
}

fn certificates(raw: &[raw::Certificate], report: &mut Report) -> Vec<CertificateFiles> {
    let mut all = Vec::with_capacity(raw.len());
    for (i, pair) in raw.iter().enumerate() {
        for (name, file, what) in
            [("cert", &pair.cert, "the certificate chain"), ("key", &pair.key, "the private key")]
        {
            let key = format!("listen.certificates[{i}].{name}");
            let remedy = format!("give the file with {what} (PEM)");
            if file.is_empty() {
                report.say(&key, "is missing", remedy);
            } else if let Err(e) = std::fs::File::open(file) {
                report.bad(&key, file, format!("cannot be read: {e}"), remedy);
            }
        }
        all.push(CertificateFiles { cert: PathBuf::from(&pair.cert), key: PathBuf::from(&pair.key) });
    }
    all
}

fn listeners(
    key: &str,
    texts: &[String],
    taken: &mut HashSet<SocketAddr>,
    report: &mut Report,
) -> Vec<SocketAddr> {
    let mut list = Vec::with_capacity(texts.len());
    for (i, text) in texts.iter().enumerate() {
        let key = format!("{key}[{i}]");
        let Some(address) = values::listener(&key, text, report) else { continue };
        if address.port() != 0 && !taken.insert(address) {
            report.bad(&key, text, "is there twice", "remove one of the two");
        }
        list.push(address);
    }
    list
}

fn upstream(raw: raw::Upstream, report: &mut Report) -> Option<Upstream> {
    if raw.nodes.is_empty() {
        report.say(
            "upstream.nodes",
            "is missing",
            "give NocoBase's host:port, such as [\"127.0.0.1:13000\"]",
        );
    }
    if raw.nodes.len() > MOST_NODES {
        report.say("upstream.nodes", format!("has more than {MOST_NODES} nodes"), "remove some");
    }
    let mut nodes = Vec::with_capacity(raw.nodes.len());
    for (i, text) in raw.nodes.iter().enumerate() {
        let key = format!("upstream.nodes[{i}]");
        let Some(node) = values::node(&key, text, report) else { continue };
        if nodes.contains(&node) {
            report.bad(&key, text, "is there twice", "remove one of the two");
        }
        nodes.push(node);
    }
    let millisecond = Duration::from_millis(1);
    let key = "upstream.connect_timeout";
    let connect_timeout = values::duration(key, &raw.connect_timeout, millisecond, 60 * SECOND, report);
    let read_timeout = values::duration("upstream.read_timeout", &raw.read_timeout, millisecond, DAY, report);
    let key = "upstream.health_interval";
    let health_interval = values::duration(key, &raw.health_interval, 100 * millisecond, 60 * SECOND, report);
    let max_requests = values::max_requests("upstream.max_requests", &raw.max_requests, report);
    Some(Upstream {
        nodes,
        connect_timeout: connect_timeout?,
        read_timeout: read_timeout?,
        health_interval: health_interval?,
        max_requests: max_requests?,
    })
}

/// `roles`: some entry has rules about roles.
fn nocobase(raw: raw::NocoBase, roles: bool, report: &mut Report) -> Option<NocoBase> {
    let jwt_secret = secrets::raw("nocobase", "jwt_secret", &raw.jwt_secret, &raw.jwt_secret_file, report);
    match &jwt_secret {
        Ok(None) => report.say(
            "nocobase.jwt_secret",
            "is missing",
            "give NocoBase's APP_KEY, or its storage/apps/main/jwt_secret.dat as nocobase.jwt_secret_file",
        ),
        Ok(Some(secret)) if secret.expose_secret().len() < LEAST_JWT_SECRET => report.say(
            "nocobase.jwt_secret",
            format!("is shorter than {LEAST_JWT_SECRET} bytes"),
            "give the whole secret; if NocoBase's APP_KEY is that short, set a longer one there too",
        ),
        Ok(Some(secret)) if secret.expose_secret().len() < WEAK_JWT_SECRET => {
            report.warn(
                "nocobase.jwt_secret",
                "is short: a person who has one token can try secrets until one fits",
            );
        }
        _ => {}
    }
    let service = service(&raw, report);
    if raw.app.is_empty()
        || raw.app.len() > 64
        || !raw.app.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
    {
        report.bad(
            "nocobase.app",
            &raw.app,
            "is not the name of an application",
            "use A-Z a-z 0-9 _ -; NocoBase's own is \"main\"",
        );
    }
    let path = &raw.public_path;
    if !values::is_path(path) || !path.ends_with('/') || path.contains(['?', '#', '%']) || path.contains("/.")
    {
        let remedy = "copy NocoBase's APP_PUBLIC_PATH; it begins and ends with /, such as \"/\" or \"/crm/\"";
        report.bad("nocobase.public_path", path, "is not a public path", remedy);
    }
    if raw.match_by.is_empty() {
        report.say("nocobase.match_by", "is empty", "give at least [\"phone\"]");
    }
    for (i, by) in raw.match_by.iter().enumerate() {
        if raw.match_by.iter().take(i).any(|b| b == by) {
            report.say(&format!("nocobase.match_by[{i}]"), "is there twice", "remove one of the two");
        }
    }
    for (by, name, why) in [
        (MatchBy::Email, "email", "a member may have typed in somebody else's address"),
        (MatchBy::Username, "username", "somebody else may have registered the name in NocoBase"),
    ] {
        if raw.match_by.contains(&by) {
            report.warn("nocobase.match_by", format_args!("contains \"{name}\": {why}"));
        }
    }
    for (i, name) in raw.default_roles.iter().enumerate() {
        if name.trim().is_empty() {
            report.bad(
                &format!("nocobase.default_roles[{i}]"),
                name,
                "is empty",
                "give the role's name, or remove it",
            );
        }
        // NocoBase gives `root` to new users if its administrator asks, and the service account may be he.
        if role::is_root(name) {
            report.bad(
                &format!("nocobase.default_roles[{i}]"),
                name,
                "would make every new member an administrator of everything",
                "give another role; make single users root in NocoBase itself",
            );
        }
    }
    if !raw.default_roles.is_empty() && !raw.auto_create_user && !roles {
        let without =
            "has no effect while nocobase.auto_create_user is false and there are no [[wecom.roles]]";
        report.warn("nocobase.default_roles", without);
    }
    Some(NocoBase {
        jwt_secret: jwt_secret.ok()??,
        service: service?,
        app: raw.app,
        public_path: raw.public_path,
        token_delivery: raw.token_delivery,
        match_by: raw.match_by,
        auto_create_user: raw.auto_create_user,
        default_roles: raw.default_roles,
        identity_headers: raw.identity_headers,
    })
}

fn service(raw: &raw::NocoBase, report: &mut Report) -> Option<ServiceAccount> {
    let token =
        secrets::text("nocobase", "service_token", &raw.service_token, &raw.service_token_file, report);
    match (token.ok()?, raw.service_user) {
        (Some(token), None) => Some(ServiceAccount::Token(token)),
        (None, Some(0)) => {
            report.bad(
                "nocobase.service_user",
                "0",
                "is not a user",
                "give the id of a NocoBase user, 1 or more",
            );
            None
        }
        (None, Some(user)) => Some(ServiceAccount::User(user)),
        (Some(_), Some(_)) => {
            let problem = "is given together with service_token";
            report.say("nocobase.service_user", problem, "keep one of the two, leave out the other");
            None
        }
        (None, None) => {
            let remedy =
                "give an API key made in NocoBase, or the id of a NocoBase user as nocobase.service_user";
            report.say("nocobase.service_token", "is missing", remedy);
            None
        }
    }
}

fn access(raw: raw::Access, public_path: &str, report: &mut Report) -> Option<Access> {
    for error in PublicRules::parse(&raw.public, public_path).err().unwrap_or_default() {
        let key = format!("access.public[{}]", error.index);
        report.bad(&key, &error.rule, "is not a rule", error.problem);
    }
    for (i, rule) in
        raw.public.iter().enumerate().filter(|(_, rule)| rule.trim_end_matches('/').ends_with(" /**"))
    {
        report
            .warn(&format!("access.public[{i}]"), format_args!("\"{rule}\" lets everybody pass everywhere"));
    }
    let bypass_networks = values::networks("access.bypass_networks", &raw.bypass_networks, report);
    let trusted_proxies = values::networks("access.trusted_proxies", &raw.trusted_proxies, report);
    let (inline, file) = (&raw.forward_auth_secret, &raw.forward_auth_secret_file);
    let forward_auth_secret = secrets::text("access", "forward_auth_secret", inline, file, report);
    if let Ok(Some(secret)) = &forward_auth_secret {
        let key = "access.forward_auth_secret";
        if secret.expose_secret().len() < LEAST_FORWARD_AUTH_SECRET {
            report.say(key, "is short enough to be guessed", "make one: openssl rand -base64 24");
        }
        if raw.trusted_proxies.is_empty() {
            report.say(key, "has no effect without a proxy", "name the proxy in access.trusted_proxies");
        }
    }
    Some(Access {
        browsers: raw.browsers,
        password_login: raw.password_login,
        api_keys: raw.api_keys,
        public: raw.public,
        preflights: raw.preflights,
        temporary_file_links: raw.temporary_file_links,
        bypass_networks: bypass_networks?,
        trusted_proxies: trusted_proxies?,
        forward_auth_secret: forward_auth_secret.ok()?,
    })
}

fn session(raw: raw::Session, report: &mut Report) -> Option<Session> {
    let keys = secrets::keys(&raw.keys, &raw.keys_file, report);
    let redis = redis::redis(&raw.redis, &raw.redis_file, report);
    let cookie_name = cookie_name(raw.cookie_name, report);
    let year = 366 * DAY;
    let idle = values::duration("session.idle", &raw.idle, 60 * SECOND, year, report);
    let absolute = values::duration("session.absolute", &raw.absolute, 60 * SECOND, year, report);
    let recheck = values::duration("session.recheck", &raw.recheck, 10 * SECOND, DAY, report);
    if let (Some(idle), Some(absolute)) = (idle, absolute) {
        if idle > absolute {
            let problem = "is longer than session.absolute";
            report.bad("session.idle", &raw.idle, problem, "make it the same or shorter");
        }
        if absolute > 7 * DAY {
            report
                .warn("session.absolute", "is longer than 7 days: a stolen device stays signed in that long");
        }
    }
    Some(Session {
        keys: keys?,
        cookie_name: cookie_name?,
        idle: idle?,
        absolute: absolute?,
        recheck: recheck?,
        redis: redis.ok()?,
    })
}

/// A name that is not one of another gate's cookies: `wecom_gate_out` is both the second cookie of `wecom_gate` and, if it
/// were allowed, the first of another gate.
fn cookie_name(name: String, report: &mut Report) -> Option<String> {
    const LONGEST: usize = 40;
    let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let reserved = ["_out", "_tries", "_lang", "_"].iter().any(|end| name.ends_with(end))
        || name.contains("_flow_")
        || name.starts_with("__")
        || name.starts_with("nb_");
    let problem = if name.is_empty() || name.len() > LONGEST || !letters {
        "is not the name of a cookie"
    } else if reserved || name.ends_with("_flow") {
        "is the name of another cookie"
    } else {
        return Some(name);
    };
    let remedy = "choose at most 40 letters, digits, _ and -, such as wecom_gate_crm";
    report.bad("session.cookie_name", &name, problem, remedy);
    None
}

fn log(raw: raw::Log, report: &mut Report) -> Option<Log> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    // A lone word that is no level would be read as the name of a module.
    let word = raw.level.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let fits = if word {
        LEVELS.iter().any(|l| l.eq_ignore_ascii_case(&raw.level))
    } else {
        EnvFilter::try_new(&raw.level).is_ok()
    };
    if !fits {
        let remedy =
            "use error, warn, info, debug or trace, or directives such as \"info,wecom_gate::login=debug\"";
        report.bad("log.level", &raw.level, "is not a level", remedy);
    }
    fits.then_some(Log { format: raw.format, level: raw.level, access_log: raw.access_log })
}

/// Less than this holds not even one version of NocoBase's files.
const LEAST_CACHE: u64 = 16 << 20;

fn cache(raw: &raw::Cache, report: &mut Report) -> Option<Cache> {
    let memory = values::size("cache.memory", &raw.memory, report)?;
    if (1..LEAST_CACHE).contains(&memory) {
        report.warn(
            "cache.memory",
            "is less than NocoBase's files take: 128MiB or more holds them, \"0\" keeps none",
        );
    }
    Some(Cache { memory })
}

fn limits(raw: raw::Limits, report: &mut Report) -> Option<Limits> {
    let header_bytes = values::size("limits.header_bytes", &raw.header_bytes, report);
    if header_bytes.is_some_and(|n| !(4096..=1024 * 1024).contains(&n)) {
        report.say("limits.header_bytes", "is out of range", "give 4KiB to 1MiB");
    }
    let body_bytes = values::size("limits.body_bytes", &raw.body_bytes, report);
    if raw.connections == 0 {
        report.bad("limits.connections", "0", "lets nobody in", "give 1 or more");
    }
    if raw.sign_ins_at_once == 0 {
        report.bad("limits.sign_ins_at_once", "0", "lets nobody sign in", "give 1 or more");
    }
    let head = values::duration("limits.head_timeout", &raw.head_timeout, SECOND, 3600 * SECOND, report);
    let keepalive =
        values::duration("limits.keepalive_timeout", &raw.keepalive_timeout, SECOND, 3600 * SECOND, report);
    let body = values::duration("limits.body_timeout", &raw.body_timeout, SECOND, 3600 * SECOND, report);
    Some(Limits {
        header_bytes: usize::try_from(header_bytes?).ok()?,
        body_bytes: body_bytes.map(|n| (n > 0).then_some(n))?,
        connections: usize::try_from(raw.connections).ok()?,
        head_timeout: head?,
        keepalive_timeout: keepalive?,
        body_timeout: body?,
        sign_ins_per_minute: raw.sign_ins_per_minute,
        bad_callbacks_per_minute: raw.bad_callbacks_per_minute,
        sign_ins_at_once: usize::try_from(raw.sign_ins_at_once).ok()?,
    })
}
