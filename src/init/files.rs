//! The folder of the configuration and the files in it: who may read them, and how they are written so that there is always a
//! complete one.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::{ExposeSecret as _, SecretSlice};

use super::error::InitError;
use super::plan::FileState;

/// Bytes of a session key.
const KEY_BYTES: usize = 64;

/// A new key for `session.keys`, in base64.
///
/// # Errors
/// The system provides no random numbers.
pub fn new_session_key() -> Result<String, InitError> {
    let mut key = [0; KEY_BYTES];
    let none = |_| InitError::System("the system provides no random numbers".into());
    SystemRandom::new().fill(&mut key).map_err(none)?;
    Ok(STANDARD.encode(key))
}

/// Whether these are session keys, one per line.
pub(super) fn are_session_keys(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty()).peekable();
    let is_key = |line: &str| {
        let engines = [STANDARD, base64::engine::general_purpose::URL_SAFE_NO_PAD];
        engines.iter().any(|e| e.decode(line).is_ok_and(|key| key.len() == KEY_BYTES))
    };
    lines.peek().is_some() && lines.all(is_key)
}

/// Who owns the files, and their modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    /// Root's files, with this group. `None`: files of the caller only.
    group: Option<u32>,
}

impl Owner {
    /// Root gives the files to the gate's group; any other user keeps them.
    pub(super) fn of_caller(group: &str) -> Result<Self, InitError> {
        let me = fs::metadata("/proc/self").map_err(|e| InitError::file(Path::new("/proc/self"), e))?.uid();
        if me != 0 {
            return Ok(Self { group: None });
        }
        let groups = fs::read_to_string("/etc/group").unwrap_or_default();
        let problem = || InitError::Option {
            option: "--group",
            problem: format!(
                "there is no group {group}; make the gate's user and group with `useradd --system --no-create-home \
                 --shell /usr/sbin/nologin {group}`, or name another group"
            ),
        };
        Ok(Self { group: Some(group_id(&groups, group).ok_or_else(problem)?) })
    }

    /// Mode of files.
    fn file_mode(self) -> u32 {
        if self.group.is_some() { 0o640 } else { 0o600 }
    }

    /// Mode of the folder.
    fn folder_mode(self) -> u32 {
        if self.group.is_some() { 0o750 } else { 0o700 }
    }

    fn owns(self, meta: &fs::Metadata, mode: u32) -> bool {
        let owner = self.group.is_none_or(|group| meta.uid() == 0 && meta.gid() == group);
        owner && meta.mode() & 0o7777 == mode
    }

    /// The state of the folder.
    pub(super) fn folder_state(self, path: &Path) -> Result<FileState, InitError> {
        match fs::metadata(path) {
            Ok(meta) if !meta.is_dir() => Err(InitError::file(path, "is not a folder")),
            Ok(meta) if self.owns(&meta, self.folder_mode()) => Ok(FileState::Right),
            Ok(_) => Ok(FileState::Exposed),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(FileState::Missing),
            Err(e) => Err(InitError::file(path, e)),
        }
    }

    /// A file, compared with its expected content.
    pub(super) fn file_state(
        self,
        path: &Path,
        is_right: impl Fn(&[u8]) -> bool,
    ) -> Result<FileState, InitError> {
        let content = match fs::read(path) {
            Ok(content) => content,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(FileState::Missing),
            Err(e) => return Err(InitError::file(path, e)),
        };
        let meta = fs::symlink_metadata(path).map_err(|e| InitError::file(path, e))?;
        Ok(match (is_right(&content), meta.is_file() && self.owns(&meta, self.file_mode())) {
            (false, _) => FileState::Different,
            (true, false) => FileState::Exposed,
            (true, true) => FileState::Right,
        })
    }

    /// Creates the folder; its parents get the usual mode.
    pub(super) fn make_folder(self, path: &Path) -> Result<(), InitError> {
        let failed = |e: std::io::Error| InitError::file(path, e);
        if let Some(above) = path.parent() {
            fs::create_dir_all(above).map_err(failed)?;
        }
        match DirBuilder::new().mode(0o700).create(path) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(failed(e)),
            _ => {}
        }
        self.protect_folder(path)
    }

    /// Corrects owner and mode of the folder.
    pub(super) fn protect_folder(self, path: &Path) -> Result<(), InitError> {
        let folder = File::open(path).map_err(|e| InitError::file(path, e))?;
        self.protect(path, &folder, self.folder_mode())
    }

    /// Corrects owner and mode of a file.
    pub(super) fn protect_file(self, path: &Path) -> Result<(), InitError> {
        let file = File::open(path).map_err(|e| InitError::file(path, e))?;
        self.protect(path, &file, self.file_mode())
    }

    fn protect(self, path: &Path, file: &File, mode: u32) -> Result<(), InitError> {
        let failed = |e: std::io::Error| InitError::file(path, e);
        if let Some(group) = self.group {
            std::os::unix::fs::fchown(file, Some(0), Some(group)).map_err(failed)?;
        }
        file.set_permissions(Permissions::from_mode(mode)).map_err(failed)
    }

    /// Writes a file. Until it is complete, it is next to its final place, under a name that the next run overwrites.
    pub(super) fn write(self, path: &Path, content: &SecretSlice<u8>) -> Result<(), InitError> {
        let failed = |e: std::io::Error| InitError::file(path, e);
        let beside = beside(path);
        match fs::remove_file(&beside) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(InitError::file(&beside, e)),
            _ => {}
        }
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(failed)?;
        file.write_all(content.expose_secret()).map_err(failed)?;
        self.protect(&beside, &file, self.file_mode())?;
        file.sync_all().map_err(failed)?;
        fs::rename(&beside, path).map_err(failed)
    }
}

/// The temporary path of an incomplete file.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

/// The id of a group, from the text of `/etc/group`.
fn group_id(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups() {
        let text = "root:x:0:\nwecom-gate:x:998:a,b\nbroken\n";
        assert_eq!(
            (group_id(text, "wecom-gate"), group_id(text, "wecom"), group_id(text, "broken")),
            (Some(998), None, None)
        );
    }

    #[test]
    fn keys() {
        let key = new_session_key().unwrap();
        assert!(are_session_keys(format!("{key}\n\n{key}\n").as_bytes()));
        for wrong in ["", "\n", "abc", &key[..40], &format!("{key}\nabc")] {
            assert!(!are_session_keys(wrong.as_bytes()), "{wrong:?}");
        }
    }

    #[test]
    fn a_file_is_whole_and_closed_or_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let owner = Owner { group: None };
        let folder = dir.path().join("a/b");
        assert_eq!(owner.folder_state(&folder).unwrap(), FileState::Missing);
        owner.make_folder(&folder).unwrap();
        assert_eq!(owner.folder_state(&folder).unwrap(), FileState::Right);
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(owner.folder_state(&folder).unwrap(), FileState::Exposed);
        owner.protect_folder(&folder).unwrap();

        let path = folder.join("secret");
        let state = |want: &[u8]| owner.file_state(&path, |have| have == want).unwrap();
        assert_eq!(state(b"s"), FileState::Missing);
        // An earlier run was interrupted here.
        fs::write(beside(&path), "half").unwrap();
        owner.write(&path, &b"s".to_vec().into()).unwrap();
        assert_eq!((state(b"s"), state(b"t")), (FileState::Right, FileState::Different));
        assert!(!beside(&path).exists());
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(state(b"s"), FileState::Exposed);
        owner.protect_file(&path).unwrap();
        assert_eq!(state(b"s"), FileState::Right);
        assert!(owner.folder_state(&path).is_err(), "a file in the folder's place");
    }
}
