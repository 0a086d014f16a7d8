//! The script of one plugin as a dictionary, with which browsers decompress the scripts of the others (RFC 9842): they have much
//! in common. A browser that has it names its hash.
//!
//! Must never: be anything but a cached script of NocoBase's client, which is the same for everyone and whose name will never
//! stand for other content; or have anything compressed because a client asks for it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, HeaderName};

use super::file::{Encoded, Entry, File, Key};
use super::store::Assets;
use crate::decide::ClientFile;

/// Where the addresses of plugins begin, below the public path.
pub(super) const FOLDER: &str = "static/plugins/";
/// Largest script that is a dictionary, or is compressed with one. What they have in common is a few hundred KB.
const LARGEST: usize = 1 << 20;
/// The value of `Content-Encoding`: zstd with a dictionary.
pub(super) const DCZ: &str = "dcz";
pub(super) const USE_AS_DICTIONARY: HeaderName = HeaderName::from_static("use-as-dictionary");
const AVAILABLE_DICTIONARY: HeaderName = HeaderName::from_static("available-dictionary");

/// The place of the best dictionary among these scripts: the largest has most in common with the others.
pub(super) fn choose(scripts: &[Arc<File>]) -> Option<usize> {
    let fitting = scripts.iter().enumerate().filter(|(_, file)| file.bytes.len() <= LARGEST);
    // Of equal ones the first.
    fitting.min_by_key(|(_, file)| std::cmp::Reverse(file.bytes.len())).map(|(place, _)| place)
}

/// Does this client have this dictionary?
pub(super) fn is_held(dictionary: &File, headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(AVAILABLE_DICTIONARY).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    value.as_bytes().trim_ascii() == format!(":{}:", BASE64.encode(dictionary.hash)).as_bytes()
}

/// The value of `Use-As-Dictionary`: the files that it is for. `None`: their path would have another meaning as a pattern.
pub(super) fn pattern(public_path: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.' | b'~');
    public_path.bytes().all(plain).then(|| format!("match=\"{public_path}{FOLDER}*\""))
}

impl Assets {
    /// The dictionary for this file, if there is one: it may have been evicted.
    pub(super) fn dictionary(&self, wanted: &ClientFile<'_>) -> Option<Arc<File>> {
        let name = wanted.path.strip_prefix(self.kept.public_path())?;
        name.starts_with(FOLDER).then(|| self.kept.plugins.load().as_ref()?.dictionary.upgrade())?
    }

    /// The file compressed with this dictionary, if that has been done.
    pub(super) async fn delta(&self, file: &File, dictionary: &File) -> Option<Arc<Encoded>> {
        let key = Key::Delta(file.digest, dictionary.digest);
        self.kept.cache.get(&key).await.and_then(Entry::encoded)
    }

    /// From the next request on, these scripts should be available compressed with this dictionary.
    pub(super) fn compress_with(&self, dictionary: &Arc<File>, scripts: &[Arc<File>]) {
        for file in scripts {
            let key = Key::Delta(file.digest, dictionary.digest);
            let fits = file.bytes.len() <= LARGEST && file.digest != dictionary.digest;
            if fits && !self.kept.cache.contains_key(&key) {
                self.kept.compressor.compress_with(file, dictionary);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;

    use super::super::learned::Learned;
    use super::*;
    use crate::decide::{FileKind, Naming};
    use crate::nocobase::About;
    use crate::proxy::test_gate;

    fn file(length: usize) -> Arc<File> {
        let bytes = Bytes::from(vec![b'x'; length]);
        Arc::new(File::new(bytes, FileKind::Script, Vec::new(), [None, None], true))
    }

    #[test]
    fn the_largest_that_is_not_too_large_is_the_dictionary() {
        for (lengths, expected) in [
            (&[10, 30, 20, 30][..], Some(1)),
            (&[LARGEST + 1, 5, LARGEST], Some(2)),
            (&[LARGEST + 1], None),
            (&[], None),
        ] {
            let files: Vec<_> = lengths.iter().map(|&length| file(length)).collect();
            assert_eq!(choose(&files), expected, "{lengths:?}");
        }
    }

    #[test]
    fn a_dictionary_is_for_plugins_only() {
        for (public_path, expected) in [
            ("/", Some("match=\"/static/plugins/*\"")),
            ("/crm-1/v/", Some("match=\"/crm-1/v/static/plugins/*\"")),
            ("/a*/", None),
            ("/:a/", None),
            ("/(a)/", None),
            ("/{a}/", None),
            ("/a\"/", None),
            ("/a\\/", None),
        ] {
            assert_eq!(pattern(public_path).as_deref(), expected, "{public_path}");
        }
    }

    #[test]
    fn r25_only_its_own_hash_names_a_dictionary() {
        let dictionary = file(3);
        let held = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AVAILABLE_DICTIONARY, HeaderValue::from_str(value).unwrap());
            }
            is_held(&dictionary, &headers)
        };
        // printf xxx | openssl dgst -sha256 -binary | base64
        let own = ":zS6wg3ybTJYsItL/i1RBt7RYBYh/BR05vxM7WDuvaGA=:";
        assert!(held(&[own]) && held(&[&format!(" {own} ")]));
        let bare = own.trim_matches(':');
        for wrong in [
            &[][..],
            &[""],
            &["::"],
            &[bare],
            &[&own.to_lowercase()],
            &[&own.replace("=:", ":")],
            &[&own.replace("zS6", "zS7")],
            &[own, own],
            &[&format!("{own}, {own}")],
        ] {
            assert!(!held(wrong), "{wrong:?}");
        }
    }

    /// Memory is bounded: a dictionary is only what is in the cache.
    #[tokio::test]
    async fn r25_an_evicted_script_is_no_dictionary_any_more() {
        let gate = test_gate::gate("");
        let assets = gate.assets.as_ref().unwrap();
        let wanted = |path| ClientFile { path, query: None, naming: Naming::Plain, kind: FileKind::Script };
        let script = wanted("/static/plugins/@a/b/dist/client/index.js");
        assert!(assets.dictionary(&script).is_none());
        let (key, cached) = (Key::File("x".into()), file(3));
        let learned = Learned {
            at: std::time::Instant::now(),
            about: Arc::new(About { version: None, page: None }),
            text: "".into(),
            dictionary: Arc::downgrade(&cached),
        };
        assets.kept.plugins.store(Some(Arc::new(learned)));
        assets.kept.cache.insert(key.clone(), Entry::File(cached)).await;
        assert!(assets.dictionary(&script).is_some());
        for other in ["/assets/index.js", "/static/js/a.js", "/other/static/plugins/a.js"] {
            assert!(assets.dictionary(&wanted(other)).is_none(), "{other}");
        }
        assets.kept.cache.invalidate(&key).await;
        // The cache frees its memory some time after the removal.
        while assets.dictionary(&script).is_some() {
            assets.kept.cache.run_pending_tasks().await;
            tokio::task::yield_now().await;
        }
    }

    /// It takes long, and gains little.
    #[tokio::test]
    async fn r25_large_scripts_are_not_compressed_with_a_dictionary() {
        let gate = test_gate::gate("");
        let assets = gate.assets.as_ref().unwrap();
        let files = [file(3), file(LARGEST + 1), file(LARGEST)];
        assets.compress_with(&files[0], &files);
        let queued =
            |file: &Arc<File>| assets.kept.compressor.has_begun(&Key::Delta(file.digest, files[0].digest));
        assert_eq!(files.each_ref().map(queued), [false, false, true]);
    }
}
