//! Which sessions hold a token, so that the memory for tokens is bounded: a token needs more than all else that is known of a session.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::cached_session::CachedSession;
use crate::session::time::UnixMillis;
use crate::session::token::{REMINT_AFTER, Token};

/// Most sessions that hold a token. One that has lost it mints another with its next request.
pub(super) const MOST: usize = 16_384;
/// Most tokens dropped at once, so that no request waits for it.
const AT_ONCE: usize = 32;

/// The tokens that are held, oldest first.
#[derive(Default)]
pub(super) struct HeldTokens(Mutex<VecDeque<(Arc<CachedSession>, UnixMillis)>>);

impl HeldTokens {
    /// Notes a new token, and drops the oldest if there are too many, and those that nobody would use any more.
    pub(super) fn add(&self, seen: &Arc<CachedSession>, token: &Token, now: UnixMillis) {
        let mut held = self.0.lock();
        held.push_back((seen.clone(), token.minted_at()));
        Self::drop_some(&mut held, now);
    }

    /// Drops some of those that nobody would use any more. False: there is none left.
    pub(super) fn drop_stale(&self, now: UnixMillis) -> bool {
        Self::drop_some(&mut self.0.lock(), now) == AT_ONCE
    }

    fn drop_some(held: &mut VecDeque<(Arc<CachedSession>, UnixMillis)>, now: UnixMillis) -> usize {
        let mut dropped = 0;
        while dropped < AT_ONCE
            && let Some((seen, minted_at)) = held.front()
            && (held.len() > MOST || now.since(*minted_at) >= REMINT_AFTER)
        {
            seen.drop_token_of(*minted_at);
            held.pop_front();
            dropped += 1;
        }
        // Also gives back what a crowd has needed.
        if held.len() < held.capacity() / 4 {
            held.shrink_to(held.len() * 2);
        }
        dropped
    }
}
