//! A real Prometheus scrapes the gate: every query of the dashboard and of the alert rules returns data.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use http::Method;
use serde_json::Value;
use wecom_sim::Fault;

use crate::support::browser::CURL;
use crate::support::raw::send_raw;
use crate::support::{Browser, Redis, Stage};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// This test's own Prometheus; dropped, it is stopped.
struct Prometheus {
    child: Child,
    address: String,
    http: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// Scrapes this gate every second, with our alert rules.
    async fn start(gate: std::net::SocketAddr) -> Prometheus {
        let folder = tempfile::tempdir().unwrap();
        let conf = folder.path().join("prometheus.yml");
        let rules = root().join("conf/prometheus/alerts.yml");
        let text = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [\"{}\"]\nscrape_configs:\n  \
             - job_name: wecom-gate\n    static_configs: [{{ targets: [\"{gate}\"] }}]\n",
            rules.display()
        );
        std::fs::write(&conf, text).unwrap();
        let free = nocobase_standin::free();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", conf.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={free}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Prometheus is not installed: make packages");
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Prometheus { child, address: free.to_string(), http, _folder: folder }
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, String> {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let response = self.http.get(url).query(query).send().await.map_err(|e| e.to_string())?;
        let response: Value = response.json().await.map_err(|e| e.to_string())?;
        if response["status"] == "success" { Ok(response["data"].clone()) } else { Err(response.to_string()) }
    }

    /// Values of an instant query, NaN left out.
    async fn query(&self, query: &str) -> Result<Vec<f64>, String> {
        let data = self.get("query", &[("query", query)]).await?;
        let values = data["result"].as_array().cloned().unwrap_or_default();
        let values = values.iter().filter_map(|s| s["value"][1].as_str()?.parse().ok());
        Ok(values.filter(|v: &f64| !v.is_nan()).collect())
    }

