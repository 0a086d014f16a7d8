//! The plugin files that a page of NocoBase's client will request: pages are told, so that browsers request them at once, and not
//! only after the client has started and has asked NocoBase for its list.
//!
//! They are read from NocoBase's own list and from its own files, which the gate requests anonymously. Must never: depend on what
//! members request, or name a file that is not cached.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use memchr::memmem;
use serde::Deserialize;

use super::dictionary::{self, FOLDER};
use super::file::{Entry, File, Key};
use super::learned::Learned;
use super::store::Assets;
use crate::decide::FileKind;
use crate::nocobase::About;
use crate::proxy::upstream::Upstreams;

/// How long a list is used before the next page load causes another one to be read.
const FRESHNESS: Duration = Duration::from_secs(5);
/// Most files that a page is told.
const MAX_FILES: usize = 256;
/// Longest name of a package or hash, in bytes.
const MAX_LENGTH: usize = 80;
/// The beginning of a script names the packages that it requires.
const HEAD: usize = 8 * 1024;
/// Packages with this prefix are written without it.
const PREFIX: &str = "@nocobase/plugin-";

/// NocoBase's list of plugins.
#[derive(Deserialize)]
struct List {
    data: Vec<Plugin>,
}

#[derive(Deserialize)]
struct Plugin {
    url: Option<String>,
    #[serde(rename = "clientV2Url")]
    modern_url: Option<String>,
}

/// A script of a plugin: `<public path>static/plugins/<package>/dist/<client>/index.js?hash=<hash>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PluginFile<'a> {
    url: &'a str,
    package: &'a str,
    client: &'a str,
    hash: &'a str,
}

impl<'a> PluginFile<'a> {
    /// `None`: it has another address, such as one at another host.
    fn parse(url: &'a str, public_path: &str) -> Option<Self> {
        let (path, hash) =
            url.strip_prefix(public_path)?.strip_prefix(FOLDER)?.split_once("/index.js?hash=")?;
        let (package, client) = path.split_once("/dist/")?;
        let name = |text: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
            (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(plain)
        };
        let (scope, rest) = package.strip_prefix('@')?.split_once('/')?;
        (name(scope) && name(rest) && name(hash) && matches!(client, "client" | "client-v2"))
            .then_some(Self { url, package, client, hash })
    }
}

impl Assets {
    /// What pages of this NocoBase are told; `None`: nothing is known.
    pub(crate) fn plugins(&self, about: &About) -> Option<Arc<str>> {
        let learned = self.kept.plugins.load();
        learned.as_ref().filter(|l| *l.about == *about && !l.text.is_empty()).map(|l| l.text.clone())
    }

    /// Is there anything to learn?
    pub(crate) fn may_learn_plugins(&self) -> bool {
        self.kept.plugins.load().as_ref().is_none_or(|l| l.at.elapsed() >= FRESHNESS)
    }

    /// Reads NocoBase's list again. One call at a time; the others return at once.
    pub(crate) async fn learn_plugins(&self, upstreams: &Upstreams, about: Arc<About>) {
        let Ok(_one_at_a_time) = self.kept.learning.try_lock() else { return };
        if !self.may_learn_plugins() {
            return;
        }
        let list = self.fetcher.enabled_plugins(upstreams).await;
        let (text, dictionary) =
            match list.as_deref().and_then(|list| serde_json::from_slice::<List>(list).ok()) {
                Some(list) => self.told(&list.data).await,
                None => (String::new(), Weak::new()),
            };
        let learned = Learned { at: Instant::now(), about, text: text.into(), dictionary };
        self.kept.plugins.store(Some(Arc::new(learned)));
    }

    async fn told(&self, plugins: &[Plugin]) -> (String, Weak<File>) {
        let public_path = self.kept.public_path();
        let modern: HashMap<&str, PluginFile<'_>> = plugins
            .iter()
            .filter_map(|plugin| PluginFile::parse(plugin.modern_url.as_deref()?, public_path))
            .map(|file| (file.package, file))
            .collect();
        let mut waiting: VecDeque<PluginFile<'_>> =
            plugins.iter().filter_map(|p| PluginFile::parse(p.url.as_deref()?, public_path)).collect();
        let mut files: Vec<PluginFile<'_>> = Vec::new();
        let mut scripts: Vec<Arc<File>> = Vec::new();
        while let Some(file) = waiting.pop_front() {
            if files.len() == MAX_FILES || files.contains(&file) {
                continue;
            }
            let Some(cached) = self.cached(file.url).await else { continue };
            waiting.extend(required(&cached.bytes).filter_map(|package| modern.get(package).copied()));
            files.push(file);
            scripts.push(cached);
        }
        let mut dictionary = Weak::new();
        if let Some(place) = dictionary::choose(&scripts)
            && let (Some(script), Some(before)) = (scripts.get(place), files.get_mut(..=place))
        {
            // Browsers need it before the others.
            before.rotate_right(1);
            self.compress_with(script, &scripts);
            dictionary = Arc::downgrade(script);
        }
        (format(&files, public_path), dictionary)
    }

    /// The cached script with this address, if the address will never stand for another one.
    async fn cached(&self, url: &str) -> Option<Arc<File>> {
        let file = self.kept.cache.get(&Key::File(url.into())).await.and_then(Entry::file)?;
        (file.kind == FileKind::Script && file.is_lasting()).then_some(file)
    }
}

