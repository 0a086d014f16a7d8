//! R25: the scripts of plugins, compressed with one of them (RFC 9842): only for a client that has it, only what NocoBase names, and
//! never with anything but the dictionary that the client names.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::plugins::{JSON, LIST, nocobase, told, url};
use super::*;
use crate::support::raw::Process;

const ACCEPT: &str = "Accept-Encoding: gzip, deflate, br, zstd, dcb, dcz\r\n";
const VARY: &str = "Accept-Encoding, Available-Dictionary";
/// The largest plugin.
const LARGEST: &str = "workflow";

/// What scripts have in common; `version` makes it different.
fn common(version: usize) -> String {
    (0..900).map(|i| format!("function f{i}(){{return {}}}\n", (i + version) * i % 9973)).collect()
}

/// A script that has much in common with the others.
fn script_of(name: &str, version: usize) -> String {
    format!("var name = '{name}';\n{}", &common(version)[name.len() * 100..9000])
}

fn sha256(content: &str) -> ring::digest::Digest {
    ring::digest::digest(&ring::digest::SHA256, content.as_bytes())
}

fn available(dictionary: &str) -> String {
    format!("Available-Dictionary: :{}:\r\n", BASE64.encode(sha256(dictionary)))
}

/// What a browser with this dictionary makes of the response.
fn decompressed(response: &Response, dictionary: &str) -> String {
    let at = response.raw.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let body = &response.raw[at..];
    assert_eq!(response.header("content-length").unwrap(), body.len().to_string());
    assert_eq!(body[..8], [0x5e, 0x2a, 0x4d, 0x18, 0x20, 0, 0, 0]);
    assert_eq!(&body[8..40], sha256(dictionary).as_ref());
    let mut reader =
        zstd::stream::read::Decoder::with_ref_prefix(&body[40..], dictionary.as_bytes()).unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    text
}

fn coding(response: &Response) -> String {
    response.header("content-encoding").unwrap_or_default()
}

/// A gate before a NocoBase with plugins, and a member.
struct Plugins {
    upstream: Upstream,
    member: Visitor,
    gate: Process,
}

