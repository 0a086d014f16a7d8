//! Certificates of the TLS listeners: checked before anything listens, chosen by the name that the client asks for, swapped
//! without a restart when their files change.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use pingora::listeners::tls::Acceptor;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version;
use thiserror::Error;

use crate::certificate::{self, Certificate, Problem, section};
use crate::config::CertificateFiles;
use crate::metrics::{GateState, Reload};

/// How often the files are looked at. A change is taken up once it has lasted from one look to the next, because a
/// certificate and its key are never written at the same moment.
const LOOK: Duration = Duration::from_secs(2);

/// What is wrong with a certificate or its key: the configuration key, the file, and what to do.
#[derive(Debug, Error)]
#[error("{key}: {} {problem}; {}", path.display(), problem.remedy())]
pub struct TlsError {
    key: String,
    path: PathBuf,
    problem: Problem,
}

/// A certificate in use.
#[derive(Debug)]
struct Pair {
    key: Arc<CertifiedKey>,
    file: String,
    /// In seconds since 1970.
    not_after: i64,
}

/// Certificates that were read together, by the names that they are for.
#[derive(Debug, Default)]
struct Set {
    pairs: Vec<Pair>,
    exact: HashMap<String, usize>,
    /// By what follows `*.`
    wild: HashMap<String, usize>,
}

impl Set {
    /// All of them, or what is wrong with the first bad one.
    fn read(files: &[CertificateFiles]) -> Result<Set, TlsError> {
        let mut set = Set::default();
        for (i, files) in files.iter().enumerate() {
            let Certificate { key, leaf } = certificate::read(files).map_err(|(file, path, problem)| {
                TlsError { key: format!("{}.{}", section(i), file.name()), path, problem }
            })?;
            let not_after = leaf.not_after;
            for name in leaf.names {
                match name.strip_prefix("*.") {
                    Some(parent) => set.wild.entry(parent.to_owned()).or_insert(i),
                    None => set.exact.entry(name).or_insert(i),
                };
            }
            set.pairs.push(Pair { key, file: files.cert.display().to_string(), not_after });
        }
        Ok(set)
    }

    /// The one for this name: the very name before one with a star, which stands for one label (RFC 6125); else the
    /// first of all.
    fn choose(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let by_name = name.and_then(|name| {
            let wild = || self.wild.get(name.split_once('.')?.1);
            self.exact.get(name).or_else(wild).copied()
        });
        self.pairs.get(by_name.unwrap_or(0)).map(|pair| pair.key.clone())
    }
}

/// Where and when the bytes of a file were written, as far as can be seen without reading them. Follows links, so that a
/// link that leads somewhere else is a change as well.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp(Option<(u64, u64, u64, i64, i64)>);

impl Stamp {
    fn of(files: &[CertificateFiles]) -> Vec<Stamp> {
        let stamp = |m: Metadata| (m.dev(), m.ino(), m.len(), m.mtime(), m.mtime_nsec());
        let each = files.iter().flat_map(|pair| [&pair.cert, &pair.key]);
        each.map(|path| Stamp(std::fs::metadata(path).ok().map(stamp))).collect()
    }
}

/// The certificates in use.
#[derive(Debug)]
pub(super) struct Certificates {
    set: ArcSwap<Set>,
    /// Of the files when they were last read, with or without success.
    read: Mutex<Vec<Stamp>>,
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.set.load().choose(hello.server_name())
    }
}

impl Certificates {
    /// Loads and checks every pair; the first is the default.
    pub(super) fn load(files: &[CertificateFiles]) -> Result<Arc<Certificates>, TlsError> {
        let read = Mutex::new(Stamp::of(files));
        Ok(Arc::new(Certificates { set: ArcSwap::from_pointee(Set::read(files)?), read }))
    }

    /// Takes new certificates into use for new connections; if one of them is bad, all stay as they were, and the log
    /// and the metrics show it.
    pub(super) fn reload(&self, files: &[CertificateFiles], state: &GateState) {
        *self.read.lock() = Stamp::of(files);
        match Set::read(files) {
            Ok(set) => {
                self.set.store(Arc::new(set));
                state.certificates(self.ends());
                state.reloaded(Reload::Certificate, None);
                tracing::info!(event = "reload", what = "certificate", "certificates reloaded");
            }
            Err(error) => {
                state.reloaded(Reload::Certificate, Some(error.to_string()));
                tracing::error!(event = "reload", what = "certificate", %error,
                    "the old certificates stay in use");
            }
        }
    }

