use super::*;
use crate::error::Cause;

fn block(id: &str) -> ToBlock {
    let owner = BlockOwner::Member { entry: "wecom".into(), userid: "zhangsan".into() };
    let until = now().plus(Duration::from_secs(3600));
    ToBlock { id: id.into(), owner, signed_in_at: now(), until }
}

#[test]
fn r36_another_nodes_unsent_sign_outs_are_taken_over() {
    let (blocks, start) = (Blocks::default(), Instant::now());
    for id in ["recorded", "left"] {
        blocks.begun_elsewhere(block(id), start);
        blocks.begun_elsewhere(block(id), start + TAKEOVER_DELAY / 2);
        assert!(blocks.is_pending(id), "this node refuses it already");
    }
    blocks.begun_elsewhere(ToBlock { until: now(), ..block("over") }, start);
    blocks.begun_elsewhere(ToBlock { owner: BlockOwner::User(0), ..block("nobody") }, start);
    assert!(!blocks.take_over(start + TAKEOVER_DELAY / 2), "the other node is at it");
    blocks.done("recorded");
    assert!(blocks.take_over(start + TAKEOVER_DELAY) && !blocks.take_over(start + TAKEOVER_DELAY));
    let due: Vec<String> = blocks.due().into_iter().map(|b| b.id).collect();
    assert_eq!((due, blocks.left()), (vec!["left".to_owned()], 1));
    // The echo of this node's own message starts no second call.
    blocks.begun_elsewhere(block("left"), start + TAKEOVER_DELAY * 2);
    assert!(!blocks.take_over(start + TAKEOVER_DELAY * 9));
    blocks.done("left");
    assert!(!blocks.is_pending("left") && blocks.left() == 0);
}

#[test]
fn what_is_shared_is_read_back_unchanged() {
    for owner in
        [Owner::User(UserId::new(7).unwrap()), Owner::Member { entry: "a".into(), userid: "b".into() }]
    {
        let mine = Block { id: "x".into(), owner, signed_in_at: now() };
        let back = Block::from_shared(mine.shared(now())).unwrap();
        assert_eq!((back.id, back.owner, back.signed_in_at), (mine.id, mine.owner, mine.signed_in_at));
    }
}

fn mine(id: &str) -> Block {
    Block { id: id.into(), owner: Owner::User(UserId::new(7).unwrap()), signed_in_at: now() }
}

fn in_an_hour() -> UnixMillis {
    now().plus(Duration::from_secs(3600))
}

#[test]
fn r36_what_is_pending_stays_until_it_is_done_or_over() {
    let blocks = Blocks::default();
    blocks.add(&mine("a"), in_an_hour());
    blocks.add(&mine("a"), now());
    blocks.add(&mine("over"), now());
    assert_eq!(blocks.left(), 2, "each once");
    let due: Vec<String> = blocks.due().into_iter().map(|block| block.id).collect();
    assert_eq!((due, blocks.left()), (vec!["a".to_owned()], 1), "with the end that it had first");
    assert!(blocks.is_pending("a") && !blocks.is_pending("over"));
    blocks.done("a");
    assert!(!blocks.is_pending("a") && blocks.left() == 0);
}

#[test]
fn r36_what_waits_is_bounded() {
    let (blocks, start) = (Blocks::default(), Instant::now());
    for number in 0..=MAX_BLOCKS {
        blocks.add(&mine(&number.to_string()), in_an_hour());
        blocks.begun_elsewhere(block(&format!("other-{number}")), start);
    }
    let others = blocks.state.lock().others.len();
    assert_eq!((blocks.left(), others), (MAX_BLOCKS, MAX_BLOCKS));
}

/// Fails as configured, and records when it was called.
struct Scripted {
    began: tokio::time::Instant,
    /// As long as there are any, each call takes the last one.
    failures: Mutex<Vec<Failure>>,
    calls: Mutex<Vec<(u64, String)>>,
}

impl Scripted {
    fn new(failures: Vec<Failure>) -> Arc<Scripted> {
        let began = tokio::time::Instant::now();
        Arc::new(Scripted { began, failures: Mutex::new(failures), calls: Mutex::default() })
    }

