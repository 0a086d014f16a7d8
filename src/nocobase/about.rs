//! What a NocoBase node reports about itself: its version, and the settings of its index page.

use std::time::Duration;

use http::header::{ACCEPT, USER_AGENT};
use reqwest::Method;

use super::versions::Version;
use super::{NocoBase, PageSettings};

/// How long a node may take to respond; the request is made in the background.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest response that is read: an index page has a few KiB.
const LARGEST: usize = 512 * 1024;

/// Distinguishes these requests from members' requests in NocoBase's log.
const AGENT: &str = concat!("wecom-gate/", env!("CARGO_PKG_VERSION"));

/// What a node reports about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// `app:getInfo`.
    pub version: Option<Version>,
    /// The index page.
    pub page: Option<PageSettings>,
}

impl NocoBase {
    /// Asks a node; values that it does not report stay `None`.
    pub(crate) async fn about(&self, node: &str) -> About {
        let info = read(self.request(Method::GET, node, "app:getInfo")).await;
        let info: Option<serde_json::Value> = info.and_then(|body| serde_json::from_slice(&body).ok());
        let version = info.as_ref().and_then(|info| info.pointer("/data/version")?.as_str());
        let page = read(self.page_request(node).header(ACCEPT, "text/html")).await;
        About {
            version: version.and_then(Version::parse),
            page: page.and_then(|html| PageSettings::read(&html)),
        }
    }
}

/// The body of a success.
async fn read(request: reqwest::RequestBuilder) -> Option<Vec<u8>> {
    let mut response = request.header(USER_AGENT, AGENT).timeout(TIMEOUT).send().await.ok()?;
    if !response.status().is_success() {
        return None;
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > LARGEST {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}

#[cfg(test)]
mod tests;
