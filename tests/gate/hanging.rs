//! NocoBase accepts and never responds for some seconds, and what it swallowed is lost: everybody is told in time, the gate's own pages
//! respond meanwhile, and afterwards no place is kept for what never gets a response.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nocobase_standin::NocoBase;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::support::raw::{
    Process, Response, SECRET, Setup, Visitor, get, read_response, request, send_raw, upgrade,
};
use super::support::{PATIENCE, eventually};

const PLACES: usize = 4;
const CONNECTIONS: usize = 60;
const NAVIGATION: &str = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nAccept: text/html\r\n";
/// `upstream.health_interval` and the two seconds of a health check, and what a busy machine adds. Without an end, clients wait for
/// five minutes (`upstream.read_timeout`).
const TOLD_WITHIN: Duration = Duration::from_secs(3 + 12);

async fn stage(people: u64, change: impl FnOnce(Setup) -> Setup) -> (NocoBase, Setup, Process) {
    let nocobase = NocoBase::start_with(SECRET).await;
    for id in (1..=people).map(Setup::user_of).chain([1]) {
        nocobase.user_with_id(id, json!({ "nickname": format!("person {id}") }));
    }
    let setup = Setup::new(nocobase.address).set("upstream.health_interval", "1s");
    let setup = change(setup.set("upstream.max_requests", i64::try_from(PLACES).unwrap()));
    let gate = setup.start().await;
    (nocobase, setup, gate)
}

fn people(setup: &Setup, many: u64) -> Vec<Visitor> {
    (1..=many).map(|person| setup.visitor_number(person)).collect()
}

fn page_of(visitor: &Visitor) -> String {
    get("/admin", &format!("{}{NAVIGATION}", visitor.cookie_line()))
}

fn call_of(visitor: &Visitor) -> String {
    get("/api/orders:list", &visitor.lines())
}

/// One request over a connection of its own. The client waits long; `closed` without a byte: there was no connection.
async fn ask(gate: SocketAddr, request: String) -> Response {
    let mut stream = TcpStream::connect(gate).await.unwrap();
    let _ = stream.write_all(request.as_bytes()).await;
    tokio::time::timeout(2 * PATIENCE, stream.readable()).await.expect("no response").unwrap();
    read_response(&mut stream).await
}

