//! From the file as written to the configuration that the program uses. Every check reports and continues, so that one run shows
//! all errors.
//!
//! Must never: stop at the first error, or put a secret into a report.

mod access;
mod acme;
mod applications;
mod limits;
mod listen;
mod nocobase;
mod pages;
mod redis;
mod secrets;
mod service_account;
mod session;
mod upstream;
mod values;
mod wecom;

use super::raw::Raw;
use super::report::Report;
use super::types::Config;

/// `None` only with errors in the report.
pub(super) fn resolve(raw: Raw, report: &mut Report) -> Option<Config> {
    let origin = values::origin("origin", &raw.origin, report);
    let behind_proxy = !raw.access.trusted_proxies.is_empty();
    let hosts: Vec<String> = raw.nocobase.apps.iter().map(|app| app.host.clone()).collect();
    let listen = listen::listen(raw.listen, origin.as_ref(), behind_proxy, &hosts, report);
    let upstream = upstream::upstream(raw.upstream, report);
    let public_path = raw.nocobase.public_path.clone();
    let roles = raw.wecom.iter().any(|entry| !entry.roles.is_empty());
    let owners = applications::owners(&raw.nocobase.apps);
    let role_apps = applications::role_apps(&raw.wecom);
    let mut nocobase = nocobase::nocobase(raw.nocobase, roles, report);
    let names = raw.wecom.iter().map(|entry| &entry.name).filter(|name| !owners.contains_key(*name));
    let of_main: Vec<String> = names.cloned().collect();
    let mut wecom = wecom::entries(raw.wecom, &owners, &public_path, report);
    if let (Some(nocobase), Some(wecom), Some(origin)) = (&mut nocobase, &mut wecom, &origin) {
        applications::distribute(nocobase, wecom, &role_apps, origin, report);
    }
    let access = access::access(raw.access, &public_path, &of_main, report);
    let session = session::session(raw.session, report);
    let pages = pages::pages(raw.pages, report);
    let log = limits::log(raw.log, report);
    let limits = limits::limits(raw.limits, report);
    let cache = limits::cache(&raw.cache, report);
    if let (Some(nocobase), Some(access)) = (&nocobase, &access) {
        applications::tokens_that_pass(nocobase, access, report);
    }
    Some(Config {
        origin: origin?,
        listen: listen?,
        upstream: upstream?,
        nocobase: nocobase?,
        wecom: wecom?,
        access: access?,
        session: session?,
        pages: pages?,
        log: log?,
        limits: limits?,
        cache: cache?,
    })
}
