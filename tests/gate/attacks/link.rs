//! Linking an account by its password (`nocobase.link_by_password`): whose account it is, who asks for it, how often, and what is disclosed.

use wecom_gate::error::Failure;

use crate::link::{PASSWORD, SIGN_IN, bound, form, sent, stage, stage_with, submit, unmatched, user};
use crate::redis::is_up;
use crate::support::{Gate, Redis, eventually};

/// Attempts of a member, and for an account, in a quarter of an hour.
const ATTEMPTS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn r40_no_other_site_links_an_account() {
    let stage = stage().await;
    user(&stage, "attacker", &["member"]);
    let (mut browser, id) = unmatched(&stage, "lisi").await;
    for (origin, site) in [
        ("http://evil.test", None),
        ("http://gate.test.evil.test", None),
        ("https://gate.test", None),
        ("http://gate.test", Some("cross-site")),
        ("http://gate.test", Some("same-site")),
        ("null", Some("none")),
    ] {
        let mut request = sent(&browser, &id, "attacker", PASSWORD).header("origin", origin);
        if let Some(site) = site {
            request = request.header("sec-fetch-site", site);
        }
        let response = browser.send(request).await;
        assert_eq!(response.status, 403, "{origin} {site:?}: {}", response.body);
        assert!(response.body.contains("Please open this page yourself"), "{}", response.body);
    }
    // An old browser sends neither header, as a form of another site does: without the page's id it is refused.
    for id in ["", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", &id.to_lowercase()] {
        let response = browser.clone().send(sent(&browser, id, "attacker", PASSWORD)).await;
        assert_eq!(response.status, 400, "{id}: {}", response.body);
    }
    assert_eq!((stage.nocobase.calls(SIGN_IN), bound(&stage, "lisi").len()), (0, 0));
    // The page itself, in such a browser.
    let response = browser.send(sent(&browser, &id, "attacker", PASSWORD).header("origin", "null")).await;
    assert_eq!(response.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn r19_a_form_counts_in_its_own_browser_and_once() {
    let stage = stage().await;
    let account = user(&stage, "old.li", &["member"]);
    let (browser, id) = unmatched(&stage, "lisi").await;
    // A link or form with the attacker's id, in a browser without a cookie, or with another member's.
    let (victim, of_victim) = unmatched(&stage, "WangWu").await;
    let refused = async |mut browser: crate::support::Browser, id: &str, password: &str| {
        let response = submit(&mut browser, id, "old.li", password).await;
        assert_eq!((response.status, response.sets("wecom_gate")), (400, false), "{}", response.body);
    };
    refused(stage.phone("WangWu"), &id, PASSWORD).await;
    refused(victim.clone(), &id, PASSWORD).await;
    refused(browser.clone(), &of_victim, PASSWORD).await;
    assert_eq!(stage.nocobase.calls(SIGN_IN), 0);
    // Two cookies: the browser's own cannot be determined (R42).
    let mut both = browser.clone();
    let header = format!("wecom_gate_link={}", victim.cookie("wecom_gate_link").unwrap());
    both.extra.insert("cookie", header.parse().unwrap());
    refused(both, &id, PASSWORD).await;

    // Wrong once: this form is used up, also for the right password.
    let mut attempt = browser.clone();
    let page = submit(&mut attempt, &id, "old.li", "wrong").await;
    assert_eq!(page.status, 403);
    refused(browser.clone(), &id, PASSWORD).await;
    let next = form(&page.body).unwrap();
    let kept = attempt.clone();
    assert_eq!(submit(&mut attempt, &next, "old.li", PASSWORD).await.status, 303);
    assert_eq!(stage.nocobase.calls(SIGN_IN), 2);
    // The same form sent twice is one attempt; with another password it is refused.
    let mut again = kept.clone();
    assert_eq!(submit(&mut again, &next, "old.li", PASSWORD).await.status, 303);
    refused(kept.clone(), &next, "wrong").await;
    assert_eq!((stage.nocobase.calls(SIGN_IN), bound(&stage, "lisi")), (2, vec![account.into()]));
    // A gate without memory of it: the member is bound.
    let other = stage.second_node().await;
    let mut elsewhere = kept.clone();
    elsewhere.go_to(&other);
    refused(elsewhere, &next, PASSWORD).await;
    assert_eq!(stage.nocobase.calls(SIGN_IN), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn r18_a_form_is_carried_out_once_on_all_nodes() {
    let redis = Redis::start();
    let stage = stage_with(|c| _ = c.set("session.redis", redis.url())).await;
    user(&stage, "old.li", &["member"]);
    let other = stage.second_node().await;
    let (browser, id) = unmatched(&stage, "lisi").await;
    let page = submit(&mut browser.clone(), &id, "old.li", "wrong").await;
    assert_eq!(page.status, 403, "{}", page.body);
    let mut elsewhere = browser.clone();
    elsewhere.go_to(&other);
    assert_eq!(submit(&mut elsewhere, &id, "old.li", PASSWORD).await.status, 400);
    assert_eq!((stage.nocobase.calls(SIGN_IN), bound(&stage, "lisi").len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn r34_passwords_are_guessed_a_few_times_only() {
    let stage = stage_with(|c| {
        _ = c.set("limits.bad_callbacks_per_minute", 1000).set("limits.sign_ins_per_minute", 1000)
    })
    .await;
    user(&stage, "boss", &["member"]);
    user(&stage, "old.li", &["member"]);
    // Each guess with a fresh sign-in, some of them at once.
    let guess = async |userid: &str, account: &str, password: &str| {
        let (mut browser, id) = unmatched(&stage, userid).await;
        submit(&mut browser, &id, account, password).await.status
    };
    for i in 0..ATTEMPTS {
        assert_eq!(guess("lisi", "boss", &format!("guess {i}")).await, 403);
    }
    assert_eq!(guess("lisi", "boss", PASSWORD).await, 429);
    assert_eq!(guess("lisi", "old.li", PASSWORD).await, 429, "nor for another account");
    assert_eq!(guess("WangWu", " BOSS ", PASSWORD).await, 429, "nor by another member");
    assert_eq!((stage.nocobase.calls(SIGN_IN), bound(&stage, "lisi").len()), (ATTEMPTS, 0));
    stage.gate.wait_for_log(&["throttled", "nocobase.link_by_password"]).await;
    // Other members are not affected.
    assert_eq!(guess("WangWu", "old.li", PASSWORD).await, 303);
}

/// Nodes that share a Redis count together; without it each counts its own.
#[tokio::test(flavor = "multi_thread")]
async fn r34_nodes_count_guesses_together() {
    let mut redis = Redis::start();
    let stage = stage_with(|c| {
        c.set("limits.bad_callbacks_per_minute", 1000).set("limits.sign_ins_per_minute", 1000);
        c.set("session.redis", redis.url());
    })
    .await;
    let other = stage.second_node().await;
    for gate in [&stage.gate, &other] {
        is_up(gate, true).await;
    }
    user(&stage, "boss", &["member"]);
    user(&stage, "old.li", &["member"]);
    let guess = async |gate: &Gate, userid: &str, account: &str, password: &str| {
        let (mut browser, id) = unmatched(&stage, userid).await;
        browser.go_to(gate);
        submit(&mut browser, &id, account, password).await.status
    };
    for i in 0..ATTEMPTS {
        let gate = [&stage.gate, &other][i % 2];
        assert_eq!(guess(gate, "lisi", "boss", &format!("guess {i}")).await, 403);
    }
    for gate in [&stage.gate, &other] {
        assert_eq!(guess(gate, "lisi", "boss", PASSWORD).await, 429);
        assert_eq!(guess(gate, "lisi", "old.li", PASSWORD).await, 429, "nor for another account");
        assert_eq!(guess(gate, "WangWu", " BOSS ", PASSWORD).await, 429, "nor by another member");
        gate.wait_for_log(&["throttled", "nocobase.link_by_password"]).await;
    }
    assert_eq!((stage.nocobase.calls(SIGN_IN), bound(&stage, "lisi").len()), (ATTEMPTS, 0));
    // Others are not affected, and what was no guess is not counted.
    assert_eq!(guess(&other, "WangWu", "old.li", PASSWORD).await, 303);
    eventually("it is given back", async || {
        (redis.keys(":link:").len(), redis.keys(":linking:").len()) == (2 * ATTEMPTS, 0)
    })
    .await;
    for plain in ["lisi", "boss", "old.li"] {
        assert!(!redis.shows(plain), "{plain} is readable in Redis: {}", redis.dump());
    }
    // Those who can write to Redis refuse nobody: what they have written does not count.
    for key in redis.keys(":link:") {
        let _: String = redis.ask_parts(&["SET", &key, "forged"]);
    }
    assert_eq!(guess(&other, "lisi", "boss", "guess").await, 403);
    // While Redis is away, each node has its own limit.
    redis.down();
    is_up(&other, false).await;
    assert_eq!(guess(&other, "anna.smith", "nobody", "guess").await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn r34_guesses_at_once_are_one_at_a_time() {
    let stage = stage().await;
    user(&stage, "boss", &["member"]);
    let mut forms = Vec::new();
    for _ in 0..4 {
        forms.push(unmatched(&stage, "lisi").await);
    }
    stage.nocobase.delay("/api/auth:signIn", std::time::Duration::from_secs(1), usize::MAX);
    let all = forms
        .into_iter()
        .map(|(mut browser, id)| async move { submit(&mut browser, &id, "boss", "guess").await.status });
    let mut statuses = all.collect::<tokio::task::JoinSet<_>>().join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses[0], 403, "{statuses:?}");
    assert_eq!(stage.nocobase.calls(SIGN_IN), statuses.iter().filter(|s| **s == 403).count());
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r21_a_user_of_another_member_is_not_linked() {
    let stage = stage().await;
    let account = user(&stage, "old.li", &["member"]);
    stage.nocobase.bind("zhaoliu", account);
    let (mut browser, id) = unmatched(&stage, "lisi").await;
    let page = submit(&mut browser, &id, "old.li", PASSWORD).await;
    stage.refused(&page, Failure::AlreadyBound, "This account belongs to someone else").await;
    assert!(bound(&stage, "lisi").is_empty());
}

/// Two members know one password, or one member knows two, and all of them send at once.
#[tokio::test(flavor = "multi_thread")]
async fn r21_of_two_at_once_one_wins() {
    let stage = stage().await;
    let account = user(&stage, "shared", &["member"]);
    let (mut li, of_li) = unmatched(&stage, "lisi").await;
    let (mut wang, of_wang) = unmatched(&stage, "WangWu").await;
    let (one, other) = tokio::join!(
        submit(&mut li, &of_li, "shared", PASSWORD),
        submit(&mut wang, &of_wang, "shared", PASSWORD)
    );
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 403], "{} {}", one.body, other.body);
    let rows = stage.nocobase.rows("usersAuthenticators");
    assert_eq!((rows.len(), &rows[0]["userId"]), (1, &account.into()), "{rows:?}");

    let (first, second) = (user(&stage, "first", &["member"]), user(&stage, "second", &["member"]));
    let (mut here, of_here) = unmatched(&stage, "zhangsan").await;
    let (mut there, of_there) = unmatched(&stage, "zhangsan").await;
    stage.nocobase.delay("/api/auth:signIn", std::time::Duration::from_millis(500), 2);
    let (one, other) = tokio::join!(
        submit(&mut here, &of_here, "first", PASSWORD),
        submit(&mut there, &of_there, "second", PASSWORD)
    );
    assert_eq!(
        [one.status, other.status].iter().filter(|s| **s == 303).count(),
        1,
        "{} {}",
        one.status,
        other.status
    );
    let of_zhang = bound(&stage, "zhangsan");
    assert!(of_zhang == [first] || of_zhang == [second], "{of_zhang:?}");
    assert_eq!(stage.phone("zhangsan").open("/admin").await.status, 200);
}

/// The same member, with two accounts, on two nodes: two bindings would be ambiguous at the next sign-in.
#[tokio::test(flavor = "multi_thread")]
async fn r21_of_two_accounts_on_two_nodes_at_once_one_is_linked() {
    let redis = Redis::start();
    let stage = stage_with(|c| _ = c.set("session.redis", redis.url())).await;
    let other = stage.second_node().await;
    for gate in [&stage.gate, &other] {
        is_up(gate, true).await;
    }
    let accounts = [user(&stage, "first", &["member"]), user(&stage, "second", &["member"])];
    let (mut here, of_here) = unmatched(&stage, "lisi").await;
    let (mut there, of_there) = unmatched(&stage, "lisi").await;
    there.go_to(&other);
    stage.nocobase.delay("/api/auth:signIn", std::time::Duration::from_secs(1), 2);
    let (one, second) = tokio::join!(
        submit(&mut here, &of_here, "first", PASSWORD),
        submit(&mut there, &of_there, "second", PASSWORD)
    );
    let mut statuses = [one.status, second.status];
    statuses.sort_unstable();
    assert!(statuses == [303, 429] || statuses == [303, 400], "{statuses:?}");
    let of_lisi = bound(&stage, "lisi");
    assert!(of_lisi.len() == 1 && accounts.iter().any(|id| of_lisi[0] == *id), "{of_lisi:?}");
    assert_eq!(stage.phone("lisi").open("/admin").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn r27_no_password_is_written_or_shown() {
    for format in ["json", "pretty"] {
        let folder = tempfile::tempdir().unwrap();
        let audit = folder.path().join("audit.log");
        let mut stage = stage_with(|c| {
            c.set("log.level", "trace")
                .set("log.format", format)
                .set("log.audit_file", audit.to_str().unwrap());
        })
        .await;
        user(&stage, "old.li", &["member"]);
        let secrets = ["CANARY-WRONG", "CANARY-ECHO", "CANARY-FAULT", PASSWORD, "battery"];
        let (mut browser, id) = unmatched(&stage, "lisi").await;
        let mut seen = Vec::new();
        // If NocoBase's message contains the password, only the person who entered it sees it.
        let page = submit(&mut browser, &id, "old.li", "CANARY-WRONG").await;
        seen.push(format!("{:?}{}", page.headers, page.body));
        let id = form(&page.body).unwrap();
        stage.nocobase.fail("/api/auth:signIn", 403, r#"{"errors":[{"message":"not CANARY-ECHO"}]}"#, 1);
        let page = submit(&mut browser, &id, "old.li", "CANARY-ECHO").await;
        seen.push(format!("{:?}", page.headers));
        let id = form(&page.body).unwrap();
        stage.nocobase.fail("/api/auth:signIn", 500, r#"{"errors":[{"message":"not CANARY-FAULT"}]}"#, 1);
        let page = submit(&mut browser, &id, "old.li", "CANARY-FAULT").await;
        seen.push(format!("{:?}{}", page.headers, page.body));
        let (mut browser, id) = unmatched(&stage, "lisi").await;
        seen.push(format!("{id}{:?}", browser.cookies));
        let response = submit(&mut browser, &id, "old.li", PASSWORD).await;
        assert_eq!(response.status, 303, "{}", response.body);
        seen.push(format!("{:?}{}", response.headers, response.body));
        seen.push(stage.gate.everything_written().await);
        seen.push(std::fs::read_to_string(&audit).unwrap());
        assert!(seen.concat().contains("linked by password"));
        for text in &seen {
            for secret in secrets {
                assert!(!text.contains(secret), "{secret} in {text}");
            }
        }
    }
}
