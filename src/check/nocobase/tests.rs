use super::*;
use crate::nocobase::test_client::rules;
use crate::nocobase::versions::Version;

fn responds(status: u16, body: &str) -> ApiResult {
    Ok(HttpResponse { status, body: body.into(), ..HttpResponse::default() })
}

fn code(code: &str, message: &str) -> ApiResult {
    responds(401, &json!({ "errors": [{ "message": message, "code": code }] }).to_string())
}

/// NocoBase's response if it has no application with the name in `X-App`.
const NO_APPLICATION: &str =
    r#"{"error":{"status":404,"message":"application main not found","code":"APP_NOT_FOUND"}}"#;

/// `[nocobase]` as for one of `[[nocobase.apps]]`.
fn of_crm(service: ServiceAccount) -> config::NocoBase {
    config::NocoBase { app: "crm".into(), beside_others: true, service, ..rules(&[], false) }
}

#[test]
fn what_is_about_one_of_several_applications_names_its_key() {
    let nodes = [("n:1".to_owned(), responds(404, NO_APPLICATION))];
    let got = reachable(&nodes, &of_crm(ServiceAccount::User(1)), "http://gate.test", &About::default());
    assert_eq!(got.outcome, StepOutcome::Failed);
    let finding = &got.findings[0];
    assert_eq!(finding.about, "nocobase.apps[crm].name");
    assert!(finding.what.to_string().ends_with("no application of the name crm"), "{finding:?}");
    for (account, key) in [
        (ServiceAccount::User(41), "nocobase.apps[crm].service_user"),
        (ServiceAccount::Token("secret-token".into()), "nocobase.apps[crm].service_token"),
    ] {
        let got = service(&code("NOT_EXIST_USER", "x"), &of_crm(account));
        assert_eq!(got.findings[0].about, key);
    }
}

#[test]
fn nodes_and_version() {
    let info = |version: &str| Version::parse(version).unwrap();
    let well = || responds(200, "ok");
    for (responses, info, want, words) in [
        (vec![well()], Some(info("2.2.15")), StepOutcome::Ok, "NocoBase 2.2.15 on 1 of 1"),
        (vec![well()], Some(info("2.2.99")), StepOutcome::Ok, "2.2.99"),
        (vec![well()], Some(info("3.0.0")), StepOutcome::Warning, "tested with 2.2.15"),
        (vec![well()], Some(info("2.1.45")), StepOutcome::Ok, "sign-in by password work"),
        (vec![well()], Some(info("2.3.0-beta.3")), StepOutcome::Warning, "expected"),
        (vec![well()], Some(info("1.5.20")), StepOutcome::Failed, "issuedTokens"),
        (vec![well()], Some(info("2.20.1")), StepOutcome::Warning, "2.20.1"),
        (vec![well()], None, StepOutcome::Ok, "not known"),
        (vec![well(), Err(HttpError::Connect)], Some(info("2.2.15")), StepOutcome::Warning, "1 of 2"),
        (vec![Err(HttpError::Connect)], None, StepOutcome::Failed, "start NocoBase"),
        (vec![Err(HttpError::Timeout), responds(503, "{}")], None, StepOutcome::Failed, "HTTP 503"),
        // If the path is wrong, NocoBase responds with its page and 200.
        (vec![responds(200, "<!DOCTYPE html>")], None, StepOutcome::Failed, "APP_PUBLIC_PATH"),
        (
            vec![responds(200, "<script>window['__nocobase_public_path__'] = '/nocobase/';</script>")],
            None,
            StepOutcome::Failed,
            "set it to /nocobase/",
        ),
        (
            vec![responds(200, "<script>window['__nocobase_public_path__'] = '/';</script>")],
            None,
            StepOutcome::Failed,
            "API_BASE_PATH must be",
        ),
        (vec![responds(404, "")], None, StepOutcome::Failed, "HTTP 404"),
        (vec![responds(404, NO_APPLICATION)], None, StepOutcome::Failed, "\"nocobase.app\""),
    ] {
        let nodes: Vec<_> = responses.into_iter().map(|a| ("n:1".to_owned(), a)).collect();
        let about = About { version: info, page: None };
        let got = reachable(&nodes, &rules(&[], false), "http://gate.test", &about);
        assert_eq!(got.outcome, want, "{nodes:?}");
        assert!(format!("{got:?}").contains(words), "{got:?}");
    }
}

