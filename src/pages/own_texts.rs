//! A company's texts that replace the gate's own: files `<language>.ftl`, with the same keys.

use std::collections::BTreeMap;
use std::fmt;

use fluent_syntax::ast;
use fluent_templates::fluent_bundle::concurrent::FluentBundle;
use fluent_templates::fluent_bundle::{FluentArgs, FluentResource};
use unic_langid::LanguageIdentifier;

use super::lang::{Arguments, Lang, WECOM};

/// By language tag.
#[derive(Default)]
pub(crate) struct OwnTexts(BTreeMap<String, FluentBundle<FluentResource>>);

impl OwnTexts {
    /// Adds the text of a file for this language. All problems are reported at once, and then nothing is added.
    pub(crate) fn add(&mut self, language: &str, text: &str) -> Result<(), Vec<String>> {
        let lang = Lang::all().into_iter().find(|lang| lang.tag() == language);
        let Some(lang) = lang else {
            let known: Vec<String> = Lang::all().into_iter().map(Lang::tag).collect();
            return Err(vec![format!(
                "there are no pages in this language; there are: {}",
                known.join(", ")
            )]);
        };
        let resource = FluentResource::try_new(text.to_owned());
        let resource = resource.map_err(|(_, errors)| {
            errors.iter().map(|e| format!("line {}: {}", line(text, e.pos.start), e.kind)).collect::<Vec<_>>()
        })?;
        let problems = problems(lang, &resource);
        if !problems.is_empty() {
            return Err(problems);
        }
        let tag: LanguageIdentifier = language.parse().map_err(|_| vec!["no language".to_owned()])?;
        let mut bundle = FluentBundle::new_concurrent(vec![tag]);
        bundle.set_use_isolating(false);
        // The one term that all languages define; files may use it, and may redefine it.
        let term = FluentResource::try_new(format!("-wecom = {}\n", lang.text(WECOM)));
        for resource in term.into_iter().chain([resource]) {
            bundle.add_resource_overriding(resource);
        }
        self.0.insert(lang.tag(), bundle);
        Ok(())
    }

    /// The text with this key (`message` or `message.attribute`), if there is one that can be formatted.
    pub(super) fn find(&self, lang: Lang, key: &str, arguments: &Arguments<'_>) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let bundle = self.0.get(&lang.tag())?;
        let (message, attribute) = key.split_once('.').map_or((key, None), |(m, a)| (m, Some(a)));
        let message = bundle.get_message(message)?;
        let pattern = match attribute {
            Some(name) => message.get_attribute(name)?.value(),
            None => message.value()?,
        };
        let mut errors = Vec::new();
        let args: FluentArgs<'_> = arguments.iter().map(|(name, value)| (&**name, value.clone())).collect();
        let text = bundle.format_pattern(pattern, Some(&args), &mut errors);
        errors.is_empty().then(|| text.into_owned())
    }
}

impl fmt::Debug for OwnTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// Line number, counted from 1.
fn line(text: &str, position: usize) -> usize {
    text.bytes().take(position).filter(|b| *b == b'\n').count() + 1
}

/// Keys that no page uses.
fn problems(lang: Lang, resource: &FluentResource) -> Vec<String> {
    let mut problems = Vec::new();
    for entry in resource.entries() {
        let ast::Entry::Message(message) = entry else { continue };
        let id = message.id.name;
        if !lang.has(id) {
            problems.push(format!("{id}: no page has a text with this key"));
            continue;
        }
        for attribute in &message.attributes {
            let key = format!("{id}.{}", attribute.id.name);
            if !lang.has(&key) {
                problems.push(format!("{key}: no page has a text with this key"));
            }
        }
    }
    problems
}
