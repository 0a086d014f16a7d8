//! Fetches a file from NocoBase: anonymously, whole, uncompressed. Decides which responses may be cached (R25).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, StatusCode, header};
use memchr::memmem;
use tokio::sync::Semaphore;

use super::file::File;
use crate::config;
use crate::decide::{ClientFile, FileKind, Naming};
use crate::proxy::headers::Origin;
use crate::proxy::upstream::{AttemptedNodes, Upstreams};

/// Largest file that is cached, in bytes; larger ones are streamed. NocoBase's largest has 4 MB.
const LARGEST: usize = 8 << 20;
/// Largest list of plugins that is read, in bytes.
const MAX_LIST: usize = 4 << 20;
/// Time limit for a whole file. Members wait for it; after that they get it as if there were no cache.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Longest pause within a response.
const READ_TIMEOUT: Duration = Duration::from_secs(8);
/// Node.js closes idle connections after 5 s.
const POOL_IDLE: Duration = Duration::from_secs(4);
/// Files fetched at once: until they are cached, their memory is not counted.
const MAX_CONCURRENT: usize = 16;
/// How long a node's list of plugins is used. A node needs longer than this to restart with another version.
const LIST_FRESH: Duration = Duration::from_secs(3);
/// The API call that lists the plugins of NocoBase's first client.
const PLUGINS: &str = "pm:listEnabled";
/// Distinguishes these requests from members' in NocoBase's log.
const AGENT: &str = concat!("wecom-gate-cache/", env!("CARGO_PKG_VERSION"));

/// Response headers that are cached.
const KEPT: [HeaderName; 8] = [
    header::CONTENT_TYPE,
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::CONTENT_SECURITY_POLICY,
    header::CONTENT_LANGUAGE,
    HeaderName::from_static("cross-origin-resource-policy"),
    HeaderName::from_static("cross-origin-embedder-policy"),
    HeaderName::from_static("timing-allow-origin"),
    HeaderName::from_static("sourcemap"),
];

/// NocoBase's response.
pub(super) enum Fetched {
    /// A new file.
    New(Arc<File>),
    /// The cached file is current. `lasting`: its name will never stand for other content.
    Same {
        /// See [`File::is_lasting`].
        lasting: bool,
    },
}

/// Why nothing is cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotKept {
    /// NocoBase's response is not the same for everyone, or is not a file of its client.
    Refused,
    /// NocoBase has not responded, or not completely.
    Away,
}

/// Fetches files from NocoBase.
pub(super) struct Fetcher {
    http: reqwest::Client,
    origin: Origin,
    public_path: String,
    at_once: Semaphore,
    /// The current list of plugin files of each node.
    lists: moka::future::Cache<SocketAddr, Bytes>,
}

