//! NocoBase pages that cannot get the gate's script for a technical reason: a member who opens one is not signed in there. An
//! operator has to know that once, not for each page.

use std::sync::atomic::{AtomicU8, Ordering};

/// Why a page does not get the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoScript {
    /// It is compressed, although the gate asked for it uncompressed.
    Encoded = 1,
    /// Its charset is not ASCII-compatible.
    Charset = 2,
    /// It has no head, or one that begins too late.
    NoHead = 4,
}

/// The reasons that have been reported.
#[derive(Debug, Default)]
pub(crate) struct WithoutScript(AtomicU8);

impl WithoutScript {
    /// Writes a log line, the first time that this happens.
    pub(crate) fn warn(&self, why: NoScript, path: &str) {
        if self.0.fetch_or(why as u8, Ordering::Relaxed) & why as u8 != 0 {
            return;
        }
        let (reason, remedy) = match why {
            NoScript::Encoded => (
                "the page is compressed although the gate asked for it uncompressed",
                "turn off compression between the gate and NocoBase",
            ),
            NoScript::Charset => ("the page's charset is not compatible with ASCII", "serve pages in UTF-8"),
            NoScript::NoHead => (
                "the page has no <head> within its first 64 KiB",
                "check what serves this address in place of NocoBase's index page",
            ),
        };
        tracing::warn!(
            event = "page_without_script",
            path,
            reason,
            remedy,
            "a page did not get the gate's script: no one is signed in on it"
        );
    }
}

/// Is this `Content-Type`'s charset one in which `<head>` is not encoded as in ASCII?
pub(crate) fn is_strange(content_type: &str) -> bool {
    let mut parameters = content_type.split(';').skip(1).filter_map(|p| p.split_once('='));
    let charset = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    charset.is_some_and(|(_, value)| {
        let value = value.trim().trim_matches(['"', '\'']).to_ascii_lowercase();
        [
            "utf-16",
            "utf16",
            "utf-32",
            "utf32",
            "ucs-",
            "ucs2",
            "iso-10646",
            "utf-7",
            "ibm037",
            "ebcdic",
            "cp037",
        ]
        .iter()
        .any(|strange| value.starts_with(strange))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charsets_without_ascii_are_known() {
        for strange in ["utf-16", "UTF-16LE", "\"utf-16be\"", " utf-32", "ISO-10646-UCS-2", "'utf-7'"] {
            assert!(is_strange(&format!("text/html; charset={strange}")), "{strange}");
        }
        for usual in
            ["text/html", "text/html;charset=utf-8", "text/html; x=utf-16", "text/html; charset=gb18030", ""]
        {
            assert!(!is_strange(usual), "{usual}");
        }
    }
}
