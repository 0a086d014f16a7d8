//! Members of one department, rechecked by two nodes.

use std::time::{Duration, Instant};

use super::is_up;
use crate::events::LONG;
use crate::session::departments::{USER_GET, USER_LIST, signed_in_at, work};
use crate::support::{Redis, Stage};

/// A balancer keeps each member at one node: neither node knows all who are in the department.
#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_request_the_list_of_a_department_as_often_as_one() {
    const RECHECK: Duration = Duration::from_secs(10);
    const LISTS: usize = 4;
    let redis = Redis::start();
    let stage = Stage::start(|c| _ = c.set("session.recheck", "10s").set("session.redis", redis.url())).await;
    let other = stage.second_node().await;
    is_up(&stage.gate, true).await;
    is_up(&other, true).await;
    let mut members = signed_in_at(&stage, &[&stage.gate, &other], 2).await;
    let calls = |path| usize::try_from(stage.wecom().calls(path)).unwrap();
    let began = Instant::now();
    let mut seen = (calls(USER_LIST), calls(USER_GET));
    // When each list was requested, and how many single calls there were before it.
    let mut lists: Vec<(Instant, usize)> = Vec::new();
    // Those after the first ones count, without a pause between them in which a busy machine was late.
    let good = |lists: &[(Instant, usize)]| {
        let lists = lists.get(lists.len().checked_sub(LISTS)?..)?;
        let apart = lists.windows(2).all(|two| two[1].0 - two[0].0 > RECHECK / 2);
        (apart && lists.iter().skip(1).map(|(_, alone)| alone).sum::<usize>() == 0).then_some(())
    };
    while good(&lists).is_none() {
        assert!(began.elapsed() < LONG, "{lists:?}");
        assert!(work(&mut members).await.is_empty());
        let now = (calls(USER_LIST), calls(USER_GET));
        for _ in seen.0..now.0 {
            lists.push((Instant::now(), now.1 - seen.1));
        }
        if now.0 > seen.0 {
            seen = now;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
