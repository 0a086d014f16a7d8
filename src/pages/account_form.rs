//! The form with which a member without a matching account links one by its password.

use super::appearance::Appearance;
use super::lang::Lang;
use super::parts;

/// Its target.
const ACTION: &str = "/wecom-gate/link";

/// A form for account and password of the app. Everything in it may come from outside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccountForm<'a> {
    /// Its id.
    pub id: &'a str,
    /// The member, as identified by WeCom.
    pub member: &'a str,
    /// What was entered before.
    pub account: &'a str,
    /// The app's message about that.
    pub words: &'a str,
}

/// The same with its texts.
pub(super) struct Account<'a> {
    pub(super) form: AccountForm<'a>,
    pub(super) action: &'static str,
    pub(super) about: String,
    pub(super) member: String,
    pub(super) account: String,
    pub(super) password: String,
    pub(super) send: String,
}

impl<'a> Account<'a> {
    pub(super) fn of(form: AccountForm<'a>, lang: Lang, look: &Appearance) -> Account<'a> {
        let text = |key: &str| look.text(lang, key);
        Account {
            form,
            action: ACTION,
            about: text(parts::ACCOUNT_ABOUT),
            member: look.text_with_name(lang, parts::ACCOUNT_MEMBER, form.member),
            account: text(parts::ACCOUNT_NAME),
            password: text(parts::ACCOUNT_PASSWORD),
            send: text(parts::LINK),
        }
    }
}
