//! R2: the keywords of `access.public` open calls for anonymous visitors. What passes by a keyword passes anonymously.

use crate::support::raw::{Process, Setup, Upstream, get, request, send_raw};

async fn gate_with(words: &[&str], api_keys: bool) -> (Upstream, Setup, Process) {
    let upstream = Upstream::start().await;
    let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
    let setup = Setup::new(upstream.address).set("access.public", words).set("access.api_keys", api_keys);
    let gate = setup.start().await;
    (upstream, setup, gate)
}

#[tokio::test(flavor = "multi_thread")]
async fn r02_no_credential_passes_by_a_word() {
    let (upstream, setup, gate) = gate_with(&["@public-forms"], false).await;
    let key = setup.api_key();
    for (target, headers) in [
        ("/api/orders:create".to_owned(), String::new()),
        ("/api/orders:create".to_owned(), format!("Authorization: Bearer {key}\r\n")),
        ("/api/orders:create".to_owned(), format!("aUTHORIZATION: bearer {key}\r\n")),
        ("/api/orders:create".to_owned(), format!("Authorization: {key}\r\n")),
        ("/api/orders:create".to_owned(), format!("Authorization: x\r\nAuthorization: Bearer {key}\r\n")),
        ("/api/orders:create".to_owned(), "Authorization: Bearer stale\r\n".to_owned()),
        (format!("/api/orders:create?token={key}"), String::new()),
        (format!("/api/orders:create?%74oken={key}&a=b"), String::new()),
        (format!("/api/orders:create?token={key}&token={key}"), String::new()),
        (format!("/api/orders:publicSubmit?token={key}"), format!("Authorization: Bearer {key}\r\n")),
    ] {
        let headers = format!("{headers}X-Form-Token: form\r\nContent-Length: 2\r\n");
        let got = send_raw(gate.http, request("POST", &target, &headers) + "{}").await;
        assert_eq!(got.status(), 200, "{target} {headers}: {}", got.text());
        let seen = upstream.take();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].header("x-form-token"), Some("form"));
        assert!(!seen[0].head.contains(&key), "{target} {headers}: {}", seen[0].head);
        assert_eq!(seen[0].header("authorization"), None, "{}", seen[0].head);
    }
    // The form's own cookie passes; a cookie that identifies a user does not.
    let headers = format!(
        "Cookie: nb_pf_1=a; nb_auth_token_main={key}; nb_authenticator_main=basic\r\nContent-Length: 0\r\n"
    );
    assert_eq!(send_raw(gate.http, request("POST", "/api/orders:create", &headers)).await.status(), 200);
    assert_eq!(upstream.take()[0].header("cookie"), Some("nb_pf_1=a"));
    // Where the keyword opens nothing, an invalid key opens nothing either.
    for target in ["/api/orders:update", "/api/users:list", "/api/orders:createMany"] {
        let headers = format!("Authorization: Bearer {key}\r\nX-Form-Token: form\r\nContent-Length: 0\r\n");
        assert_eq!(send_raw(gate.http, request("POST", target, &headers)).await.status(), 401, "{target}");
    }
    assert!(upstream.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn r02_keys_and_members_pass_where_a_word_does_too() {
    let (upstream, setup, gate) = gate_with(&["@public-forms"], true).await;
    let key = format!("Bearer {}", setup.api_key());
    let headers = format!("Authorization: {key}\r\nContent-Length: 0\r\n");
    assert_eq!(send_raw(gate.http, request("POST", "/api/orders:create", &headers)).await.status(), 200);
    assert_eq!(upstream.take()[0].header("authorization"), Some(key.as_str()));
    let headers = format!("{}Content-Length: 0\r\n", setup.visitor().lines());
    assert_eq!(send_raw(gate.http, request("POST", "/api/orders:create", &headers)).await.status(), 200);
    let seen = upstream.take();
    let calls: Vec<_> = seen.iter().filter(|r| r.target() == "/api/orders:create").collect();
    assert!(
        calls[0].header("authorization").is_some_and(|a| a.starts_with("Bearer eyJ")),
        "{}",
        calls[0].head
    );
}

/// Browsers fetch the manifest and its icons without cookies.
#[tokio::test(flavor = "multi_thread")]
async fn r02_an_installed_app_finds_its_files_without_a_session() {
    let (upstream, _, gate) = gate_with(&["@pwa"], true).await;
    for (target, status) in [
        ("/manifest.json", 200),
        ("/manifest.webmanifest", 200),
        ("/site.webmanifest?v=2", 200),
        ("/sw.js", 200),
        ("/service-worker.js", 200),
        ("/favicon/favicon.ico", 200),
        ("/apple-touch-icon.png", 200),
        ("/manifest.json/x", 401),
        ("/x/manifest.json", 401),
        ("/manifest.json%2f..%2fadmin", 400),
        ("/sw.js/../api/users:list", 400),
        ("/api/users:list", 401),
        ("/assets/index.js", 401),
        ("/admin", 401),
    ] {
        let got =
            send_raw(gate.http, get(target, "Sec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: manifest\r\n")).await;
        assert_eq!(got.status(), status, "{target}: {}", got.text());
        assert_eq!(upstream.take().len(), usize::from(status == 200), "{target}");
    }
}

/// A link for an external viewer opens its file by its own token, and by no other credential in the request.
#[tokio::test(flavor = "multi_thread")]
async fn r02_no_credential_passes_by_a_temporary_link() {
    let (upstream, setup, gate) = gate_with(&[], false).await;
    let key = setup.api_key();
    for (target, headers) in [
        ("/files/main/main/attachments/1.docx?temporaryAccessToken=x".to_owned(), String::new()),
        (format!("/files/main/main/attachments/1.docx?temporaryAccessToken=x&token={key}"), String::new()),
        (format!("/files/main/main/attachments/1.docx?%74oken={key}&temporaryAccessToken=x"), String::new()),
        (
            "/files/main/main/attachments/1.docx?temporaryAccessToken=x".to_owned(),
            format!("Cookie: nb_auth_token_main={key}; a=b\r\n"),
        ),
        (
            "/storage/uploads/1.docx?temporaryAccessToken=x".to_owned(),
            format!("Cookie: nb_auth_token_main={key}\r\n"),
        ),
    ] {
        let got = send_raw(gate.http, get(&target, &headers)).await;
        assert_eq!(got.status(), 200, "{target}: {}", got.text());
        let seen = upstream.take();
        assert!(seen[0].target().ends_with("temporaryAccessToken=x"), "{}", seen[0].head);
        assert!(!seen[0].head.contains(&key), "{target} {headers}: {}", seen[0].head);
    }
    let headers = format!("Authorization: Bearer {key}\r\n");
    let got =
        send_raw(gate.http, get("/files/main/main/attachments/1.docx?temporaryAccessToken=x", &headers))
            .await;
    assert_eq!(got.status(), 401, "{}", got.text());
    assert!(upstream.take().is_empty());
}
