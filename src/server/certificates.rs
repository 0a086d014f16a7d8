//! Certificates of the TLS listeners: checked before anything listens, chosen by the server name that the client sends (SNI),
//! replaced without a restart when their files change.

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

use crate::acme::{self, Challenges};
use crate::certificate::{self, Certificate, Leaf, Problem, section};
use crate::config::CertificateFiles;
use crate::metrics::{GateState, Reload};

/// How often the files are checked. A change is applied once it has lasted from one check to the next, because a certificate and
/// its key are never written at the same moment.
const LOOK: Duration = Duration::from_secs(2);

/// What is wrong with a certificate or its key: the configuration key, the file, and the remedy.
#[derive(Debug, Error)]
#[error("{key}: {} {problem}; {}", path.display(), problem.remedy())]
pub struct TlsError {
    key: String,
    path: PathBuf,
    problem: Problem,
}

/// A certificate in use.
#[derive(Debug, Clone)]
struct Pair {
    key: Arc<CertifiedKey>,
    file: PathBuf,
    leaf: Leaf,
    /// Whether the gate orders it itself.
    ordered: bool,
    /// Self-signed, in use until the ordered one is available.
    placeholder: bool,
}

impl Pair {
    /// The replacement for a certificate that is still being ordered: the previous one, else a self-signed one.
    fn meanwhile(files: &CertificateFiles, before: Option<&Set>) -> Result<Pair, Problem> {
        let same = |set: &&Set| set.pairs.iter().position(|pair| pair.file == files.cert);
        let old = before.and_then(|set| set.pairs.get(same(&set).unwrap_or(0)));
        if let Some(old) = old {
            let placeholder = old.placeholder || old.file != files.cert;
            return Ok(Pair { file: files.cert.clone(), ordered: true, placeholder, ..old.clone() });
        }
        let certificate = certificate::self_signed(&files.ordered_for)?;
        let Certificate { key, leaf } = certificate;
        Ok(Pair { key, file: files.cert.clone(), leaf, ordered: true, placeholder: true })
    }
}

/// Certificates that were read together, by their names.
#[derive(Debug, Default)]
struct Set {
    pairs: Vec<Pair>,
    exact: HashMap<String, usize>,
    /// By the part after `*.`
    wild: HashMap<String, usize>,
}

impl Set {
    /// All of them, or the error of the first invalid one. `before`: those in use, one of which stays while the gate is still
    /// ordering its own.
    fn read(files: &[CertificateFiles], before: Option<&Set>) -> Result<Set, TlsError> {
        let mut set = Set::default();
        for (i, files) in files.iter().enumerate() {
            let ordered = !files.ordered_for.is_empty();
            let pair = match ordered && !files.cert.exists() {
                true => Pair::meanwhile(files, before).map_err(|problem| TlsError {
                    key: "listen.acme".into(),
                    path: files.cert.clone(),
                    problem,
                })?,
                false => {
                    let Certificate { key, leaf } =
                        certificate::read(files).map_err(|(file, path, problem)| TlsError {
                            key: key_of(files, i, file),
                            path,
                            problem,
                        })?;
                    Pair { key, file: files.cert.clone(), leaf, ordered, placeholder: false }
                }
            };
            for name in &pair.leaf.names {
                match name.strip_prefix("*.") {
                    Some(parent) => set.wild.entry(parent.to_owned()).or_insert(i),
                    None => set.exact.entry(name.clone()).or_insert(i),
                };
            }
            set.pairs.push(pair);
        }
        Ok(set)
    }

    /// The certificate for this name: the exact name before a wildcard, which stands for one label (RFC 6125); else the first of
    /// all.
    fn choose(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let by_name = name.and_then(|name| {
            let wild = || self.wild.get(name.split_once('.')?.1);
            self.exact.get(name).or_else(wild).copied()
        });
        self.pairs.get(by_name.unwrap_or(0)).map(|pair| pair.key.clone())
    }
}

/// The configuration key of the file.
fn key_of(files: &CertificateFiles, index: usize, file: certificate::File) -> String {
    match files.ordered_for.is_empty() {
        true => format!("{}.{}", section(index), file.name()),
        false => "listen.acme".into(),
    }
}

/// Identity and modification time of a file, to detect a change without reading it. Follows links, so that a link with another
/// target is a change as well.
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
    /// Of the files when they were last read, successfully or not.
    read: Mutex<Vec<Stamp>>,
}

/// Chooses among the certificates in use and the challenge certificates of `listen.acme`.
#[derive(Debug)]
struct Resolver {
    certificates: Arc<Certificates>,
    challenges: Arc<Challenges>,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut protocols = hello.alpn().into_iter().flatten();
        match (protocols.next(), protocols.next()) {
            // Without a pending challenge the handshake fails.
            (Some(acme::PROTOCOL), None) => self.challenges.certificate(hello.server_name()),
            _ => self.certificates.set.load().choose(hello.server_name()),
        }
    }
}

impl Certificates {
    /// Loads and checks every pair; the first is the default.
    pub(super) fn load(files: &[CertificateFiles]) -> Result<Arc<Certificates>, TlsError> {
        let read = Mutex::new(Stamp::of(files));
        Ok(Arc::new(Certificates { set: ArcSwap::from_pointee(Set::read(files, None)?), read }))
    }

