//! The limiter before a NocoBase of known capacity, with crowds, stalls, noise and drift, each with many seeds: NocoBase is never
//! idle while people wait and never has many more requests than it can process, and nobody who is signed in waits for those who are
//! not.
//!
//! - `model`: NocoBase and the people

mod model;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use model::{Noise, Setup, Stall, Work, World, quantile};
use tokio::task::JoinSet;

const SEEDS: u64 = 8;
/// Nobody gives up.
const FOR_EVER: Duration = Duration::from_secs(3_600);

/// In virtual time.
fn run<T>(scenario: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(scenario)
}

/// Sessions first seen at so many a second, for so long; the seconds at which they were confirmed.
async fn crowd(world: &Arc<World>, rate: f64, from: f64, until: f64, patience: Duration) -> Vec<f64> {
    let people = ((until - from) * rate) as u64;
    let looks = (0..people).map(|person| {
        let at = from + (person as f64 + world.chance()) / rate;
        world.first_look(person, at, patience)
    });
    looks.collect::<JoinSet<_>>().join_all().await
}

/// Calls of 40 people who are in, 40 a second, between these seconds.
async fn calls(world: &Arc<World>, from: f64, until: f64, work: Work) -> Vec<Option<f64>> {
    let calls = (0..((until - from) * 40.0) as u64).map(|n| {
        let at = from + (n as f64 + world.chance()) / 40.0;
        world.call(1_000_000 + n % 40, at, work)
    });
    calls.collect::<JoinSet<_>>().join_all().await
}

/// 1,500 people whose sessions are checked again and again, until this is dropped: more than NocoBase can do.
fn many(world: &Arc<World>) -> JoinSet<()> {
    let again = |person| {
        let world = world.clone();
        async move {
            world.until(world.chance()).await;
            while world.now().is_finite() {
                world.check(person).await;
            }
        }
    };
    (0..1_500).map(again).collect()
}

/// Most checks at once in NocoBase between these seconds.
fn most(world: &World, from: usize, until: usize) -> usize {
    world.most.lock().iter().take(until).skip(from).copied().max().unwrap_or(0)
}

/// Nine o'clock: 2,500 sessions are first seen at 1,000 a second, ten times more than NocoBase confirms in that time. People who are
/// in work, and others sign in, meanwhile.
#[test]
fn a_crowd_is_in_after_nocobases_own_time_and_others_notice_nothing() {
    for seed in 0..SEEDS {
        let noise = [Noise::Even, Noise::Little][seed as usize % 2];
        run(async {
            let world = World::new(Setup { seed, noise, ..Setup::default() });
            let (least, begin) = (2_500.0 / 250.0, 5.0);
            let quiet = calls(&world, 0.0, 4.0, Work::Other).await;
            let sign_ins = (0..20).map(|n| world.sign_in(begin + f64::from(n) * least / 20.0));
            let sign_ins: JoinSet<_> = sign_ins.collect();
            let (in_at, inside) = tokio::join!(
                crowd(&world, 1_000.0, begin, begin + 2.5, FOR_EVER),
                calls(&world, begin, begin + least, Work::Other)
            );
            let last = in_at.iter().copied().fold(0.0, f64::max) - begin;
            assert!(last <= 1.3 * least, "{seed}: all are in after {last:.1} s of {least:.1} s");
            let goodput = world.goodput(begin + 1.0, begin + 0.9 * least);
            assert!(goodput >= 0.9, "{seed}: {goodput:.2}");
            let (p95, before) = (quantile(&inside, 0.95), quantile(&quiet, 0.95));
            assert!(
                p95 <= 3.0 * before,
                "{seed}: {p95:.3} s for people who are in, {before:.3} s when quiet"
            );
            assert!(inside.iter().all(Option::is_some), "{seed}: some of them were refused");
            let signed_in = sign_ins.join_all().await;
            assert!(quantile(&signed_in, 1.0) <= 3.0, "{seed}: {signed_in:?}");
            let most = most(&world, 7, 100);
            assert!(most <= 125, "{seed}: {most} at once");
        });
    }
}

/// Calls that need as long as the crowd's, of people who are in: they wait for a slot no longer than for NocoBase.
#[test]
fn people_who_are_in_go_first() {
    for seed in 0..SEEDS {
        run(async {
            let world = World::new(Setup { seed, noise: Noise::Little, ..Setup::default() });
            let quiet = calls(&world, 0.0, 4.0, Work::Check).await;
            let (_, inside) = tokio::join!(
                crowd(&world, 500.0, 5.0, 10.0, FOR_EVER),
                calls(&world, 5.0, 15.0, Work::Check)
            );
            let (p95, before) = (quantile(&inside, 0.95), quantile(&quiet, 0.95));
            assert!(p95 <= 3.0 * before, "{seed}: {p95:.3} s, {before:.3} s when quiet");
        });
    }
}

