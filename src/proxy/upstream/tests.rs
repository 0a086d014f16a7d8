use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::node::NodeState;
use super::*;
use crate::nocobase::{Class, Turn, Who};

fn upstream(nodes: &[&str]) -> config::Upstream {
    config::Upstream {
        nodes: nodes.iter().map(|n| (*n).to_owned()).collect(),
        connect_timeout: Duration::from_secs(3),
        read_timeout: Duration::from_secs(300),
        health_interval: Duration::from_secs(2),
        max_requests: config::MaxRequests::Unbounded,
    }
}

fn three() -> Upstreams {
    Upstreams::new(
        &upstream(&["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]),
        "/",
        None,
        &Concurrency::default(),
    )
    .unwrap()
}

fn firsts(u: &Upstreams, requests: usize) -> [usize; 3] {
    let mut counts = [0; 3];
    for _ in 0..requests {
        counts[u.pick(&mut AttemptedNodes::default()).unwrap()] += 1;
    }
    counts
}

#[test]
fn nodes_take_turns() {
    assert_eq!(firsts(&three(), 300), [100, 100, 100]);
}

#[test]
fn a_request_meets_each_node_once() {
    for u in
        [three(), Upstreams::new(&upstream(&["127.0.0.1:1"]), "/", None, &Concurrency::default()).unwrap()]
    {
        let mut tried = AttemptedNodes::default();
        let mut met: Vec<_> = std::iter::from_fn(|| u.pick(&mut tried)).collect();
        met.sort_unstable();
        assert_eq!(met, (0..u.len()).collect::<Vec<_>>());
        assert_eq!(tried.count(), u.len());
    }
}

#[test]
fn a_node_that_did_not_connect_is_the_last_resort() {
    let u = three();
    u.avoid(1);
    assert_eq!(firsts(&u, 300)[1], 0);
    let mut tried = AttemptedNodes::default();
    let met: Vec<_> = std::iter::from_fn(|| u.pick(&mut tried)).collect();
    assert_eq!((met.len(), met[2]), (3, 1), "but it is tried when the others fail");
    u.nodes[1].found(NodeState::Healthy, Duration::from_secs(1));
    assert_eq!(firsts(&u, 300), [100, 100, 100]);
}

#[test]
fn a_node_that_comes_back_warms_up() {
    let share = |seconds: u64| {
        let u = three();
        let node = &u.nodes[0];
        node.found(NodeState::Unreachable, Duration::from_secs(90));
        node.found(NodeState::Healthy, Duration::from_secs(100));
        (0..1000).filter(|_| node.takes(Duration::from_secs(100 + seconds))).count()
    };
    assert_eq!([share(0), share(5), share(10), share(20)], [100, 250, 500, 1000]);
}

/// A node that hangs serves nobody, whenever they come back.
#[test]
fn clients_are_told_when_to_come_back_as_long_as_a_node_responds() {
    let u = three();
    for index in 0..3 {
        assert!(u.book_return().is_some());
        u.limiter(index).unwrap().set_silent(true);
    }
    assert_eq!(u.book_return(), None);
}

#[test]
fn unusable_names_are_reported() {
    let error = |nodes: &[&str]| {
        Upstreams::new(&upstream(nodes), "/", None, &Concurrency::default()).err().unwrap().to_string()
    };
    assert!(error(&["no-such-host.invalid:1"]).contains("no-such-host.invalid:1"));
    assert!(error(&["127.0.0.1:1", "localhost:2", "127.0.0.1:2"]).contains("127.0.0.1:2"));
}

/// The health check that it swallowed does not delay the news.
#[tokio::test]
async fn a_node_that_hung_is_found_back_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let u = Upstreams::new(&upstream(&[&address]), "/", None, &Concurrency::default()).unwrap();
    u.nodes[0].limiter.set_silent(true);
    tokio::spawn(async move {
        let _lost = listener.accept().await.unwrap();
        loop {
            let (mut check, _) = listener.accept().await.unwrap();
            let read = check.read(&mut [0; 1024]).await.unwrap();
            assert!(read > 0);
            check.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        }
    });
    u.balancer.backends().run_health_check(true).await;
    assert_eq!((u.nodes[0].state(), u.nodes[0].limiter.is_away()), (NodeState::Healthy, false));
}

/// Its health check gets no response in either case: a node that is only busy responds to other requests.
#[tokio::test]
async fn a_node_that_responds_to_others_does_not_hang() {
    for is_busy in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let u = Upstreams::new(&upstream(&[&address]), "/", None, &Concurrency::default()).unwrap();
        let limiter = u.limiter(0).unwrap().clone();
        let others = async {
            loop {
                tokio::time::sleep(Duration::from_millis(50)).await;
                if is_busy {
                    let turn = Turn { class: Class::In, who: Who::User(1) };
                    limiter.enter(turn).await.unwrap().responded("/");
                }
            }
        };
        tokio::select! {
            () = u.balancer.backends().run_health_check(true) => {}
            () = others => {}
        }
        assert_eq!(limiter.is_away(), !is_busy);
    }
}