/// Sum of this gauge over all nodes.
async fn gauge(gate: &Process, name: &str) -> f64 {
    let text = ops(gate, "/metrics").await.text();
    let lines = text.lines().filter(|line| line.starts_with(&format!("wecom_gate_{name}{{")));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

/// How many client connections there have been.
async fn connections_made(gate: &Process) -> usize {
    let text = ops(gate, "/metrics").await.text();
    let line = text.lines().find_map(|line| line.strip_prefix("wecom_gate_connections_total "));
    line.unwrap().trim().parse().unwrap()
}

async fn ops(gate: &Process, path: &str) -> Response {
    send_raw(gate.ops, format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await
}

async fn no_place_is_taken(gate: &Process) {
    eventually("all places are free", async || {
        gauge(gate, "upstream_requests").await == 0.0 && gauge(gate, "upstream_requests_queued").await == 0.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_is_told_in_time_and_no_place_is_kept() {
    const KNOWN: usize = 15;
    const PEOPLE: u64 = 25;
    let connections = i64::try_from(CONNECTIONS).unwrap();
    let (nocobase, setup, gate) = stage(PEOPLE, |setup| setup.set("limits.connections", connections)).await;
    let people = people(&setup, PEOPLE);
    for person in &people[..KNOWN] {
        assert_eq!(ask(gate.http, page_of(person)).await.status(), 200);
    }
    nocobase.hang();
    let (before, began) = (connections_made(&gate).await, Instant::now());
    // Pages and calls of people who are in, and pages of people whose sessions NocoBase has to confirm first.
    let mut waiting = JoinSet::new();
    let pages = people.iter().map(|person| (true, page_of(person)));
    for (is_page, request) in pages.chain(people[..KNOWN].iter().map(|person| (false, call_of(person)))) {
        let gate = gate.http;
        waiting.spawn(async move { (is_page, ask(gate, request).await) });
    }
    eventually("NocoBase has swallowed requests", async || nocobase.swallowed() > 0).await;
    let first = waiting.len();
    eventually("each of them has a connection", async || connections_made(&gate).await >= before + first)
        .await;
    // More clients than connections: they are refused, and displace nothing.
    let mut over = JoinSet::new();
    for person in people.iter().chain(&people) {
        let (gate, request) = (gate.http, page_of(person));
        over.spawn(async move { ask(gate, request).await.status() });
    }
    let mut told = 0;
    while !waiting.is_empty() {
        eventually("a page of the gate's own responds", async || {
            send_raw(gate.http, get("/wecom-gate/gate.js", "Connection: close\r\n")).await.status() == 200
        })
        .await;
        assert_eq!(ops(&gate, "/livez").await.status(), 200);
        while let Some(client) = waiting.try_join_next() {
            let (is_page, response) = client.unwrap();
            assert_eq!(response.status(), 503, "{}", response.text());
            assert!(response.header("retry-after").is_some(), "{}", response.text());
            let said = if is_page { "takes too long" } else { "NOCOBASE_BUSY" };
            assert!(response.body().contains(said), "{}", response.text());
            told += 1;
        }
        assert!(began.elapsed() < TOLD_WITHIN, "{told} told, {} wait: {}", waiting.len(), gate.output());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("{told} told within {:?}", began.elapsed());
    for status in over.join_all().await {
        assert!([0, 503].contains(&status), "{status}");
    }
    // It still hangs, with a request for which no client waits any more.
    no_place_is_taken(&gate).await;
    nocobase.recover();
    eventually("a page", async || ask(gate.http, page_of(&people[0])).await.status() == 200).await;
    let mut again = JoinSet::new();
    for person in &people {
        let (gate, request) = (gate.http, page_of(person));
        again.spawn(async move { ask(gate, request).await.status() });
    }
    assert_eq!(again.join_all().await, vec![200; people.len()]);
    no_place_is_taken(&gate).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_something_keeps_no_place_and_is_told_later() {
    let (nocobase, setup, gate) = stage(5, |setup| setup).await;
    let people = people(&setup, 5);
    for person in &people {
        assert_eq!(ask(gate.http, page_of(person)).await.status(), 200);
    }
    nocobase.hang();
    let began = Instant::now();
    let mut writes = JoinSet::new();
    for person in &people[..PLACES] {
        let lines = format!("{}Content-Type: application/json\r\nContent-Length: 2\r\n", person.lines());
        let (gate, write) = (gate.http, request("POST", "/api/orders:create", &lines) + "{}");
        writes.spawn(async move { ask(gate, write).await });
    }
    eventually("NocoBase has all of them", async || nocobase.swallowed() >= PLACES).await;
    no_place_is_taken(&gate).await;
    // Its outcome is unknown: the client is not told to retry.
    for response in writes.join_all().await {
        assert_eq!((response.status(), response.header("retry-after")), (504, None), "{}", response.text());
        assert!(response.body().contains("NOCOBASE_TIMEOUT"), "{}", response.body());
    }
    assert_eq!(nocobase.swallowed(), PLACES, "none was sent again");
    // A NocoBase that was only busy for some seconds would have got the time to respond.
    assert!(began.elapsed() >= Duration::from_secs(15), "{:?}", began.elapsed());
    nocobase.recover();
    eventually("a page", async || ask(gate.http, page_of(&people[4])).await.status() == 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_and_upgrades_are_told_as_well() {
    let (nocobase, setup, gate) = stage(2, Setup::https).await;
    let (visitor, h2) = (setup.visitor_number(1), setup.h2(&gate).await);
    let headers = [("cookie".to_owned(), visitor.cookie.clone())];
    assert_eq!(h2.ask("GET", "/admin", &headers, &[]).await.0, 200);
    nocobase.hang();
    let began = Instant::now();
    let mut socket = setup.line(&gate, true).await;
    let line = format!("{}Origin: https://gate.test\r\n", visitor.cookie_line());
    socket.write_all(upgrade("/ws", &line).as_bytes()).await.unwrap();
    socket.flush().await.unwrap();
    let call = h2.ask("GET", "/admin", &headers, &[]);
    let (socket, (status, head)) = tokio::join!(read_response(&mut socket), call);
    assert_eq!((status, head.get("retry-after").is_some()), (503, true));
    assert_eq!(socket.status(), 503, "{}", socket.text());
    assert_eq!(nocobase.swallowed(), 2);
    assert!(began.elapsed() < TOLD_WITHIN);
    no_place_is_taken(&gate).await;
    nocobase.recover();
    eventually("a page", async || h2.ask("GET", "/admin", &headers, &[]).await.0 == 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_changes_nothing_is_repeated_on_another_node() {
    let nocobase = NocoBase::start_with(SECRET).await;
    let other = nocobase.another_node().await;
    for id in [1, Setup::user_of(1)] {
        nocobase.user_with_id(id, json!({ "nickname": "somebody" }));
    }
    let nodes: Vec<_> = [nocobase.address, other.address].iter().map(ToString::to_string).collect();
    let setup = Setup::new(nocobase.address).set("upstream.health_interval", "1s");
    let setup = setup.set("upstream.nodes", nodes);
    let gate = setup.start().await;
    let person = setup.visitor_number(1);
    assert_eq!(ask(gate.http, call_of(&person)).await.status(), 200);
    other.hang();
    let mut calls = JoinSet::new();
    for _ in 0..4 {
        let (gate, call) = (gate.http, call_of(&person));
        calls.spawn(async move { ask(gate, call).await.status() });
    }
    assert_eq!(calls.join_all().await, [200; 4]);
    assert!(other.swallowed() > 0, "the node that hangs got none");
    no_place_is_taken(&gate).await;
}
