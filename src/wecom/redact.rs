//! Makes external text fit for a log line: without known secrets, words that look like secrets, and control characters; short.

use super::address::encode;

/// Longest text from WeCom in a log line, in bytes.
const MAX_LENGTH: usize = 300;

/// An opaque word of at least this length may be a secret: WeCom's secrets, codes, tickets and tokens are longer.
const OPAQUE: usize = 24;

/// `text` without any of `secrets` (as they are, and percent-encoded) and without opaque words that the gate does not know, on
/// one line, cut to [`MAX_LENGTH`]. WeCom's hint ids (`[1655882753557010848204971]`) stay.
pub(super) fn redact(text: &str, secrets: &[&str]) -> String {
    // Longest first: if one secret is part of another, no remainder of the longer one must be left.
    let mut secrets: Vec<&str> = secrets.iter().copied().filter(|s| !s.is_empty()).collect();
    secrets.sort_by_key(|s| std::cmp::Reverse(s.len()));
    let mut out = text.to_owned();
    for secret in secrets {
        for form in [secret.to_owned(), encode(secret)] {
            if out.contains(&form) {
                out = out.replace(&form, "***");
            }
        }
    }
    let mut line = String::new();
    for c in mask_opaque(&out).chars() {
        if line.len() >= MAX_LENGTH {
            line.push('…');
            break;
        }
        line.push(if c.is_control() { ' ' } else { c });
    }
    line
}

fn mask_opaque(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_opaque(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let hint = out.ends_with('[') && word.bytes().all(|b| b.is_ascii_hexdigit() || b == b'_');
        out.push_str(if word.len() < OPAQUE || hint { word } else { "***" });
        let end = after.find(is_opaque).unwrap_or(after.len());
        let (between, after) = after.split_at(end);
        out.push_str(between);
        rest = after;
    }
    out
}

fn is_opaque(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '=' | '%' | '~')
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn r27_known_secrets_never_survive() {
        let cases: &[(&str, &[&str], &str)] = &[
            ("invalid code tok-1 for app", &["tok-1"], "invalid code *** for app"),
            ("a tok/1 b tok%2F1", &["tok/1"], "a *** b ***"),
            ("abcdef abc", &["abc", "abcdef"], "*** ***"),
            ("two\r\nlines\u{0}", &[], "two  lines "),
            ("as it is", &[""], "as it is"),
            ("old token k3Jd8_-Qz0aaBBccDDeeFF1122334455 refused", &[], "old token *** refused"),
            (
                "expired, hint: [1576065934_28_e0fae07666aa64636023c1fa7e8f49a4], from ip: 9.30.0.138, more info at https://open.work.weixin.qq.com/devtool/query?e=42001",
                &[],
                "expired, hint: [1576065934_28_e0fae07666aa64636023c1fa7e8f49a4], from ip: 9.30.0.138, more info at https://open.work.weixin.qq.com/devtool/query?e=42001",
            ),
            ("hint: [k3Jd8-Qz0aaBBccDDeeFF112233]", &[], "hint: [***]"),
        ];
        for (text, secrets, want) in cases {
            assert_eq!(redact(text, secrets), *want);
        }
    }

    #[test]
    fn r27_cutting_comes_after_redaction() {
        let secret = "s".repeat(64);
        let text = format!("{}{secret}", "x ".repeat(145));
        assert!(!redact(&text, &[&secret]).contains("ss"));
        assert!(redact(&"界".repeat(1000), &[]).len() < 310);
    }
}
