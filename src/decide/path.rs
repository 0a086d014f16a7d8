//! One canonical path (R1): the value that is decided on is the value that is forwarded.

use std::borrow::Cow;

use crate::error::Failure;

/// Makes a request's path canonical, or refuses it with [`Failure::BadPath`].
///
/// Percent-encoded unreserved characters are decoded and hexadecimal digits are upper-cased (RFC 3986, 6.2.2); everything else
/// stays as it is, so two spellings that NocoBase reads alike become one. The result is canonical: doing it again changes
/// nothing. A path that is canonical already is borrowed.
///
/// Refused is everything that two parsers could read differently: a path that does not begin with `/` (`*`, an absolute form),
/// backslashes, control characters, `#` and encoded slashes, `//`, dot segments, invalid percent-encoding or UTF-8, `%25` before
/// digits that a second decoding would turn into any of these, and raw characters that are not valid in a path. So is a dot
/// segment with a parameter (`/..;x/`), which a Java server reads as `/../`.
///
/// The key of an association follows other rules: see [`association`].
pub fn canonical(raw_path: &str) -> Result<Cow<'_, str>, Failure> {
    let path = if raw_path.bytes().all(is_plain) {
        Cow::Borrowed(raw_path)
    } else {
        match decode_unreserved(raw_path) {
            Some(decoded) if decoded.contains("%25") && hides_trouble(&decoded) => {
                return Err(Failure::BadPath);
            }
            Some(decoded) if decoded == raw_path => Cow::Borrowed(raw_path),
            Some(decoded) => Cow::Owned(decoded),
            None => return Err(Failure::BadPath),
        }
    };
    if !path.starts_with('/') || path.contains("//") || path.split('/').any(is_dot_segment) {
        return Err(Failure::BadPath);
    }
    Ok(path)
}

/// `.` or `..`, alone or followed by path parameters (RFC 3986, 3.3), whose `;` may be encoded.
fn is_dot_segment(segment: &str) -> bool {
    let after = segment.strip_prefix("..").or_else(|| segment.strip_prefix('.'));
    after.is_some_and(|rest| rest.is_empty() || rest.starts_with(';') || rest.starts_with("%3B"))
}

/// Makes `<public path>api/<collection>/<key>/<association>[:<action>]` canonical if [`canonical`] refuses it because of its key.
/// NocoBase's client writes a record's key with `encodeURIComponent`, and its server decodes exactly that segment once, so that
/// `/`, `\`, `#` and `%` in a key can be read in only one way. They stay encoded. A key that contains a dot segment, a control
/// character or invalid UTF-8, however often it is decoded, is refused.
///
/// Such a path is not canonical in the usual sense ([`holds_encoded_key`]): rules never match it.
pub fn association(raw_path: &str, public_path: &str) -> Result<String, Failure> {
    let refused = || Failure::BadPath;
    let rest =
        raw_path.strip_prefix(public_path).and_then(|rest| rest.strip_prefix("api/")).ok_or_else(refused)?;
    let mut segments = rest.split('/');
    let (collection, key, association) = (segments.next(), segments.next(), segments.next());
    let (Some(collection), Some(key), Some(association), None) =
        (collection, key, association, segments.next())
    else {
        return Err(Failure::BadPath);
    };
    let (name, action) = association.split_once(':').unwrap_or((association, "list"));
    if ![collection, name, action].into_iter().all(is_name) {
        return Err(Failure::BadPath);
    }
    let key = association_key(key).ok_or_else(refused)?;
    Ok(format!("{public_path}api/{collection}/{key}/{association}"))
}

/// Does this path (canonical, or from [`association`]) contain a key with characters that are not allowed elsewhere in a path?
pub fn holds_encoded_key(path: &str) -> bool {
    path.contains('%') && canonical(path).is_err()
}

/// The name of a collection, an association or an action.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        && !is_dot_segment(name)
}