/// The packages whose modern client this script requires.
fn required(script: &[u8]) -> impl Iterator<Item = &str> {
    let head = script.get(..HEAD).unwrap_or(script);
    memmem::find_iter(head, b"/client-v2\"").filter_map(move |end| {
        let before = head.get(..end)?;
        let start = memchr::memrchr(b'"', before)?;
        std::str::from_utf8(before.get(start + 1..)?).ok()
    })
}

/// `<folder> client <package>=<hash> ... client-v2 <package>=<hash> ...`, which is short: a page cannot be compressed. The first
/// one is the dictionary of the others.
fn format(files: &[PluginFile<'_>], public_path: &str) -> String {
    let mut text = String::new();
    let mut client = "";
    for file in files {
        if text.is_empty() {
            text = format!("{public_path}{FOLDER}");
        }
        if file.client != client {
            client = file.client;
            let _ = write!(text, " {client}");
        }
        let _ = write!(text, " {}={}", file.package.strip_prefix(PREFIX).unwrap_or(file.package), file.hash);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nocobase::versions::Version;

    fn parsed(url: &str) -> Option<(&str, &str, &str)> {
        PluginFile::parse(url, "/nb/").map(|f| (f.package, f.client, f.hash))
    }

    #[test]
    fn only_scripts_of_plugins_with_a_hash_are_named() {
        let good = "/nb/static/plugins/@nocobase/plugin-acl/dist/client/index.js?hash=75fb3bb0";
        assert_eq!(parsed(good), Some(("@nocobase/plugin-acl", "client", "75fb3bb0")));
        let other = "/nb/static/plugins/@x/mine/dist/client-v2/index.js?hash=1";
        assert_eq!(parsed(other), Some(("@x/mine", "client-v2", "1")));
        for bad in [
            "/static/plugins/@nocobase/plugin-acl/dist/client/index.js?hash=75fb3bb0",
            "https://cdn.test/nb/static/plugins/@nocobase/plugin-acl/dist/client/index.js?hash=75fb3bb0",
            "//cdn.test/nb/static/plugins/@a/b/dist/client/index.js?hash=75fb3bb0",
            "/nb/api/x/dist/client/index.js?hash=75fb3bb0",
            "/nb/static/plugins/../../api/dist/client/index.js?hash=1",
            "/nb/static/plugins/@a/../dist/client/index.js?hash=1",
            "/nb/static/plugins/a/dist/client/index.js?hash=1",
            "/nb/static/plugins/@a/b/c/dist/client/index.js?hash=1",
            "/nb/static/plugins/@a/b/dist/server/index.js?hash=1",
            "/nb/static/plugins/@a/b/dist/client/index.js?hash=",
            "/nb/static/plugins/@a/b/dist/client/index.js?hash=1&x=2",
            "/nb/static/plugins/@a/b/dist/client/index.js?hash=1\" onload=\"x",
            "/nb/static/plugins/@a/b c/dist/client/index.js?hash=1",
            "/nb/static/plugins/@a/b=c/dist/client/index.js?hash=1",
            "/nb/static/plugins/@a/b/dist/client/index.js",
            "",
        ] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }

    #[test]
    fn required_packages_are_read_at_the_beginning_of_a_script() {
        let script = br#"!function(e,t){t(require("@nocobase/plugin-ai/client-v2"),require("react"),require("b/client-v2"))"#;
        assert_eq!(required(script).collect::<Vec<_>>(), ["@nocobase/plugin-ai", "b"]);
        let late = [&vec![b' '; HEAD][..], script].concat();
        assert_eq!(required(&late).count(), 0);
        assert_eq!(required(b"/client-v2\"").count(), 0);
    }

    /// Its version alone shows that it is another one: the list is read again with the next page load.
    #[tokio::test]
    async fn another_version_of_nocobase_has_other_files() {
        let gate = crate::proxy::test_gate::gate("");
        let assets = gate.assets.as_ref().unwrap();
        let about = |version| About { version: Version::parse(version), page: None };
        assert_eq!(assets.plugins(&about("2.2.15")), None);
        let (at, text) = (Instant::now(), "/static/plugins/ client acl=1a".into());
        let (about_it, dictionary) = (Arc::new(about("2.2.15")), Weak::new());
        assets.kept.plugins.store(Some(Arc::new(Learned { at, about: about_it, text, dictionary })));
        assert!(assets.plugins(&about("2.2.15")).is_some());
        assert_eq!(assets.plugins(&about("2.2.16")), None);
    }

    #[test]
    fn pages_are_told_in_few_words() {
        let url = |name: &str, client: &str| format!("/static/plugins/{name}/dist/{client}/index.js?hash=1a");
        let urls = [
            url("@nocobase/plugin-acl", "client"),
            url("@x/mine", "client"),
            url("@nocobase/plugin-ai", "client-v2"),
            url("@nocobase/plugin-map", "client"),
        ];
        let files: Vec<_> = urls.iter().filter_map(|url| PluginFile::parse(url, "/")).collect();
        assert_eq!(
            format(&files, "/"),
            "/static/plugins/ client acl=1a @x/mine=1a client-v2 ai=1a client map=1a"
        );
        assert_eq!(format(&[], "/"), "");
    }
}
