//! Content codings: which one a client gets, and how they are created.

use std::io::{self, Write as _};

use bytes::Bytes;
use http::{HeaderMap, header};

/// zstd, for a first response: at least 100 MB/s, a quarter of the size.
const QUICK_ZSTD: i32 = 6;
/// zstd, for all later ones.
const BEST_ZSTD: i32 = 19;
/// brotli, for a first response.
const QUICK_BROTLI: u32 = 5;
/// brotli, for all later ones: an eighth smaller, and a hundred times slower.
const BEST_BROTLI: u32 = 11;
/// Logarithm of brotli's window: 4 MiB.
const BROTLI_WINDOW: u32 = 22;
const GZIP: u32 = 6;
/// A body that is zstd with a dictionary begins with this, and with the SHA-256 of the dictionary (RFC 9842, 5).
const DCZ_MAGIC: [u8; 8] = [0x5e, 0x2a, 0x4d, 0x18, 0x20, 0, 0, 0];
/// Logarithm of zstd's window. Browsers accept windows of up to 8 MiB (RFC 9659).
const ZSTD_WINDOW: u32 = 23;
/// The quality value 1, in thousandths (RFC 9110, 12.4.2).
const ONE: u16 = 1000;

/// The coding of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Coding {
    /// Not compressed.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
}

impl Coding {
    /// Value of `Content-Encoding`; `None` if there is no such header.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Coding::Identity => None,
            Coding::Gzip => Some("gzip"),
            Coding::Brotli => Some("br"),
            Coding::Zstd => Some("zstd"),
        }
    }

    /// Is there a slower and better compression?
    pub(super) fn can_be_better(self) -> bool {
        matches!(self, Coding::Brotli | Coding::Zstd)
    }
}

/// How well something is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// A client is waiting.
    Quick,
    /// As small as possible.
    Best,
}

/// The codings that a client accepts, with quality values from 0 to 1000.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Accepted {
    gzip: u16,
    brotli: u16,
    zstd: u16,
    /// Only if it is named.
    identity: u16,
    /// zstd with a dictionary (RFC 9842); only if it is named.
    dcz: u16,
}

impl Accepted {
    /// From `Accept-Encoding` (RFC 9110, 12.5.3). Without this header only identity is used.
    pub(crate) fn of(headers: &HeaderMap) -> Accepted {
        let mut named = [None; 4];
        let mut others = 0;
        let mut dcz = 0;
        let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        for item in values.flat_map(|value| value.split(',')) {
            let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
            let quality = quality(parameters);
            match name.trim().to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => named[0] = Some(quality),
                "br" => named[1] = Some(quality),
                "zstd" => named[2] = Some(quality),
                "identity" => named[3] = Some(quality),
                "dcz" => dcz = quality,
                "*" => others = quality,
                _ => {}
            }
        }
        let [gzip, brotli, zstd, identity] = named;
        Accepted {
            gzip: gzip.unwrap_or(others),
            brotli: brotli.unwrap_or(others),
            zstd: zstd.unwrap_or(others),
            identity: identity.unwrap_or(0),
            dcz,
        }
    }

    /// May the client get zstd with a dictionary that it has, in place of this coding?
    pub(super) fn takes_dictionary(self, instead_of: Coding) -> bool {
        self.dcz > 0 && self.dcz >= self.quality(instead_of)
    }

    fn quality(self, coding: Coding) -> u16 {
        match coding {
            Coding::Identity => self.identity,
            Coding::Gzip => self.gzip,
            Coding::Brotli => self.brotli,
            Coding::Zstd => self.zstd,
        }
    }

    /// The coding that the client prefers; if it has no preference, the first one of `preferred`.
    pub(crate) fn best(self, preferred: [Coding; 3]) -> Coding {
        let mut best = (Coding::Identity, self.identity);
        for coding in preferred.into_iter().rev() {
            let quality = self.quality(coding);
            if quality > 0 && quality >= best.1 {
                best = (coding, quality);
            }
        }
        best.0
    }
}

/// The value of `q=` among these parameters; 0 if it is invalid.
fn quality(parameters: &str) -> u16 {
    let given = parameters.split(';').filter_map(|p| p.split_once('=')).find_map(|(name, value)| {
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse::<f32>().unwrap_or(0.0))
    });
    match given {
        None => ONE,
        // Between 0 and 1000 after `clamp`; NaN becomes 0.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Some(given) => (given.clamp(0.0, 1.0) * f32::from(ONE)) as u16,
    }
}

/// Compresses. Slow: not for a thread that serves requests.
///
/// # Errors
/// Only if there is not enough memory.
pub(super) fn compress(raw: &[u8], coding: Coding, effort: Effort) -> io::Result<Bytes> {
    let quick = effort == Effort::Quick;
    let mut out = Vec::with_capacity(raw.len() / 3);
    match coding {
        Coding::Identity => return Ok(Bytes::copy_from_slice(raw)),
        Coding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(&mut out, flate2::Compression::new(GZIP));
            encoder.write_all(raw)?;
            encoder.finish()?;
        }
        Coding::Brotli => {
            let parameters = brotli::enc::BrotliEncoderParams {
                quality: i32::try_from(if quick { QUICK_BROTLI } else { BEST_BROTLI }).unwrap_or_default(),
                lgwin: i32::try_from(BROTLI_WINDOW).unwrap_or_default(),
                size_hint: raw.len(),
                ..brotli::enc::BrotliEncoderParams::default()
            };
            brotli::BrotliCompress(&mut io::Cursor::new(raw), &mut out, &parameters)?;
        }
        Coding::Zstd => {
            let level = if quick { QUICK_ZSTD } else { BEST_ZSTD };
            let mut encoder = zstd::stream::write::Encoder::new(&mut out, level)?;
            encoder.set_pledged_src_size(u64::try_from(raw.len()).ok())?;
            encoder.window_log(ZSTD_WINDOW)?;
            encoder.write_all(raw)?;
            encoder.finish()?;
        }
    }
    out.shrink_to_fit();
    Ok(Bytes::from(out))
}