impl Fetcher {
    pub(super) fn new(
        upstream: &config::Upstream,
        public_path: &str,
        origin: Origin,
    ) -> Result<Self, String> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(upstream.connect_timeout)
            .read_timeout(READ_TIMEOUT)
            .pool_idle_timeout(POOL_IDLE)
            .http1_only()
            .user_agent(AGENT)
            .build()
            .map_err(|e| format!("cache: {e}"))?;
        Ok(Self {
            http,
            origin,
            public_path: public_path.to_owned(),
            at_once: Semaphore::new(MAX_CONCURRENT),
            lists: moka::future::Cache::builder().max_capacity(64).time_to_live(LIST_FRESH).build(),
        })
    }

    /// Tries one node after another until one has the file: while NocoBase is being upgraded, not every node has every file.
    pub(super) async fn fetch(
        &self,
        upstreams: &Upstreams,
        wanted: &ClientFile<'_>,
        old: Option<&File>,
    ) -> Result<Fetched, NotKept> {
        let Ok(_place) = self.at_once.acquire().await else { return Err(NotKept::Away) };
        let mut tried = AttemptedNodes::default();
        let mut result = Err(NotKept::Away);
        while let Some(index) = upstreams.pick(&mut tried) {
            let Some(node) = upstreams.nodes().get(index) else { break };
            let asked = tokio::time::timeout(TIMEOUT, self.ask(node.address, wanted, old)).await;
            match asked.unwrap_or(Err(NotKept::Away)) {
                Ok(fetched) => return Ok(fetched),
                // "No such file" takes precedence over no response.
                Err(NotKept::Refused) => result = Err(NotKept::Refused),
                Err(NotKept::Away) => {}
            }
        }
        result
    }

    fn request(&self, node: SocketAddr, target: &str) -> reqwest::RequestBuilder {
        // The same headers as in every forwarded request (R44), and no others.
        self.http
            .get(format!("http://{node}{target}"))
            .header(header::HOST, self.origin.authority.clone())
            .header("x-forwarded-host", self.origin.authority.clone())
            .header("x-forwarded-proto", self.origin.scheme.clone())
            .header("x-app", self.origin.app.clone())
            .header(header::ACCEPT_ENCODING, "identity")
    }

    async fn ask(
        &self,
        node: SocketAddr,
        wanted: &ClientFile<'_>,
        old: Option<&File>,
    ) -> Result<Fetched, NotKept> {
        let mut target = wanted.path.to_owned();
        if let Some(query) = wanted.query {
            target.push('?');
            target.push_str(query);
        }
        let mut request = self.request(node, &target);
        if let Some(old) = old {
            for (name, value) in
                [(header::IF_NONE_MATCH, &old.etag), (header::IF_MODIFIED_SINCE, &old.last_modified)]
            {
                if let Some(value) = value {
                    request = request.header(name, value.clone());
                }
            }
        }
        let mut response = request.send().await.map_err(|_| NotKept::Away)?;
        if response.status() == StatusCode::NOT_MODIFIED && old.is_some() {
            return Ok(Fetched::Same { lasting: self.is_lasting(node, wanted, &target).await });
        }
        if response.status().is_server_error() {
            return Err(NotKept::Away);
        }
        let length = response.content_length();
        if !may_be_kept(response.status(), response.headers(), wanted.kind) || length > Some(LARGEST as u64) {
            return Err(NotKept::Refused);
        }
        let headers = response.headers();
        let kept = |name: &HeaderName| headers.get(name).map(|value| (name.clone(), value.clone()));
        let headers_kept = KEPT.iter().filter_map(kept).collect();
        let validators = [headers.get(header::ETAG).cloned(), headers.get(header::LAST_MODIFIED).cloned()];
        let bytes = whole(&mut response, LARGEST).await?;
        if !wanted.may_be(&bytes) {
            return Err(NotKept::Refused);
        }
        let lasting = self.is_lasting(node, wanted, &target).await;
        Ok(Fetched::New(Arc::new(File::new(bytes, wanted.kind, headers_kept, validators, lasting))))
    }

    /// Will the name never stand for other content? For a file with `?hash=` only NocoBase knows: a node responds with the
    /// content that it has, whatever the hash.
    async fn is_lasting(&self, node: SocketAddr, wanted: &ClientFile<'_>, target: &str) -> bool {
        match wanted.naming {
            Naming::Hashed => true,
            Naming::Plain => false,
            Naming::Versioned => {
                let list = self.lists.get_with(node, self.plugins(node)).await;
                let name = target.strip_prefix(self.public_path.as_str()).unwrap_or(target);
                memmem::find(&list, format!("/{name}\"").as_bytes()).is_some()
            }
        }
    }

    /// A node's list of plugin files, which is the same for every client. Empty: it has none.
    async fn plugins(&self, node: SocketAddr) -> Bytes {
        let mut all = BytesMut::new();
        for list in [PLUGINS, "pm:listEnabledV2"] {
            all.extend_from_slice(&self.list(node, list).await.unwrap_or_default());
        }
        all.freeze()
    }

    async fn list(&self, node: SocketAddr, call: &str) -> Option<Bytes> {
        let request = self.request(node, &format!("{}api/{call}", self.public_path));
        let mut response = request.send().await.ok()?;
        if !response.status().is_success() {
            return None;
        }
        whole(&mut response, MAX_LIST).await.ok()
    }

    /// The list of plugins of one node.
    pub(super) async fn enabled_plugins(&self, upstreams: &Upstreams) -> Option<Bytes> {
        let index = upstreams.pick(&mut AttemptedNodes::default())?;
        let node = upstreams.nodes().get(index)?.address;
        tokio::time::timeout(TIMEOUT, self.list(node, PLUGINS)).await.ok()?
    }
}

