//! The body of a response in chunks (RFC 9112, 7.1). Extensions and trailers are left out.

/// Most bytes of a line with a size, and of all trailers together.
const MOST: u32 = 16 * 1024;
/// Most digits of a size.
const DIGITS: u32 = 15;

/// This is no body in chunks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

/// The position in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunks {
    /// In the line with a chunk's size, of which this much has been read.
    Size { size: u64, read: u32, extension: bool },
    /// The line feed after a size.
    SizeEnd(u64),
    /// This much of a chunk is still to come.
    Data(u64),
    /// The carriage return after a chunk, or the line feed after that.
    DataEnd { feed: bool },
    /// At the beginning of a trailer, or of the empty line at the end.
    Line(u32),
    /// In a trailer.
    Trailer(u32),
    /// The very last line feed.
    LastFeed,
    /// The body is complete.
    Ended,
}

impl Chunks {
    /// Before the first chunk.
    pub(crate) const BEGIN: Chunks = Chunks::Size { size: 0, read: 0, extension: false };

    /// Is the body complete? What follows is not part of it.
    pub(crate) fn is_ended(self) -> bool {
        self == Chunks::Ended
    }

    /// Reads the next bytes, and appends what they contain.
    ///
    /// # Errors
    /// They are no chunks.
    pub(crate) fn push(&mut self, mut bytes: &[u8], data: &mut Vec<u8>) -> Result<(), Invalid> {
        while let Some((&byte, rest)) = bytes.split_first() {
            if let Chunks::Data(left) = *self {
                let now = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let (piece, rest) = bytes.split_at_checked(now).ok_or(Invalid)?;
                data.extend_from_slice(piece);
                bytes = rest;
                *self = match left.saturating_sub(now as u64) {
                    0 => Chunks::DataEnd { feed: false },
                    left => Chunks::Data(left),
                };
                continue;
            }
            *self = match (*self, byte) {
                (Chunks::Ended, _) => return Ok(()),
                (Chunks::Size { size, read: 1.., .. }, b'\r') => Chunks::SizeEnd(size),
                (Chunks::Size { size, read, extension }, _) => in_size(byte, size, read, extension)?,
                (Chunks::SizeEnd(0), b'\n') => Chunks::Line(0),
                (Chunks::SizeEnd(size), b'\n') => Chunks::Data(size),
                (Chunks::DataEnd { feed: false }, b'\r') => Chunks::DataEnd { feed: true },
                (Chunks::DataEnd { feed: true }, b'\n') => Chunks::BEGIN,
                (Chunks::Line(_), b'\r') => Chunks::LastFeed,
                (Chunks::LastFeed, b'\n') => Chunks::Ended,
                (Chunks::Line(read) | Chunks::Trailer(read), _) if read == MOST => return Err(Invalid),
                (Chunks::Trailer(read), b'\n') => Chunks::Line(read + 1),
                (Chunks::Line(read) | Chunks::Trailer(read), _) => Chunks::Trailer(read + 1),
                _ => return Err(Invalid),
            };
            bytes = rest;
        }
        Ok(())
    }
}

fn in_size(byte: u8, size: u64, read: u32, extension: bool) -> Result<Chunks, Invalid> {
    match char::from(byte).to_digit(16).filter(|_| !extension) {
        Some(digit) if read < DIGITS => {
            Ok(Chunks::Size { size: (size << 4) | u64::from(digit), read: read + 1, extension })
        }
        None if (1..MOST).contains(&read) && byte != b'\n' && (extension || b"; \t".contains(&byte)) => {
            Ok(Chunks::Size { size, read: read + 1, extension: true })
        }
        _ => Err(Invalid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_however_it_is_cut_and_nothing_after_it() {
        for (body, data, ended) in [
            ("0\r\n\r\n", "", true),
            ("5\r\nhello\r\n0\r\n\r\n", "hello", true),
            (
                "5;a=\"b\"\r\nhello\r\n00a \r\n0\r\n\r\n0\r\n\r\n\r\n0\r\nX-New-Token: x\r\nB: c\r\n\r\n",
                "hello0\r\n\r\n0\r\n\r\n",
                true,
            ),
            ("5\r\nhello\r\n1", "hello", false),
            ("5\r\nhel", "hel", false),
            ("5\r\nhello\r\n0\r\nA: b\r\n", "hello", false),
            ("0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "", true),
        ] {
            for size in 1..=body.len() {
                let (mut chunks, mut read) = (Chunks::BEGIN, Vec::new());
                for piece in body.as_bytes().chunks(size) {
                    chunks.push(piece, &mut read).unwrap();
                }
                assert_eq!((read.as_slice(), chunks.is_ended()), (data.as_bytes(), ended), "{body:?} {size}");
            }
        }
    }

    fn read(body: &[u8]) -> Result<(), Invalid> {
        let mut chunks = Chunks::BEGIN;
        chunks.push(body, &mut Vec::new())
    }

    #[test]
    fn what_could_be_read_in_another_way_is_invalid() {
        for body in [
            "\r\n",
            "x\r\n",
            " 5\r\n",
            "-5\r\n",
            "5\nhello",
            "5;a\nhello",
            "5\r\nhello0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "1000000000000000\r\n",
            "0\r\n\rx",
            "5x\r\nhello\r\n",
            ";a\r\n",
            "5\rhello",
        ] {
            assert_eq!(read(body.as_bytes()), Err(Invalid), "{body:?}");
        }
        for endless in ["5;", "0\r\nA"] {
            let body = format!("{endless}{}", "x".repeat(20_000));
            assert_eq!(read(body.as_bytes()), Err(Invalid), "{endless:?}");
        }
    }
}
