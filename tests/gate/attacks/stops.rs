//! R43: a stop is never delayed by what the gate waits for, and requests that have arrived by then are served. Clients that reuse a
//! connection are told before it is closed.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wecom_sim::Fault;

use crate::support::gate::run_command;
use crate::support::raw::{Response, frame, gate, gate_with, get, read_response, tls, upgrade};
use crate::support::{HOST, Stage, eventually, program};

const DEPARTMENTS: &str = "/cgi-bin/department/simplelist";
/// Far below the timeout of calls to WeCom.
const AT_ONCE: Duration = Duration::from_secs(4);
/// Longer than any timeout.
const LONG_MS: u64 = 60_000;

#[tokio::test(flavor = "multi_thread")]
async fn r43_a_stop_does_not_wait_for_a_reload() {
    let mut stage = Stage::start(|c| _ = c.set("wecom.allow_departments", vec![3])).await;
    stage.wecom().add_fault(Fault::latency(DEPARTMENTS, LONG_MS));
    let calls = stage.wecom().calls(DEPARTMENTS);
    stage.gate.signal("HUP");
    eventually("the reload waits for WeCom", async || stage.wecom().calls(DEPARTMENTS) > calls).await;
    let began = Instant::now();
    stage.gate.end().await;
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn r43_a_stop_does_not_wait_for_a_start() {
    let stage = Stage::start(|_| {}).await;
    stage.wecom().add_fault(Fault::latency(DEPARTMENTS, LONG_MS));
    let mut config = stage.config.clone();
    config.set("wecom.allow_departments", vec![3]);
    let (mut command, _file) = run_command(&program(), &config);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("the start waits for WeCom", async || stage.wecom().calls(DEPARTMENTS) > 0).await;
    let began = Instant::now();
    assert!(Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap().success());
    let mut ended = None;
    eventually("it ends", async || {
        ended = child.try_wait().unwrap();
        ended.is_some()
    })
    .await;
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    assert!(ended.unwrap().success(), "{ended:?}");
}

/// Connections that the kernel has accepted but the gate has not, and a stop before it does.
#[tokio::test(flavor = "multi_thread")]
async fn r43_connections_in_the_queue_at_a_stop_are_served() {
    const PLAIN: usize = 300;
    const TLS: usize = 20;
    // More at once than NocoBase accepts is a different subject.
    let (_upstream, setup, gate) = gate_with(|s| s.https().set("upstream.max_requests", 0)).await;
    gate.signal("STOP");
    let mut plain = Vec::new();
    for _ in 0..PLAIN {
        let mut stream = TcpStream::connect(gate.http).await.unwrap();
        stream.write_all(get("/api/public", "").as_bytes()).await.unwrap();
        plain.push(stream);
    }
    let tls: Vec<_> = (0..TLS)
        .map(|_| {
            let (address, certificate) = (gate.https, setup.certificate());
            tokio::spawn(async move {
                let mut stream = tls(address, &[&certificate], HOST, Some("http/1.1")).await?;
                stream.write_all(get("/api/public", "").as_bytes()).await?;
                Ok::<u16, std::io::Error>(read_response(&mut stream).await.status())
            })
        })
        .collect();
    eventually("all are in the queue", async || queued(gate.https) >= TLS).await;
    gate.signal("TERM");
    gate.signal("CONT");
    let mut lost = Vec::new();
    for mut stream in plain {
        let response = read_response(&mut stream).await;
        if response.status() != 200 {
            lost.push(response.text());
        }
    }
    for client in tls {
        match client.await.unwrap() {
            Ok(200) => {}
            other => lost.push(format!("{other:?}")),
        }
    }
    assert!(lost.is_empty(), "{} of {PLAIN} and {TLS}, such as {:?}", lost.len(), lost.first());
}

/// Before the socket is closed there is a moment in which no connection is established: a client that tries then gets no
/// response, retries a second later, and is refused. No connection is accepted and then reset.
#[tokio::test(flavor = "multi_thread")]
async fn r43_new_connections_are_refused_before_the_socket_is_closed() {
    const SECOND_TRY: Duration = Duration::from_millis(900);
    // A client that is not scheduled in that tenth of a second misses it, and tries another stop.
    for _ in 0..10 {
        let (_upstream, _setup, gate) = gate().await;
        gate.signal("TERM");
        loop {
            let began = Instant::now();
            match TcpStream::connect(gate.http).await {
                Ok(_) => {}
                Err(_) if began.elapsed() >= SECOND_TRY => return,
                Err(_) => break,
            }
        }
    }
    panic!("each connection has begun, or was refused at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn r43_no_connection_is_reset_by_a_stop() {
    println!("{:?} answered, refused, lost, repeated", nothing_is_lost_by(3).await);
}

/// The same often enough for rare events: `cargo test --test gate -- --ignored r43_ --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute"]
async fn r43_no_connection_is_reset_by_twenty_stops() {
    let done = nothing_is_lost_by(20).await;
    println!("{done:?} answered, refused, lost, repeated");
    assert_eq!(done[3], 0, "requests on connections that the gate closed at the same moment");
}

/// New connections all the time, over this many stops: each request gets a response, or its connection is refused. How many were
/// answered, refused, lost, and repeated because their connection was closed as an idle one.
async fn nothing_is_lost_by(stops: usize) -> [usize; 4] {
    let (mut done, mut all) = ([0; 4], 0);
    for stop in 0..stops {
        let mut stage = Stage::start(|c| {
            _ = c
                .set("access.public", vec!["GET /big/64"])
                .set("log.level", "info")
                .set("log.access_log", false)
                // More at once than NocoBase accepts is a different subject.
                .set("upstream.max_requests", 0)
        })
        .await;
        let mut clients: Vec<_> = (0..24)
            .map(|i| {
                // A third of them keep their connection, with pauses of up to a second.
                let (address, keep) =
                    (stage.gate.http, (i % 3 == 0).then_some(Duration::from_millis(i * 40)));
                tokio::spawn(client(address, keep))
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(700)).await;
        // Every other time the gate has been busy for a moment, so that some connections are in its queue.
        if stop % 2 == 0 {
            stage.gate.signal("STOP");
            clients.extend((0..8).map(|_| tokio::spawn(client(stage.gate.http, None))));
            eventually("some are in the queue", async || queued(stage.gate.http) >= 8).await;
            stage.gate.signal("TERM");
            stage.gate.signal("CONT");
            stage.gate.ended().await;
        } else {
            stage.gate.end().await;
        }
        all += clients.len();
        for client in clients {
            let of_one = tokio::time::timeout(Duration::from_secs(20), client).await.unwrap().unwrap();
            done = std::array::from_fn(|i| done[i] + of_one[i]);
        }
    }
    assert_eq!(done[2], 0, "{done:?}");
    assert_eq!(done[1], all, "{done:?}");
    done
}

/// Sends requests until the connection is refused: how many were answered, refused, lost, repeated.
#[expect(clippy::print_stdout, reason = "shown where the test fails")]
async fn client(address: SocketAddr, keep: Option<Duration>) -> [usize; 4] {
    let (mut done, mut open) = ([0; 4], None);
    loop {
        let reused = open.is_some();
        let mut stream = match open.take() {
            Some(stream) => stream,
            None => match TcpStream::connect(address).await {
                Ok(stream) => stream,
                Err(_) => {
                    done[1] += 1;
                    return done;
                }
            },
        };
        let sent = stream.write_all(get("/big/64", "").as_bytes()).await;
        let response = read_response(&mut stream).await;
        if response.status() == 200 {
            done[0] += 1;
            let close = response.header("connection").is_some_and(|c| c.eq_ignore_ascii_case("close"));
            if let Some(pause) = keep.filter(|_| !close) {
                tokio::time::sleep(pause).await;
                open = Some(stream);
            }
        } else if reused && response.raw.is_empty() && (sent.is_err() || has_ended(&mut stream).await) {
            // It was closed as an idle connection: the client retries (RFC 9112, 9.3.1).
            done[3] += 1;
        } else {
            println!(
                "lost ({reused}, {sent:?}): {:?}",
                response.text().chars().take(300).collect::<String>()
            );
            done[2] += 1;
        }
    }
}

/// A client that has used a connection gets one more response on it, which says that it is the last, and meanwhile new connections
/// are served and load balancers learn that the gate stops.
#[tokio::test(flavor = "multi_thread")]
async fn r43_a_reused_connection_is_announced_to_end_before_it_does() {
    let closes = |response: &Response| {
        response.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    };
    // On a machine that is busy for too long after the signal, another stop is tried.
    for _ in 0..10 {
        let (_upstream, _setup, gate) = gate().await;
        let mut kept = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(gate.http).await.unwrap();
            stream.write_all(get("/api/public", "").as_bytes()).await.unwrap();
            let first = read_response(&mut stream).await;
            assert!(first.status() == 200 && !closes(&first), "{}", first.text());
            kept.push(stream);
        }
        let began = Instant::now();
        gate.signal("TERM");
        let is_stopping = async || {
            let Ok(mut ops) = TcpStream::connect(gate.ops).await else { return true };
            let _ = ops.write_all(b"GET /servez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
            read_response(&mut ops).await.status() != 200
        };
        eventually("it says that it stops", is_stopping).await;
        let served = async {
            let mut new = TcpStream::connect(gate.http).await?;
            for stream in [&mut kept[0], &mut new] {
                stream.write_all(get("/api/public", "").as_bytes()).await?;
                let last = read_response(stream).await;
                if last.status() != 200 || !closes(&last) || !has_ended(stream).await {
                    return Err(std::io::Error::other(last.text()));
                }
            }
            Ok::<(), std::io::Error>(())
        };
        match served.await {
            Ok(()) => {
                // The other one is closed, gracefully, although it stays idle.
                assert!(has_ended(&mut kept[1]).await);
                return;
            }
            Err(error) => assert!(began.elapsed() > Duration::from_secs(1), "{error}"),
        }
    }
    panic!("the machine is too busy");
}

/// A request of which a part has arrived is served when the rest arrives, after nothing listens any more.
#[tokio::test(flavor = "multi_thread")]
async fn r43_a_request_whose_head_is_arriving_is_served() {
    // On a machine that is busy for too long after the signal, another stop is tried.
    for _ in 0..10 {
        let (_upstream, _setup, gate) = gate().await;
        let request = get("/api/public", "");
        let (first, rest) = request.split_at(request.len() / 2);
        let mut stream = TcpStream::connect(gate.http).await.unwrap();
        stream.write_all(first.as_bytes()).await.unwrap();
        let began = Instant::now();
        gate.signal("TERM");
        while TcpStream::connect(gate.http).await.is_ok() {}
        let refused = began.elapsed();
        let sent = stream.write_all(rest.as_bytes()).await;
        let response = read_response(&mut stream).await;
        if sent.is_ok() && response.status() == 200 {
            return;
        }
        assert!(refused > Duration::from_secs(2), "{refused:?}: {sent:?}, {}", response.text());
    }
    panic!("the machine is too busy");
}

/// Was it closed gracefully?
async fn has_ended(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 1]).await, Ok(0))
}

