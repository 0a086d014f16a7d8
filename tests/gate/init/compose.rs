//! `init` in a container, as `conf/docker-compose.yml` starts it.

use super::*;

/// What conf/docker-compose.yml passes to `init`, filled in as its example `.env` shows, makes a gate that can start: with the
/// files of the container's user, and again at each `up`.
#[tokio::test(flavor = "multi_thread")]
async fn the_compose_file_gives_all_that_it_needs() {
    let scene = Scene::set().await;
    let secrets = scene.dir.path().join("secrets");
    fs::create_dir(&secrets).unwrap();
    for (name, value) in [("wecom_secret", APP_SECRET), ("admin_password", PASSWORD), ("app_key", SECRET)] {
        fs::write(secrets.join(name), value).unwrap();
    }
    let agent = AGENT.to_string();
    let address = scene.nocobase.address.to_string();
    let filled = [
        ("${ORIGIN:?}", scene.origin.as_str()),
        ("${CORP_ID:?}", CORP),
        ("${AGENT_ID:?}", &agent),
        ("${VERIFY_FILE:-}", ""),
        ("${ACCOUNTS:-match}", "match"),
        ("${ADMIN_EMAIL:?}", "admin@nocobase.com"),
        // An address in the containers' network.
        ("nocobase:80", &address),
        ("0.0.0.0:8080", scene.origin.strip_prefix("http://").unwrap()),
        ("/run/secrets", secrets.to_str().unwrap()),
    ];
    let compose = include_str!("../../../conf/docker-compose.yml");
    let given: Vec<(String, String)> = compose
        .lines()
        .filter_map(|l| l.trim().split_once(": ").filter(|(name, _)| name.starts_with("WECOM_GATE_INIT_")))
        .map(|(name, value)| {
            let value = filled.iter().fold(value.to_owned(), |value, (from, to)| value.replace(from, to));
            assert!(!value.contains("${"), "{name}: {value}");
            (name.to_owned(), value)
        })
        .collect();
    assert!(given.len() > 8 && compose.contains("command: [init, --yes]"));
    let (api, authorize, web) = (scene.sim.base(), scene.sim.authorize_url(), scene.sim.web_login_url());
    let mut keys = Vec::new();
    for _ in 0..2 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wecom-gate"));
        command.args(["init", "--yes", "--group", "root", "--dir"]).arg(scene.path("")).env_clear();
        // The other variables, unset and passed on.
        for name in ["PUBLIC_PATH", "API_BASE", "AUTHORIZE_URL", "WEB_LOGIN_URL", "SECRET", "JWT_SECRET"] {
            command.env(format!("WECOM_GATE_INIT_{name}"), "");
        }
        command.envs(given.iter().cloned());
        // The simulator in place of WeCom.
        command.args([
            "--api-base",
            api.as_str(),
            "--authorize-url",
            authorize.as_str(),
            "--web-login-url",
            web.as_str(),
        ]);
        let init = ran(command).await;
        assert_eq!(init.code, 0, "{}{}", init.out, init.err);
        keys.push(scene.assert_complete());
    }
    assert_eq!(keys[0], keys[1], "no one is signed out");
    let text = fs::read_to_string(scene.path("wecom-gate.toml")).unwrap();
    assert!(text.contains("172.31.80.1"), "{text}");
}
