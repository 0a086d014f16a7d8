//! Owners and modes of the gate's files, as the user of the systemd unit sees them: root can read everything, so a test as root
//! would show nothing.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::report::{Finding, StepOutcome, Verdict};
use crate::config::NamedFile;
use crate::message::{Message, message};

/// The user of the systemd unit.
const USER: &str = "wecom-gate";
/// Where containers find their secrets; a container has no other users.
const OF_CONTAINERS: [&str; 2] = ["/run/secrets", "/var/run/secrets"];

/// A user and their groups.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reader {
    user: u32,
    groups: Vec<u32>,
}

/// Owner and mode of one file or folder.
#[derive(Debug, Clone, Copy)]
struct Permissions {
    user: u32,
    group: u32,
    mode: u32,
}

impl From<&Metadata> for Permissions {
    fn from(meta: &Metadata) -> Self {
        Self { user: meta.uid(), group: meta.gid(), mode: meta.mode() }
    }
}

impl Permissions {
    /// `wanted`: 4 to read, 1 to enter a folder.
    fn allow(self, reader: &Reader, wanted: u32) -> bool {
        let shift = match reader {
            Reader { user: 0, .. } => return true,
            Reader { user, .. } if *user == self.user => 6,
            Reader { groups, .. } if groups.contains(&self.group) => 3,
            _ => 0,
        };
        self.mode >> shift & wanted == wanted
    }

    fn allow_everybody(self, wanted: u32) -> bool {
        self.mode & wanted == wanted
    }
}

/// What the gate writes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written<'a> {
    /// `log.audit_file`.
    pub(super) audit_file: Option<&'a Path>,
    /// `listen.acme.cache`, a folder.
    pub(super) acme_cache: Option<&'a Path>,
}

/// The step.
pub(super) fn check(files: &[NamedFile], written: &Written<'_>) -> Verdict {
    let Written { audit_file, acme_cache } = *written;
    if files.is_empty() && audit_file.is_none() && acme_cache.is_none() {
        return Verdict::skipped(message!("everything comes from the environment"));
    }
    let root = fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0);
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let unit = root.then(|| reader(&read("/etc/passwd"), &read("/etc/group"), USER)).flatten();
    let mut findings: Vec<Finding> = files.iter().filter_map(|file| finding(file, unit.as_ref())).collect();
    findings.extend(audit_file.and_then(|path| unwritable(path, unit.as_ref().or(own().as_ref())?)));
    findings.extend(acme_cache.and_then(|path| closed_folder(path, unit.as_ref().or(own().as_ref())?)));
    if !findings.is_empty() {
        return Verdict::found(StepOutcome::Failed, findings);
    }
    let count = files.len();
    Verdict::ok(match (&unit, root) {
        (Some(_), _) => {
            message!("{count} files, the user wecom-gate can read them; no one else can read secrets", count)
        }
        (None, true) => message!(
            "{count} files, not tried: this machine has no user wecom-gate; no one else can read secrets",
            count
        ),
        (None, false) => {
            message!("{count} files, this user can read them; no one else can read secrets", count)
        }
    })
}

/// The user of this process.
fn own() -> Option<Reader> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    // The second value of each is the effective one.
    let ids = |name: &str| -> Option<Vec<u32>> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(line.split_whitespace().filter_map(|id| id.parse().ok()).collect())
    };
    let mut groups = ids("Groups")?;
    groups.extend(ids("Gid")?.get(1));
    Some(Reader { user: *ids("Uid")?.get(1)?, groups })
}

