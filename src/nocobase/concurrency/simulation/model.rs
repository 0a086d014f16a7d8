//! A NocoBase of known capacity and the people before it, in virtual time: a minute takes a moment, and runs with the same seed are
//! the same.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use crate::config::MaxRequests;
use crate::nocobase::concurrency::{Class, NodeLimiter, Turn, Who};

/// `upstream.health_interval`, and the time-out of a health check.
const HEALTH: Duration = Duration::from_secs(2);

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between 0 and 1, without both.
    fn unit(&mut self) -> f64 {
        (f64::from(u32::try_from(self.next() >> 32).unwrap()) + 0.5) / 4_294_967_296.0
    }
}

/// How durations of the same work differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Noise {
    Even,
    /// Up to a fifth more or less.
    Little,
    /// Exponential: many short ones, and some that take several times as long.
    Much,
}

/// For a time it does nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stall {
    Never,
    /// From and until, in seconds; then it continues with what it has.
    Frozen(f64, f64),
    /// What arrives between these seconds never gets a response.
    Deaf(f64, f64),
}

/// NocoBase.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    pub seed: u64,
    /// Checks at once.
    pub at_once: usize,
    /// Duration of a check, of which `at_once` are processed at once.
    pub check: Duration,
    pub noise: Noise,
    pub stall: Stall,
    /// How much longer everything takes at this second.
    pub slower: fn(f64) -> f64,
    /// From this second on it processes only so many at once.
    pub less: Option<(f64, usize)>,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            seed: 1,
            at_once: 50,
            check: Duration::from_millis(200),
            noise: Noise::Even,
            stall: Stall::Never,
            slower: |_| 1.0,
            less: None,
        }
    }
}

/// The kind of a request: checks are limited; other calls take five milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Work {
    Check,
    Other,
}

/// The gate, NocoBase, and what has happened.
pub(super) struct World {
    setup: Setup,
    began: Instant,
    random: Mutex<Random>,
    servers: Arc<Semaphore>,
    pub limiter: Arc<NodeLimiter>,
    inside: AtomicUsize,
    /// Most checks at once in NocoBase in each second.
    pub most: Mutex<Vec<usize>>,
    /// When checks were done, in seconds.
    pub done: Mutex<Vec<f64>>,
    /// Checks whose client had gone.
    pub for_nobody: AtomicUsize,
}

impl World {
    pub(super) fn new(setup: Setup) -> Arc<World> {
        let world = Arc::new(World {
            setup,
            began: Instant::now(),
            random: Mutex::new(Random(setup.seed)),
            servers: Arc::new(Semaphore::new(setup.at_once)),
            limiter: Arc::new(NodeLimiter::new(MaxRequests::Auto, None)),
            inside: AtomicUsize::new(0),
            most: Mutex::default(),
            done: Mutex::default(),
            for_nobody: AtomicUsize::new(0),
        });
        tokio::spawn(world.clone().check_health());
        if let Some((at, left)) = setup.less {
            let servers = world.servers.clone();
            tokio::spawn(async move {
                sleep(Duration::from_secs_f64(at)).await;
                let fewer = u32::try_from(setup.at_once - left).unwrap();
                servers.acquire_many(fewer).await.unwrap().forget();
            });
        }
        world
    }

    /// Seconds since the beginning.
    pub(super) fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Between 0 and 1.
    pub(super) fn chance(&self) -> f64 {
        self.random.lock().unit()
    }

    pub(super) async fn until(&self, second: f64) {
        sleep_until(self.began + Duration::from_secs_f64(second)).await;
    }

    fn duration(&self, work: Work) -> Duration {
        let usual = match work {
            Work::Check => self.setup.check,
            Work::Other => Duration::from_millis(5),
        };
        let factor = match self.setup.noise {
            Noise::Even => 1.0,
            Noise::Little => 0.8 + 0.4 * self.chance(),
            Noise::Much => -self.chance().ln(),
        };
        usual.mul_f64(factor * (self.setup.slower)(self.now()))
    }

    /// Works for so long, and for as long as it is frozen meanwhile.
    async fn work(&self, takes: Duration) {
        let (from, takes) = (self.now(), takes.as_secs_f64());
        let end = match self.setup.stall {
            Stall::Frozen(begin, end) if from + takes > begin && from < end => {
                end + (from + takes - begin.max(from)).min(takes)
            }
            _ => from + takes,
        };
        self.until(end).await;
    }

    /// Is it frozen or deaf?
    fn is_stalled(&self) -> bool {
        match self.setup.stall {
            Stall::Never => false,
            Stall::Frozen(begin, end) | Stall::Deaf(begin, end) => (begin..end).contains(&self.now()),
        }
    }

    /// NocoBase has received a request. It works on it even if the client goes away.
    fn receive(self: &Arc<Self>, work: Work) -> oneshot::Receiver<()> {
        let (mut tell, told) = oneshot::channel();
        let world = self.clone();
        tokio::spawn(async move {
            if matches!(world.setup.stall, Stall::Deaf(..)) && world.is_stalled() {
                // Nothing is ever said.
                tell.closed().await;
                return;
            }
            if work == Work::Other {
                world.work(world.duration(work)).await;
                let _ = tell.send(());
                return;
            }
            world.comes_in();
            let server = world.servers.acquire().await.unwrap();
            world.work(world.duration(work)).await;
            drop(server);
            world.inside.fetch_sub(1, Ordering::Relaxed);
            world.done.lock().push(world.now());
            if tell.send(()).is_err() {
                world.for_nobody.fetch_add(1, Ordering::Relaxed);
            }
        });
        told
    }

