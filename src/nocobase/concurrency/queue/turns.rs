//! How many go first, and when a newcomer is next.

use super::*;

fn filled(inside: u64, new: u64) -> WaitQueue<u64> {
    let mut queue = WaitQueue::new();
    for id in 0..inside {
        queue.push(Class::In, Who::User(id), id, 100 + id).unwrap();
    }
    for id in 0..new {
        queue.push(Class::New, Who::User(id), id, id).unwrap();
    }
    queue
}

#[test]
fn signed_in_users_are_served_before_newcomers() {
    let queue = filled(5, 3);
    assert_eq!(queue.ahead(Class::New, Who::User(9)), 8);
    assert_eq!(queue.ahead(Class::In, Who::User(9)), 5);
    assert_eq!(queue.ahead(Class::Urgent, Who::User(9)), 5);
    assert_eq!(queue.ahead(Class::SignIn, Who::User(9)), 5);
}

/// Sign-ins in progress go after signed-in users and before newcomers; each lower class gets one place in eight.
#[test]
fn sign_ins_are_served_before_newcomers() {
    let mut queue = filled(0, 20);
    for id in 0..20 {
        queue.push(Class::SignIn, Who::Call(id), id, 200 + id).unwrap();
    }
    assert_eq!(queue.ahead(Class::New, Who::User(9)), 40);
    assert_eq!(queue.ahead(Class::SignIn, Who::User(9)), 20);
    assert!(!queue.has_signed_in());
    let first: Vec<_> = (0..16).filter_map(|_| queue.pop()).collect();
    let newcomers: Vec<_> = first.iter().enumerate().filter(|(_, n)| **n < 100).map(|(at, _)| at).collect();
    assert_eq!(newcomers, [7, 15], "{first:?}");
    for id in 0..20 {
        queue.push(Class::In, Who::User(id), id, 100 + id).unwrap();
    }
    assert!(queue.has_signed_in());
    let next: Vec<_> = (0..8).filter_map(|_| queue.pop()).collect();
    assert_eq!(next.iter().filter(|n| **n >= 200).count(), 1, "{next:?}");
    assert_eq!(next.iter().filter(|n| **n < 100).count(), 0, "{next:?}");
}

#[test]
fn who_is_told_first_that_it_takes_too_long_is_the_last_newcomer() {
    let mut queue = filled(2, 3);
    queue.push(Class::SignIn, Who::Call(1), 1, 200).unwrap();
    let told: Vec<_> = std::iter::from_fn(|| queue.pop_last_newcomer()).collect();
    assert_eq!(told, [2, 1, 0]);
    assert_eq!(queue.len(), 3, "the others wait still");
}

#[test]
fn the_eighth_place_is_a_newcomers_and_they_wait_only_while_others_do() {
    let mut queue = filled(20, 20);
    let first: Vec<_> = (0..20).filter_map(|_| queue.pop()).collect();
    let at: Vec<_> = first.iter().enumerate().filter(|(_, n)| **n < 100).map(|(at, _)| at).collect();
    assert_eq!(at, [7, 15], "{first:?}");
    // Requests that left while no newcomer waited do not count.
    let mut queue = filled(20, 0);
    for _ in 0..6 {
        queue.pop().unwrap();
    }
    queue.push(Class::New, Who::User(1), 1, 1).unwrap();
    let next: Vec<_> = (0..8).filter_map(|_| queue.pop()).collect();
    assert_eq!(next.iter().position(|n| *n == 1), Some(7), "{next:?}");
    // Nor do newcomers who left while no one else waited.
    let mut queue = filled(0, 5);
    assert_eq!((queue.pop(), queue.pop()), (Some(0), Some(1)));
    queue.push(Class::In, Who::User(1), 9, 101).unwrap();
    assert_eq!(queue.pop(), Some(101));
}

/// People without a session behind one address: their address has the turn of eight users, and no more however much it asks.
#[test]
fn an_office_waits_no_longer_than_others_and_delays_nobody_for_long() {
    let office = Who::at([192, 0, 2, 1].into());
    let of_office = |queue: &mut WaitQueue<u64>, many| {
        let next: Vec<_> = (0..many).filter_map(|_| queue.pop()).collect();
        next.iter().filter(|id| **id >= 1000).count()
    };
    let mut queue = filled(0, 40);
    for id in 1000..1100 {
        queue.push(Class::New, office, id, id).unwrap();
    }
    assert_eq!(queue.ahead(Class::New, Who::User(99)), 41);
    assert_eq!(queue.ahead(Class::New, office), 140);
    assert_eq!(of_office(&mut queue, 48), 8);
    // In one turn, before anybody else has a second one.
    let mut queue = filled(0, 40);
    for id in 0..40 {
        queue.push(Class::New, Who::User(id), 500 + id, 500 + id).unwrap();
    }
    for id in 1000..1010 {
        queue.push(Class::New, office, id, id).unwrap();
    }
    assert_eq!(queue.ahead(Class::New, office), 82);
    assert_eq!(of_office(&mut queue, 48), 8);
    // What is left of a turn is no one's.
    let mut queue = filled(0, 3);
    for id in 1000..1009 {
        queue.push(Class::New, office, id, id).unwrap();
    }
    assert_eq!(of_office(&mut queue, 3 + 5), 5);
    for id in 1005..1009 {
        assert_eq!(queue.remove(Class::New, office, id), Some(id));
    }
    queue.push(Class::New, office, 2000, 2000).unwrap();
    queue.push(Class::New, Who::User(1), 1, 1).unwrap();
    assert_eq!((queue.pop(), queue.pop()), (Some(2000), Some(1)));
    // With a token of their own they are as others.
    for id in 0..4 {
        queue.push(Class::In, office, id, 1000 + id).unwrap();
        queue.push(Class::In, Who::User(id), id, id).unwrap();
    }
    assert_eq!(of_office(&mut queue, 5), 1);
}

#[test]
fn it_holds_so_many_and_no_more_and_newcomers_leave_room_for_others() {
    let mut queue = WaitQueue::new();
    let mut id = 0;
    while queue.push(Class::New, Who::Call(id), id, ()).is_ok() {
        id += 1;
    }
    assert_eq!(queue.len(), MAX_WAITING_NEW);
    assert_eq!(queue.push(Class::SignIn, Who::Call(id), id, ()), Ok(()));
    while queue.push(Class::In, Who::Call(id), id, ()).is_ok() {
        id += 1;
    }
    assert_eq!(queue.len(), MAX_WAITING);
    for class in [Class::In, Class::SignIn, Class::New] {
        assert_eq!(queue.push(class, Who::Call(id), id, ()), Err(Full), "{class:?}");
    }
    queue.pop().unwrap();
    assert_eq!(queue.push(Class::New, Who::Call(id), id, ()), Err(Full));
    assert_eq!(queue.push(Class::In, Who::Call(id), id, ()), Ok(()));
}
