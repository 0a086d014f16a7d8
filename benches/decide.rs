//! What the decision core costs per request. Budget: under 1 µs for a signed-in request.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use wecom_gate::decide::application::Named;
use wecom_gate::decide::path::canonical;
use wecom_gate::decide::rules::PublicRules;
use wecom_gate::decide::{Browsers, ClientPaths, Credential, Policy, Request, SessionState, decide, target};

const UA: &str = "Mozilla/5.0 (Windows NT 10.0; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.6668.101 \
    Safari/537.36 Language/zh ColorScheme/Light wxwork/5.0.8 (MicroMessenger/6.2) WindowsWechat  MailPlugin_Electron \
    WeMail embeddisk wwmver/3.26.508.633";

fn policy() -> Policy {
    let public = ["GET /api/app:getLang", "POST /api/webhook:*", "* /public/**"].map(str::to_owned);
    Policy {
        authority: "gate.example.com".to_owned(),
        https: true,
        public_path: "/".to_owned(),
        client: ClientPaths::default(),
        app: "main".to_owned(),
        several: false,
        browsers: Browsers::WebLogin,
        api_keys: true,
        password: false,
        public: PublicRules::parse(&public, "/").unwrap_or_default(),
        preflights: true,
        temporary_file_links: true,
        bypass: Vec::new(),
        verify_files: vec!["WW_verify_7rG3kjVbXHngiald.txt".to_owned()],
        entries: vec!["wecom".to_owned()],
        link: false,
        console: false,
        auto_entry: Some(0),
    }
}

fn request(
    path: &'static str,
    accept: &'static str,
    mode: &'static str,
    dest: &'static str,
) -> Request<'static> {
    Request {
        method: "GET",
        path,
        query: None,
        host: Some("gate.example.com"),
        user_agent: Some(UA),
        accept: Some(accept),
        sec_fetch_mode: Some(mode),
        sec_fetch_dest: Some(dest),
        sec_fetch_site: Some("same-origin"),
        x_requested_with: None,
        origin: None,
        app: Named::Nothing,
        hostname: Named::Nothing,
        names_cors_method: false,
        upgrade: false,
        client_ip: [192, 0, 2, 1].into(),
        credential: Credential::None,
        session: SessionState::Valid,
        signed_out: false,
        own_cookie: false,
        other_app_session: false,
    }
}

fn benches(c: &mut Criterion) {
    let policy = policy();
    let html = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";
    let json = "application/json, text/plain, */*";
    let api = Request {
        credential: Credential::Phantom,
        query: Some(
            "pageSize=20&page=1&appends[]=roles&filter=%7B%22%24and%22%3A%5B%7B%22nickname%22%3A%7B%7D%7D%5D%7D",
        ),
        ..request("/api/users:list", json, "cors", "empty")
    };
    // Browsers without Fetch metadata need more checks.
    let old_api = Request { sec_fetch_mode: None, sec_fetch_dest: None, sec_fetch_site: None, ..api };
    let asset = request("/assets/index-93181bbb.js", "*/*", "no-cors", "script");
    let page = request("/admin/settings/users", html, "navigate", "document");
    let stranger = Request { session: SessionState::None, sec_fetch_site: Some("none"), ..page };

    let mut group = c.benchmark_group("decide");
    for (name, request) in [
        ("api", api),
        ("api, old browser", old_api),
        ("asset", asset),
        ("page", page),
        ("page, not signed in", stranger),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let path = canonical(black_box(request.path));
                let path = path.as_deref().unwrap_or("/");
                decide(black_box(&policy), black_box(&Request { path, ..request }))
            });
        });
    }
    group.finish();

    let mut group = c.benchmark_group("canonical");
    for (name, path) in [
        ("plain", "/api/users:list"),
        ("encoded", "/files/main/main/attachments/%E4%B8%AD%E6%96%87%20report.pdf"),
        ("to be rewritten", "/%61pi/%75sers%3alist"),
    ] {
        group.bench_function(name, |b| b.iter(|| canonical(black_box(path)).is_ok()));
    }
    group.finish();

    c.bench_function("target/sanitize", |b| {
        b.iter(|| target::sanitize(black_box("/admin/settings/users?tab=1&filter=%7B%22a%22:1%7D#top")));
    });
}

criterion_group!(decide_benches, benches);
criterion_main!(decide_benches);