    /// Looks at the files for ever, and reloads them when they have changed.
    pub(super) async fn watch(&self, files: impl Fn() -> Vec<CertificateFiles>, state: &GateState) {
        let mut before = self.read.lock().clone();
        loop {
            tokio::time::sleep(LOOK).await;
            let files = files();
            let now = Stamp::of(&files);
            if now == before && now != *self.read.lock() {
                self.reload(&files, state);
            }
            before = now;
        }
    }

    /// The files of the certificates in use, and the end of each in seconds since 1970.
    pub(super) fn ends(&self) -> Vec<(String, i64)> {
        self.set.load().pairs.iter().map(|pair| (pair.file.clone(), pair.not_after)).collect()
    }

    /// Shakes hands with these certificates: TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
    pub(super) fn acceptor(self: &Arc<Self>, tickets: Arc<dyn ProducesTickets>) -> Acceptor {
        let versions = [&version::TLS12, &version::TLS13];
        let mut config = ServerConfig::builder_with_protocol_versions(&versions)
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = tickets;
        Acceptor::from_server_config(Arc::new(config))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn pair(dir: &Path, name: &str, hosts: &[&str]) -> CertificateFiles {
        let hosts: Vec<String> = hosts.iter().map(|h| (*h).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(hosts).unwrap();
        let (cert, key) = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        CertificateFiles { cert, key }
    }

    fn metrics() -> crate::metrics::Metrics {
        crate::metrics::Metrics::new(&[]).unwrap()
    }

    #[test]
    fn bad_files_are_reported_and_the_old_ones_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let (a, b) = (pair(dir.path(), "a", &["gate.test"]), pair(dir.path(), "b", &["b.test"]));
        let loaded = Certificates::load(std::slice::from_ref(&a)).unwrap();
        let first = loaded.set.load_full();
        // rcgen's default: the end of the year 4095.
        assert_eq!(loaded.ends(), [(a.cert.display().to_string(), 67_090_118_400)]);
        std::fs::write(path("empty.pem"), "").unwrap();
        let metrics = metrics();
        for (bad, why) in [
            (CertificateFiles { key: b.key.clone(), ..a.clone() }, "listen.certificates[0].key: "),
            (CertificateFiles { cert: path("empty.pem"), ..a.clone() }, "[0].cert: "),
            (CertificateFiles { cert: path("none.pem"), ..a.clone() }, "none.pem cannot be read: "),
        ] {
            loaded.reload(&[b.clone(), bad], &metrics.state);
            assert!(Arc::ptr_eq(&first, &loaded.set.load_full()), "one bad one keeps all");
            let failed = metrics.state.failed_reloads();
            assert!(failed[0].1.contains(why), "{failed:?}");
        }
        loaded.reload(std::slice::from_ref(&b), &metrics.state);
        assert!(!Arc::ptr_eq(&first, &loaded.set.load_full()));
        assert!(metrics.state.failed_reloads().is_empty());
        assert_eq!(metrics.state.certificate_ends()[0].0, b.cert.display().to_string());
    }

    #[test]
    fn the_name_chooses() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str, hosts: &[&str]| pair(dir.path(), name, hosts);
        let set = Set::read(&[
            make("first", &["gate.test"]),
            make("wild", &["*.Wild.test", "x.y.test"]),
            make("one", &["one.wild.test", "gate.test"]),
        ])
        .unwrap();
        for (name, index) in [
            (None, 0),
            (Some("nobody.test"), 0),
            (Some("gate.test"), 0),
            (Some("a.wild.test"), 1),
            (Some("x.y.test"), 1),
            (Some("one.wild.test"), 2),
            (Some("a.b.wild.test"), 0),
            (Some("wild.test"), 0),
            (Some(""), 0),
        ] {
            let chosen = set.choose(name).unwrap();
            assert!(Arc::ptr_eq(&chosen, &set.pairs[index].key), "{name:?}");
        }
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (pair(dir.path(), "a", &["a.test"]), pair(dir.path(), "b", &["b.test"]));
        let link = dir.path().join("live");
        std::os::unix::fs::symlink(&a.cert, &link).unwrap();
        let files = [CertificateFiles { cert: link.clone(), key: a.key.clone() }];
        let before = Stamp::of(&files);
        assert_eq!(before, Stamp::of(&files));
        std::os::unix::fs::symlink(&b.cert, dir.path().join("new")).unwrap();
        std::fs::rename(dir.path().join("new"), &link).unwrap();
        assert_ne!(before, Stamp::of(&files));
        std::fs::remove_file(&link).unwrap();
        assert_eq!(Stamp::of(&files)[0], Stamp(None));
    }
}
