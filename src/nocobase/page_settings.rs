//! The settings for its client that NocoBase writes into its index page: `window['__nocobase_...'] = ...;`. They are read, not
//! assumed, because an operator may have changed each of them in NocoBase's environment.

use memchr::memmem;

use crate::message::{Message, message};

/// Longest value that is accepted.
const MAX_LENGTH: usize = 512;

/// The settings of one index page. `None`: the page does not have it (older versions lack some of them).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageSettings {
    /// `APP_PUBLIC_PATH`. In the page of the modern client it includes that client's own prefix.
    pub public_path: Option<String>,
    /// `APP_MODERN_CLIENT_PREFIX`: the folder of the modern client, without slashes.
    pub modern_prefix: Option<String>,
    /// `APP_CLIENT_ENTRY_MODE`: `legacy-default`, `modern-default` or `modern-only`.
    pub entry_mode: Option<String>,
    /// `API_BASE_URL` or `API_BASE_PATH`.
    pub api_base_url: Option<String>,
    /// `API_CLIENT_STORAGE_PREFIX`: prefix of the names in the browser's storage.
    pub storage_prefix: Option<String>,
    /// `API_CLIENT_STORAGE_TYPE`: `localStorage`, `sessionStorage` or `memory`.
    pub storage_type: Option<String>,
    /// `API_CLIENT_SHARE_TOKEN`: all applications use one token.
    pub share_token: Option<String>,
    /// `WEBSOCKET_URL`.
    pub ws_url: Option<String>,
    /// `WS_PATH`.
    pub ws_path: Option<String>,
}

impl PageSettings {
    /// Reads an index page; `None` if this is not a NocoBase page.
    pub fn read(html: &[u8]) -> Option<PageSettings> {
        let settings = PageSettings {
            public_path: value(html, "__nocobase_public_path__"),
            modern_prefix: value(html, "__nocobase_modern_client_prefix__"),
            entry_mode: value(html, "__nocobase_app_client_entry_mode__"),
            api_base_url: value(html, "__nocobase_api_base_url__"),
            storage_prefix: value(html, "__nocobase_api_client_storage_prefix__"),
            storage_type: value(html, "__nocobase_api_client_storage_type__"),
            share_token: value(html, "__nocobase_api_client_share_token__"),
            ws_url: value(html, "__nocobase_ws_url__"),
            ws_path: value(html, "__nocobase_ws_path__"),
        };
        (settings != PageSettings::default()).then_some(settings)
    }
}

/// A setting of NocoBase that does not fit the gate's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// A configuration key, or a variable of NocoBase's environment.
    pub about: &'static str,
    /// What is wrong.
    pub what: Message,
    /// What to do about it.
    pub remedy: Message,
}

impl PageSettings {
    /// `APP_PUBLIC_PATH`: the page of the modern client appends its own folder.
    pub fn app_public_path(&self) -> Option<&str> {
        let path = self.public_path.as_deref().filter(|path| path.starts_with('/'))?;
        let modern = self.modern_prefix.as_deref().unwrap_or("v");
        let outer = path.strip_suffix('/').and_then(|p| p.strip_suffix(modern)).filter(|p| p.ends_with('/'));
        Some(if self.entry_mode.is_none() { outer.unwrap_or(path) } else { path })
    }