    /// Waits until the query returns data.
    async fn finds(&self, what: &str, query: &str) -> Vec<f64> {
        let mut last = Ok(Vec::new());
        for _ in 0..150 {
            last = self.query(query).await;
            match &last {
                Ok(values) if !values.is_empty() => return values.clone(),
                Err(error) if error.contains("bad_data") => panic!("{what}: {query}: {error}"),
                _ => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
        panic!("{what}: {query} finds nothing: {last:?}");
    }
}

/// Sign-ins, a refused one, members' requests, errors of NocoBase, a connection beyond the limit.
async fn traffic(stage: &Stage) {
    let mut browser = stage.signed_in("zhangsan").await;
    for _ in 0..20 {
        assert_eq!(browser.api(Method::GET, "/api/orders:list").await.status, 200);
    }
    stage.nocobase.fail("/api/broken", 500, "{}", 3);
    for _ in 0..3 {
        assert_eq!(browser.api(Method::GET, "/api/broken").await.status, 500);
    }
    assert_eq!(Browser::new(&stage.gate, CURL).visit("/api/x").await.status, 401);
    stage.wecom().add_fault(Fault::errcode("/cgi-bin/user/get", 60111, 1));
    assert_eq!(stage.phone("lisi").open("/admin").await.status, 403);
    stage.wecom().add_fault(Fault::errcode("/cgi-bin/user/get", 60020, 1));
    assert_eq!(stage.phone("lisi").open("/admin").await.status, 502);
    send_raw(stage.gate.http, "nonsense\r\n\r\n").await;
}

/// The dashboard's queries: panel, query.
fn dashboard() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(root().join("conf/grafana/wecom-gate.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        assert!(panel["type"] == "row" || !targets.is_empty(), "{title} shows nothing");
        for target in targets {
            let query = target["expr"].as_str().unwrap();
            let query = query.replace("$instance", ".*").replace("$__rate_interval", "1m");
            assert!(!query.contains('$'), "{title}: {query}");
            queries.push((title.to_owned(), query));
        }
    }
    queries
}

/// The selectors of a query: names with their braces.
fn selectors(query: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in query.match_indices("wecom_gate_") {
        let rest = &query[at..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let end = match rest[end..].strip_prefix('{') {
            Some(inner) => end + 2 + inner.find('}').unwrap(),
            None => end,
        };
        found.push(rest[..end].to_owned());
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_the_dashboard_and_of_the_alerts_finds_something() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["gate.test".into()]).unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let redis = Redis::start();
    let stage = Stage::start(|c| {
        c.set("session.redis", redis.url());
        c.set("listen.https", toml::Value::from(vec!["127.0.0.1:0"]))
            .set("listen.cert", cert.to_str().unwrap())
            .set("listen.key", key.to_str().unwrap());
    })
    .await;
    let prometheus = Prometheus::start(stage.gate.ops).await;
    prometheus.finds("the gate is read", r#"up{job="wecom-gate"} == 1"#).await;
    traffic(&stage).await;
    prometheus
        .finds("the traffic shows", r#"wecom_gate_refusals_total{label="wecom_ip_not_trusted"} > 0"#)
        .await;

    let queries = dashboard();
    assert!(queries.len() > 40, "{}", queries.len());
    for (panel, query) in &queries {
        prometheus.finds(panel, query).await;
    }
    let signed_in = prometheus.finds("sign-ins", r#"wecom_gate_sign_ins_total{outcome="signed_in"}"#).await;
    assert_eq!(signed_in, [1.0]);

    let mut rules = Vec::new();
    for _ in 0..100 {
        let data = prometheus.get("rules", &[]).await.unwrap();
        rules = data["groups"][0]["rules"].as_array().cloned().unwrap_or_default();
        if !rules.is_empty() && rules.iter().all(|r| r["health"] == "ok") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(rules.len() > 10, "{rules:?}");
    for rule in &rules {
        let (name, query) = (rule["name"].as_str().unwrap(), rule["query"].as_str().unwrap());
        assert_eq!(rule["health"], "ok", "{name}: {rule}");
        prometheus.query(query).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        // No alert fires while everything works; its metrics must exist.
        for selector in selectors(query) {
            prometheus.finds(name, &format!("count({selector})")).await;
        }
    }

    // What is documented is what Prometheus has scraped.
    let names = prometheus.get("label/__name__/values", &[]).await.unwrap();
    let got: BTreeSet<String> =
        names.as_array().unwrap().iter().map(|n| n.as_str().unwrap().to_owned()).collect();
    let text = std::fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    for row in text.lines().filter_map(|l| l.strip_prefix("| `wecom_gate_")) {
        let (name, rest) = row.split_once('`').unwrap();
        let suffix = if rest.starts_with(" | histogram") { "_bucket" } else { "" };
        let name = format!("wecom_gate_{name}{suffix}");
        assert!(got.contains(&name), "{name} is described, and Prometheus has not seen it");
    }
}

fn promtool(arguments: &[&str]) {
    let out = Command::new("promtool").current_dir(root()).args(arguments).output();
    let out = out.expect("promtool is not installed: make packages");
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "promtool {arguments:?}:\n{said}");
}

#[test]
fn alerts_fire_when_they_should() {
    promtool(&["check", "rules", "conf/prometheus/alerts.yml"]);
    promtool(&["check", "config", "--syntax-only", "conf/prometheus/prometheus.yml"]);
    promtool(&["test", "rules", "tests/prometheus/alerts.yml"]);
    let text = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    let after = |text: &str, key: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|l| l.trim().trim_start_matches("- ").strip_prefix(key));
        lines.map(|name| name.trim().to_owned()).collect()
    };
    let rules = after(&text(root().join("conf/prometheus/alerts.yml")), "alert:");
    let tests = text(root().join("tests/prometheus/alerts.yml"));
    for rule in &rules {
        let cases: Vec<&str> =
            tests.split("alertname: ").skip(1).filter(|c| c.starts_with(rule.as_str())).collect();
        let quiet = |c: &str| c.lines().nth(1).is_some_and(|l| l.contains("exp_alerts: []"));
        assert!(cases.iter().any(|c| quiet(c)), "{rule}: no case in which it is quiet");
        assert!(cases.iter().any(|c| !quiet(c)), "{rule}: no case in which it fires");
    }
    assert_eq!(after(&tests, "alertname:").iter().collect::<BTreeSet<_>>(), rules.iter().collect());
}
