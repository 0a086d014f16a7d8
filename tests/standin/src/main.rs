//! `nocobase-standin`: the stand-in as a program, for `make fleet`. Prints its address, then carries out the commands on its
//! standard input, one a line, and answers each with one line of JSON:
//!
//! - `users FIRST COUNT`: users with these ids, and the service account 1
//! - `bind FIRST COUNT`: the members `personFIRST` and so on are bound to these users
//! - `capacity ACTION AT_ONCE MS`: only so many calls of this action at once, each for so long
//! - `slow PATH MS`: requests below this path take so long
//! - `hang`, `recover`: it accepts and never responds, until it recovers
//! - `done`: its statistics since `capacity`, and the calls by action
//!
//! It ends with its standard input.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::Write as _;
use std::time::Duration;

use nocobase_standin::{Fault, NocoBase};
use serde_json::{Value, json};

#[tokio::main]
async fn main() {
    let nocobase = NocoBase::start().await;
    nocobase.data().unrecorded = true;
    say(&json!({ "address": nocobase.address.to_string() }));
    loop {
        let read = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).map(|length| (length > 0).then_some(line))
        });
        let Some(line) = read.await.unwrap().unwrap() else { return };
        say(&carry_out(&nocobase, &line.split_whitespace().collect::<Vec<_>>()));
    }
}

fn say(answer: &Value) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{answer}").unwrap();
    out.flush().unwrap();
}

fn carry_out(nocobase: &NocoBase, words: &[&str]) -> Value {
    let number = |text: &str| text.parse::<u64>().unwrap();
    match *words {
        ["users", first, count] => {
            let ids = number(first)..number(first) + number(count);
            for id in ids.chain([1]) {
                nocobase.user_with_id(id, json!({ "nickname": format!("person {id}") }));
            }
        }
        ["bind", first, count] => {
            for id in number(first)..number(first) + number(count) {
                nocobase.bind(&format!("person{id}"), id);
            }
        }
        ["capacity", action, at_once, ms] => {
            let at_once = usize::try_from(number(at_once)).unwrap();
            nocobase.capacity_of(action, at_once, Duration::from_millis(number(ms)));
        }
        ["slow", path, ms] => {
            nocobase.fault(path, Fault::slow(Duration::from_millis(number(ms))), usize::MAX)
        }
        ["hang"] => nocobase.hang(),
        ["recover"] => nocobase.recover(),
        ["done"] => {
            let (calls, swallowed) = (nocobase.data().calls.clone(), nocobase.swallowed());
            let done = nocobase.done();
            return json!({ "most_at_once": done.most_at_once, "requests": done.requests,
                "for_nobody": done.for_nobody, "swallowed": swallowed, "calls": calls, "connections": nocobase.connections() });
        }
        _ => panic!("no such command: {words:?}"),
    }
    json!({})
}
