//! Streams of a session that began at NocoBase's own form.

use super::*;

/// The same for a user who signed in with NocoBase's own form, whose cookie is for files and the WebSocket.
const PASSWORD_KINDS: [(&str, &[u8]); 3] =
    [("/ws", b"\r\n\r\n"), ("/storage/events", b"data: 0\n\r\n"), ("/storage/file", b"half")];

/// Streams of a user who signed in with NocoBase's own form end in the same ways: idle, too old, ended by NocoBase without
/// another request of the session, key removed.
#[tokio::test(flavor = "multi_thread")]
async fn r32_streams_of_a_sign_in_by_password_end_like_all() {
    let form = |s: Setup| s.set("access.browsers", "nocobase");
    let long = secs(0);
    for (why, idle, absolute, signed_in, seen) in [
        ("idle", "60s", "7d", secs(54), secs(54)),
        ("too old", "60s", "60s", secs(54), long),
        ("ended by NocoBase", "12h", "7d", long, long),
        ("its key is gone", "12h", "7d", long, long),
    ] {
        let (upstream, setup, gate) = stage(|s| {
            form(s)
                .set("session.idle", idle)
                .set("session.absolute", absolute)
                .set("session.recheck", if why.starts_with("ended") { "10s" } else { "15m" })
        })
        .await;
        let visitor = setup.password_visitor_of(signed_in, seen);
        let streams = Open::each(&upstream, &gate, &visitor, &PASSWORD_KINDS).await;
        let mut fresh =
            Open::new(&upstream, &gate, &setup.password_visitor_of(long, long), PASSWORD_KINDS[1]).await;
        match why {
            "ended by NocoBase" => upstream.recorded().ended = true,
            "its key is gone" => {
                let _setup = setup.rewrite("session.keys", vec![OTHER_KEY, KEY]);
                gate.signal("HUP");
                gate.wait_for_lines("message", "configuration reloaded", 1).await;
                for stream in streams {
                    stream.ended().await;
                }
                continue;
            }
            _ => fresh.stays().await,
        }
        for stream in streams {
            stream.ended().await;
        }
        let refused = send_raw(gate.http, get("/storage/uploads/a.png", &visitor.cookie_line())).await;
        assert_eq!(refused.status(), 401, "{why}: {}", refused.text());
    }
}

/// Without a stream a request causes the recheck.
#[tokio::test(flavor = "multi_thread")]
async fn r16_a_sign_in_by_password_that_nocobase_has_ended_ends_within_the_recheck() {
    let (upstream, setup, gate) =
        stage(|s| s.set("access.browsers", "nocobase").set("session.recheck", "10s")).await;
    let visitor = setup.password_visitor_of(secs(0), secs(0));
    let ask = async || send_raw(gate.http, get("/storage/x.png", &visitor.cookie_line())).await.status();
    let checks = || upstream.recorded().own.iter().filter(|r| r.target() == "/api/auth:check").count();
    assert_eq!((ask().await, checks()), (200, 1));
    upstream.recorded().ended = true;
    tokio::time::sleep(secs(10)).await;
    assert_eq!(ask().await, 200, "NocoBase is asked in the background");
    eventually("NocoBase is asked again", async || checks() == 2).await;
    eventually("the session has ended", async || ask().await == 401).await;
}
