//! Sign-ins in several browsers, tabs and two nodes, against a simple model: no session without the cookie of the same flow
//! (R19), at most one session for each code and each state (R18), nothing after the end of a flow, the same response to the same
//! callback for a minute, and every redirect within the gate's own origin (R20).
#![no_main]

#[path = "sign_in_callbacks/input.rs"]
mod input;
#[path = "sign_in_callbacks/model.rs"]
mod model;

use std::time::Duration;

use input::{Input, Step};
use libfuzzer_sys::fuzz_target;
use model::{BROWSERS, World};
use wecom_gate::session::{SignInRequest, Stage, Via};

fuzz_target!(|input: Input| {
    let mut world = World::new(i64::from(input.ahead));
    let mut planted = 0;
    for step in input.steps.iter().take(100) {
        let flows = world.pending.len();
        let flow = |n: &u8| usize::from(*n) % flows.max(1);
        let of = |n: &u8| usize::from(*n) % BROWSERS;
        match step {
            Step::Begin { browser, node, rd, web, consent, mobile, attempt } => {
                let request = SignInRequest {
                    target: String::new(),
                    entry: "wecom".to_owned(),
                    via: if *web { Via::Web } else { Via::WeCom },
                    stage: if *consent { Stage::Consent } else { Stage::Silent },
                    mobile: *mobile,
                };
                world.begin(of(browser), usize::from(*node), rd, request, *attempt);
            }
            Step::Wait { amount, seconds } => {
                let amount = Duration::from_millis(u64::from(*amount) * if *seconds { 1000 } else { 100 });
                world.now += u64::try_from(amount.as_millis()).unwrap_or_default();
            }
            Step::Callback(arrival) => world.callbacks(&[arrival], false),
            Step::Together(a, b) => world.callbacks(&[a, b], false),
            Step::GivenUp(arrival) => world.callbacks(&[arrival], true),
            _ if flows == 0 => {}
            Step::Lose { browser, flow: f } => {
                world.jars[of(browser)].remove(&world.pending[flow(f)].name);
            }
            Step::Damage { browser, flow: f, place, byte } => {
                if let Some(cookie) = world.jars[of(browser)].get_mut(&world.pending[flow(f)].name) {
                    let mut bytes = cookie.value.clone().into_bytes();
                    let at = usize::from(*place) % bytes.len();
                    bytes[at] = byte % 94 + 33;
                    if !matches!(bytes[at], b';' | b',' | b'"' | b'\\')
                        && let Ok(text) = String::from_utf8(bytes)
                    {
                        cookie.value = text;
                    }
                }
            }
            Step::Rename { browser, from, to } => {
                let (from, to) =
                    (world.pending[flow(from)].name.clone(), world.pending[flow(to)].name.clone());
                if let Some(cookie) = world.jars[of(browser)].get(&from).cloned() {
                    planted += 1;
                    if planted < 3 {
                        world.jars[of(browser)].insert(to, cookie);
                    }
                }
            }
            Step::Steal { flow: f, from, to } => {
                let name = world.pending[flow(f)].name.clone();
                if let Some(cookie) = world.jars[of(from)].get(&name).cloned() {
                    planted += 1;
                    if planted < 3 {
                        world.jars[of(to)].insert(name, cookie);
                    }
                }
            }
        }
    }
});
