//! The texts: every language has all of them, and each is used.

use std::collections::BTreeSet;
use std::path::Path;

use fluent_syntax::{ast, parser};

use super::*;
use crate::pages::console;

impl Lang {
    /// The text as shown on a page.
    fn sample(self, key: &str) -> String {
        match parts::ALL.iter().chain(console::texts::ALL).find(|part| **part == key) {
            Some(part) => self.text_with_name(part, "Example Ltd"),
            None => self.text(key),
        }
    }
}

fn texts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pages/texts")
}

/// `message` and `message.attribute` -> the names of its arguments, in one language.
fn keys(folder: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut keys = BTreeMap::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let source = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let resource = parser::parse(source.as_str()).expect("well-formed Fluent");
        for entry in resource.body {
            let ast::Entry::Message(message) = entry else { continue };
            let mut add = |key: String, pattern: &ast::Pattern<&str>| {
                assert!(keys.insert(key.clone(), arguments(pattern)).is_none(), "{key} twice");
            };
            add(message.id.name.to_owned(), message.value.as_ref().expect("a title"));
            for attribute in &message.attributes {
                add(format!("{}.{}", message.id.name, attribute.id.name), &attribute.value);
            }
        }
    }
    keys
}

/// Names of the arguments, at any depth.
fn arguments(pattern: &ast::Pattern<&str>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for element in &pattern.elements {
        let ast::PatternElement::Placeable { expression } = element else { continue };
        let (ast::Expression::Inline(inline) | ast::Expression::Select { selector: inline, .. }) = expression;
        if let ast::InlineExpression::VariableReference { id } = inline {
            names.insert(id.name.to_owned());
        }
        if let ast::Expression::Select { variants, .. } = expression {
            names.extend(variants.iter().flat_map(|variant| arguments(&variant.value)));
        }
    }
    names
}

/// The supported languages.
const LANGUAGES: [&str; 7] = ["de", "en", "es", "nl", "ru", "sv", "zh"];

#[test]
fn every_language_has_every_text() {
    let english = keys(&texts().join("en"));
    let folders: BTreeSet<String> = std::fs::read_dir(texts())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let built_in: Vec<String> = Lang::all().into_iter().map(Lang::tag).collect();
    assert!(folders.iter().eq(&built_in), "every folder is a language of the program: {folders:?}");
    assert_eq!(built_in, LANGUAGES);
    for folder in folders {
        assert_eq!(keys(&texts().join(&folder)), english, "{folder} against en");
    }
}

/// Texts that are the same in English.
const SAME: [(&str, &str); 2] = [("de", "support-code"), ("nl", "support-code")];

#[test]
fn every_text_is_translated() {
    let english = Lang::default();
    let mut same = Vec::new();
    for lang in Lang::all() {
        for key in keys(&texts().join("en")).keys() {
            let text = lang.sample(key);
            // Fluent writes out unresolved references as they are.
            assert!(!text.contains(['{', '}', '$']), "{}: {key} = {text}", lang.tag());
            assert!(!text.trim().is_empty() && text.trim() == text, "{}: {key} = {text:?}", lang.tag());
            // WeCom has this name everywhere except in China.
            let is_name = key == parts::WECOM && lang.tag() != "zh";
            if lang != english && !is_name && text == english.sample(key) {
                same.push((lang.tag(), key.clone()));
            }
        }
    }
    let same: Vec<(&str, &str)> = same.iter().map(|(lang, key)| (lang.as_str(), key.as_str())).collect();
    assert_eq!(same, SAME, "as in English");
}

#[test]
fn every_text_is_used_and_known() {
    let mut known: BTreeSet<String> = parts::ALL.iter().map(|&key| key.to_owned()).collect();
    known.extend(console::texts::ALL.iter().map(|&key| key.to_owned()));
    let mut titles: BTreeSet<&str> = Failure::ALL.iter().map(|f| kinds::of(*f).key).collect();
    titles.extend([kinds::SIGNED_OUT.key, kinds::SIGN_IN.key, kinds::LOGOUT.key]);
    known.extend(titles.iter().map(|&key| key.to_owned()));
    for key in keys(&texts().join("en")).into_keys() {
        match key.split_once('.') {
            None => assert!(known.remove(&key), "{key} is not used"),
            Some((title, attribute)) => {
                assert!(titles.contains(title), "{key} is not used");
                assert!(["what", "do", "link"].contains(&attribute) || STEPS.contains(&attribute), "{key}");
            }
        }
    }
    assert!(known.is_empty(), "without a text: {known:?}");
}