/// The key with normalised percent-encoding.
fn association_key(raw: &str) -> Option<String> {
    if raw.is_empty() || !raw.bytes().all(|b| b == b'%' || is_plain(b)) {
        return None;
    }
    // Broken encoding first: the decoder below is lenient.
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            hex_pair(&mut bytes)?;
        }
    }
    let mut level = raw.as_bytes().to_vec();
    for depth in 0..8 {
        let decoded: Vec<u8> = percent_encoding::percent_decode(&level).collect();
        let text = std::str::from_utf8(&decoded).ok()?;
        if text.chars().any(char::is_control) || text.split(['/', '\\']).any(is_dot_segment) {
            return None;
        }
        if decoded == level {
            break;
        }
        if depth == 7 {
            return None;
        }
        level = decoded;
    }
    let decoded: Vec<u8> = percent_encoding::percent_decode(raw.as_bytes()).collect();
    let mut out = String::with_capacity(raw.len());
    for byte in decoded {
        if is_unreserved(byte) { out.push(char::from(byte)) } else { push_encoded(&mut out, byte) }
    }
    Some(out)
}

/// Bytes that may appear unencoded in a path. Browsers send `[ ] | ^ { }` raw, though RFC 3986 does not allow them.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'%' | b'\\' | b'#' | b'?' | b'"' | b'<' | b'>' | b'`')
}

/// RFC 3986, 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The path with normalised percent-encoding, or `None` if part of it is refused by itself.
fn decode_unreserved(raw: &str) -> Option<String> {
    let mut out = String::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(is_plain(byte).then_some(char::from(byte))?);
            continue;
        }
        let first = hex_pair(&mut bytes)?;
        if is_unreserved(first) {
            out.push(char::from(first));
        } else if first.is_ascii() {
            if first.is_ascii_control() || matches!(first, b'/' | b'\\' | b'#') {
                return None;
            }
            push_encoded(&mut out, first);
        } else {
            let mut sequence = [first, 0, 0, 0];
            let sequence = sequence.get_mut(..sequence_len(first)?)?;
            for slot in sequence.iter_mut().skip(1) {
                if bytes.next() != Some(b'%') {
                    return None;
                }
                *slot = hex_pair(&mut bytes)?;
            }
            // `from_utf8` refuses overlong forms and surrogates; C1 controls are well-formed, so they are refused here.
            if std::str::from_utf8(sequence).ok()?.chars().any(char::is_control) {
                return None;
            }
            sequence.iter().for_each(|b| push_encoded(&mut out, *b));
        }
    }
    Some(out)
}

/// Would decoding again, once or more often, reveal anything that is refused above? Encoding that is nested deeper than clients
/// write is refused too.
fn hides_trouble(path: &str) -> bool {
    let slashes = path.matches('/').count();
    let mut level = path.as_bytes().to_vec();
    for _ in 0..8 {
        let decoded: Vec<u8> = percent_encoding::percent_decode(&level).collect();
        if decoded == level {
            return false;
        }
        let refused = |b: &u8| b.is_ascii_control() || matches!(b, b'\\' | b'#');
        if decoded.iter().any(refused)
            || decoded.iter().filter(|b| **b == b'/').count() != slashes
            || decoded.split(|b| *b == b'/').any(|s| std::str::from_utf8(s).is_ok_and(is_dot_segment))
        {
            return true;
        }
        level = decoded;
    }
    true
}

/// Length of the UTF-8 sequence that begins with this byte; `None` if none does.
fn sequence_len(first: u8) -> Option<usize> {
    match first {
        0xC2..=0xDF => Some(2),
        0xE0..=0xEF => Some(3),
        0xF0..=0xF4 => Some(4),
        _ => None,
    }
}

/// The byte encoded by the next two hexadecimal digits.
pub(super) fn hex_pair(bytes: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let mut digit = || char::from(bytes.next()?).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some(digit()? << 4 | digit()?)
}

fn push_encoded(out: &mut String, byte: u8) {
    out.push_str(percent_encoding::percent_encode_byte(byte));
}

#[cfg(test)]
mod tests;
