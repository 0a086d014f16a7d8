//! `check` where the gate serves several applications: each has its own steps, and a problem is shown at its application.

use serde_json::{Value, json};

use super::{Checked, Scene};
use crate::support::NocoBase;

/// Id of the gate's service user in `crm`.
const CRM_SERVICE: u64 = 41;
/// Steps of each application.
const STEPS: [&str; 6] = [
    "nocobase_reachable",
    "nocobase_secret",
    "nocobase_service",
    "nocobase_rights",
    "nocobase_sign_up",
    "nocobase_users",
];

/// With `main` and `crm`, both set up correctly, and `crm`'s NocoBase.
async fn with_crm() -> (Scene, NocoBase) {
    let mut scene = Scene::set().await;
    let crm = scene.nocobase.application("crm");
    crm.user_with_id(CRM_SERVICE, json!({ "username": "gate", "phone": "13900000000" }));
    let app = format!("name = \"crm\"\nservice_user = {CRM_SERVICE}\n");
    let app: toml::Value = toml::from_str(&app).unwrap();
    scene.config.set("nocobase.apps", vec![app]).set("access.api_keys", false);
    (scene, crm)
}

/// The subject of a finding about NocoBase's only node.
fn nodes(scene: &Scene) -> String {
    format!("upstream.nodes: {}", scene.nocobase.address)
}

impl Checked {
    /// This step of an application: `apps/crm`; without one, of the main application.
    fn of(&self, app: Option<&str>, name: &str) -> &Value {
        let steps = self.report["steps"].as_array().unwrap();
        let is_it = |step: &&Value| step["name"] == name && step["entry"].as_str() == app;
        steps.iter().find(is_it).unwrap_or_else(|| panic!("no step {name} of {app:?}: {:#}", self.report))
    }

    /// This step of `crm` has failed, with a finding about this key, and no step of the main application has.
    fn only_crm_failed(&self, name: &str, about: &str, words: &str) {
        assert_eq!((self.with("failed"), self.code), (vec![name], 1), "{:#}", self.report);
        let step = self.of(Some("apps/crm"), name);
        let finding = &step["findings"][0];
        assert_eq!((&step["outcome"], &finding["about"]), (&json!("failed"), &json!(about)), "{step:#}");
        assert!(step.to_string().contains(words), "no {words:?} in {step:#}");
        assert_ne!(finding["remedy"], json!(""), "{step:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_application_is_looked_at_for_itself() {
    let (mut scene, crm) = with_crm().await;
    crm.data().version = "2.1.45";
    let checked = scene.check(&[]).await;
    assert_eq!((checked.code, checked.with("failed")), (0, vec![]), "{:#}", checked.report);
    for app in [None, Some("apps/crm")] {
        for name in STEPS {
            assert_eq!(checked.of(app, name)["outcome"], "ok", "{app:?} {:#}", checked.report);
        }
    }
    // Each with its own version and service account, and no test data is left in either.
    for (app, version, user) in [(None, "2.2.15", "user 1 "), (Some("apps/crm"), "2.1.45", "user 41 ")] {
        assert!(checked.of(app, "nocobase_reachable").to_string().contains(version), "{app:?}");
        assert!(checked.of(app, "nocobase_service").to_string().contains(user), "{app:?}");
    }
    for nocobase in [&scene.nocobase, &crm] {
        let data = nocobase.data();
        assert_eq!((data.users.len(), data.bindings.len(), data.tokens.len()), (1, 0, 0));
    }

    // A right that only this application needs is checked there alone.
    crm.fail("users:create", 403, r#"{"errors":[{"message":"No permissions"}]}"#, usize::MAX);
    assert_eq!(scene.check(&[]).await.code, 0, "not needed");
    let app: toml::Value =
        toml::from_str("name = \"crm\"\nservice_user = 41\nauto_create_user = true").unwrap();
    scene.config.set("nocobase.apps", vec![app]);
    scene.check(&[]).await.only_crm_failed("nocobase_rights", "users:create", "auto_create_user");
    crm.heal();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_in_one_application_is_shown_there() {
    let (mut scene, crm) = with_crm().await;
    crm.data().users.clear();
    scene.check(&[]).await.only_crm_failed(
        "nocobase_service",
        "nocobase.apps[crm].service_user",
        "no such user",
    );
    crm.user_with_id(CRM_SERVICE, json!({ "username": "gate" }));
    let checked = scene.check(&[]).await;
    assert_eq!(checked.of(Some("apps/crm"), "nocobase_users")["outcome"], "warning", "{:#}", checked.report);
    assert_eq!((checked.code, &checked.of(None, "nocobase_users")["outcome"]), (0, &json!("ok")));
    crm.data().version = "1.5.9";
    let checked = scene.check(&[]).await;
    let found = checked.of(Some("apps/crm"), "nocobase_reachable").to_string();
    assert!(checked.code == 1 && found.contains("issuedTokens"), "{found}");
    assert_eq!(checked.of(None, "nocobase_reachable")["outcome"], "ok");
    crm.data().version = "2.2.15";
    crm.fail("__health_check", 503, r#"{"error":{"status":503,"code":"APP_STOPPED"}}"#, usize::MAX);
    let stopped = "HTTP 503";
    scene.check(&[]).await.only_crm_failed("nocobase_reachable", &nodes(&scene), stopped);
    crm.heal();
    // NocoBase has no application of this name.
    let app: toml::Value = toml::from_str("name = \"sales\"\nservice_user = 41").unwrap();
    scene.config.set("nocobase.apps", vec![app]);
    let checked = scene.check(&[]).await;
    assert_eq!((checked.with("failed"), checked.code), (vec!["nocobase_reachable"], 1));
    let step = checked.of(Some("apps/sales"), "nocobase_reachable");
    assert_eq!(step["findings"][0]["about"], "nocobase.apps[sales].name", "{step:#}");
    assert!(step.to_string().contains("no application of the name sales"), "{step:#}");
    assert_eq!(checked.of(None, "nocobase_reachable")["outcome"], "ok");
}
