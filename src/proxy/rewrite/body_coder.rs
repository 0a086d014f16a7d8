//! Compresses the body of a response piece by piece, optimised for speed.

use std::io;

use bytes::Bytes;

use crate::proxy::coding::Coding;

/// A client waits for every byte: levels at which one core does at least 100 MB/s.
const ZSTD: i32 = 3;
const BROTLI: u32 = 4;
const GZIP: u32 = 4;
/// Logarithms of window sizes: a response needs no more than a MiB or two while it is being sent.
const ZSTD_WINDOW: u32 = 19;
const BROTLI_WINDOW: u32 = 18;
const BROTLI_BUFFER: usize = 16 * 1024;

enum Encoder {
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

/// The body of one response.
pub(crate) struct BodyCoder {
    /// `None` at the end.
    encoder: Option<Encoder>,
    /// Each piece is sent at once, because the next one may take long.
    streamed: bool,
}

impl BodyCoder {
    /// `streamed`: the length is not known, so the response may last any time.
    ///
    /// # Errors
    /// For `Coding::Identity`, or if there is not enough memory.
    pub(crate) fn new(coding: Coding, streamed: bool) -> io::Result<BodyCoder> {
        let out = Vec::new();
        let encoder = match coding {
            Coding::Identity => return Err(io::ErrorKind::Unsupported.into()),
            Coding::Gzip => Encoder::Gzip(flate2::write::GzEncoder::new(out, flate2::Compression::new(GZIP))),
            Coding::Brotli => {
                let writer = brotli::CompressorWriter::new(out, BROTLI_BUFFER, BROTLI, BROTLI_WINDOW);
                Encoder::Brotli(Box::new(writer))
            }
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(out, ZSTD)?;
                encoder.window_log(ZSTD_WINDOW)?;
                Encoder::Zstd(encoder)
            }
        };
        Ok(BodyCoder { encoder: Some(encoder), streamed })
    }

    /// Compresses the next piece; returns what can be sent now.
    ///
    /// # Errors
    /// There is not enough memory.
    pub(crate) fn push(&mut self, piece: &[u8], end: bool) -> io::Result<Bytes> {
        let Some(encoder) = &mut self.encoder else { return Ok(Bytes::new()) };
        let flush = self.streamed && !end && !piece.is_empty();
        let out = match encoder {
            Encoder::Gzip(gzip) => write(gzip, piece, flush, |gzip| std::mem::take(gzip.get_mut())),
            Encoder::Brotli(brotli) => {
                write(&mut **brotli, piece, flush, |brotli| std::mem::take(brotli.get_mut()))
            }
            Encoder::Zstd(zstd) => write(zstd, piece, flush, |zstd| std::mem::take(zstd.get_mut())),
        };
        let mut out = out?;
        if end && let Some(encoder) = self.encoder.take() {
            let rest = match encoder {
                Encoder::Gzip(gzip) => gzip.finish()?,
                Encoder::Brotli(brotli) => brotli.into_inner(),
                Encoder::Zstd(zstd) => zstd.finish()?,
            };
            out.extend_from_slice(&rest);
        }
        Ok(Bytes::from(out))
    }
}

fn write<W: io::Write>(
    encoder: &mut W,
    piece: &[u8],
    flush: bool,
    take: impl FnOnce(&mut W) -> Vec<u8>,
) -> io::Result<Vec<u8>> {
    encoder.write_all(piece)?;
    if flush {
        encoder.flush()?;
    }
    Ok(take(encoder))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn read(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match coding {
            Coding::Gzip => _ = flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut out).unwrap(),
            Coding::Brotli => brotli::BrotliDecompress(&mut &bytes[..], &mut out).unwrap(),
            Coding::Zstd => out = zstd::decode_all(bytes).unwrap(),
            Coding::Identity => out.extend_from_slice(bytes),
        }
        out
    }

    #[test]
    fn pieces_become_one_body() {
        let raw: Vec<u8> = (0..30_000_u32).flat_map(|i| (i % 977).to_string().into_bytes()).collect();
        for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
            for streamed in [false, true] {
                for size in [1000, 65_536, raw.len()] {
                    let mut coder = BodyCoder::new(coding, streamed).unwrap();
                    let mut out = Vec::new();
                    for piece in raw.chunks(size) {
                        let now = coder.push(piece, false).unwrap();
                        assert!(!streamed || !now.is_empty(), "{coding:?}: a piece waits for the next one");
                        out.extend_from_slice(&now);
                    }
                    out.extend_from_slice(&coder.push(b"", true).unwrap());
                    assert!(read(coding, &out) == raw, "{coding:?} {streamed} {size}");
                    assert!(out.len() < raw.len() / 2, "{coding:?} {streamed} {size}: {}", out.len());
                    assert!(coder.push(b"x", true).unwrap().is_empty(), "nothing follows the end");
                }
            }
            let mut coder = BodyCoder::new(coding, false).unwrap();
            assert_eq!(
                read(coding, &coder.push(b"", true).unwrap()),
                b"",
                "{coding:?}: an empty body is one"
            );
        }
        assert!(BodyCoder::new(Coding::Identity, false).is_err());
    }
}
