//! Several applications: which part of the configuration each of them gets.

use super::*;

/// The main application, `crm` below `/apps/crm/`, and `sales` at its own host name.
pub(super) const THREE: &str = r#"
    origin = "https://nb.example.com:8443"
    upstream.nodes = ["127.0.0.1:13000"]
    access = { api_keys = false, public = ["GET /api/main"] }
    [nocobase]
    jwt_secret = "0123456789abcdef0123456789abcdef"
    service_user = 1
    [[nocobase.apps]]
    name = "crm"
    service_user = 2
    public = ["POST /api/webhook:*"]
    [[nocobase.apps]]
    name = "sales"
    host = "sales.example.com"
    wecom = ["desk"]
    service_user = 3
    public = ["@public-forms"]
    [[wecom]]
    corp_id = "ww0123456789abcdef"
    agent_id = "1000002"
    secret = "app-secret"
    verify_files = ["WW_verify_main.txt"]
    roles = [{ department = 3, role = "seller" }, { department = 4, role = "caller", app = "crm" }, { tag = 1, role = "boss", app = "main" }]
    [[wecom]]
    name = "desk"
    corp_id = "ww0123456789abcdef"
    agent_id = "1000003"
    secret = "desk-secret"
    verify_files = ["WW_verify_desk.txt"]
    roles = [{ department = 5, role = "clerk" }, { tag = 2, role = "head", app = "sales" }]
"#;

fn three() -> Config {
    let keys = format!("session.keys = [\"{KEY}\"]\n");
    load_str(&(keys + THREE), []).unwrap_or_else(|errors| panic!("{errors:?}")).config
}

fn roles(entry: &WeComEntry) -> Vec<&str> {
    entry.roles.iter().map(|rule| rule.role.as_str()).collect()
}

#[test]
fn each_application_has_its_entries_rules_and_addresses() {
    let main = three();
    let [crm, sales] = [0, 1].map(|at| main.of_application(&main.nocobase.apps[at]));
    let names = |config: &Config| -> Vec<String> { config.wecom.iter().map(|e| e.name.clone()).collect() };
    assert_eq!(
        (names(&main), names(&crm), names(&sales)),
        (vec!["wecom".into()], vec!["wecom".into()], vec!["desk".into()])
    );
    assert_eq!(main.entry_names(), ["wecom", "desk"]);
    // Each of the two is the only entry of its application.
    assert!(main.wecom[0].auto_login && crm.wecom[0].auto_login && sales.wecom[0].auto_login);
    assert_eq!(
        [&main, &crm, &sales].map(|config| config.origin.url()),
        ["https://nb.example.com:8443", "https://nb.example.com:8443", "https://sales.example.com:8443"]
    );
    assert_eq!([&main, &crm, &sales].map(|config| config.nocobase.start_page()), ["/", "/apps/crm/", "/"]);
    assert_eq!(
        [&main, &crm, &sales].map(|config| config.wecom[0].home.clone()),
        ["/admin", "/apps/crm/admin", "/admin"]
    );
    assert_eq!(roles(&main.wecom[0]), ["seller", "boss"]);
    assert_eq!(roles(&crm.wecom[0]), ["caller"]);
    assert_eq!(roles(&sales.wecom[0]), ["clerk", "head"]);
    assert_eq!(
        [&main, &crm, &sales].map(|config| config.wecom[0].verify_files.len()),
        [1, 0, 1],
        "a file is served where WeCom looks for it"
    );
    assert_eq!(sales.wecom[0].verify_files, ["WW_verify_desk.txt"]);
    assert_eq!(main.access.public, ["GET /api/main"]);
    assert_eq!(crm.access.public, ["POST /api/webhook:*"]);
    assert_eq!(sales.access.public, ["@public-forms"]);
    for app in [&crm, &sales] {
        assert!(!app.access.api_keys && !app.access.password_login && app.access.bypass_networks.is_empty());
        assert!(app.nocobase.apps.is_empty() && app.nocobase.beside_others);
    }
}

#[test]
fn an_entry_of_another_application_is_no_administrator_and_no_rival() {
    let text = |extra: &str| format!("session.keys = [\"{KEY}\"]\n{THREE}{extra}");
    let with = |from: &str, to: &str| load_str(&text("").replace(from, to), []);
    let errors = with("public = [\"GET /api/main\"]", "admins = [\"desk/zhangsan\"]").unwrap_err();
    assert_eq!((errors.0.len(), errors.0[0].key.as_str()), (1, "access.admins[0]"));
    // Two entries of one application compete.
    let third = "\n[[wecom]]\nname = \"third\"\ncorp_id = \"ww0123456789abcdef\"\nagent_id = \"1000004\"\nsecret = \"x-secret\"\n";
    let config = load_str(&text(third), []).unwrap().config;
    assert!(!config.wecom.iter().any(|entry| entry.auto_login), "which of the two?");
    assert!(config.of_application(&config.nocobase.apps[1]).wecom[0].auto_login);
    let both = text(&format!("auto_login = true{third}auto_login = true"))
        .replace("wecom = [\"desk\"]", "wecom = [\"desk\", \"third\"]");
    let errors = load_str(&both, []).unwrap_err();
    assert_eq!((errors.0.len(), errors.0[0].key.as_str()), (1, "wecom[2].auto_login"));
}
