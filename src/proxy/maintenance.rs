//! Maintenance: the app is closed as long as a file exists, except for administrators.
//!
//! Requests read the result of the last check; none of them waits for a file system.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::io::AsyncReadExt as _;

/// Bytes of the file that are read, and characters of it that are shown.
const MAX_BYTES: u64 = 4096;
const MAX_CHARACTERS: usize = 500;

/// Whether the app is closed, and the text for people.
#[derive(Debug, Default)]
pub(crate) struct Maintenance(ArcSwapOption<String>);

impl Maintenance {
    /// Is the app closed? Takes no lock.
    pub(crate) fn is_on(&self) -> bool {
        self.0.load().is_some()
    }

    /// The text for people, if the app is closed and the file has one.
    pub(crate) fn text(&self) -> Option<Arc<String>> {
        self.0.load_full().filter(|text| !text.is_empty())
    }

    /// Checks the file. A change is logged.
    pub(crate) async fn look(&self, file: Option<&Path>) {
        let found = match file {
            Some(file) => match read(file).await {
                Ok(found) => found,
                // The file system cannot tell: no change.
                Err(_) => return,
            },
            None => None,
        };
        let was = self.0.load();
        if was.as_deref() == found.as_ref() {
            return;
        }
        if was.is_none() != found.is_none() {
            let file = file.map(|file| file.display().to_string()).unwrap_or_default();
            match found.is_some() {
                true => tracing::warn!(event = "maintenance", on = true, file, "closed for maintenance"),
                false => {
                    tracing::warn!(event = "maintenance", on = false, file, "open again after maintenance")
                }
            }
        }
        drop(was);
        self.0.store(found.map(Arc::new));
    }
}

/// The text of the file; `None`: there is no file.
async fn read(file: &Path) -> Result<Option<String>, std::io::Error> {
    let open = async {
        let mut bytes = Vec::new();
        tokio::fs::File::open(file).await?.take(MAX_BYTES).read_to_end(&mut bytes).await?;
        Ok::<_, std::io::Error>(bytes)
    };
    match open.await {
        Ok(bytes) => Ok(Some(shown(&bytes))),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        // The file exists, and that is what counts.
        Err(e) if matches!(e.kind(), ErrorKind::PermissionDenied | ErrorKind::IsADirectory) => {
            match tokio::fs::metadata(file).await {
                Ok(_) => Ok(Some(String::new())),
                Err(_) => Err(e),
            }
        }
        Err(e) => Err(e),
    }
}

/// The text as shown: one paragraph, no control characters.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().filter(|c| *c != char::REPLACEMENT_CHARACTER).take(MAX_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_app_is_closed_for_as_long_as_the_file_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let (file, maintenance) = (dir.path().join("maintenance"), Maintenance::default());
        maintenance.look(Some(&file)).await;
        assert!(!maintenance.is_on());
        std::fs::write(&file, "").unwrap();
        maintenance.look(Some(&file)).await;
        assert!(maintenance.is_on() && maintenance.text().is_none());
        std::fs::write(&file, "Back at\n 14:00\u{7}\n").unwrap();
        maintenance.look(Some(&file)).await;
        assert_eq!(maintenance.text().unwrap().as_str(), "Back at 14:00");
        // Anything with this name counts.
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        maintenance.look(Some(&file)).await;
        assert!(maintenance.is_on());
        std::fs::remove_dir(&file).unwrap();
        maintenance.look(Some(&file)).await;
        assert!(!maintenance.is_on());
        std::fs::write(&file, "").unwrap();
        maintenance.look(Some(&file)).await;
        maintenance.look(None).await;
        assert!(!maintenance.is_on(), "the key was removed");
    }

    #[test]
    fn any_bytes_become_a_short_text() {
        assert_eq!(shown(&[0xff; 10]), "");
        assert_eq!(shown("维护到 18:00\r\n\r\n".as_bytes()), "维护到 18:00");
        assert_eq!(shown(&"字".repeat(2000).into_bytes()[..4096]).chars().count(), MAX_CHARACTERS);
    }
}
