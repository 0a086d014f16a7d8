//! Files that only this user can read, written atomically.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::error::AcmeError;

/// Creates the folder for this user alone, with missing parent folders.
pub(super) fn make_folder(folder: &Path) -> Result<(), AcmeError> {
    let failed = |e| AcmeError::file(folder, e);
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(failed)
}

/// The content of a file, if there is one.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, AcmeError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(AcmeError::file(path, e)),
    }
}

/// Writes a file for this user alone. It replaces the old one once it is complete and `check`, which gets its temporary path,
/// accepts it.
pub(super) fn write(
    path: &Path,
    content: &[u8],
    check: impl FnOnce(&Path) -> Result<(), AcmeError>,
) -> Result<(), AcmeError> {
    let beside = beside(path);
    match fs::remove_file(&beside) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(AcmeError::file(&beside, e)),
        _ => {}
    }
    let failed = |e| AcmeError::file(path, e);
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    if let Err(error) = check(&beside) {
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    fs::rename(&beside, path).map_err(failed)?;
    match path.parent() {
        Some(folder) => File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed),
        None => Ok(()),
    }
}

/// The temporary path of a file.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r45_files_are_whole_and_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("acme/authority");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        make_folder(&folder).unwrap();
        assert_eq!((mode(&folder), mode(folder.parent().unwrap())), (0o700, 0o700));
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        make_folder(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700, "corrected");

        let path = folder.join("certificate.pem");
        assert_eq!(read(&path).unwrap(), None);
        // An interrupted earlier run has left a file that everyone can read.
        fs::write(beside(&path), "half").unwrap();
        fs::set_permissions(beside(&path), Permissions::from_mode(0o644)).unwrap();
        write(&path, b"one", |_| Ok(())).unwrap();
        assert_eq!((read(&path).unwrap().unwrap(), mode(&path)), (b"one".to_vec(), 0o600));
        let refused = write(&path, b"two", |new| {
            assert_eq!((fs::read(new).unwrap(), mode(new)), (b"two".to_vec(), 0o600));
            Err(AcmeError::Unusable("is none".into()))
        });
        assert!(refused.is_err());
        assert_eq!(read(&path).unwrap().unwrap(), b"one", "the old one stays");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing is left beside it");
    }
}
