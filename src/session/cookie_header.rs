//! The `Cookie` header as NocoBase gets it: the gate's cookies removed, all others unchanged byte for byte (R11), NocoBase's own
//! added.

use crate::error::Failure;

use super::cookies::{Bounds, Names, is_blank, name_and_value, segments};

/// Prefixes of the NocoBase cookies that identify a user. While one of the gate's sessions is valid, only the gate sets them.
const NOCOBASE_IDENTITY: [&[u8]; 2] = [b"nb_auth_token_", b"nb_authenticator_"];

/// The `Cookie` header to forward, built from the values of all received ones:
///
/// - without the gate's own cookies, under their `http` and `https` names, and those of other gates on this host name;
/// - if `in_session`, without `nb_auth_token_*` and `nb_authenticator_*` of the client;
/// - all others unchanged and in order, whatever bytes they contain;
/// - several headers joined by `"; "` (RFC 9113, 8.2.3);
/// - then `extra`, already in the form `name=value; name=value`, in pieces.
///
/// `None`: no `Cookie` header at all. [`Failure::HeadersTooLarge`] as in `OwnCookies::parse`.
pub fn forwardable<'a>(
    names: &Names,
    headers: impl IntoIterator<Item = &'a [u8]> + Clone,
    in_session: bool,
    extra: &[&str],
) -> Result<Option<Vec<u8>>, Failure> {
    let extra_len: usize = extra.iter().map(|piece| piece.len()).sum();
    let room: usize = headers.clone().into_iter().map(|h| h.len() + 2).sum();
    let mut bounds = Bounds::default();
    let mut out = Vec::with_capacity(room.min(super::cookies::MAX_COOKIE_BYTES) + extra_len + 2);
    let mut cookies = false;
    for header in headers {
        bounds.header(header)?;
        // Whether a segment of this header is in `out` already.
        let mut joined = false;
        for segment in segments(header) {
            bounds.segment(segment)?;
            if is_dropped(names, segment, in_session) {
                continue;
            }
            if joined {
                out.push(b';');
                out.extend_from_slice(segment);
            } else if is_blank(segment) {
                // Nothing to join to yet: `; a=1` after one of our cookies would become an empty first part.
                continue;
            } else if cookies {
                out.extend_from_slice(b"; ");
                out.extend_from_slice(segment.trim_ascii_start());
                joined = true;
            } else {
                out.extend_from_slice(segment.trim_ascii_start());
                joined = true;
            }
            cookies = true;
        }
    }
    if extra_len > 0 {
        if cookies {
            out.extend_from_slice(b"; ");
        }
        extra.iter().for_each(|piece| out.extend_from_slice(piece.as_bytes()));
    }
    Ok((!out.is_empty()).then_some(out))
}

fn is_dropped(names: &Names, segment: &[u8], in_session: bool) -> bool {
    !names.is_plain(segment)
        && name_and_value(segment).is_some_and(|(name, _)| {
            names.is_ours(name)
                || (in_session && NOCOBASE_IDENTITY.iter().any(|prefix| name.starts_with(prefix)))
        })
}

#[cfg(test)]
mod tests;