/// Why this user cannot append to the audit log's file, or create it. Nothing is created here: the gate could not write a file
/// that root has created.
fn unwritable(path: &Path, user: &Reader) -> Option<Finding> {
    let failed = |what: Message, remedy: Message| {
        let value = Some(format!("{:?}", path.display().to_string()));
        Some(Finding { value, ..Finding::new("log.audit_file", what, remedy) })
    };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let user_id = user.user;
    let shown = folder.display().to_string();
    let command = format!("install -d -o {USER} -g {USER} -m 750 {shown}");
    let remedy = message!("{command}, or give a path in an existing folder", command);
    let Ok(folder) = fs::canonicalize(folder) else {
        let what = message!("the folder {folder} does not exist, or cannot be read", folder = shown);
        return failed(what, remedy);
    };
    let of = |path: &Path| fs::metadata(path).ok().map(|meta| Permissions::from(&meta));
    let closed = |path: &Path| of(path).is_none_or(|p| !p.allow(user, 1));
    if let Some(closed) = folder.ancestors().find(|path| closed(path)) {
        let closed = closed.display().to_string();
        return failed(
            message!("user {user} cannot enter {folder}", user = user_id, folder = closed),
            remedy,
        );
    }
    match fs::metadata(path) {
        Ok(meta) if !meta.is_file() => {
            failed(message!("it is not a file"), message!("give the path of a file"))
        }
        Ok(meta) if !Permissions::from(&meta).allow(user, 2) => failed(
            message!("user {user} may not write it (mode {mode})", user = user_id, mode = mode(meta.mode())),
            Message::verbatim(format!("chown {USER}:{USER} {}", path.display())),
        ),
        Ok(_) => None,
        Err(_) if of(&folder).is_none_or(|p| !p.allow(user, 2)) => failed(
            message!("user {user} cannot create a file in {folder}", user = user_id, folder = shown),
            remedy,
        ),
        Err(_) => None,
    }
}

/// Why this user cannot write to the folder of ACME, or make it.
fn closed_folder(folder: &Path, user: &Reader) -> Option<Finding> {
    let of = |path: &Path| fs::metadata(path).ok().map(|meta| Permissions::from(&meta));
    let shown =
        |path: &Path| if path.as_os_str().is_empty() { ".".to_owned() } else { path.display().to_string() };
    let there = folder.ancestors().map(shown).find(|path| Path::new(path).exists())?;
    if of(Path::new(&there)).is_some_and(|p| p.allow(user, 3)) && Path::new(&there).is_dir() {
        return None;
    }
    let value = Some(format!("{:?}", folder.display().to_string()));
    let what = message!("user {user} cannot create files in {folder}", user = user.user, folder = there);
    let remedy = Message::verbatim(format!("install -d -o {USER} -g {USER} -m 700 {}", folder.display()));
    Some(Finding { value, ..Finding::new("listen.acme.cache", what, remedy) })
}

/// The bits of a mode that `chmod` sets, as it takes them.
fn mode(mode: u32) -> String {
    format!("{:o}", mode & 0o7777)
}

/// A user of this machine.
fn reader(passwd: &str, group: &str, name: &str) -> Option<Reader> {
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    let user = passwd.lines().map(fields).find(|f| f.first().is_some_and(|n| n == name))?;
    let mut groups = vec![user.get(3)?.parse().ok()?];
    groups.extend(group.lines().map(fields).filter_map(|f| {
        let member = f.get(3)?.split(',').any(|n| n == name);
        member.then(|| f.get(2)?.parse::<u32>().ok())?
    }));
    Some(Reader { user: user.get(2)?.parse().ok()?, groups })
}

