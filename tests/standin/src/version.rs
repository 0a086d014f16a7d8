//! Differences between versions of NocoBase, as observed on running ones.

use crate::{Node, PAGE};

/// Features of a version.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Scripts beside the pages (`/umi.<hash>.js`) instead of in `/assets/`.
    pub(crate) root_bundles: bool,
    /// `/files/...`, and cookies that give access to them.
    pub(crate) files: bool,
    /// Sign-ins set a cookie with their token.
    pub(crate) token_cookies: bool,
    /// A modern client below `/v`; the page contains the prefix.
    pub(crate) modern: bool,
    /// Has the table `issuedTokens`.
    pub(crate) issued_tokens: bool,
}

impl Shape {
    pub(crate) fn of(node: &Node) -> Shape {
        let version = node.data.lock().version;
        let mut numbers = version.split('.').map(|n| n.parse::<u32>().unwrap_or(0));
        let number = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        Shape {
            root_bundles: number < (2, 1),
            files: number >= (2, 2),
            token_cookies: number >= (2, 2),
            modern: number >= (2, 1),
            issued_tokens: number >= (1, 6),
        }
    }
}

pub(crate) fn is_root_bundle(path: &str) -> bool {
    path.starts_with("/umi.") || path.ends_with(".async.js")
}

/// Path of its API (`API_BASE_PATH`).
pub(crate) fn api(node: &Node) -> String {
    let data = node.data.lock();
    let set = data.settings.iter().find(|(name, value)| *name == "api_base_url" && value.starts_with('/'));
    set.map_or("/api/", |(_, value)| value).to_owned()
}

/// The index page, with its settings.
pub(crate) fn page(node: &Node) -> String {
    let shape = Shape::of(node);
    let mut settings =
        vec![("public_path", "/"), ("api_base_url", "/api/"), ("ws_url", ""), ("ws_path", "/ws")];
    if shape.modern {
        settings.extend([("modern_client_prefix", "v"), ("app_client_entry_mode", "legacy-default")]);
    }
    settings.extend(node.data.lock().settings.iter().copied());
    // The last one of a name counts.
    let mut said = String::new();
    for (i, (name, value)) in settings.iter().enumerate() {
        if settings[i + 1..].iter().all(|(later, _)| later != name) {
            said.push_str(&format!("window['__nocobase_{name}__'] = '{value}';\n"));
        }
    }
    let script = if shape.root_bundles { "/umi.0a1b2c3d.js" } else { "/assets/index-93181bbb.js" };
    PAGE.replace("<script>", &format!("<script>{said}"))
        .replace("</script>", &format!("</script><script src=\"{script}\"></script>"))
}
