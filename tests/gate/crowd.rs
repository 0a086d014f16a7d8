//! Nine o'clock: more users at once than NocoBase can serve. The stand-in has a fixed capacity, and processes what it was sent
//! even if the client has gone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nocobase_standin::NocoBase;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::support::raw::{Process, SECRET, Setup, get, read_response};

/// Requests that NocoBase can process at once here.
const AT_ONCE: usize = 20;
const EACH: Duration = Duration::from_millis(100);
const NAVIGATION: &str = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nAccept: text/html\r\n";

async fn stage(people: u64, change: impl FnOnce(Setup) -> Setup) -> (NocoBase, Setup, Process) {
    let nocobase = NocoBase::start_with(SECRET).await;
    for id in (1..=people + 1).map(Setup::user_of).chain([1]) {
        nocobase.user_with_id(id, json!({ "nickname": format!("person {id}") }));
    }
    let setup = change(Setup::new(nocobase.address));
    let gate = setup.start().await;
    nocobase.capacity(AT_ONCE, EACH);
    (nocobase, setup, gate)
}

/// One page load on its own connection; 0: no response in time.
async fn page(gate: SocketAddr, cookie: &str, patience: Duration) -> u16 {
    let ask = async {
        let mut stream = TcpStream::connect(gate).await.unwrap();
        let lines = format!("{cookie}{NAVIGATION}Connection: close\r\n");
        stream.write_all(get("/admin", &lines).as_bytes()).await.unwrap();
        read_response(&mut stream).await.status()
    };
    tokio::time::timeout(patience, ask).await.unwrap_or(0)
}