    /// Uses new certificates for new connections; if one of them is invalid, all stay as they were, and the log and the metrics
    /// report it.
    pub(super) fn reload(&self, files: &[CertificateFiles], state: &GateState) {
        *self.read.lock() = Stamp::of(files);
        let before = self.set.load_full();
        match Set::read(files, Some(&before)) {
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

    /// Checks the files for ever, and reloads them when they have changed.
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

    /// The files of the certificates in use, and the expiry of each in seconds since 1970.
    pub(super) fn ends(&self) -> Vec<(String, i64)> {
        let set = self.set.load();
        let real = set.pairs.iter().filter(|pair| !pair.placeholder);
        real.map(|pair| (pair.file.display().to_string(), pair.leaf.not_after)).collect()
    }

    /// The certificate that the gate has ordered itself, if it is in use.
    pub(super) fn ordered(&self) -> Option<Leaf> {
        let set = self.set.load();
        set.pairs.iter().find(|pair| pair.ordered && !pair.placeholder).map(|pair| pair.leaf.clone())
    }

    /// The TLS acceptor with these certificates: TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1; for an authority also with challenge
    /// certificates.
    pub(super) fn acceptor(
        self: &Arc<Self>,
        tickets: Arc<dyn ProducesTickets>,
        challenges: Arc<Challenges>,
    ) -> Acceptor {
        let versions = [&version::TLS12, &version::TLS13];
        let resolver = Resolver { certificates: self.clone(), challenges };
        let mut config = ServerConfig::builder_with_protocol_versions(&versions)
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        // The last one is for authorities only: a client that offers another protocol gets that one, and a connection with this
        // one ends at once.
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec(), acme::PROTOCOL.to_vec()];
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
        CertificateFiles::new(&cert, &key)
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
        let set = Set::read(
            &[
                make("first", &["gate.test"]),
                make("wild", &["*.Wild.test", "x.y.test"]),
                make("one", &["one.wild.test", "gate.test"]),
            ],
            None,
        )
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
    fn until_the_ordered_one_is_there_another_is_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let own = pair(dir.path(), "own", &["own.test"]);
        let file = dir.path().join("certificate.pem");
        let ordered =
            CertificateFiles { ordered_for: vec!["gate.test".into()], ..CertificateFiles::new(&file, &file) };
        let metrics = metrics();
        let loaded = Certificates::load(std::slice::from_ref(&ordered)).unwrap();
        assert_eq!((loaded.ends(), loaded.ordered()), (vec![], None));
        let set = loaded.set.load_full();
        assert_eq!(set.pairs[0].leaf.names, ["gate.test"]);
        // A reload meanwhile changes nothing, whether or not another certificate was in use before.
        loaded.reload(std::slice::from_ref(&ordered), &metrics.state);
        assert!(Arc::ptr_eq(&set.pairs[0].key, &loaded.set.load().pairs[0].key));
        let files = Certificates::load(std::slice::from_ref(&own)).unwrap();
        let before = files.set.load_full();
        files.reload(std::slice::from_ref(&ordered), &metrics.state);
        assert!(Arc::ptr_eq(&before.pairs[0].key, &files.set.load().pairs[0].key));
        assert_eq!((files.ends(), files.ordered()), (vec![], None), "not the one that was ordered");

        let made = rcgen::generate_simple_self_signed(vec!["gate.test".to_owned()]).unwrap();
        std::fs::write(&file, made.cert.pem() + &made.signing_key.serialize_pem()).unwrap();
        loaded.reload(std::slice::from_ref(&ordered), &metrics.state);
        assert_eq!(loaded.ordered().unwrap().names, ["gate.test"]);
        assert_eq!(loaded.ends()[0].0, file.display().to_string());
        // The file is removed or damaged: the certificate stays in use.
        let good = loaded.set.load_full();
        std::fs::write(&file, "").unwrap();
        loaded.reload(std::slice::from_ref(&ordered), &metrics.state);
        assert!(metrics.state.failed_reloads()[0].1.starts_with("listen.acme: "));
        std::fs::remove_file(&file).unwrap();
        loaded.reload(std::slice::from_ref(&ordered), &metrics.state);
        assert!(Arc::ptr_eq(&good.pairs[0].key, &loaded.set.load().pairs[0].key));
        assert!(loaded.ordered().is_some());
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (pair(dir.path(), "a", &["a.test"]), pair(dir.path(), "b", &["b.test"]));
        let link = dir.path().join("live");
        std::os::unix::fs::symlink(&a.cert, &link).unwrap();
        let files = [CertificateFiles::new(&link, &a.key)];
        let before = Stamp::of(&files);
        assert_eq!(before, Stamp::of(&files));
        std::os::unix::fs::symlink(&b.cert, dir.path().join("new")).unwrap();
        std::fs::rename(dir.path().join("new"), &link).unwrap();
        assert_ne!(before, Stamp::of(&files));
        std::fs::remove_file(&link).unwrap();
        assert_eq!(Stamp::of(&files)[0], Stamp(None));
    }
}