/// Compresses as well as possible for a client that has this dictionary, whose SHA-256 this is. Slow, as above.
///
/// # Errors
/// Only if there is not enough memory.
pub(super) fn compress_with(raw: &[u8], dictionary: &[u8], hash: &[u8; 32]) -> io::Result<Bytes> {
    let mut out = Vec::with_capacity(raw.len() / 4);
    out.extend_from_slice(&DCZ_MAGIC);
    out.extend_from_slice(hash);
    let mut encoder = zstd::stream::write::Encoder::with_ref_prefix(&mut out, BEST_ZSTD, dictionary)?;
    encoder.set_pledged_src_size(u64::try_from(raw.len()).ok())?;
    encoder.window_log(ZSTD_WINDOW)?;
    encoder.write_all(raw)?;
    encoder.finish()?;
    out.shrink_to_fit();
    Ok(Bytes::from(out))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const ORDER: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

    fn best(value: &'static str) -> Coding {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
        Accepted::of(&headers).best(ORDER)
    }

    #[test]
    fn the_client_gets_the_coding_that_it_prefers() {
        for (value, expected) in [
            ("gzip, deflate, br, zstd", Coding::Brotli),
            ("gzip, deflate", Coding::Gzip),
            ("zstd, gzip", Coding::Zstd),
            ("br;q=0.5, gzip;q=0.8", Coding::Gzip),
            ("br;q=0, gzip;q=0, *", Coding::Zstd),
            ("*", Coding::Brotli),
            ("*;q=0", Coding::Identity),
            ("", Coding::Identity),
            ("deflate", Coding::Identity),
            ("identity;q=1, br;q=0.5", Coding::Identity),
            ("identity;q=0.1, br;q=0.5", Coding::Brotli),
            ("BR ; Q=1.0", Coding::Brotli),
            ("br;q=x, x-gzip", Coding::Gzip),
            ("br;q=NaN, gzip", Coding::Gzip),
            ("br;q=-1, gzip;q=7", Coding::Gzip),
            ("br;q=0.001", Coding::Brotli),
        ] {
            assert_eq!(best(value), expected, "{value}");
        }
        assert_eq!(Accepted::of(&HeaderMap::new()).best(ORDER), Coding::Identity);
    }

    #[test]
    fn a_dictionary_is_used_only_where_it_is_named() {
        for (value, expected) in [
            ("gzip, deflate, br, zstd, dcb, dcz", true),
            ("DCZ;q=0.5", true),
            ("br;q=0.4, dcz;q=0.5", true),
            ("br, dcz;q=0.5", false),
            ("identity, dcz;q=0.5", false),
            ("dcz;q=0", false),
            ("br;q=0, dcz;q=0", false),
            ("*", false),
            ("gzip, deflate, br, zstd, dcb", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            let accepted = Accepted::of(&headers);
            assert_eq!(accepted.takes_dictionary(accepted.best(ORDER)), expected, "{value}");
        }
    }

    #[test]
    fn what_is_compressed_with_a_dictionary_can_be_read_with_it() {
        let text =
            |from: u32| (from..from + 900).map(|i| format!("part{} ", i * i % 9973)).collect::<String>();
        let (dictionary, raw) = (text(0), text(100));
        let hash = [7; 32];
        let packed = compress_with(raw.as_bytes(), dictionary.as_bytes(), &hash).unwrap();
        assert_eq!(&packed[..8], [0x5e, 0x2a, 0x4d, 0x18, 0x20, 0, 0, 0]);
        assert_eq!(packed[8..40], hash);
        let mut reader =
            zstd::stream::read::Decoder::with_ref_prefix(&packed[40..], dictionary.as_bytes()).unwrap();
        let mut read = Vec::new();
        io::copy(&mut reader, &mut read).unwrap();
        assert!(read == raw.as_bytes());
        let alone = compress(raw.as_bytes(), Coding::Zstd, Effort::Best).unwrap();
        assert!(packed.len() * 3 < alone.len(), "{} {}", packed.len(), alone.len());
    }

    #[test]
    fn what_is_compressed_can_be_read_again() {
        let raw: Vec<u8> = (0..40_000_u32).flat_map(|i| (i * i % 251).to_le_bytes()).collect();
        for effort in [Effort::Quick, Effort::Best] {
            for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd, Coding::Identity] {
                let packed = compress(&raw, coding, effort).unwrap();
                let mut read = Vec::new();
                match coding {
                    Coding::Identity => read.extend_from_slice(&packed),
                    Coding::Gzip => {
                        let mut reader = flate2::read::GzDecoder::new(&packed[..]);
                        io::copy(&mut reader, &mut read).map(drop).unwrap();
                    }
                    Coding::Brotli => brotli::BrotliDecompress(&mut &packed[..], &mut read).unwrap(),
                    Coding::Zstd => read = zstd::decode_all(&packed[..]).unwrap(),
                }
                assert!(read == raw, "{coding:?} {effort:?}");
            }
        }
    }
}
