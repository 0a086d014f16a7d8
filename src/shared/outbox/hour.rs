//! How long published endings are kept.

use super::*;

#[test]
fn what_is_published_is_kept_for_an_hour_and_what_is_not_until_it_is() {
    let at = |ms: u64| UnixMillis(1_700_000_000_000 + ms);
    let hour = u64::try_from(MEMORY.as_millis()).unwrap();
    for (published, after, left) in [(true, hour, 2), (true, hour + 1, 1), (false, 10 * hour, 2)] {
        let mut outbox = Outbox::default();
        outbox.add(Ending::Session([1; 16]), at(0));
        if published {
            outbox.mark_published(outbox.next().unwrap().0);
        }
        outbox.add(Ending::Session([2; 16]), at(after));
        assert_eq!(outbox.all.len(), left, "{published} {after}");
    }
}
