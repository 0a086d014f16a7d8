//! Error messages in which WeCom repeats what it was sent.

use super::*;

/// WeCom's error message is kept for the log, without secrets.
#[tokio::test]
async fn r27_what_is_secret_in_a_request_is_not_in_its_error() {
    const SECRET: &str = "CANARY-0123456789abcdef";
    let repeats = body(format!(r#"{{"errcode":40029,"errmsg":"a bad one: {SECRET}"}}"#));
    let wecom = simulator().await;
    let client = wecom.client();
    for path in [USERINFO, USERDETAIL] {
        wecom.only(path, repeats.clone());
        let error = match path {
            USERINFO => client.identify(SECRET).await.map(drop).unwrap_err(),
            _ => client.details("ZhangSan", &SECRET.to_owned().into()).await.map(drop).unwrap_err(),
        };
        assert!(error.reason().contains("a bad one"), "{path}: {}", error.reason());
        assert!(!error.reason().contains("CANARY"), "{path}: {}", error.reason());
    }
}
