use serde_json::json;

use super::*;

fn response(status: u16, body: &Value) -> Response {
    Response { status, body: body.to_string().into_bytes() }
}

fn error(status: u16, message: &str) -> Response {
    response(status, &json!({ "errors": [{ "message": message }] }))
}

/// Failure and reason of an unexpected response.
fn of(action: &str, response: &Response) -> (Failure, String) {
    let failed = unexpected(&Call::get(action), response);
    assert_eq!(failed.cause.call.as_deref(), Some(action));
    (failed.failure, failed.cause.reason)
}

#[test]
fn an_application_that_nocobase_does_not_have_is_a_matter_of_the_configuration() {
    let body = json!({ "error": { "code": "APP_NOT_FOUND" } });
    let (failure, reason) = of("users:get", &response(404, &body));
    assert_eq!(failure, Failure::OtherApplication);
    assert!(reason.contains("nocobase.apps"), "{reason}");
    for other in [response(403, &body), response(404, &json!({ "error": { "code": "OTHER" } }))] {
        assert_eq!(of("users:get", &other).0, Failure::NocoBaseBadAnswer);
    }
}

#[test]
fn a_role_above_the_service_accounts_own_is_a_missing_permission() {
    let (failure, reason) = of("users:update", &error(500, "No permissions"));
    assert_eq!(failure, Failure::NocoBaseServiceDenied);
    assert!(reason.contains("Update with the field roles"), "{reason}");
    let (_, reason) = of("users:create", &error(500, "No permissions"));
    assert!(reason.contains("View and Create"), "{reason}");
    for other in [error(502, "No permissions"), error(500, "boom")] {
        assert_eq!(of("users:update", &other).0, Failure::NocoBaseBadAnswer);
    }
}

#[test]
fn a_response_without_errors_is_not_nocobases() {
    for body in [json!({ "errors": [] }), json!({}), json!([])] {
        let (failure, reason) = of("users:get", &response(500, &body));
        assert_eq!(failure, Failure::NocoBaseBadAnswer);
        assert!(reason.contains("not NocoBase's JSON"), "{reason}");
    }
    let (_, reason) = of("users:get", &error(500, "boom"));
    assert!(reason.contains("boom"), "{reason}");
}

#[test]
fn a_fresh_token_that_is_refused_has_its_reason() {
    let call = Call::get("auth:check");
    for (code, failure, words) in [
        (Some(Code::InvalidToken), Failure::NocoBaseSecretWrong, "APP_KEY"),
        (
            Some(Code::TokenRenewFailed),
            Failure::NocoBaseBadAnswer,
            "TOKEN_RENEW_FAILED: a token minted just now",
        ),
        (Some(Code::ExpiredToken), Failure::NocoBaseBadAnswer, "EXPIRED_TOKEN: a token minted just now"),
        (Some(Code::SkipTokenRenew), Failure::NocoBaseBadAnswer, "compare the clocks"),
        (Some(Code::UserHasNoRoles), Failure::NocoBaseBadAnswer, Code::UserHasNoRoles.as_str()),
        (None, Failure::NocoBaseBadAnswer, "an unknown error code"),
    ] {
        let failed = session_token_refused(&call, code);
        assert_eq!(failed.failure, failure, "{code:?}");
        assert!(failed.cause.reason.contains(words), "{code:?}: {}", failed.cause.reason);
        let clocks = failed.cause.reason.contains("clocks");
        assert_eq!(clocks, words.contains("minted") || words.contains("clocks"), "{code:?}");
    }
}

#[test]
fn only_a_500_is_a_busy_database_or_a_node_that_stops() {
    for message in [
        "SQLITE_BUSY: database is locked",
        "database is locked",
        "Deadlock found when trying to get lock",
        "Lock wait timeout exceeded",
        "could not serialize access due to concurrent update",
    ] {
        assert!(database_busy(&error(500, message)), "{message}");
        assert!(!database_busy(&error(503, message)), "{message}");
        assert!(!stopping(&error(500, message)), "{message}");
    }
    let closed = "ConnectionManager.getConnection was called after the connection manager was closed!";
    assert!(stopping(&error(500, closed)) && !stopping(&error(503, closed)));
    assert!(!database_busy(&error(500, closed)) && !database_busy(&error(500, "boom")));
    assert!(!database_busy(&response(500, &json!("deadlock"))));
}

#[test]
fn data_is_what_a_json_object_has_under_that_name() {
    let call = Call::get("users:list");
    assert_eq!(data_of(&call, &response(200, &json!({ "data": [1] }))).unwrap(), json!([1]));
    assert_eq!(data_of(&call, &response(200, &json!({}))).unwrap(), Value::Null);
    let failed = data_of(&call, &response(200, &json!([{ "data": 1 }]))).unwrap_err();
    assert_eq!((failed.failure, failed.cause.status), (Failure::NocoBaseBadAnswer, Some(200)));
}
