//! Clients that send their bodies slowly: they hold no slot at NocoBase, and leave uploads to others.

use std::net::SocketAddr;
use std::time::Duration;

use nocobase_standin::NocoBase;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::support::eventually;
use super::support::raw::{Process, Response, SECRET, Setup, Visitor, get, read_response, request, send_raw};

const PLACES: u64 = 4;
const PEOPLE: u64 = 12;
const LONG: usize = 200_000;
const PATH: &str = "/api/attachments:create";

async fn stage(change: impl FnOnce(Setup) -> Setup) -> (NocoBase, Setup, Process) {
    let nocobase = NocoBase::start_with(SECRET).await;
    for id in (1..=PEOPLE).map(Setup::user_of).chain([1]) {
        nocobase.user_with_id(id, json!({ "nickname": format!("person {id}") }));
    }
    let setup = Setup::new(nocobase.address).set("upstream.max_requests", i64::try_from(PLACES).unwrap());
    let setup = change(setup);
    let gate = setup.start().await;
    (nocobase, setup, gate)
}

async fn call(gate: SocketAddr, person: &Visitor) -> Response {
    send_raw(gate, get("/api/orders:list", &format!("{}Connection: close\r\n", person.lines()))).await
}

/// This many people whose sessions the gate knows: their next requests need no question to NocoBase first.
async fn known(gate: &Process, setup: &Setup, many: u64) -> Vec<Visitor> {
    let people: Vec<_> = (1..=many).map(|person| setup.visitor_number(person)).collect();
    for person in &people {
        assert_eq!(call(gate.http, person).await.status(), 200);
    }
    people
}

/// An upload of this many bytes, of which the first ten have been sent.
async fn begins(gate: &Process, person: &Visitor, length: usize) -> TcpStream {
    let head = request("POST", PATH, &format!("{}Content-Length: {length}\r\n", person.lines()));
    let mut stream = TcpStream::connect(gate.http).await.unwrap();
    stream.write_all(format!("{head}{}", "x".repeat(10)).as_bytes()).await.unwrap();
    stream
}

async fn ends(stream: &mut TcpStream, length: usize) -> Response {
    stream.write_all("x".repeat(length - 10).as_bytes()).await.unwrap();
    read_response(stream).await
}

async fn taken(gate: &Process) -> String {
    let text =
        send_raw(gate.ops, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.text();
    let line = text.lines().find(|line| line.starts_with("wecom_gate_upstream_requests{")).unwrap();
    line.rsplit(' ').next().unwrap().to_owned()
}

/// As many slow uploads as there are places, and more; short bodies and long ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r34_slow_uploads_hold_no_place_before_nocobase() {
    let (nocobase, setup, gate) = stage(|setup| setup).await;
    let people = known(&gate, &setup, PEOPLE).await;
    let mut uploads = Vec::new();
    for person in &people[..6] {
        for length in [1000, LONG] {
            uploads.push((length, begins(&gate, person, length).await));
        }
    }
    // Other people's requests are served meanwhile, and those of the same people as well.
    for person in &people {
        assert_eq!(call(gate.http, person).await.status(), 200, "{}", person.session.userid);
    }
    eventually("nobody has a place", async || taken(&gate).await == "0").await;
    // And each of the uploads arrives completely.
    for (length, mut stream) in uploads {
        assert_eq!(ends(&mut stream, length).await.status(), 200, "{length}");
        assert_eq!(nocobase.last(PATH).unwrap().body_len, length);
    }
    eventually("nobody has a place", async || taken(&gate).await == "0").await;
}

/// The end of an upload needs a place like any other request, so that there are never more in NocoBase than may be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r34_the_end_of_an_upload_needs_a_place() {
    let (nocobase, setup, gate) = stage(|setup| setup.set("upstream.max_requests", 1)).await;
    let people = known(&gate, &setup, 3).await;
    let (mut waits, mut late) =
        (begins(&gate, &people[0], LONG).await, begins(&gate, &people[1], LONG).await);
    nocobase.delay("/api/slow:list", Duration::from_secs(60), 1);
    let slow = {
        let (gate, slow) = (gate.http, get("/api/slow:list", &people[2].lines()));
        tokio::spawn(async move { send_raw(gate, slow).await })
    };
    eventually("NocoBase works on a request", async || nocobase.count("/api/slow:list") == 1).await;
    let response = ends(&mut waits, LONG).await;
    assert_eq!((response.status(), response.header("retry-after").as_deref()), (503, Some("3")));
    assert!(response.body().contains("NOCOBASE_BUSY"), "{}", response.body());
    let arrived = nocobase.last(PATH).map(|request| request.body_len);
    assert_ne!(arrived, Some(LONG), "it never had the end");
    slow.abort();
    eventually("the place is free", async || taken(&gate).await == "0").await;
    assert_eq!(ends(&mut late, LONG).await.status(), 200);
}

/// A quarter of the connections may be uploads, and one person leaves some of these to others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r34_one_person_leaves_uploads_to_others() {
    let (_nocobase, setup, gate) = stage(|setup| setup.set("limits.connections", 80)).await;
    let people = known(&gate, &setup, 2).await;
    // Twenty in all: fifteen for one person.
    let mut uploads = Vec::new();
    for _ in 0..16 {
        uploads.push(begins(&gate, &people[0], LONG).await);
    }
    let mut refused = None;
    eventually("one of them is refused", async || {
        for (at, upload) in uploads.iter().enumerate() {
            if tokio::time::timeout(Duration::from_millis(1), upload.readable()).await.is_ok() {
                refused = Some(at);
            }
        }
        refused.is_some()
    })
    .await;
    let more = read_response(&mut uploads.remove(refused.unwrap())).await;
    assert_eq!((more.status(), more.header("retry-after").as_deref()), (503, Some("3")), "{}", more.text());
    let mut other = begins(&gate, &people[1], LONG).await;
    assert_eq!(ends(&mut other, LONG).await.status(), 200);
    // Short bodies do not count as uploads.
    let mut short = begins(&gate, &people[0], 1000).await;
    assert_eq!(ends(&mut short, 1000).await.status(), 200);
    assert_eq!(ends(&mut uploads[0], LONG).await.status(), 200);
    assert_eq!(ends(&mut begins(&gate, &people[0], LONG).await, LONG).await.status(), 200);
}

/// The same over HTTP/2, where one connection brings a hundred streams: a body in several frames, of known length and not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_over_http2_arrive_whole() {
    let (nocobase, setup, gate) = stage(Setup::https).await;
    let (visitor, h2) = (setup.visitor_number(1), setup.h2(&gate).await);
    let authorization = ("authorization".to_owned(), format!("Bearer {}", visitor.phantom));
    let headers = vec![("cookie".to_owned(), visitor.cookie.clone()), authorization];
    let piece = vec![b'x'; 7000];
    let pieces: Vec<&[u8]> = vec![&piece; 3];
    let with_length = [headers.clone(), vec![("content-length".to_owned(), "21000".to_owned())]].concat();
    for headers in [with_length, headers] {
        assert_eq!(h2.ask("POST", PATH, &headers, &pieces).await.0, 200);
        assert_eq!(nocobase.last(PATH).unwrap().body_len, 21_000);
    }
}