/// A peer that has vanished is detected by TCP keep-alive: on client sockets, to NocoBase, and in tunnels.
#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_are_looked_for() {
    let (upstream, _setup, gate) = gate().await;
    let mut client = TcpStream::connect(gate.http).await.unwrap();
    let mut tunnel = TcpStream::connect(gate.http).await.unwrap();
    tunnel.write_all(upgrade("/ws-public", "").as_bytes()).await.unwrap();
    assert_eq!(read_response(&mut tunnel).await.status(), 101);
    tunnel.write_all(&frame("hello")).await.unwrap();
    upstream.frame().await;
    // The gate's sockets: two with clients; to NocoBase the tunnel, and one that waits for its next request, until it has been idle for 4 s.
    let timers = || {
        let all = sockets();
        let of = |own: fn(&Socket) -> u16, port: u16| {
            all.iter().filter(|s| own(s) == port && s.established).map(|s| s.timer).collect::<Vec<_>>()
        };
        (of(|s| s.local, gate.http.port()), of(|s| s.remote, upstream.address.port()))
    };
    eventually("keep-alive on all", async || {
        client.write_all(get("/api/public", "").as_bytes()).await.unwrap();
        assert_eq!(read_response(&mut client).await.status(), 200);
        // Until what has been sent is acknowledged, there is another timer.
        for _ in 0..40 {
            let (clients, upstreams) = timers();
            if clients == [2, 2] && upstreams.len() > 1 && upstreams.iter().all(|timer| *timer == 2) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    })
    .await;
}

/// A line of `/proc/net/tcp`.
struct Socket {
    local: u16,
    remote: u16,
    established: bool,
    listening: bool,
    /// Connections in the accept queue of a listening socket.
    queue: usize,
    /// 2: keep-alive.
    timer: u8,
}

fn sockets() -> Vec<Socket> {
    let hex = |text: &str| usize::from_str_radix(text, 16).unwrap();
    let port = |address: &str| u16::try_from(hex(address.rsplit(':').next().unwrap())).unwrap();
    let text = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        Socket {
            local: port(fields[1]),
            remote: port(fields[2]),
            established: fields[3] == "01",
            listening: fields[3] == "0A",
            queue: hex(fields[4].split(':').nth(1).unwrap()),
            timer: u8::try_from(hex(fields[5].split(':').next().unwrap())).unwrap(),
        }
    };
    text.lines().skip(1).map(line).collect()
}

/// How many connections wait to be accepted.
fn queued(address: SocketAddr) -> usize {
    sockets().iter().filter(|s| s.listening && s.local == address.port()).map(|s| s.queue).sum()
}
