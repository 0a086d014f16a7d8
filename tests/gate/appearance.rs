//! The appearance of the gate's pages: what WeCom's console has about the app, and what the configuration sets instead.

use crate::support::browser::CHROME;
use crate::support::{Browser, Config, Stage, eventually};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nnot much of a picture";

#[tokio::test(flavor = "multi_thread")]
async fn the_apps_name_and_picture_come_from_wecoms_console() {
    let stage = Stage::start(|c: &mut Config| _ = c.set("access.browsers", "deny")).await;
    let mut browser = Browser::new(&stage.gate, CHROME);
    let name = stage.wecom().data().companies[0].apps[0].name.clone();
    eventually("the app's name and picture are there", async || {
        let page = browser.visit("/admin").await.body;
        page.contains(&format!("<span>{name}</span>")) && page.contains("src=\"data:image/png;base64,")
    })
    .await;
    let page = browser.visit("/admin").await.body;
    assert!(page.contains(&format!("open “{name}”")), "{page}");
    assert_eq!(stage.wecom().calls("/cgi-bin/agent/get"), 1);
}

/// A reload with another app in WeCom: its name at once, and never the other one's.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_reload_with_another_app_the_pages_have_its_name() {
    let stage = Stage::start(|c: &mut Config| _ = c.set("access.browsers", "deny")).await;
    let mut browser = Browser::new(&stage.gate, CHROME);
    let (first, second) = {
        let apps = &stage.wecom().data().companies[0].apps;
        (apps[0].name.clone(), apps[1].clone())
    };
    assert_ne!(first, second.name);
    let brand = |name: &str| format!("<span>{name}</span>");
    eventually("the first app's name", async || browser.visit("/admin").await.body.contains(&brand(&first)))
        .await;
    let mut config = stage.config.clone();
    config.set("wecom.agent_id", second.agent_id.to_string()).set("wecom.secret", second.secret.clone());
    stage.gate.rewrite(&config.text());
    stage.gate.signal("HUP");
    stage.gate.wait_for_log(&["\"event\":\"reload\"", "configuration reloaded"]).await;
    assert!(!browser.visit("/admin").await.body.contains(&brand(&first)));
    eventually("the other app's name", async || {
        browser.visit("/admin").await.body.contains(&brand(&second.name))
    })
    .await;
    // With the same app, what is known stays, and WeCom is not asked again.
    let asked = stage.wecom().calls("/cgi-bin/agent/get");
    config.set("pages.accent", "#8a1538");
    stage.gate.rewrite(&config.text());
    stage.gate.signal("HUP");
    eventually("the colour", async || browser.visit("/admin").await.body.contains("#8a1538")).await;
    assert!(browser.visit("/admin").await.body.contains(&brand(&second.name)));
    assert_eq!(stage.wecom().calls("/cgi-bin/agent/get"), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_configuration_gives_is_on_the_pages_and_in_json() {
    let dir = tempfile::tempdir().unwrap();
    let logo = dir.path().join("logo.png");
    std::fs::write(&logo, PNG).unwrap();
    std::fs::create_dir(dir.path().join("texts")).unwrap();
    let texts = dir.path().join("texts/zh.ftl");
    std::fs::write(&texts, "no-session = 请重新进入\n").unwrap();
    let folder = dir.path().join("texts").to_str().unwrap().to_owned();
    let logo = logo.to_str().unwrap().to_owned();
    let stage = Stage::start(move |c: &mut Config| {
        c.set("pages.title", "Example Ltd").set("pages.logo_file", logo).set("pages.accent", "#8a1538");
        c.set("pages.texts", folder).set("access.browsers", "deny");
        let help: toml::Table = "help = [{ text = 'Ask the IT desk', link = 'tel:114' }]".parse().unwrap();
        c.set("pages.help", help["help"].clone());
    })
    .await;
    let mut browser = Browser::new(&stage.gate, CHROME);
    let page = browser.visit("/admin").await.body;
    for part in [
        "<span>Example Ltd</span>",
        "data:image/png;base64,iVBO",
        "#8a1538",
        "<a href=\"tel:114\">Ask the IT desk</a>",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    // The script for NocoBase's pages has them, too, and its address changes with them.
    let script = browser.visit("/wecom-gate/gate.js").await.body;
    for part in ["var ACCENT = '#8a1538';", "\"help\":\"Ask the IT desk\",\"link\":\"tel:114\""] {
        assert!(script.contains(part), "{part}: {script}");
    }
    browser.extra.insert("accept-language", "zh-CN".parse().unwrap());
    let call = browser.fetch(reqwest::Method::GET, "/api/orders:list");
    let call = browser.send(call).await;
    assert_eq!(call.json()["errors"][0]["message"], "请重新进入", "{}", call.body);
    // A reload reads the files again; after an invalid one the previous texts stay in use.
    std::fs::write(&texts, "no-sesion = x\n").unwrap();
    stage.gate.signal("HUP");
    stage.gate.wait_for_log(&["\"event\":\"reload\"", "no-sesion"]).await;
    std::fs::write(&texts, "no-session = 请登录\n").unwrap();
    stage.gate.signal("HUP");
    eventually("the new text", async || {
        let call = browser.fetch(reqwest::Method::GET, "/api/orders:list");
        browser.send(call).await.body.contains("请登录")
    })
    .await;
}
