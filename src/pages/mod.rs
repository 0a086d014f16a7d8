//! What people see of the gate: pages, their texts in several languages, and the script for NocoBase's pages.
//!
//! Must never: contain external data without escaping, or load anything from another site. Plain data in, a finished response
//! out: nothing here reads a clock, a request or the configuration.

mod accent;
mod account_form;
mod app_card;
mod appearance;
mod catalog;
pub(crate) mod console;
mod kinds;
mod lang;
mod own_texts;
mod parts;
mod remedies;
mod rendered;
mod script;
mod script_file;
mod view;

#[cfg(test)]
mod tests;

pub(crate) use accent::{Accent, BadAccent};
pub(crate) use account_form::AccountForm;
pub(crate) use app_card::AppCard;
pub(crate) use appearance::{Appearance, Choices, PerLanguage, Picture};
pub use lang::{Lang, language};
pub(crate) use own_texts::OwnTexts;
pub(crate) use rendered::{LOGIN_HEADER, Rendered, json_error};
pub(crate) use script::{form_attributes, gate_js, script, script_attributes, script_tag};
pub(crate) use view::{Entry, Page, View, message, render};
