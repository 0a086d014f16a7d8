//! `[pages]`: what the gate's own pages show.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::raw;
use super::super::report::Report;
use super::super::types::Pages;
use super::values;
use crate::pages::{Accent, Appearance, BadAccent, Choices, Lang, OwnTexts, PerLanguage, Picture};

/// Largest picture, which every page contains, and largest file of texts, in bytes.
const MAX_PICTURE: u64 = 100 << 10;
const MAX_TEXTS: u64 = 1 << 20;
/// Longest line that people read, in characters.
const MAX_CHARACTERS: usize = 200;

pub(super) fn pages(raw: raw::Pages, report: &mut Report) -> Option<Pages> {
    let title = line("pages.title", &raw.title, report);
    let logo = logo(&raw.logo_file, report);
    let accent = accent(&raw.accent, report);
    let help = help(&raw.help, report);
    let texts = texts(&raw.texts, report);
    let maintenance_file = absolute("pages.maintenance_file", &raw.maintenance_file, report);
    let (help, help_link) = help?;
    let choices = Choices { title: title?, logo: logo?, accent: accent?, help, help_link, texts: texts? };
    Some(Pages { appearance: Arc::new(Appearance::new(choices)), maintenance_file: maintenance_file? })
}

/// `Some(None)`: not given.
fn line(key: &str, text: &str, report: &mut Report) -> Option<Option<String>> {
    let text = text.trim();
    let problem = if text.chars().any(char::is_control) {
        "contains a line break or a control character"
    } else if text.chars().count() > MAX_CHARACTERS {
        "is too long to be read"
    } else {
        return Some((!text.is_empty()).then(|| text.to_owned()));
    };
    report.error(key, problem, format!("give one line of at most {MAX_CHARACTERS} characters"));
    None
}

fn absolute(key: &str, text: &str, report: &mut Report) -> Option<Option<PathBuf>> {
    let path = Some(text).filter(|path| !path.trim().is_empty()).map(PathBuf::from);
    if path.as_deref().is_some_and(|path| !path.is_absolute()) {
        report.bad(key, text, "is not an absolute path", "begin it with /");
        return None;
    }
    Some(path)
}

fn accent(text: &str, report: &mut Report) -> Option<Option<Accent>> {
    const KEY: &str = "pages.accent";
    if text.is_empty() {
        return Some(None);
    }
    match Accent::parse(text) {
        Ok(accent) => return Some(Some(accent)),
        Err(BadAccent::Form) => report.bad(KEY, text, "is not a colour", "write it like \"#0958d9\""),
        Err(BadAccent::Contrast(contrast)) => {
            let problem = format!("is too light: white text on it has a contrast of {contrast:.1} to 1");
            report.bad(KEY, text, problem, "choose a darker one: 4.5 to 1 at least");
        }
    }
    None
}

fn logo(path: &str, report: &mut Report) -> Option<Option<Picture>> {
    const KEY: &str = "pages.logo_file";
    if path.is_empty() {
        return Some(None);
    }
    match read(Path::new(path), MAX_PICTURE) {
        Ok(bytes) => match Picture::new(&bytes) {
            Some(picture) => return Some(Some(picture)),
            None => report.bad(KEY, path, "is not a picture", "give a PNG, JPEG, GIF, WebP or SVG file"),
        },
        Err(problem) => {
            report.bad(KEY, path, problem, "give a file of 100 KiB at most that the gate's user may read");
        }
    }
    None
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let cannot = |e: std::io::Error| format!("cannot be read: {e}");
    let mut content = Vec::new();
    let file = std::fs::File::open(path).map_err(cannot)?;
    file.take(most + 1).read_to_end(&mut content).map_err(cannot)?;
    if content.len() as u64 > most { Err("is too large".into()) } else { Ok(content) }
}

fn help(raw: &[raw::Help], report: &mut Report) -> Option<(PerLanguage, PerLanguage)> {
    let (mut texts, mut links) = (PerLanguage::default(), PerLanguage::default());
    let mut good = true;
    let known: Vec<String> = Lang::all().into_iter().map(Lang::tag).collect();
    for (i, help) in raw.iter().enumerate() {
        let key = |name: &str| format!("pages.help[{i}].{name}");
        let text = line(&key("text"), &help.text, report);
        if matches!(text, Some(None)) {
            report.error(
                &key("text"),
                "is missing",
                "write whom to ask, such as \"Ask the IT desk, ext. 1234\"",
            );
        }
        let link = link(&key("link"), &help.link, report);
        let (Some(Some(text)), Some(link)) = (text, link) else {
            good = false;
            continue;
        };
        if !help.language.is_empty() && !known.contains(&help.language) {
            let remedy = format!("give one of: {}", known.join(", "));
            report.bad(&key("language"), &help.language, "is not a language of the pages", remedy);
            good = false;
            continue;
        }
        if texts.set(&help.language, Some(text)) {
            report.error(&key("language"), "occurs twice", "keep one block for each language");
            good = false;
        }
        links.set(&help.language, link);
    }
    good.then_some((texts, links))
}

/// Links that a page may have: no scripts.
fn link(key: &str, text: &str, report: &mut Report) -> Option<Option<String>> {
    const REMEDY: &str = "begin it with https:, http:, mailto: or tel:";
    if text.is_empty() {
        return Some(None);
    }
    let plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    let fits = match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "mailto" | "tel") => plain,
        Ok(_) => plain && values::web_address(text).is_ok(),
        Err(_) => false,
    };
    if !fits {
        report.bad(key, text, "is not an address that a page can lead to", REMEDY);
        return None;
    }
    Some(Some(text.to_owned()))
}

fn texts(folder: &str, report: &mut Report) -> Option<OwnTexts> {
    const KEY: &str = "pages.texts";
    let mut texts = OwnTexts::default();
    if folder.is_empty() {
        return Some(texts);
    }
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let mut files: Vec<PathBuf> = match entries {
        Ok(entries) => entries.into_iter().map(|entry| entry.path()).collect(),
        Err(e) => {
            report.bad(
                KEY,
                folder,
                format!("cannot be read: {e}"),
                "give a folder that the gate's user may read",
            );
            return None;
        }
    };
    files.retain(|file| file.extension().is_some_and(|ending| ending == "ftl"));
    files.sort();
    if files.is_empty() {
        report.bad(KEY, folder, "contains no file such as zh.ftl", "put one there, or leave the key out");
        return None;
    }
    let mut good = true;
    for file in &files {
        let shown = file.display().to_string();
        let language = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let text = read(file, MAX_TEXTS)
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned()));
        let problems = match text {
            Ok(text) => texts.add(language, &text).err().unwrap_or_default(),
            Err(problem) => vec![problem],
        };
        for problem in problems {
            good = false;
            report.bad(KEY, &shown, problem, "compare it with src/pages/texts of the gate's sources");
        }
    }
    good.then_some(texts)
}
