use std::net::SocketAddr;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::*;

const S: Duration = Duration::from_secs(1);

/// A node, and connections to it.
struct Stage {
    listener: TcpListener,
    address: SocketAddr,
    kept: Connections,
}

impl Stage {
    async fn new() -> Stage {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Stage { listener, address, kept: Connections::default() }
    }

    /// A new connection, and the node's end.
    async fn open(&self) -> (Stream, TcpStream) {
        let stream = open(self.address, 3 * S).await.unwrap();
        (stream, self.listener.accept().await.unwrap().0)
    }

    fn count(&self) -> usize {
        self.kept.parts.iter().map(|part| part.lock().len()).sum()
    }
}

fn address(stream: &Stream) -> i32 {
    stream.id()
}

#[tokio::test]
async fn the_connection_used_last_is_used_next() {
    let stage = Stage::new().await;
    let ((one, _one), (other, _other)) = (stage.open().await, stage.open().await);
    let ids = [address(&one), address(&other)];
    stage.kept.keep(one, 9);
    stage.kept.keep(other, 9);
    assert_eq!(stage.kept.take().map(|s| address(&s)), Some(ids[1]));
    assert_eq!(stage.kept.take().map(|s| address(&s)), Some(ids[0]));
    assert!(stage.kept.take().is_none());
}

#[tokio::test]
async fn r06_a_connection_with_unexpected_bytes_is_closed() {
    let stage = Stage::new().await;
    let (stream, mut node) = stage.open().await;
    stage.kept.keep(stream, 9);
    // A second response to a request that had one: the next client must not get it.
    node.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    let at_end = tokio::time::timeout(10 * S, async {
        while stage.count() > 0 {
            stage.kept.close_old();
            tokio::time::sleep(S / 100).await;
        }
    });
    at_end.await.unwrap();
    assert!(stage.kept.take().is_none());
}

#[tokio::test]
async fn a_connection_that_the_node_has_closed_is_not_used() {
    let stage = Stage::new().await;
    let (stream, node) = stage.open().await;
    stage.kept.keep(stream, 9);
    drop(node);
    let unused = tokio::time::timeout(10 * S, async {
        // Until the end has arrived here, the connection looks open.
        while let Some(stream) = stage.kept.take() {
            stage.kept.keep(stream, 9);
            tokio::time::sleep(S / 100).await;
        }
    });
    unused.await.unwrap();
    assert_eq!(stage.count(), 0);
}

#[tokio::test]
async fn a_connection_is_not_idle_for_longer_than_the_node_keeps_it() {
    let stage = Stage::new().await;
    let old = || Instant::now().checked_sub(LONGEST_IDLE).unwrap();
    for take in [true, false] {
        let (stream, _node) = stage.open().await;
        stage.kept.keep(stream, 9);
        stage.kept.parts.iter().for_each(|part| part.lock().iter_mut().for_each(|idle| idle.since = old()));
        if take {
            assert!(stage.kept.take().is_none());
        } else {
            stage.kept.close_old();
        }
        assert_eq!(stage.count(), 0);
    }
}

#[tokio::test]
async fn there_is_a_most() {
    let stage = Stage::new().await;
    let mut nodes = Vec::new();
    for _ in 0..5 {
        let (stream, node) = stage.open().await;
        stage.kept.keep(stream, 2);
        nodes.push(node);
    }
    assert_eq!(stage.count(), 2);
    assert!(stage.kept.take().is_some() && stage.kept.take().is_some() && stage.kept.take().is_none());
}

#[tokio::test]
async fn threads_use_each_others_connections() {
    let stage = Stage::new().await;
    let (stream, _node) = stage.open().await;
    stage.kept.keep(stream, 9);
    let found = std::thread::scope(|s| s.spawn(|| stage.kept.take().is_some()).join().unwrap());
    assert!(found);
}

/// A machine that drops packets, or a process that hangs and whose queue is full.
#[tokio::test]
async fn a_node_that_accepts_nothing_is_given_up_in_time() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    let mut queued = Vec::new();
    let given_up = async {
        loop {
            match open(address, S / 2).await {
                Ok(stream) => queued.push(stream),
                Err(error) => return error,
            }
        }
    };
    let error = tokio::time::timeout(30 * S, given_up).await.unwrap();
    assert_eq!(*error.etype(), ConnectTimedout);
}
