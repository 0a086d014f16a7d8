//! Files of NocoBase's client: scripts, styles, images and fonts. They are the same for every user, so the gate may cache them
//! (R25). Which requests are for such a file, and which responses may be one?
//!
//! Folders, names and types are matched exactly; everything else is forwarded as usual. Whether the client may have the file is
//! decided elsewhere, before this.

use super::password::is_client_file;
use super::policy::Policy;

/// Longest value of a parameter that names a file's version, in bytes.
const MAX_VERSION_LENGTH: usize = 40;
/// Names of these parameters. NocoBase itself ignores them.
const VERSIONS: [&str; 4] = ["hash", "v", "t", "version"];
/// The API call that returns the texts of the page.
const TEXTS: &str = "app:getLang";
/// Shortest hash in a file name, in digits.
const MIN_HASH_LENGTH: usize = 8;

/// What distinguishes a file's versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// A hash of the content is part of the name: different content has a different name.
    Hashed,
    /// A `?hash=`, which changes with the version and which NocoBase does not check.
    Versioned,
    /// Nothing: the content may change with an upgrade.
    Plain,
}

/// A type of file, by the extension of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A script.
    Script,
    /// A style sheet.
    Style,
    /// JSON: source maps, manifests, texts.
    Json,
    /// WebAssembly.
    Wasm,
    /// An SVG image.
    Svg,
    /// An icon of a site (`.ico`): mostly uncompressed bitmaps.
    Icon,
    /// Any other image.
    Image,
    /// A font.
    Font,
    /// The texts of the page in one language: an API call whose response is the same for everyone.
    Texts,
}

impl FileKind {
    fn of(ending: &str) -> Option<FileKind> {
        Some(match ending {
            "js" | "mjs" => FileKind::Script,
            "css" => FileKind::Style,
            "json" | "map" | "webmanifest" => FileKind::Json,
            "wasm" => FileKind::Wasm,
            "svg" => FileKind::Svg,
            "ico" => FileKind::Icon,
            "png" | "jpg" | "jpeg" | "gif" | "webp" | "avif" => FileKind::Image,
            "woff" | "woff2" | "ttf" | "otf" | "eot" => FileKind::Font,
            _ => return None,
        })
    }

    /// May a response with this `Content-Type` be such a file? For a file that does not exist, NocoBase responds with its index
    /// page.
    pub fn takes(self, content_type: &str) -> bool {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match self {
            FileKind::Script => {
                matches!(
                    essence.as_str(),
                    "text/javascript" | "application/javascript" | "application/x-javascript"
                )
            }
            FileKind::Style => essence == "text/css",
            FileKind::Texts => essence == "application/json",
            FileKind::Json => {
                matches!(essence.as_str(), "application/json" | "application/manifest+json" | "text/json")
            }
            FileKind::Wasm => essence == "application/wasm",
            FileKind::Svg => essence == "image/svg+xml",
            FileKind::Image | FileKind::Icon => essence.starts_with("image/") && essence != "image/svg+xml",
            FileKind::Font => {
                essence.starts_with("font/")
                    || essence.starts_with("application/font-")
                    || essence.starts_with("application/x-font-")
                    || essence == "application/vnd.ms-fontobject"
            }
        }
    }

    /// Should it be compressed? Other images and fonts are compressed already.
    pub fn is_compressible(self) -> bool {
        !matches!(self, FileKind::Image | FileKind::Font)
    }
}

impl ClientFile<'_> {
    /// May this be its content? If NocoBase does not know the requested language, it responds in the user's own: those texts are
    /// not the same for everyone.
    pub fn may_be(&self, content: &[u8]) -> bool {
        match (self.kind, self.query.and_then(language)) {
            (FileKind::Texts, Some(language)) => {
                content.starts_with(format!(r#"{{"data":{{"lang":"{language}","#).as_bytes())
            }
            (kind, _) => kind != FileKind::Texts,
        }
    }
}

/// A file that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientFile<'a> {
    /// Path (canonical).
    pub path: &'a str,
    /// The parameter that names its version, as sent.
    pub query: Option<&'a str>,
    /// What distinguishes its versions.
    pub naming: Naming,
    /// By its extension.
    pub kind: FileKind,
}

/// The file of NocoBase's client that this request is for, if any.
pub fn client_file<'a>(
    policy: &Policy,
    method: &str,
    path: &'a str,
    query: Option<&'a str>,
) -> Option<ClientFile<'a>> {
    let rest = path.strip_prefix(policy.public_path.as_str())?;
    if let Some(call) = rest.strip_prefix("api/") {
        // Nearly every request returns here.
        return (call == TEXTS && matches!(method, "GET" | "HEAD") && language(query?).is_some())
            .then_some(ClientFile { path, query, naming: Naming::Plain, kind: FileKind::Texts });
    }
    if !matches!(method, "GET" | "HEAD") || !is_client_file(policy, rest) {
        return None;
    }
    // Nothing that an intermediary could read differently (`;`, or anything encoded).
    let plain =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.' | b'@' | b'~' | b'+');
    if !path.bytes().all(plain) {
        return None;
    }
    let name = rest.rsplit('/').next()?;
    let (stem, ending) = name.rsplit_once('.')?;
    let kind = FileKind::of(ending)?;
    let version = match query {
        None => None,
        Some(query) => Some(version(query)?),
    };
    let naming = if is_hashed(stem, rest.contains("static/")) {
        Naming::Hashed
    } else if version == Some("hash") {
        Naming::Versioned
    } else {
        Naming::Plain
    };
    Some(ClientFile { path, query, naming, kind })
}

/// The language that this query names, if it names nothing else.
fn language(query: &str) -> Option<&str> {
    let language = query.strip_prefix("locale=")?;
    let good = (2..=12).contains(&language.len())
        && language.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    good.then_some(language)
}

/// The only parameter of this query, if it names a version.
fn version(query: &str) -> Option<&'static str> {
    let (name, value) = query.split_once('=')?;
    let good = !value.is_empty()
        && value.len() <= MAX_VERSION_LENGTH
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    VERSIONS.into_iter().find(|known| good && *known == name)
}

/// `<name>-<hash>`, `<name>.<hash>`, `<name>.<hash>.async`. `libraries`: the file is a third-party library, in whose name eight
/// digits may be a date.
fn is_hashed(stem: &str, libraries: bool) -> bool {
    let stem = ["async", "chunk"]
        .into_iter()
        .find_map(|kind| stem.strip_suffix(kind)?.strip_suffix('.'))
        .unwrap_or(stem);
    let Some((name, hash)) = stem.rsplit_once(['-', '.']) else { return false };
    !name.is_empty()
        && hash.len() >= MIN_HASH_LENGTH
        && hash.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
        && (!libraries
            || hash.bytes().any(|b| b.is_ascii_digit()) && hash.bytes().any(|b| b.is_ascii_alphabetic()))
}