/// Retries as the waiting page does, until the page loads: how often it was refused.
async fn comes_in(gate: SocketAddr, cookie: String, patience: Duration) -> usize {
    let until = Instant::now() + Duration::from_secs(120);
    let mut refused = 0;
    loop {
        match page(gate, &cookie, patience).await {
            200 => return refused,
            0 | 503 => refused += 1,
            status => panic!("{status}"),
        }
        assert!(Instant::now() < until, "never in");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_signs_in_and_nocobase_is_never_idle() {
    const PEOPLE: u64 = 400;
    let (nocobase, setup, gate) = stage(PEOPLE, |setup| setup).await;
    let inside = setup.visitor_number(PEOPLE + 1);
    assert_eq!(page(gate.http, &inside.cookie_line(), Duration::from_secs(30)).await, 200);

    let arrived = Arc::new(AtomicUsize::new(0));
    let crowd: Vec<_> = (1..=PEOPLE)
        .map(|n| {
            let (gate, cookie, arrived) = (gate.http, setup.visitor_number(n).cookie_line(), arrived.clone());
            tokio::spawn(async move {
                comes_in(gate, cookie, Duration::from_secs(30)).await;
                arrived.fetch_add(1, Ordering::Relaxed);
            })
        })
        .collect();
    // Signed-in users continue meanwhile: fewer than half of the crowd are served before five pages of theirs.
    for _ in 0..5 {
        assert_eq!(page(gate.http, &inside.cookie_line(), Duration::from_secs(30)).await, 200);
    }
    let before = arrived.load(Ordering::Relaxed);
    for person in crowd {
        person.await.unwrap();
    }
    let done = nocobase.done();
    println!("{done:?}; {before} of the crowd came before who was in");
    assert!(done.for_nobody * 50 <= done.requests, "{done:?}");
    // The limit is found from response times, which a busy machine blurs; without a limit all requests would be sent at once.
    assert!(done.most_at_once as u64 * 3 < PEOPLE, "{done:?}");
    assert!(before as u64 * 2 < PEOPLE, "{before}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_for_clients_that_have_gone() {
    const PEOPLE: u64 = 300;
    let (nocobase, setup, gate) = stage(PEOPLE, |setup| setup.set("upstream.max_requests", 20)).await;
    // They wait half a second; NocoBase would need three for all of them.
    let crowd: Vec<_> = (1..=PEOPLE)
        .map(|n| {
            let (gate, cookie) = (gate.http, setup.visitor_number(n).cookie_line());
            tokio::spawn(async move { page(gate, &cookie, Duration::from_millis(500)).await })
        })
        .collect();
    for person in crowd {
        person.await.unwrap();
    }
    // Requests still in the queue are not sent afterwards, and their places are free again, once it is noticed that they have gone.
    let late = setup.visitor_number(PEOPLE + 1).cookie_line();
    super::support::eventually("there is a place", async || {
        page(gate.http, &late, Duration::from_secs(30)).await == 200
    })
    .await;
    let done = nocobase.done();
    println!("{done:?}");
    // A place is free when its client has left; NocoBase notices the closed connection a moment later.
    assert!(done.most_at_once <= 2 * AT_ONCE, "{done:?}");
    // Requests in progress when the clients left: one round of places, and those admitted until that was noticed.
    assert!(done.requests <= 8 * AT_ONCE, "{done:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_a_place_gets_retry_after() {
    let (nocobase, setup, gate) = stage(3, |setup| setup.set("upstream.max_requests", 1)).await;
    nocobase.capacity(1, Duration::from_secs(20));
    let (http, cookie) = (gate.http, setup.visitor_number(1).cookie_line());
    let holds = tokio::spawn(async move { page(http, &cookie, Duration::from_secs(60)).await });
    super::support::eventually("NocoBase has a request", async || nocobase.done().most_at_once == 1).await;
    let mut stream = TcpStream::connect(gate.http).await.unwrap();
    let lines = format!("{}{NAVIGATION}", setup.visitor_number(2).cookie_line());
    stream.write_all(get("/admin", &lines).as_bytes()).await.unwrap();
    let response = read_response(&mut stream).await;
    assert_eq!(
        (response.status(), response.header("retry-after").as_deref()),
        (503, Some("3")),
        "{}",
        response.text()
    );
    assert!(response.body().contains("takes too long"), "{}", response.body());
    // The gate's own pages need no place.
    stream.write_all(get("/wecom-gate/gate.js", "").as_bytes()).await.unwrap();
    assert_eq!(read_response(&mut stream).await.status(), 200);
    holds.abort();
}

/// Told the same, they would come back all at once, and most of them be refused again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_without_a_place_come_back_one_after_another() {
    const FIRST: u64 = 12;
    const PEOPLE: u64 = 120;
    let (nocobase, setup, gate) = stage(PEOPLE, |setup| setup.set("upstream.max_requests", 2)).await;
    nocobase.capacity(2, Duration::from_millis(300));
    // From these the gate knows how long it takes.
    for n in 1..=FIRST {
        assert_eq!(
            page(gate.http, &setup.visitor_number(n).cookie_line(), Duration::from_secs(30)).await,
            200
        );
    }
    let crowd: Vec<_> = (FIRST + 1..=PEOPLE)
        .map(|n| {
            let (gate, cookie) = (gate.http, setup.visitor_number(n).cookie_line());
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(gate).await.unwrap();
                let lines = format!("{cookie}{NAVIGATION}User-Agent: Mozilla/5.0\r\nConnection: close\r\n");
                stream.write_all(get("/admin", &lines).as_bytes()).await.unwrap();
                let response = read_response(&mut stream).await;
                response.header("retry-after").map(|seconds| {
                    let seconds: u64 = seconds.parse().unwrap();
                    let refresh = format!("http-equiv=\"refresh\" content=\"{seconds};");
                    assert!(response.body().contains(&refresh), "{seconds}: {}", response.body());
                    seconds
                })
            })
        })
        .collect();
    let mut told = std::collections::BTreeMap::new();
    for person in crowd {
        if let Some(seconds) = person.await.unwrap() {
            *told.entry(seconds).or_insert(0) += 1;
        }
    }
    // NocoBase does seven a second; twice as many are told each second, and those who are left over the last.
    println!("{told:?}");
    assert!(told.len() >= 4 && told.keys().all(|seconds| (1..=6).contains(seconds)), "{told:?}");
    assert!(told.range(..6).all(|(_, many)| *many <= 30), "{told:?}");
}