fn finding(file: &NamedFile, unit: Option<&Reader>) -> Option<Finding> {
    let path = fs::canonicalize(&file.path).ok()?;
    let of = |path: &Path| fs::metadata(path).ok().map(|meta| Permissions::from(&meta));
    let own = of(&path)?;
    let above: Vec<(PathBuf, Permissions)> =
        path.ancestors().skip(1).filter_map(|p| Some((p.to_owned(), of(p)?))).collect();
    let failed = |what: Message, remedy: Message| {
        let value = Some(format!("{:?}", file.path.display().to_string()));
        Some(Finding { value, ..Finding::new(file.key.clone(), what, remedy) })
    };
    let shown = path.display();
    if let Some(unit) = unit {
        if let Some((folder, _)) = above.iter().find(|(_, p)| !p.allow(unit, 1)) {
            let folder = folder.display().to_string();
            let remedy = format!("chown root:{USER} {folder} && chmod 750 {folder}");
            return failed(
                message!("the gate's user ({user}) cannot enter {folder}", user = USER, folder),
                Message::verbatim(remedy),
            );
        }
        if !own.allow(unit, 4) {
            return failed(
                message!(
                    "the gate's user ({user}) cannot read it (mode {mode})",
                    user = USER,
                    mode = mode(own.mode)
                ),
                Message::verbatim(format!("chown root:{USER} {shown} && chmod 640 {shown}")),
            );
        }
    }
    let container = OF_CONTAINERS.iter().any(|folder| file.path.starts_with(folder));
    let open = own.allow_everybody(4) && above.iter().all(|(_, p)| p.allow_everybody(1));
    if file.secret && open && !container {
        return failed(
            message!(
                "everyone on this machine can read it (mode {mode}), and it contains a secret",
                mode = mode(own.mode)
            ),
            message!(
                "{command}, and replace the secret if others use this machine",
                command = format!("chmod 640 {shown}")
            ),
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_units_user() {
        let passwd = "root:x:0:0::/root:/bin/sh\nwecom-gate:x:998:997::/nonexistent:/usr/sbin/nologin\n";
        let group = "ssl-cert:x:110:wecom-gate,x\nother:x:111:x\n";
        assert_eq!(reader(passwd, group, USER), Some(Reader { user: 998, groups: vec![997, 110] }));
        assert_eq!(reader("", group, USER), None);
    }

    #[test]
    fn modes_and_what_they_allow() {
        let gate = Reader { user: 998, groups: vec![997] };
        for (user, group, mode, want) in [
            (0, 997, 0o640, true),
            (0, 0, 0o640, false),
            (0, 0, 0o644, true),
            (998, 0, 0o400, true),
            // The owner's bits apply to the owner, even if those of others allow more.
            (998, 0, 0o044, false),
            (0, 997, 0o604, false),
        ] {
            assert_eq!(Permissions { user, group, mode }.allow(&gate, 4), want, "{user} {group} {mode:o}");
        }
    }

    #[test]
    fn the_audit_logs_file_can_be_written_by_the_gates_user() {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let (path, nobody) = (dir.path().join("audit.log"), Reader { user: 65_534, groups: vec![65_534] });
        let mine = own().unwrap();
        let look = |path: &Path, user: &Reader| {
            unwritable(path, user).map(|f| f.what.to_string()).unwrap_or_default()
        };
        set(dir.path(), 0o700);
        assert_eq!(look(&path, &mine), "", "it will be made");
        assert!(!path.exists(), "and not by the check");
        assert!(look(&path, &nobody).contains("cannot enter"));
        set(dir.path(), 0o755);
        assert!(look(&path, &nobody).contains("cannot create a file"));
        fs::write(&path, "").unwrap();
        assert!(look(&path, &nobody).contains("may not write it"));
        set(&path, 0o622);
        assert_eq!((look(&path, &mine), look(&path, &nobody)), (String::new(), String::new()));
        assert!(look(dir.path(), &mine).contains("not a file"));
        assert!(look(&dir.path().join("missing/audit.log"), &mine).contains("does not exist"));
        let missing = dir.path().join("missing/audit.log");
        let verdict = check(&[], &Written { audit_file: Some(&missing), acme_cache: None });
        assert_eq!(
            (verdict.outcome, verdict.findings[0].about.as_str()),
            (StepOutcome::Failed, "log.audit_file")
        );
    }

    #[test]
    fn the_folder_of_acme_can_be_made_by_the_gates_user() {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let (cache, nobody) = (dir.path().join("a/acme"), Reader { user: 65_534, groups: vec![65_534] });
        assert_eq!(closed_folder(&cache, &own().unwrap()), None);
        assert!(!cache.exists(), "and not by the check");
        let found = closed_folder(&cache, &nobody).unwrap();
        assert!(
            found.what.to_string().contains("cannot create files in /tmp/")
                && found.remedy.to_string().ends_with("a/acme"),
            "{found:?}"
        );
        fs::create_dir_all(&cache).unwrap();
        fs::set_permissions(&cache, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(closed_folder(&cache, &nobody).is_some());
        assert_eq!(closed_folder(Path::new("made-here"), &own().unwrap()), None);
    }

    #[test]
    fn secrets_that_everyone_can_read() {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, "x").unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let look = |secret| {
            let file = NamedFile { key: "wecom[0].secret_file".into(), path: path.clone(), secret };
            finding(&file, None).map(|f| f.what.to_string())
        };
        set(&path, 0o644);
        set(dir.path(), 0o700);
        assert_eq!(look(true), None, "its folder is closed");
        set(dir.path(), 0o755);
        assert!(look(true).unwrap().contains("mode 644"));
        assert_eq!(look(false), None);
        set(&path, 0o640);
        assert_eq!(look(true), None);
        let nobody = Reader { user: 65_534, groups: vec![65_534] };
        let file = NamedFile { key: "listen.key".into(), path: path.clone(), secret: true };
        let look = || finding(&file, Some(&nobody)).unwrap().what.to_string();
        assert!(look().contains("cannot read it (mode 640)"));
        set(dir.path(), 0o700);
        assert!(look().contains("cannot enter"));
    }
}