    fn comes_in(&self) {
        let inside = self.inside.fetch_add(1, Ordering::Relaxed) + 1;
        let second = self.began.elapsed().as_secs() as usize;
        let mut most = self.most.lock();
        if most.len() <= second {
            most.resize(second + 1, 0);
        }
        most[second] = most[second].max(inside);
    }

    /// As `proxy::upstream::health` does it.
    async fn check_health(self: Arc<Self>) {
        loop {
            sleep(HEALTH).await;
            let asked = self.now();
            let answer = async {
                match self.setup.stall {
                    Stall::Frozen(_, end) if self.is_stalled() => self.until(end).await,
                    Stall::Deaf(..) if self.is_stalled() => std::future::pending().await,
                    _ => {}
                }
            };
            let is_silent = tokio::time::timeout(HEALTH, answer).await.is_err();
            assert!(self.now() - asked <= HEALTH.as_secs_f64() + 0.01);
            self.limiter.set_silent(is_silent && self.limiter.silence() >= HEALTH);
        }
    }

    /// One request through the gate; false: it was refused, or the node hangs.
    pub(super) async fn ask(self: &Arc<Self>, turn: Turn, work: Work) -> bool {
        let Ok(permit) = self.limiter.enter(turn).await else { return false };
        let permit = permit.sent();
        tokio::select! {
            biased;
            told = self.receive(work) => {
                let path = if work == Work::Check { "/api/auth:check" } else { "/api/posts:list" };
                permit.responded(path);
                told.is_ok()
            }
            () = self.limiter.until_silent(Duration::ZERO) => {
                permit.unused();
                false
            }
        }
    }

    /// Somebody whose session is seen for the first time at this second tries until it is confirmed and the page is there, as the
    /// waiting page does; the second at which it is. `patience`: after which they ask again at once.
    pub(super) fn first_look(
        self: &Arc<Self>,
        person: u64,
        at: f64,
        patience: Duration,
    ) -> impl Future<Output = f64> + Send + use<> {
        let world = self.clone();
        let page = Turn { class: Class::In, who: Who::User(person) };
        async move {
            world.until(at).await;
            let load =
                async || world.ask(newcomer(person), Work::Check).await && world.ask(page, Work::Other).await;
            loop {
                match tokio::time::timeout(patience, load()).await {
                    Ok(true) => return world.now(),
                    Ok(false) => world.retry_after().await,
                    Err(_) => sleep(Duration::from_millis(200)).await,
                }
            }
        }
    }

    /// A check of somebody's session.
    pub(super) async fn check(self: &Arc<Self>, person: u64) {
        if !self.ask(newcomer(person), Work::Check).await {
            self.retry_after().await;
        }
    }

    /// As long as the response says.
    async fn retry_after(&self) {
        sleep(Duration::from_secs(self.limiter.book_return().into())).await;
    }

    /// A sign-in at this second, with the calls that the gate makes for it; how long they took, unless one was refused.
    pub(super) fn sign_in(self: &Arc<Self>, at: f64) -> impl Future<Output = Option<f64>> + Send + use<> {
        let world = self.clone();
        async move {
            world.until(at).await;
            let calls = [(Class::SignIn, Work::Other), (Class::In, Work::Other), (Class::In, Work::Other)];
            for (class, work) in calls.into_iter().chain([(Class::In, Work::Other), (Class::In, Work::Check)])
            {
                if !world.ask(Turn::of_call(class), work).await {
                    return None;
                }
            }
            Some(world.now() - at)
        }
    }

    /// The call of somebody who is in, at this second; how long it took, unless it was refused.
    pub(super) fn call(
        self: &Arc<Self>,
        person: u64,
        at: f64,
        work: Work,
    ) -> impl Future<Output = Option<f64>> + Send + use<> {
        let world = self.clone();
        let turn = Turn { class: Class::In, who: Who::User(person) };
        async move {
            world.until(at).await;
            world.ask(turn, work).await.then(|| world.now() - at)
        }
    }

    /// Checks done between these seconds, as a share of what NocoBase can do.
    pub(super) fn goodput(&self, from: f64, until: f64) -> f64 {
        let done = self.done.lock().iter().filter(|at| (from..until).contains(*at)).count();
        // In small steps, since its capacity may change.
        let mut possible = 0.0;
        let mut at = from;
        while at < until {
            let servers = match self.setup.less {
                Some((since, left)) if at >= since => left,
                _ => self.setup.at_once,
            };
            possible += 0.01 * servers as f64 / self.setup.check.as_secs_f64() / (self.setup.slower)(at);
            at += 0.01;
        }
        done as f64 / possible
    }
}

fn newcomer(person: u64) -> Turn {
    Turn { class: Class::New, who: Who::User(person) }
}

/// Seconds within which this share of the calls was done; refused ones took for ever.
pub(super) fn quantile(calls: &[Option<f64>], share: f64) -> f64 {
    let mut all: Vec<f64> = calls.iter().map(|took| took.unwrap_or(f64::INFINITY)).collect();
    all.sort_by(f64::total_cmp);
    all[((all.len() - 1) as f64 * share) as usize]
}
