//! Secrets, given directly or as a file. Reports name a secret's key, never its value.

use std::io::Read as _;
use std::path::Path;

use secrecy::{SecretSlice, SecretString};

use super::super::report::{Report, join};
use super::values::base64_bytes;

/// Larger files are not secrets.
const MAX_BYTES: u64 = 64 * 1024;
/// Length of a key from `wecom-gate keygen`.
const KEY_BYTES: usize = 64;

/// The bytes of a secret; `None` if it is not given or not readable (which is reported).
///
/// A file of printable ASCII is text that someone has written, so trailing newlines are not part of it. Any other file is used as
/// it is: NocoBase keeps 32 random bytes in `jwt_secret.dat`.
fn bytes(section: &str, key: &str, inline: &str, file: &str, report: &mut Report) -> Given {
    if file.is_empty() {
        return if inline.is_empty() { Given::Nothing } else { Given::Bytes(inline.as_bytes().to_vec()) };
    }
    let file_key = format!("{}_file", join(section, key));
    if !inline.is_empty() {
        let problem = format!("`{key}` is set, too");
        report.error(
            &file_key,
            problem,
            format!("keep one of `{key}` and `{key}_file`, leave out the other"),
        );
        return Given::Wrong;
    }
    let content = match read(Path::new(file)) {
        Ok(content) => content,
        Err(problem) => {
            report.bad(&file_key, file, problem, "give a file that the gate's user may read");
            return Given::Wrong;
        }
    };
    let end = content.iter().rposition(|b| !matches!(b, b'\n' | b'\r')).map_or(0, |i| i + 1);
    let text = content.get(..end).unwrap_or_default();
    let content = if text.iter().all(|b| matches!(b, b' '..=b'~')) { text.to_vec() } else { content };
    if content.is_empty() {
        report.bad(&file_key, file, "is an empty file", "write the secret into it");
        return Given::Wrong;
    }
    Given::Bytes(content)
}

enum Given {
    Nothing,
    /// Reported already.
    Wrong,
    Bytes(Vec<u8>),
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let file = std::fs::File::open(path).map_err(|e| format!("cannot be read: {e}"))?;
    let mut content = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut content).map_err(|e| format!("cannot be read: {e}"))?;
    if content.len() as u64 > MAX_BYTES {
        return Err("is too large for a secret".into());
    }
    Ok(content)
}

/// A secret that may be any bytes. `Err` if it is invalid (reported), `Ok(None)` if it is not given.
pub(super) fn raw(
    section: &str,
    key: &str,
    inline: &str,
    file: &str,
    report: &mut Report,
) -> Result<Option<SecretSlice<u8>>, ()> {
    match bytes(section, key, inline, file, report) {
        Given::Nothing => Ok(None),
        Given::Wrong => Err(()),
        Given::Bytes(content) => Ok(Some(content.into())),
    }
}

/// A secret that is sent as text: visible ASCII. `Err` if it is invalid (reported), `Ok(None)` if it is not given.
pub(super) fn text(
    section: &str,
    key: &str,
    inline: &str,
    file: &str,
    report: &mut Report,
) -> Result<Option<SecretString>, ()> {
    let content = match bytes(section, key, inline, file, report) {
        Given::Nothing => return Ok(None),
        Given::Wrong => return Err(()),
        Given::Bytes(content) => content,
    };
    match String::from_utf8(content) {
        Ok(text) if text.bytes().all(|b| b.is_ascii_graphic()) => Ok(Some(text.into())),
        _ => {
            let problem = "contains spaces, line breaks or characters that are not ASCII";
            report.error(&join(section, key), problem, "copy it again, without anything around it");
            Err(())
        }
    }
}

/// `session.keys`, or the lines of `session.keys_file`.
pub(super) fn keys(inline: &[String], file: &str, report: &mut Report) -> Option<Vec<SecretSlice<u8>>> {
    const REMEDY: &str = "create one with `wecom-gate keygen`";
    let mut texts: Vec<(String, String)> =
        inline.iter().enumerate().map(|(i, t)| (format!("session.keys[{i}]"), t.clone())).collect();
    if !file.is_empty() {
        let joined = inline.join("\n");
        match bytes("session", "keys", &joined, file, report) {
            Given::Bytes(content) => {
                let content = String::from_utf8_lossy(&content).into_owned();
                let lines = content.lines().enumerate().filter(|(_, l)| !l.trim().is_empty());
                texts = lines
                    .map(|(i, l)| (format!("session.keys_file, line {}", i + 1), l.to_owned()))
                    .collect();
            }
            _ => return None,
        }
    }
    if texts.is_empty() {
        report.error("session.keys", "is missing", REMEDY);
        return None;
    }
    let mut keys: Vec<Vec<u8>> = Vec::with_capacity(texts.len());
    let before = report.errors.len();
    for (place, text) in &texts {
        match base64_bytes(text) {
            None => report.error(place, "is not base64", REMEDY),
            Some(key) if key.len() != KEY_BYTES => {
                let problem = format!("is {} bytes long, not {KEY_BYTES}", key.len());
                report.error(place, problem, REMEDY);
            }
            Some(key) if keys.contains(&key) => report.error(place, "occurs twice", "remove one of the two"),
            Some(key) => {
                let mut seen = key.clone();
                seen.sort_unstable();
                seen.dedup();
                if seen.len() < KEY_BYTES / 4 {
                    report.warn(place, format_args!("does not look random: {REMEDY}"));
                }
                keys.push(key);
            }
        }
    }
    (report.errors.len() == before).then(|| keys.into_iter().map(SecretSlice::from).collect())
}
