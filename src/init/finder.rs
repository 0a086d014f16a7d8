//! NocoBase's secret, if NocoBase is on this machine. A candidate is only used if NocoBase accepts a token signed with it, so a
//! wrong guess does no harm.

use std::fs;
use std::path::{Path, PathBuf};

use secrecy::SecretSlice;

/// Where NocoBase probably is.
const COMMON_PATHS: [&str; 7] = [
    "/opt/nocobase",
    "/srv/nocobase",
    "/var/www/nocobase",
    "/usr/local/nocobase",
    "/app/nocobase",
    "/home/nocobase/nocobase",
    "/opt/my-nocobase-app",
];
/// Docker's volumes.
const VOLUMES: &str = "/var/lib/docker/volumes";
/// A larger file is something else.
const MAX_BYTES: u64 = 64 * 1024;
/// Most candidates that are tried.
const MAX_CANDIDATES: usize = 16;

/// A secret, and where it was found.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) from: String,
    pub(super) secret: SecretSlice<u8>,
}

/// Candidates, most likely first.
pub(super) fn candidates(given: Option<&Path>) -> Vec<Candidate> {
    let mut all = Vec::new();
    if let Some(folder) = given {
        of_folder(folder, &mut all);
        return all;
    }
    of_processes(&mut all);
    for folder in COMMON_PATHS {
        of_folder(Path::new(folder), &mut all);
    }
    let volumes = fs::read_dir(VOLUMES).into_iter().flatten().flatten();
    for volume in volumes {
        let file = volume.path().join("_data/apps/main/jwt_secret.dat");
        push(file.display().to_string(), read(&file), &mut all);
    }
    all
}

/// NocoBase's folder: its file takes precedence over `APP_KEY`, as in NocoBase.
fn of_folder(folder: &Path, all: &mut Vec<Candidate>) {
    let file = folder.join("storage/apps/main/jwt_secret.dat");
    push(file.display().to_string(), read(&file), all);
    let env = folder.join(".env");
    let key = read(&env).and_then(|text| app_key(&String::from_utf8_lossy(&text)));
    push(format!("APP_KEY in {}", env.display()), key.map(String::into_bytes), all);
}

/// Processes with an `APP_KEY` in their environment, or whose working directory is NocoBase's folder. Their folders are accessed
/// through `/proc`, which also leads into containers.
fn of_processes(all: &mut Vec<Candidate>) {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = Vec::new();
    for process in processes.map(|p| p.path()) {
        let Some(environment) = fs::read(process.join("environ")).ok() else { continue };
        let variables: Vec<_> = environment.split(|b| *b == 0).collect();
        let value = |name: &[u8]| {
            let with = variables.iter().find(|v| v.starts_with(name))?;
            with.get(name.len()..).filter(|v| !v.is_empty()).map(<[u8]>::to_vec)
        };
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        let nocobase = String::from_utf8_lossy(&line).to_ascii_lowercase().contains("nocobase")
            || value(b"APP_PUBLIC_PATH=").is_some();
        let key = value(b"APP_KEY=");
        if !nocobase && key.is_none() {
            continue;
        }
        let at = |name: &str| fs::canonicalize(process.join(name)).unwrap_or_else(|_| process.join(name));
        let folder = at("cwd");
        if !folders.contains(&folder) {
            of_folder(&process.join("cwd"), all);
            folders.push(folder);
        }
        let id = process.file_name().unwrap_or_default().to_string_lossy().into_owned();
        push(format!("APP_KEY of process {id}"), key, all);
    }
}

fn push(from: String, secret: Option<Vec<u8>>, all: &mut Vec<Candidate>) {
    use secrecy::ExposeSecret as _;
    let Some(secret) = secret.filter(|s| !s.is_empty()) else { return };
    if all.len() < MAX_CANDIDATES && !all.iter().any(|c| c.secret.expose_secret() == secret) {
        all.push(Candidate { from, secret: secret.into() });
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let meta = fs::metadata(path).ok()?;
    (meta.is_file() && meta.len() <= MAX_BYTES).then(|| fs::read(path).ok())?
}

/// `APP_KEY` of an `.env` file.
fn app_key(text: &str) -> Option<String> {
    let line = text.lines().rev().map(str::trim).find_map(|l| {
        l.strip_prefix("export ")
            .unwrap_or(l)
            .trim_start()
            .strip_prefix("APP_KEY")?
            .trim_start()
            .strip_prefix('=')
    })?;
    let line = line.trim();
    let quoted = |mark: char| line.strip_prefix(mark)?.split(mark).next();
    let value =
        quoted('"').or(quoted('\'')).unwrap_or_else(|| line.split(" #").next().unwrap_or(line).trim());
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn the_key_in_an_env_file() {
        for (text, want) in [
            ("APP_ENV=production\nAPP_KEY=abc\n", Some("abc")),
            ("APP_KEY = \"a b#c\" # x", Some("a b#c")),
            ("export APP_KEY='abc'", Some("abc")),
            ("APP_KEY=abc # x", Some("abc")),
            ("#APP_KEY=abc", None),
            ("APP_KEY=", None),
            ("APP_KEY=old\nAPP_KEY=new", Some("new")),
            ("MY_APP_KEY=abc", None),
        ] {
            assert_eq!(app_key(text).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn the_file_comes_before_the_key() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("storage/apps/main")).unwrap();
        fs::write(dir.path().join(".env"), "APP_KEY=from-env\n").unwrap();
        let found = || candidates(Some(dir.path()));
        assert_eq!(found()[0].secret.expose_secret(), b"from-env");
        fs::write(dir.path().join("storage/apps/main/jwt_secret.dat"), b"\x00\xff\x01").unwrap();
        let all = found();
        assert_eq!((all.len(), all[0].secret.expose_secret()), (2, &b"\x00\xff\x01"[..]));
        assert!(all[0].from.ends_with("jwt_secret.dat") && all[1].from.starts_with("APP_KEY in "));
        assert!(candidates(Some(Path::new("/nonexistent"))).is_empty());
    }
}
