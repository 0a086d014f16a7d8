//! The language of a page: the one chosen in NocoBase, else that of WeCom's client, else the browser's.

use crate::support::raw::{gate, get, send_raw};

const DESKTOP: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36";
const WECOM: &str = "Mozilla/5.0 (Linux; Android 14; wv) Chrome/116.0 wxwork/4.1.30 MicroMessenger/7.0.1";

#[tokio::test(flavor = "multi_thread")]
async fn pages_speak_the_persons_language() {
    let (_upstream, _setup, gate) = gate().await;
    for (headers, lang, words) in [
        (String::new(), "en", "Page not found"),
        ("Accept-Language: de-CH,de;q=0.9,en;q=0.5\r\n".into(), "de", "Seite nicht gefunden"),
        ("Accept-Language: fr,es-MX;q=0.9\r\n".into(), "es", "Página no encontrada"),
        ("Accept-Language: nl\r\n".into(), "nl", "Pagina niet gevonden"),
        ("Accept-Language: ru-RU\r\n".into(), "ru", "Страница не найдена"),
        ("Accept-Language: sv-SE,en;q=0.1\r\n".into(), "sv", "Sidan hittades inte"),
        ("Accept-Language: zh-TW\r\n".into(), "zh", "页面不存在"),
        // Chosen in NocoBase: the header that its page sends, or the cookie in which gate.js keeps it.
        ("Accept-Language: en\r\nX-Locale: ru-RU\r\n".into(), "ru", "Страница не найдена"),
        (
            "Accept-Language: en\r\nCookie: a=b; wecom_gate_lang=nl-NL\r\n".into(),
            "nl",
            "Pagina niet gevonden",
        ),
        ("Accept-Language: sv\r\nCookie: wecom_gate_lang=<script>\r\n".into(), "sv", "Sidan hittades inte"),
    ] {
        let headers = format!("Accept: text/html\r\nUser-Agent: {DESKTOP}\r\n{headers}");
        let response = send_raw(gate.http, get("/wecom-gate/nothing", &headers)).await;
        assert!(
            response.text().contains(&format!("<html lang=\"{lang}\">")),
            "{headers}: {}",
            response.text()
        );
        assert!(response.text().contains(words), "{headers}: {}", response.text());
        assert_eq!(response.header("content-language").as_deref(), Some(lang), "{headers}");
    }
    for (token, lang) in
        [("Language/zh", "zh"), ("Lang/zh", "zh"), ("Language/en", "en"), ("Language/zh_CN", "zh")]
    {
        let headers = format!("Accept: text/html\r\nUser-Agent: {WECOM} {token}\r\nAccept-Language: de\r\n");
        let response = send_raw(gate.http, get("/wecom-gate/nothing", &headers)).await;
        assert_eq!(response.header("content-language").as_deref(), Some(lang), "{token}");
    }
    // Messages in JSON, which NocoBase's page shows.
    let response = send_raw(gate.http, get("/api/users:list", "X-Locale: de-DE\r\n")).await;
    assert!(response.body().contains("Bitte melden Sie sich an"), "{}", response.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn wecoms_web_login_gets_the_language_too() {
    let (_upstream, _setup, gate) = gate().await;
    for (headers, lang) in [
        ("Accept-Language: zh-CN,zh;q=0.9\r\n", "zh"),
        ("Accept-Language: de\r\n", "en"),
        ("Accept-Language: de\r\nCookie: wecom_gate_lang=zh-CN\r\n", "zh"),
        ("", "en"),
    ] {
        let headers = format!("Accept: text/html\r\nUser-Agent: {DESKTOP}\r\n{headers}");
        let location = send_raw(gate.http, get("/admin", &headers)).await.header("location").unwrap();
        assert!(
            location.contains("/wwlogin/sso/login") && location.contains(&format!("lang={lang}")),
            "{location}"
        );
    }
}
