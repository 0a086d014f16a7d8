//! Follows the frames of a WebSocket from NocoBase: may a frame of the gate be inserted here (RFC 6455, section 5.2)?

/// "Going away": the server is stopping (RFC 6455, section 7.4.1). The page reconnects.
pub const GOING_AWAY: &[u8] = &[0x88, 2, 0x03, 0xe9];
/// "Protocol error": the page sent an invalid frame.
pub const PROTOCOL_ERROR: &[u8] = &[0x88, 2, 0x03, 0xea];
/// "Policy violation": the session has ended.
pub const NOT_ALLOWED: &[u8] = &[0x88, 2, 0x03, 0xf0];

/// NocoBase's message that its application is running. A node that stops sends "App stopped" to its pages; they reconnect to
/// another node, which sends nothing because it has been running all along, so they would show that message for ever.
pub const RUNNING: &[u8] = b"\x81\x37{\"type\":\"maintaining\",\"payload\":{\"code\":\"APP_RUNNING\"}}";

const SWITCHING: &[u8] = b"HTTP/1.1 101";
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// The state of one direction.
#[derive(Debug)]
pub struct Frames(At);

#[derive(Debug)]
enum At {
    /// In the status line: this many bytes of [`SWITCHING`] have been matched.
    Status(usize),
    /// In the head: this many bytes of [`END_OF_HEAD`] have been matched.
    Head(usize),
    /// In a frame's header.
    Header { first: [u8; 10], have: usize },
    /// This many bytes of payload are still to come.
    Payload(u64),
    /// This is not a WebSocket.
    Other,
}

const BOUNDARY: At = At::Header { first: [0; 10], have: 0 };

impl Default for Frames {
    fn default() -> Self {
        Self::new()
    }
}

impl Frames {
    /// At the beginning of the response's head.
    pub fn new() -> Frames {
        Frames(At::Status(0))
    }

    /// May a frame begin here?
    pub fn at_boundary(&self) -> bool {
        matches!(self.0, At::Header { have: 0, .. })
    }

    /// Is this still the head of the response?
    pub(crate) fn in_head(&self) -> bool {
        matches!(self.0, At::Status(_) | At::Head(_))
    }

    /// Reads the next bytes, but none beyond the head of an upgrade; returns how many.
    pub(crate) fn push_head(&mut self, bytes: &[u8]) -> usize {
        for (pushed, byte) in bytes.chunks(1).enumerate() {
            if self.at_boundary() {
                return pushed;
            }
            self.push(byte);
        }
        bytes.len()
    }

    /// How many bytes may be read without reading beyond the current frame; `None` if there is none.
    pub fn left(&self) -> Option<usize> {
        match self.0 {
            At::Payload(left) => Some(usize::try_from(left).unwrap_or(usize::MAX)),
            At::Header { have: 1.., .. } => Some(1),
            At::Header { .. } | At::Status(_) | At::Head(_) | At::Other => None,
        }
    }

    /// Reads the next bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            self.0 = match std::mem::replace(&mut self.0, At::Other) {
                At::Other => return,
                At::Payload(left) => {
                    let now = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    bytes = bytes.get(now..).unwrap_or_default();
                    let left = left - now as u64;
                    self.0 = if left == 0 { BOUNDARY } else { At::Payload(left) };
                    continue;
                }
                At::Status(have) => match SWITCHING.get(have) {
                    Some(due) if *due == byte && have + 1 == SWITCHING.len() => At::Head(0),
                    Some(due) if *due == byte => At::Status(have + 1),
                    _ => At::Other,
                },
                At::Head(have) => match END_OF_HEAD.get(have) {
                    Some(due) if *due == byte && have + 1 == END_OF_HEAD.len() => BOUNDARY,
                    Some(due) if *due == byte => At::Head(have + 1),
                    _ => At::Head(usize::from(byte == b'\r')),
                },
                At::Header { mut first, have } => {
                    if let Some(place) = first.get_mut(have) {
                        *place = byte;
                    }
                    match payload(&first, have + 1) {
                        None => At::Header { first, have: have + 1 },
                        Some(0) => BOUNDARY,
                        Some(length) => At::Payload(length),
                    }
                }
            };
            bytes = rest;
        }
    }
}