    /// The settings that do not fit a gate with this public path and origin (`https://host`).
    pub fn mismatches(&self, public_path: &str, origin: &str) -> Vec<Mismatch> {
        let mut found = Vec::new();
        if let Some(path) = self.app_public_path().filter(|path| *path != public_path) {
            found.push(Mismatch {
                about: "nocobase.public_path",
                what: message!("it is {public_path}, but NocoBase's page has {path}", public_path, path),
                remedy: message!("set it to {path}, NocoBase's APP_PUBLIC_PATH", path),
            });
        }
        let api = format!("{}api", self.app_public_path().unwrap_or(public_path));
        if let Some(base) = &self.api_base_url {
            let path = base.strip_prefix(origin).unwrap_or(base);
            if path.trim_end_matches('/') != api {
                let variable = if base.contains("://") { "API_BASE_URL" } else { "API_BASE_PATH" };
                found.push(Mismatch {
                    about: variable,
                    what: message!(
                        "NocoBase's page calls its API at {base}, where the gate does not stand or know it",
                        base
                    ),
                    remedy: message!(
                        "leave {variable} out of NocoBase's environment, so that it is {api}/",
                        variable,
                        api
                    ),
                });
            }
        }
        if let Some(url) = self.ws_url.as_deref().filter(|url| !url.is_empty()) {
            let host = origin.split("://").nth(1).unwrap_or_default();
            let theirs = url.split("://").nth(1).unwrap_or_default().split('/').next().unwrap_or_default();
            if theirs != host {
                found.push(Mismatch {
                    about: "WEBSOCKET_URL",
                    what: message!("NocoBase's page opens its WebSocket at {url}, past the gate", url),
                    remedy: message!("leave WEBSOCKET_URL out of NocoBase's environment"),
                });
            }
        }
        found
    }
}

/// The text or word that is assigned to `window['name']`; for `window['name'] || "text"` the text.
fn value(html: &[u8], name: &str) -> Option<String> {
    let mut rest = html;
    while let Some(at) = memmem::find(rest, name.as_bytes()) {
        rest = rest.get(at + name.len()..)?;
        if let Some(value) = assigned(rest) {
            return Some(value);
        }
    }
    None
}

