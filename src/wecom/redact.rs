//! Makes text that came from outside fit for a log line: known secrets out, control characters out, short.

use super::address::encode;

/// Longest text of WeCom's that goes into a log line, in bytes.
const LONGEST: usize = 300;

/// `text` without any of `secrets` (as they are, and percent-encoded), on one line, cut to a sane length.
pub(super) fn redact(text: &str, secrets: &[&str]) -> String {
    // Longest first: a secret that is part of another must not leave the other's rest behind.
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
    let mut line: String = out.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.len() > LONGEST {
        line.truncate(line.floor_char_boundary(LONGEST));
        line.push('…');
    }
    line
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
        ];
        for (text, secrets, want) in cases {
            assert_eq!(redact(text, secrets), *want);
        }
    }

    #[test]
    fn r27_cutting_comes_after_redaction() {
        let secret = "s".repeat(64);
        let text = format!("{}{secret}", "x".repeat(290));
        assert!(!redact(&text, &[&secret]).contains("ss"));
        assert!(redact(&"界".repeat(1000), &[]).len() < 310);
    }
}