    /// The second at which each call was made.
    fn seconds(&self) -> Vec<u64> {
        self.calls.lock().iter().map(|(second, _)| *second).collect()
    }
}

#[async_trait]
impl Reporter for Scripted {
    async fn report(&self, block: &Block) -> Result<(), FailureWithCause> {
        self.calls.lock().push((self.began.elapsed().as_secs(), block.id.clone()));
        match self.failures.lock().pop() {
            Some(failure) => Err(FailureWithCause::new(failure, Cause::default())),
            None => Ok(()),
        }
    }
}

fn weak(reporter: &Arc<Scripted>) -> Weak<dyn Reporter> {
    let weak: Weak<Scripted> = Arc::downgrade(reporter);
    weak
}

#[tokio::test(start_paused = true)]
async fn r36_calls_are_repeated_with_longer_and_longer_pauses_until_one_succeeds() {
    let reporter = Scripted::new(vec![Failure::NocoBaseUnreachable; 6]);
    let blocks = Arc::new(Blocks::default());
    blocks.add(&mine("a"), in_an_hour());
    assert!(blocks.begins(weak(&reporter)));
    assert!(!blocks.begins(weak(&reporter)), "a task is working on them already");
    blocks.clone().work().await;
    assert_eq!(reporter.seconds(), [1, 3, 7, 15, 30, 45, 60]);
    assert_eq!(blocks.left(), 0);
    assert!(blocks.begins(weak(&reporter)), "the next one starts again");
}

/// One call is enough to see that NocoBase is unavailable; a call that fails for another reason does not delay the others.
#[tokio::test(start_paused = true)]
async fn r36_while_nocobase_is_away_one_call_is_made_and_a_failure_of_its_own_holds_up_no_other() {
    for (failure, at_first) in [(Failure::NocoBaseStarting, 1), (Failure::NocoBaseBadAnswer, 20)] {
        let reporter = Scripted::new(vec![failure]);
        let blocks = Arc::new(Blocks::default());
        (0..20).for_each(|number| blocks.add(&mine(&number.to_string()), in_an_hour()));
        assert!(blocks.begins(weak(&reporter)));
        blocks.clone().work().await;
        let seconds = reporter.seconds();
        assert_eq!(seconds.iter().filter(|second| **second == 1).count(), at_first, "{failure}");
        assert_eq!((seconds.len(), blocks.left()), (21, 0), "each once, and one again");
    }
}

#[tokio::test(start_paused = true)]
async fn r36_the_sessions_in_use_make_the_calls_and_without_any_the_work_ends() {
    let blocks = Arc::new(Blocks::default());
    let (before, after) = (Scripted::new(Vec::new()), Scripted::new(Vec::new()));
    blocks.add(&mine("a"), in_an_hour());
    assert!(blocks.begins(weak(&before)));
    // After a reload, the previous sessions are dropped.
    blocks.set_reporter(weak(&after));
    blocks.clone().work().await;
    assert_eq!((before.seconds().len(), after.seconds().len()), (0, 1));
    // The current ones make the calls, whichever sessions added them.
    blocks.add(&mine("b"), in_an_hour());
    assert!(blocks.begins(weak(&before)));
    blocks.clone().work().await;
    assert_eq!((before.seconds().len(), after.seconds().len()), (0, 2));
    drop((before, after));
    blocks.add(&mine("c"), in_an_hour());
    assert!(blocks.begins(weak(&Scripted::new(Vec::new()))));
    blocks.clone().work().await;
    assert_eq!(blocks.left(), 1);
    let back = Scripted::new(Vec::new());
    assert!(blocks.begins(weak(&back)), "no task is working on them now");
    blocks.clone().work().await;
    assert_eq!((back.seconds().len(), blocks.left()), (1, 0));
}

#[test]
fn only_a_nocobase_that_cannot_respond_is_away() {
    let away: Vec<Failure> = Failure::ALL.iter().copied().filter(|failure| is_away(*failure)).collect();
    for failure in [
        Failure::NocoBaseUnreachable,
        Failure::NocoBaseStarting,
        Failure::NocoBaseTimeout,
        Failure::NocoBaseBusy,
    ] {
        assert!(away.contains(&failure), "{failure}");
    }
    assert_eq!(away.len(), 4, "{away:?}");
}
