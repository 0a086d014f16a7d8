//! Environment variables override the file.

use secrecy::ExposeSecret;

use super::*;

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(k, v)| (format!("WECOM_GATE__{k}"), (*v).to_owned())).collect()
}

fn over(changes: &[(&str, &str)], vars: &[(&str, &str)]) -> Config {
    load_str(&file(changes), env(vars)).unwrap_or_else(|e| panic!("{vars:?}: {e}")).config
}

fn refused(vars: &[(&str, &str)]) -> Vec<ConfigError> {
    load_str(&file(&[]), env(vars)).map(|_| ()).expect_err(&format!("{vars:?} is accepted")).0
}

#[test]
fn alone_they_are_a_configuration() {
    let vars = env(&[
        ("ORIGIN", "https://nb.example.com"),
        ("UPSTREAM__NODES", "10.0.0.1:13000, 10.0.0.2:13000"),
        ("NOCOBASE__JWT_SECRET", "0123456789abcdef0123456789abcdef"),
        ("NOCOBASE__SERVICE_USER", "7"),
        ("WECOM__1__NAME", "b"),
        ("WECOM__1__CORP_ID", "ww0123456789abcdef"),
        ("WECOM__1__AGENT_ID", "2"),
        ("WECOM__1__SECRET", "s1"),
        ("WECOM__0__CORP_ID", "ww0123456789abcdef"),
        ("WECOM__0__AGENT_ID", "1"),
        ("WECOM__0__SECRET", "s0"),
        ("WECOM__0__AUTO_LOGIN", "true"),
        ("WECOM__0__ALLOW_TAGS", "1,2"),
        ("SESSION__KEYS__0", KEY),
    ]);
    let config = load(None, vars).unwrap().config;
    assert_eq!(config.upstream.nodes, ["10.0.0.1:13000", "10.0.0.2:13000"]);
    assert!(matches!(config.nocobase.service, ServiceAccount::User(7)));
    assert_eq!(config.wecom.iter().map(|e| e.secret.expose_secret()).collect::<Vec<_>>(), ["s0", "s1"]);
    assert!(config.wecom[0].auto_login && !config.wecom[1].auto_login);
    assert_eq!(config.wecom[0].allow_tags, [1, 2]);
}

#[test]
fn they_override_the_file() {
    let config = over(&[("session.idle", "'1h'")], &[("SESSION__IDLE", "2h"), ("WECOM__0__SECRET", "other")]);
    assert_eq!(config.session.idle.as_secs(), 7200);
    assert_eq!(config.wecom[0].secret.expose_secret(), "other");
    assert_eq!(config.wecom[0].agent_id, "1000002", "the rest of the entry stays");
    let config =
        over(&[], &[("ACCESS__API_KEYS", "false"), ("LIMITS__BODY_BYTES", "0"), ("LOG__FORMAT", "pretty")]);
    assert!(!config.access.api_keys);
    assert_eq!((config.limits.body_bytes, config.log.format), (None, LogFormat::Pretty));
}

#[test]
fn lists_come_with_commas_as_toml_or_by_number() {
    let public =
        |vars: &[(&str, &str)]| over(&[("access.public", "['GET /x', 'GET /y']")], vars).access.public;
    assert_eq!(public(&[("ACCESS__PUBLIC", "GET /a, POST /b")]), ["GET /a", "POST /b"]);
    assert_eq!(public(&[("ACCESS__PUBLIC", r#"["GET /a,b", 'POST /c']"#)]), ["GET /a,b", "POST /c"]);
    assert_eq!(public(&[("ACCESS__PUBLIC__1", "GET /z")]), ["GET /x", "GET /z"]);
    assert_eq!(public(&[("ACCESS__PUBLIC__2", "GET /z")]), ["GET /x", "GET /y", "GET /z"]);
    assert_eq!(public(&[("ACCESS__PUBLIC", "")]), [""; 0]);
}

#[test]
fn empty_ones_unset_text_and_leave_the_rest() {
    let config =
        over(&[("listen.ops", "'127.0.0.1:1'")], &[("LISTEN__OPS", ""), ("LIMITS__CONNECTIONS", "")]);
    assert_eq!(config.listen.ops, None);
    assert_eq!(config.limits.connections, 20_000);
}

#[test]
fn other_variables_are_ignored() {
    let vars = ["WECOM_GATE_SERVICE_HOST", "WECOM_GATE_CONF", "WECOM_GATE", "PATH", "wecom_gate__origin"];
    load_str(&file(&[]), vars.map(|v| (v.to_owned(), "x".to_owned()))).unwrap();
}

#[test]
fn mistakes_name_the_variable() {
    #[rustfmt::skip]
    let table: &[(&str, &str, &str, &str)] = &[
        ("SESSION__IDEL", "1h", "session.idel (environment WECOM_GATE__SESSION__IDEL): there is no such key", "did you mean `idle`"),
        ("FOO__BAR", "1", "foo (environment WECOM_GATE__FOO__BAR): there is no such key", "the keys here"),
        ("SESSION__IDLE", "soon", "session.idle = \"soon\" (environment WECOM_GATE__SESSION__IDLE): is not a time", "12h"),
        ("ACCESS__API_KEYS", "yes", "access.api_keys = \"yes\" (environment WECOM_GATE__ACCESS__API_KEYS): must be true or false", "true or false"),
        ("NOCOBASE__SERVICE_USER", "me", "nocobase.service_user = \"me\" (environment WECOM_GATE__NOCOBASE__SERVICE_USER): must be a whole number", "digits"),
        ("ACCESS__BROWSERS", "no", "access.browsers = \"no\" (environment WECOM_GATE__ACCESS__BROWSERS): is not one", "deny"),
        ("UPSTREAM__NODES", "[\"a", "upstream.nodes = \"[\\\"a\" (environment WECOM_GATE__UPSTREAM__NODES): must be a list", "list"),
        ("LOG", "info", "log = \"info\" (environment WECOM_GATE__LOG): must be a section", "[log]"),
        ("WECOM__SECRET", "s", "WECOM_GATE__WECOM__SECRET: `wecom` is a list", "WECOM_GATE__WECOM__0__"),
        ("WECOM__5__SECRET", "s", "WECOM_GATE__WECOM__5__SECRET: there is no `wecom[5]`", "next free number is 1"),
        ("ORIGIN__HOST", "s", "WECOM_GATE__ORIGIN__HOST: `origin` has no keys", "correct its name"),
        ("LISTEN__0", "s", "WECOM_GATE__LISTEN__0: `listen` has no keys or entries", "correct its name"),
        ("NOCOBASE__JWT_SECRET", "\u{fffd}\u{fffd}", "WECOM_GATE__NOCOBASE__JWT_SECRET: is not valid UTF-8", "_file"),
    ];
    for (name, value, problem, remedy) in table {
        let errors = refused(&[(name, value)]);
        let text = errors.iter().map(|e| format!("{e}\n")).collect::<String>();
        assert!(text.contains(problem) && text.contains(remedy), "{name}={value}: {text}");
    }
}