/// Number of bytes after the header's first `have` bytes; `None` while the header is incomplete. A server does not mask.
fn payload(first: &[u8; 10], have: usize) -> Option<u64> {
    let [_, short, digits @ ..] = first;
    let short = short & 0x7f;
    let size = match short {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    if have < 2 + size {
        return None;
    }
    let number = |digits: &[u8]| digits.iter().fold(0, |n, d| (n << 8) | u64::from(*d));
    Some(if size == 0 { u64::from(short) } else { number(digits.get(..size)?) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(length: usize) -> Vec<u8> {
        let mut out = vec![0x81];
        match length {
            0..=125 => out.push(length as u8),
            126..=0xffff => {
                out.push(126);
                out.extend((length as u16).to_be_bytes());
            }
            _ => {
                out.push(127);
                out.extend((length as u64).to_be_bytes());
            }
        }
        // Bytes that look like headers.
        out.extend(std::iter::repeat_n(0x81, length));
        out
    }

    #[test]
    fn each_inserted_frame_is_complete() {
        for message in [GOING_AWAY, PROTOCOL_ERROR, NOT_ALLOWED, RUNNING] {
            let mut frames = Frames(BOUNDARY);
            frames.push(message);
            assert!(frames.at_boundary());
            assert_eq!(usize::from(message[1]), message.len() - 2);
        }
        let said: serde_json::Value = serde_json::from_slice(&RUNNING[2..]).unwrap();
        assert_eq!(said["payload"]["code"], "APP_RUNNING");
    }

    const HEAD: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nX: \r\r\n\r\n";

    #[test]
    fn the_head_of_an_upgrade_ends_where_it_ends_however_it_is_cut() {
        let bytes = [HEAD, &frame(3)].concat();
        for cut in 1..bytes.len() {
            let mut frames = Frames::new();
            let first = frames.push_head(&bytes[..cut]);
            assert_eq!((first, frames.in_head()), (cut.min(HEAD.len()), cut < HEAD.len()), "{cut}");
            if cut < HEAD.len() {
                assert_eq!(frames.push_head(&bytes[cut..]), HEAD.len() - cut, "{cut}");
            }
            assert!(frames.at_boundary());
        }
        let refusal = b"HTTP/1.1 400 Bad Request\r\n\r\nno";
        let mut frames = Frames::new();
        assert_eq!((frames.push_head(refusal), frames.in_head()), (refusal.len(), false));
    }

    #[test]
    fn a_response_that_is_no_upgrade_has_no_frames() {
        let mut frames = Frames::new();
        frames.push(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        assert!(!frames.at_boundary());
        frames.push(&frame(3));
        assert!(!frames.at_boundary());
    }

    proptest! {
        #[test]
        fn boundaries_are_where_frames_end(
            lengths in proptest::collection::vec(prop_oneof![0..200usize, 65_000..66_000usize], 0..6),
            cuts in proptest::collection::vec(1..5000usize, 1..20),
        ) {
            let mut bytes = HEAD.to_vec();
            let mut ends = vec![bytes.len()];
            for length in lengths {
                bytes.extend(frame(length));
                ends.push(bytes.len());
            }
            let (mut frames, mut at) = (Frames::new(), 0);
            for cut in cuts.iter().cycle() {
                let next = (at + cut).min(bytes.len());
                frames.push(&bytes[at..next]);
                at = next;
                let end = ends.iter().find(|end| **end >= at).copied().unwrap_or(at);
                prop_assert!(frames.left().is_none_or(|left| left > 0 && at + left <= end));
                prop_assert_eq!(frames.left().is_some(), at > HEAD.len() && at != end);
                prop_assert_eq!(frames.at_boundary(), ends.contains(&at), "after {} of {}", at, bytes.len());
                if at == bytes.len() {
                    break;
                }
            }
        }

        #[test]
        fn any_bytes_will_do(bytes: Vec<u8>) {
            let mut frames = Frames::new();
            frames.push(HEAD);
            frames.push(&bytes);
        }
    }
}