/// 2,000 clients within a second, each with five seconds of patience, who then ask again at once.
#[test]
fn impatient_clients_make_nocobase_work_for_somebody() {
    for seed in 0..SEEDS {
        run(async {
            let world = World::new(Setup { seed, noise: Noise::Little, ..Setup::default() });
            let least = 2_000.0 / 250.0;
            let in_at = crowd(&world, 2_000.0, 0.0, 1.0, Duration::from_secs(5)).await;
            let last = in_at.iter().copied().fold(0.0, f64::max);
            assert!(last <= 1.2 * least, "{seed}: all are in after {last:.1} s of {least:.1} s");
            let goodput = world.goodput(1.0, least);
            assert!(goodput >= 0.93, "{seed}: {goodput:.2}");
            let (nobody, done) = (world.for_nobody.load(Ordering::Relaxed), world.done.lock().len());
            assert!(nobody * 50 <= done, "{seed}: {nobody} of {done} for nobody");
        });
    }
}

/// After a stall of any length NocoBase is fully used again within two seconds of the health check that finds it back, which may
/// itself come four seconds later where requests got lost.
#[test]
fn after_a_stall_nocobase_is_soon_fully_used() {
    let stalls: [fn(f64) -> Stall; 4] = [
        |begin| Stall::Frozen(begin, begin + 1.0),
        |begin| Stall::Frozen(begin, begin + 3.0),
        |begin| Stall::Frozen(begin, begin + 8.0),
        |begin| Stall::Deaf(begin, begin + 8.0),
    ];
    for (seed, stall) in (0..2 * SEEDS).map(|seed| (seed, stalls[seed as usize % 4])) {
        run(async {
            // Health checks are due at other times in each run.
            let stall = stall(12.0 + 0.3 * seed as f64);
            let world = World::new(Setup { seed, noise: Noise::Little, stall, ..Setup::default() });
            let _people = many(&world);
            world.until(11.9).await;
            let before = world.limiter.limit();
            let found = match stall {
                Stall::Deaf(_, end) => end + 4.0,
                Stall::Frozen(_, end) => end,
                Stall::Never => 0.0,
            };
            world.until(found + 2.0).await;
            let limit = world.limiter.limit();
            assert!(limit * 10 >= before * 8, "{seed} {stall:?}: {limit}, {before} before");
            world.until(found + 7.0).await;
            let goodput = world.goodput(found + 2.0, found + 7.0);
            assert!(goodput >= 0.9, "{seed} {stall:?}: {goodput:.2}");
            let most = most(&world, found as usize + 3, usize::MAX);
            assert!(most <= 120, "{seed} {stall:?}: {most} at once");
        });
    }
}

/// Durations that differ much, as those of real queries do, do not look like an overload.
#[test]
fn noise_is_no_overload() {
    for seed in 0..SEEDS {
        run(async {
            let world = World::new(Setup { seed, noise: Noise::Much, ..Setup::default() });
            let _people = many(&world);
            world.until(60.0).await;
            let (goodput, most) = (world.goodput(3.0, 60.0), most(&world, 5, 60));
            assert!(goodput >= 0.85, "{seed}: {goodput:.2}");
            assert!(most <= 150, "{seed}: {most} at once");
        });
    }
}

/// A NocoBase that becomes slower for another reason than too many requests: twice as slow within two minutes, or within a second.
#[test]
fn a_nocobase_that_is_slower_for_another_reason_is_fully_used() {
    let slower: [fn(f64) -> f64; 2] =
        [|at| 1.0 + (at - 10.0).clamp(0.0, 120.0) / 120.0, |at| 1.0 + (at - 10.0).clamp(0.0, 1.0)];
    for (seed, slower) in (0..SEEDS).map(|seed| (seed, slower[seed as usize % 2])) {
        run(async {
            let world = World::new(Setup { seed, noise: Noise::Little, slower, ..Setup::default() });
            let _people = many(&world);
            world.until(140.0).await;
            let goodput = world.goodput(5.0, 140.0);
            assert!(goodput >= 0.88, "{seed}: {goodput:.2}");
        });
    }
}

/// A NocoBase that can do less than before gets less, at once.
#[test]
fn where_there_is_less_capacity_there_are_soon_fewer_requests() {
    for seed in 0..SEEDS {
        run(async {
            let less = Some((15.0, 20));
            let world = World::new(Setup { seed, noise: Noise::Little, less, ..Setup::default() });
            let _people = many(&world);
            world.until(40.0).await;
            let (goodput, most) = (world.goodput(16.0, 40.0), most(&world, 19, 40));
            assert!(most <= 45, "{seed}: {most} at once, of 20");
            assert!(goodput >= 0.9, "{seed}: {goodput:.2}");
        });
    }
}
