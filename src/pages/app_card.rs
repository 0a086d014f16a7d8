//! An app's name and picture.

use super::appearance::Picture;

/// An app as WeCom's console shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AppCard {
    name: Option<String>,
    picture: Option<Picture>,
}

impl AppCard {
    /// From its name, and the bytes of its picture. What is empty, or no picture that browsers show, is left out.
    pub(crate) fn new(name: &str, picture: Option<&[u8]>) -> AppCard {
        let name = Some(name.trim()).filter(|name| !name.is_empty());
        AppCard { name: name.map(str::to_owned), picture: picture.and_then(Picture::new) }
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(super) fn picture(&self) -> Option<&Picture> {
        self.picture.as_ref()
    }
}