impl Plugins {
    async fn start(files: &[(&str, String)], listed: &[&str], public_path: &str) -> Plugins {
        let upstream = nocobase(public_path).await;
        file(&upstream, &format!("{public_path}api/auth:check"), JSON, r#"{"data":{"id":7}}"#);
        let setup = Setup::new(upstream.address).set("nocobase.public_path", public_path);
        let gate = setup.start().await;
        let plugins = Plugins { member: setup.visitor(), upstream, gate };
        plugins.release(files, listed, "1a", public_path);
        for (name, content) in files {
            let file = plugins.ask(&in_folder(public_path, name, "1a"), "").await;
            assert_eq!(super::content(&file), content.as_bytes());
            assert_eq!(file.header("use-as-dictionary"), None, "pages are not told yet");
        }
        plugins
    }

    /// NocoBase has these files, and names these plugins with this hash.
    fn release(&self, files: &[(&str, String)], listed: &[&str], hash: &str, public_path: &str) {
        for (name, content) in files {
            let url = in_folder(public_path, name, hash);
            file(&self.upstream, url.split('?').next().unwrap(), SCRIPT, content);
        }
        let plugin = |name: &&str| format!(r#"{{"url":"{}"}}"#, in_folder(public_path, name, hash));
        let list = listed.iter().map(plugin).collect::<Vec<_>>().join(",");
        let path = format!("{public_path}{}", &LIST[1..]);
        file(&self.upstream, &path, JSON, &format!(r#"{{"data":[{list}]}}"#));
    }

    async fn ask(&self, target: &str, lines: &str) -> Response {
        let lines = format!("{}{lines}", self.member.cookie_line());
        let response = send_raw(self.gate.http, get(target, &lines)).await;
        assert!([200, 304].contains(&response.status()), "{target} {lines}: {}", response.text());
        response
    }

    async fn told(&self, page: &str, expected: &str) {
        eventually("pages are told", async || {
            told(&self.gate, &self.member, page).await.as_deref() == Some(expected)
        })
        .await;
    }
}

fn in_folder(public_path: &str, name: &str, hash: &str) -> String {
    format!("{public_path}{}", &url(name, "client", hash)[1..])
}

#[tokio::test(flavor = "multi_thread")]
async fn r25_scripts_are_compressed_with_a_dictionary_for_clients_that_have_it() {
    let dictionary = common(0);
    let files = [
        ("acl", script_of("acl", 0)),
        (LARGEST, dictionary.clone()),
        ("map", script_of("map", 0)),
        // Nothing that the others have, and small by itself.
        ("odd", "o".repeat(3000)),
        // NocoBase does not name it.
        ("evil", format!("{dictionary}{dictionary}")),
    ];
    let plugins = Plugins::start(&files, &["odd", "acl", LARGEST, "map"], "/").await;
    let own = "/assets/index-0a1b2c3d.js";
    file(&plugins.upstream, own, SCRIPT, &files[0].1);
    // The page names the largest first.
    plugins.told("/admin", &format!("/static/plugins/ client {LARGEST}=1a odd=1a acl=1a map=1a")).await;
    for (lines, hash, expected) in [("", "1a", Some("match=\"/static/plugins/*\"")), (ACCEPT, "2b", None)] {
        let first = plugins.ask(&url(LARGEST, "client", hash), lines).await;
        assert_eq!(first.header("use-as-dictionary").as_deref(), expected, "{hash}");
        assert_eq!(super::content(&first), dictionary.as_bytes());
        assert_eq!(first.header("vary").as_deref(), Some(VARY));
    }
    let has = format!("{ACCEPT}{}", available(&dictionary));
    for (name, content) in [&files[0], &files[2]] {
        let target = url(name, "client", "1a");
        eventually("it is compressed", async || coding(&plugins.ask(&target, &has).await) == "dcz").await;
        let small = plugins.ask(&target, &has).await;
        assert_eq!(decompressed(&small, &dictionary), *content);
        assert_eq!(small.header("vary").as_deref(), Some(VARY));
        assert_eq!(cache_control(&small), "private, max-age=31536000, immutable");
        assert_eq!(small.header("content-type").as_deref(), Some("application/javascript; charset=utf-8"));
        assert!(small.header("use-as-dictionary").is_none());
        let tag = small.header("etag").unwrap();
        for lines in [
            ACCEPT.to_owned(),
            format!("{ACCEPT}{}", available("another")),
            format!("{ACCEPT}Available-Dictionary: x\r\n"),
            format!("{ACCEPT}{0}{0}", available(&dictionary)),
            has.replace(", dcz", ""),
            has.replace("dcz", "dcz;q=0"),
            has.replace("dcz", "dcz;q=0.5"),
            available(&dictionary),
        ] {
            let whole = plugins.ask(&target, &lines).await;
            assert_ne!(coding(&whole), "dcz", "{lines}");
            assert_eq!(super::content(&whole), content.as_bytes(), "{lines}");
            assert_eq!(whole.header("vary").as_deref(), Some(VARY));
            assert_ne!(whole.header("etag").unwrap(), tag, "{lines}");
        }
        // The ETag stands for the same content, whatever the client has now.
        for lines in [&has, ACCEPT] {
            let same = plugins.ask(&target, &format!("{lines}If-None-Match: {tag}\r\n")).await;
            assert_eq!((same.status(), same.header("etag").as_ref()), (304, Some(&tag)));
            assert_eq!(same.header("vary").as_deref(), Some(VARY));
            assert!(same.header("content-encoding").is_none());
        }
        for wrong in ["-dcz-", "-dcz-0123456", "-dcz-012345678", "-dcz-xxxxxxxx", "-dcz"] {
            let content = tag.split('-').next().unwrap();
            let lines = format!("{has}If-None-Match: {content}{wrong}\"\r\n");
            assert_eq!(plugins.ask(&target, &lines).await.status(), 200, "{wrong}");
        }
        let head = request("HEAD", &target, &format!("{}{has}", plugins.member.cookie_line()));
        let head = send_raw(plugins.gate.http, head).await;
        assert_eq!(
            (coding(&head).as_str(), head.header("etag"), head.body().as_str()),
            ("dcz", Some(tag), "")
        );
    }
    // They are compressed in the order of the list. Neither what is smaller without, nor what NocoBase does not name, nor what is elsewhere, nor the dictionary itself.
    for (target, content) in [
        (url("odd", "client", "1a"), &files[3].1),
        (url("evil", "client", "1a"), &files[4].1),
        (own.to_owned(), &files[0].1),
        (url(LARGEST, "client", "1a"), &files[1].1),
    ] {
        let response = plugins.ask(&target, &has).await;
        assert_ne!(coding(&response), "dcz", "{target}");
        assert_eq!(super::content(&response), content.as_bytes(), "{target}");
        let in_folder = target.starts_with("/static/plugins/");
        assert_eq!(response.header("vary").as_deref() == Some(VARY), in_folder, "{target}");
    }
    // It gives nobody a file.
    let stranger = send_raw(plugins.gate.http, get(&url("acl", "client", "1a"), &has)).await;
    assert_eq!(stranger.status(), 401, "{}", stranger.text());
}

/// After an upgrade there is another dictionary: nobody gets what was compressed with the one before, unless they still name it.
#[tokio::test(flavor = "multi_thread")]
async fn r25_another_version_of_nocobase_has_another_dictionary() {
    let files = |version: usize| {
        // Like a plugin that has not changed.
        let same = format!("{}{}", &common(0)[..6000], &common(1)[..6000]);
        [("acl", script_of("acl", version)), (LARGEST, common(version)), ("same", same)]
    };
    let listed = ["acl", LARGEST, "same"];
    let plugins = Plugins::start(&files(0), &listed, "/nb/").await;
    let target = |name: &str, hash: &str| in_folder("/nb/", name, hash);
    let has = |version: usize| format!("{ACCEPT}{}", available(&common(version)));
    let compressed = async |hash: &str, version: usize| {
        let expected = format!("/nb/static/plugins/ client {LARGEST}={hash} acl={hash} same={hash}");
        plugins.told("/nb/admin", &expected).await;
        let first = plugins.ask(&target(LARGEST, hash), ACCEPT).await;
        assert_eq!(first.header("use-as-dictionary").as_deref(), Some("match=\"/nb/static/plugins/*\""));
        for (name, content) in files(version).iter().filter(|(name, _)| *name != LARGEST) {
            eventually("it is compressed", async || {
                coding(&plugins.ask(&target(name, hash), &has(version)).await) == "dcz"
            })
            .await;
            let small = plugins.ask(&target(name, hash), &has(version)).await;
            assert_eq!(decompressed(&small, &common(version)), *content);
        }
    };
    compressed("1a", 0).await;
    plugins.release(&files(1), &listed, "2b", "/nb/");
    eventually("the new files are immutable", async || {
        let mut lasting = true;
        for name in listed {
            let file = plugins.ask(&target(name, "2b"), "").await;
            lasting &= cache_control(&file).contains("immutable");
        }
        lasting
    })
    .await;
    compressed("2b", 1).await;
    for (hash, held, content) in [("2b", 0, 1), ("1a", 0, 0)] {
        let response = plugins.ask(&target("acl", hash), &has(held)).await;
        assert_ne!(coding(&response), "dcz", "{hash}");
        assert_eq!(super::content(&response), script_of("acl", content).as_bytes(), "{hash}");
    }
    // A file of the old version that has never been compressed with the new dictionary.
    assert_ne!(coding(&plugins.ask(&target("acl", "1a"), &has(1)).await), "dcz");
}