/// Parses what follows the name: `'] = VALUE;`; `None` if the name is only read.
fn assigned(after: &[u8]) -> Option<String> {
    let after = after.strip_prefix(b"']").or_else(|| after.strip_prefix(b"\"]"))?;
    let after = after.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let after = match after.strip_prefix(b"window[") {
        Some(default) => {
            let line = default.split(|b| matches!(b, b';' | b'\n')).next()?;
            let at = memmem::find(line, b"||")?;
            line.get(at + 2..)?.trim_ascii_start()
        }
        None => after,
    };
    let text = match after.first()? {
        quote @ (b'\'' | b'"') => {
            let inside = after.get(1..)?;
            inside.get(..memchr::memchr(*quote, inside)?)?
        }
        _ => {
            let end = after.iter().position(|b| !b.is_ascii_alphanumeric()).unwrap_or(after.len());
            after.get(..end)?
        }
    };
    // No escapes: addresses do not need them, and anything else is ignored.
    let good = text.len() <= MAX_LENGTH && text.iter().all(|b| (b' '..0x7f).contains(b) && *b != b'\\');
    good.then(|| String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NocoBase 2.2.15, in its order and with its quotes.
    const LEGACY: &str = "<head><script>window['__webpack_public_path__'] = '';
window['__nocobase_public_path__'] = '/nocobase/';
window['__nocobase_modern_client_prefix__'] = 'new';
window['__nocobase_app_client_entry_mode__'] = 'modern-only';
window['__nocobase_api_base_url__'] = '/nocobase/api/';
window['__nocobase_api_client_storage_prefix__'] = 'NOCOBASE_';
window['__nocobase_api_client_storage_type__'] = 'localStorage';
window['__nocobase_api_client_share_token__'] = false;
window['__nocobase_ws_url__'] = '';
window['__nocobase_ws_path__'] = '/nocobase/ws';
window['__nocobase_app_dev__'] = false;</script></head>";
    /// The page of its modern client.
    const MODERN: &str = r#"<script>window['__nocobase_public_path__'] = window['__nocobase_public_path__'] || "/v/";
window['__nocobase_modern_client_prefix__'] = window['__nocobase_modern_client_prefix__'] || "v";
window['__nocobase_api_client_share_token__'] = window['__nocobase_api_client_share_token__'] || "false";
window['__nocobase_ws_path__'] = window['__nocobase_ws_path__'] || "/ws";</script>"#;

    #[test]
    fn both_pages_of_nocobase_are_read() {
        let legacy = PageSettings::read(LEGACY.as_bytes()).unwrap();
        let text = |value: &str| Some(value.to_owned());
        assert_eq!(
            legacy,
            PageSettings {
                public_path: text("/nocobase/"),
                modern_prefix: text("new"),
                entry_mode: text("modern-only"),
                api_base_url: text("/nocobase/api/"),
                storage_prefix: text("NOCOBASE_"),
                storage_type: text("localStorage"),
                share_token: text("false"),
                ws_url: text(""),
                ws_path: text("/nocobase/ws"),
            }
        );
        let modern = PageSettings::read(MODERN.as_bytes()).unwrap();
        assert_eq!((modern.public_path, modern.modern_prefix), (text("/v/"), text("v")));
        assert_eq!((modern.share_token, modern.ws_path), (text("false"), text("/ws")));
        assert_eq!((modern.entry_mode, modern.api_base_url), (None, None));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let legacy = PageSettings::read(LEGACY.as_bytes()).unwrap();
        let about = |page: &PageSettings, path: &str| -> Vec<&str> {
            page.mismatches(path, "https://gate.example").iter().map(|m| m.about).collect()
        };
        assert_eq!(about(&legacy, "/nocobase/"), [""; 0]);
        assert_eq!(about(&legacy, "/"), ["nocobase.public_path"]);
        let with = |api: &str, ws: &str| {
            let (api_base_url, ws_url) = (Some(api.to_owned()), Some(ws.to_owned()));
            about(&PageSettings { api_base_url, ws_url, ..legacy.clone() }, "/nocobase/").join(" ")
        };
        for (api, ws, want) in [
            ("/nocobase/api", "", ""),
            ("https://gate.example/nocobase/api/", "wss://gate.example/nocobase/ws", ""),
            ("/api/", "", "API_BASE_PATH"),
            ("/nocobase/rest/", "", "API_BASE_PATH"),
            ("https://api.example/api/", "", "API_BASE_URL"),
            ("https://gate.example.evil/nocobase/api/", "", "API_BASE_URL"),
            ("/nocobase/api/", "wss://other.example/ws", "WEBSOCKET_URL"),
        ] {
            assert_eq!(with(api, ws), want, "{api} {ws}");
        }
        // The modern client's page includes its own folder.
        let modern = PageSettings::read(MODERN.as_bytes()).unwrap();
        assert_eq!((modern.app_public_path(), about(&modern, "/")), (Some("/"), vec![]));
    }

    #[test]
    fn anything_but_a_nocobase_page_has_no_settings() {
        let long = format!("window['__nocobase_ws_path__'] = '{}'", "x".repeat(MAX_LENGTH + 1));
        for other in [
            "",
            "ok",
            "<!DOCTYPE html><html></html>",
            "window['__nocobase_ws_path__'",
            "window['__nocobase_ws_path__'] = ",
            "window['__nocobase_ws_path__'] = 'x",
            "window['__nocobase_ws_path__'] = 'a\\u0062'",
            "window['__nocobase_ws_path__'] = '\u{e4}'",
            "if (window['__nocobase_ws_path__']) {}",
            "window['__nocobase_ws_path__'] = window['__nocobase_ws_path__'];\n x || 'y'",
            &long,
        ] {
            assert_eq!(PageSettings::read(other.as_bytes()), None, "{other}");
        }
        // A name that is read first is found where it is assigned.
        let late = "if (!window['__nocobase_ws_path__']) window['__nocobase_ws_path__'] = \"/socket\"";
        assert_eq!(PageSettings::read(late.as_bytes()).unwrap().ws_path.as_deref(), Some("/socket"));
    }
}
