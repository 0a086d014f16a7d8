//! Links to the sign-in. The only builder of `/wecom-gate/login?...`.

use crate::config::WeComEntry;
use crate::decide;
use crate::login::Retry;
use crate::pages::Entry;
use crate::proxy::gate::Gate;

/// `/wecom-gate/login` with this target.
pub(crate) fn login_address(target: &str, with: Option<&str>) -> String {
    retry_address(&Retry {
        target: Some(target.to_owned()),
        entry: with.map(str::to_owned),
        ..Retry::default()
    })
}

/// `/wecom-gate/login` for another attempt at a failed sign-in.
pub(crate) fn retry_address(retry: &Retry) -> String {
    let Some(target) = &retry.target else { return "/wecom-gate/login".into() };
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("rd", target);
    if let Some(via) = retry.via {
        query.append_pair("via", via.name());
    }
    if let Some(name) = &retry.entry {
        query.append_pair("with", name);
    }
    format!("/wecom-gate/login?{}", query.finish())
}

/// The address that leads to `here` when opened inside WeCom: the page itself, which signs in automatically, unless the failed
/// sign-in was for another entry.
pub(crate) fn inside_wecom(with: Option<&WeComEntry>, here: &str) -> String {
    match with {
        Some(entry) if !entry.auto_login => login_address(here, Some(&entry.name)),
        _ => here.to_owned(),
    }
}

/// The entry that a query of `/wecom-gate/login` names.
pub(crate) fn with<'g>(gate: &'g Gate, query: Option<&str>) -> Option<&'g WeComEntry> {
    let mut pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.find(|(name, _)| name == "with").and_then(|(_, name)| gate.config.entry(&name))
}

/// Title and address of every sign-in through WeCom that leads to `target`, except that of one entry.
pub(crate) fn ways(gate: &Gate, target: &str, but: Option<&WeComEntry>) -> Vec<(String, String)> {
    let others = gate.config.wecom.iter().filter(|e| but.is_none_or(|but| but.name != e.name));
    others.map(|e| (e.title.clone(), login_address(target, Some(&e.name)))).collect()
}

/// The same as buttons.
pub(crate) fn buttons(ways: &[(String, String)]) -> Vec<Entry<'_>> {
    ways.iter().map(|(title, href)| Entry { title, href }).collect()
}

/// Address of NocoBase's password form, leading to `target`, if the form is in use.
pub(crate) fn password_address(gate: &Gate, target: &str) -> Option<String> {
    gate.policy().password.then(|| decide::form_address(&gate.policy(), target))
}

/// The target in the query of one of the gate's own pages.
pub(crate) fn asked_for(query: Option<&str>) -> String {
    let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let rd =
        pairs.into_iter().find(|(name, _)| name == "rd").and_then(|(_, rd)| decide::target::sanitize(&rd));
    rd.unwrap_or_else(|| "/".into())
}