#[test]
fn is_it_the_secret() {
    for (response, want, words) in [
        (responds(200, r#"{"data":{"id":1}}"#), StepOutcome::Ok, "accepts"),
        (code("NOT_EXIST_USER", "User not found."), StepOutcome::Ok, "accepts"),
        (code("INVALID_TOKEN", "Your session has expired."), StepOutcome::Failed, "jwt_secret.dat"),
        (
            code("INVALID_TOKEN", "User password changed, please signin again."),
            StepOutcome::Warning,
            "password",
        ),
        (code("TOKEN_RENEW_FAILED", "x"), StepOutcome::Failed, "clocks"),
        (responds(200, "<html>"), StepOutcome::Failed, "not NocoBase's"),
        (responds(200, "{}"), StepOutcome::Failed, "not NocoBase's"),
        (responds(502, ""), StepOutcome::Failed, "HTTP 502"),
        (Err(HttpError::Timeout), StepOutcome::Failed, "10 seconds"),
    ] {
        let got = secret(&response);
        assert_eq!(got.outcome, want, "{response:?}");
        assert!(format!("{got:?}").contains(words), "{got:?}");
    }
}

#[test]
fn who_is_the_service_account() {
    let user = ServiceAccount::User(2);
    let key = ServiceAccount::Token("secret-token".into());
    let good =
        || responds(200, r#"{"data":{"id":2,"username":"wecom-gate","roles":[{"name":"wecom_gate"}]}}"#);
    for (response, account, want, words) in [
        (good(), &user, StepOutcome::Ok, "user 2 wecom-gate, wecom_gate"),
        (responds(200, r#"{"data":{"id":2,"roles":[]}}"#), &user, StepOutcome::Failed, "has no role"),
        (code("NOT_EXIST_USER", "x"), &user, StepOutcome::Failed, "no such user"),
        (code("USER_HAS_NO_ROLES_ERR", "x"), &user, StepOutcome::Failed, "no role"),
        (good(), &key, StepOutcome::Ok, ""),
        (code("INVALID_TOKEN", "x"), &key, StepOutcome::Failed, "new API key"),
        (code("BLOCKED_TOKEN", "x"), &key, StepOutcome::Failed, "revoked"),
        (responds(500, "x"), &key, StepOutcome::Failed, "HTTP 500"),
    ] {
        let nocobase = config::NocoBase { service: account.clone(), ..rules(&[], false) };
        let got = service(&response, &nocobase);
        assert_eq!(got.outcome, want, "{response:?}");
        let text = format!("{got:?}");
        assert!(text.contains(words) && !text.contains("secret-token"), "{text}");
    }
}

#[test]
fn sign_up_matters_where_it_can_steal_an_account() {
    use MatchBy::{Email, Phone, Username};
    let form = |open: bool, fields: &[&str]| {
        let form: Vec<_> = fields.iter().map(|f| json!({ "field": f, "show": true })).collect();
        responds(
            200,
            &json!({ "data": [{ "options": { "allowSignUp": open, "signupForm": form } }] }).to_string(),
        )
    };
    for (response, keys, want) in [
        (form(false, &["username"]), &[Username, Email, Phone][..], StepOutcome::Ok),
        (form(true, &["username"]), &[Phone], StepOutcome::Ok),
        (form(true, &["username"]), &[Phone, Username], StepOutcome::Warning),
        (form(true, &["username"]), &[Email], StepOutcome::Warning),
        (form(true, &["username", "phone"]), &[Phone], StepOutcome::Warning),
        (responds(200, r#"{"data":[]}"#), &[Username], StepOutcome::Ok),
        (responds(404, ""), &[Username], StepOutcome::Warning),
        (Err(HttpError::Timeout), &[Username], StepOutcome::Warning),
    ] {
        assert_eq!(sign_up(&response, &rules(keys, false)).outcome, want, "{response:?} {keys:?}");
    }
}

#[test]
fn linking_by_password_needs_nocobases_passwords() {
    let list = |name: &str, kind: &str| {
        let all =
            json!({ "data": [{ "name": "sms", "authType": "SMS" }, { "name": name, "authType": kind }] });
        responds(200, &all.to_string())
    };
    for (response, link, want) in [
        (list("basic", "Email/Password"), true, StepOutcome::Ok),
        (list("basic", "LDAP"), true, StepOutcome::Failed),
        (list("other", "Email/Password"), true, StepOutcome::Failed),
        (list("other", "SMS"), false, StepOutcome::Ok),
        (responds(500, "x"), true, StepOutcome::Warning),
    ] {
        let rules = config::NocoBase { link_by_password: link, ..rules(&[MatchBy::Phone], false) };
        let got = sign_up(&response, &rules);
        assert_eq!(got.outcome, want, "{response:?} {link}");
        assert_eq!(format!("{got:?}").contains("nocobase.link_by_password"), want == StepOutcome::Failed);
    }
}
