//! Random bytes and characters from the operating system, through ring.

use ring::rand::{SecureRandom, SystemRandom};

use crate::error::Failure;

/// `N` random bytes. Fails only if the operating system has none.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], Failure> {
    let mut out = [0; N];
    SystemRandom::new().fill(&mut out).map_err(|_| Failure::Internal)?;
    Ok(out)
}

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `n` random characters of `[0-9A-Za-z]`, uniformly distributed: bytes that would favour the first characters (248 and above, as
/// 248 = 4 * 62) are discarded instead of reduced modulo 62.
pub(crate) fn alphanumeric(n: usize) -> Result<String, Failure> {
    let mut out = String::with_capacity(n);
    while out.len() < n {
        for byte in bytes::<64>()? {
            if out.len() == n {
                break;
            }
            if byte < 248
                && let Some(&c) = ALPHABET.get(usize::from(byte % 62))
            {
                out.push(char::from(c));
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alphanumeric_has_the_length_asked_for_and_no_favourite() {
        for n in [0, 1, 31, 64, 65, 1000] {
            let s = alphanumeric(n).unwrap();
            assert_eq!(s.len(), n);
            assert!(s.bytes().all(|b| b.is_ascii_alphanumeric()));
        }
        // 62,000 draws: each character 1000 times, plus or minus 6 standard deviations. Without the discarding, the first eight
        // characters would occur a quarter more often.
        let s = alphanumeric(62_000).unwrap();
        for c in ALPHABET {
            let n = s.bytes().filter(|b| b == c).count();
            assert!((810..=1190).contains(&n), "{} occurs {n} times", char::from(*c));
        }
    }

    #[test]
    fn bytes_differ() {
        assert_ne!(bytes::<24>().unwrap(), bytes::<24>().unwrap());
    }
}