/// The body, if it is complete and not larger than this.
async fn whole(response: &mut reqwest::Response, largest: usize) -> Result<Bytes, NotKept> {
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(|_| NotKept::Away)? {
        if body.len() + piece.len() > largest {
            return Err(NotKept::Refused);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

/// Is this response the same for everyone, and is it the requested file?
fn may_be_kept(status: StatusCode, headers: &HeaderMap, kind: FileKind) -> bool {
    let texts = |name: HeaderName| {
        headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?").to_ascii_lowercase())
    };
    let words = |name: HeaderName| {
        let all: Vec<String> = texts(name).collect();
        all.join(",")
    };
    let controls = words(header::CACHE_CONTROL);
    let forbidden = controls.split(',').any(|control| {
        let name = control.split('=').next().unwrap_or_default().trim();
        ["no-store", "private", "no-cache", "no-transform"].contains(&name)
    });
    let varying = words(header::VARY);
    // Calls with an `Origin` are forwarded, see `respond`.
    let varies = varying
        .split(',')
        .map(str::trim)
        .any(|name| !matches!(name, "" | "accept-encoding") && (kind != FileKind::Texts || name != "origin"));
    // A body with neither ends with the connection, so a truncated one would look complete.
    let framed =
        headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING);
    let mut kinds = texts(header::CONTENT_TYPE);
    let fits = kinds.next().is_some_and(|content_type| kind.takes(&content_type)) && kinds.next().is_none();
    let plain = texts(header::CONTENT_ENCODING).all(|coding| coding == "identity");
    status == StatusCode::OK
        && fits
        && framed
        && plain
        && !forbidden
        && !varies
        && ![header::SET_COOKIE, header::CONTENT_RANGE, header::WWW_AUTHENTICATE]
            .iter()
            .any(|name| headers.contains_key(name))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn kept(status: u16, headers: &[(&'static str, &'static str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in [("content-type", "text/css"), ("content-length", "3")].iter().chain(headers) {
            map.append(*name, HeaderValue::from_static(value));
        }
        may_be_kept(StatusCode::from_u16(status).unwrap(), &map, FileKind::Style)
    }

    #[test]
    fn r25_only_what_is_the_same_for_all_users_is_cached() {
        for good in [
            &[][..],
            &[("vary", "Accept-Encoding")],
            &[("cache-control", "public, max-age=60")],
            &[("content-encoding", "identity")],
        ] {
            assert!(kept(200, good), "{good:?}");
        }
        for bad in [
            &[("set-cookie", "a=b")][..],
            &[("vary", "*")],
            &[("vary", "Cookie")],
            &[("vary", "Accept-Encoding, Cookie")],
            &[("vary", "Accept-Encoding"), ("vary", "Authorization")],
            &[("cache-control", "no-store")],
            &[("cache-control", "max-age=3, no-transform")],
            &[("cache-control", "max-age=3"), ("cache-control", "PRIVATE")],
            &[("cache-control", "private=\"set-cookie\"")],
            &[("content-encoding", "gzip")],
            &[("content-range", "bytes 0-2/3")],
            &[("content-type", "text/html")],
            &[("www-authenticate", "Basic")],
        ] {
            assert!(!kept(200, bad), "{bad:?}");
        }
        for status in [201, 203, 204, 206, 301, 304, 401, 404, 500, 503] {
            assert!(!kept(status, &[]), "{status}");
        }
        let mut unframed = HeaderMap::new();
        unframed.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/css"));
        assert!(!may_be_kept(StatusCode::OK, &unframed, FileKind::Style));
    }
}
