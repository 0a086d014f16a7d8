//! Pages are told which files of NocoBase's plugins they will request: those that NocoBase itself names and that are cached, and
//! no others, whatever members request.

use super::*;
use crate::support::raw::{Process, WECOM};

const HTML: &str = "Content-Type: text/html; charset=utf-8\r\n";
pub(super) const JSON: &str = "Content-Type: application/json\r\n";
pub(super) const LIST: &str = "/api/pm:listEnabled";

pub(super) fn url(plugin: &str, client: &str, hash: &str) -> String {
    format!("/static/plugins/@nocobase/plugin-{plugin}/dist/{client}/index.js?hash={hash}")
}

fn list(hash: &str) -> String {
    let plugin = |name: &str| {
        let (url, modern) = (url(name, "client", hash), url(name, "client-v2", hash));
        format!(r#"{{"name":"{name}","url":"{url}","clientV2Url":"{modern}"}}"#)
    };
    let plugins = ["acl", "ai", "workflow", "absent"].map(plugin).join(",");
    let foreign = r#"{"url":"https://cdn.test/static/plugins/@nocobase/plugin-x/dist/client/index.js?hash=1"},{"url":"/api/users:list"}"#;
    format!(r#"{{"data":[{plugins},{foreign},{{"name":"none"}}]}}"#)
}

/// What a page is told.
pub(super) async fn told(gate: &Process, member: &Visitor, path: &str) -> Option<String> {
    let lines = format!(
        "{}Accept: text/html\r\nUser-Agent: {WECOM}\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n",
        member.cookie_line()
    );
    let page = send_raw(gate.http, get(path, &lines)).await;
    assert_eq!(page.status(), 200, "{}", page.text());
    assert!(page.text().contains("/wecom-gate/gate.js"), "{}", page.text());
    Some(page.text().split_once(" data-plugins=\"")?.1.split_once('"')?.0.to_owned())
}

/// A NocoBase with pages for both of its clients.
pub(super) async fn nocobase(public_path: &str) -> Upstream {
    let upstream = Upstream::start().await;
    let settings = format!("<script>window['__nocobase_public_path__'] = '{public_path}';</script>");
    file(&upstream, public_path, HTML, &settings);
    for path in ["admin", "v/admin"] {
        let page = "<!DOCTYPE html><html><head></head></html>";
        upstream.set_response(&format!("{public_path}{path}"), "200 OK", HTML, page);
    }
    upstream
}

#[tokio::test(flavor = "multi_thread")]
async fn r25_pages_are_told_what_nocobase_names_and_no_more() {
    let upstream = nocobase("/").await;
    file(&upstream, LIST, JSON, &list("1a"));
    let head = r#"!function(e,t){t(require("react"),require("@nocobase/plugin-workflow/client-v2"))}();"#;
    let names = [("acl", "client"), ("ai", "client"), ("workflow", "client-v2"), ("evil", "client")];
    for (name, client) in names {
        let path = format!("/static/plugins/@nocobase/plugin-{name}/dist/{client}/index.js");
        file(&upstream, &path, SCRIPT, &if name == "ai" { format!("{head}{}", script()) } else { script() });
    }
    let setup = Setup::new(upstream.address);
    let gate = setup.start().await;
    let (member, other) = (setup.visitor(), setup.visitor());
    for (name, client) in names {
        for hash in ["1a", "2b", "ffffffff"] {
            let lines = format!("Referer: {}/admin\r\n{}", "http://gate.test", member.cookie_line());
            assert_eq!(send_raw(gate.http, get(&url(name, client, hash), &lines)).await.status(), 200);
        }
    }
    let expected = "/static/plugins/ client ai=1a acl=1a client-v2 workflow=1a";
    eventually("pages are told", async || told(&gate, &other, "/admin").await.as_deref() == Some(expected))
        .await;
    // NocoBase's other client has other files.
    assert_eq!(told(&gate, &other, "/v/admin").await, None);
    for asked in upstream.recorded().own.iter().filter(|r| r.target() == LIST) {
        assert_eq!((asked.header("cookie"), asked.header("authorization")), (None, None));
    }
    // Another version: what the old one named is forgotten. What members have requested by the new names was not the new files.
    file(&upstream, LIST, JSON, &list("2b"));
    eventually("it is forgotten", async || told(&gate, &other, "/admin").await.is_none()).await;
}
