use proptest::prelude::*;

use super::*;

fn all(queue: &mut WaitQueue<u64>) -> Vec<u64> {
    std::iter::from_fn(|| queue.pop()).collect()
}

#[test]
fn people_take_turns() {
    let mut queue = WaitQueue::new();
    for id in 0..6 {
        queue.push(Class::In, Who::User(1), id, id).unwrap();
    }
    queue.push(Class::In, Who::User(2), 6, 6).unwrap();
    assert_eq!(queue.ahead(Class::In, Who::User(3)), 2);
    assert_eq!(queue.ahead(Class::In, Who::User(1)), 7);
    queue.push(Class::In, Who::User(3), 7, 7).unwrap();
    assert_eq!(all(&mut queue), [0, 6, 7, 1, 2, 3, 4, 5]);
}

#[test]
fn signed_in_users_go_first_and_newcomers_get_one_place_in_eight() {
    let mut queue = WaitQueue::new();
    for id in 0..20 {
        queue.push(Class::New, Who::Call(id), id, id).unwrap();
        queue.push(Class::In, Who::User(id), id, 100 + id).unwrap();
    }
    let first: Vec<_> = (0..16).filter_map(|_| queue.pop()).collect();
    assert_eq!(first.iter().filter(|n| **n < 100).copied().collect::<Vec<_>>(), [0, 1]);
    assert_eq!(first.last(), Some(&1));
}

#[test]
fn one_person_cannot_fill_it() {
    let mut queue = WaitQueue::new();
    let mut id = 0;
    while queue.push(Class::New, Who::User(1), id, id).is_ok() {
        id += 1;
    }
    assert_eq!(id, 1024);
    assert_eq!(queue.push(Class::New, Who::User(2), id, id), Ok(()));
}

#[test]
fn a_network_of_ipv6_is_one_client() {
    let at = |text: &str| Who::at(text.parse().unwrap());
    assert_eq!(at("2001:db8:1:2::1"), at("2001:db8:1:2:ffff::9"));
    assert_ne!(at("2001:db8:1:2::1"), at("2001:db8:1:3::1"));
    assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
    assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
}

#[derive(Clone, Debug)]
enum Step {
    Push(Class, u64),
    Pop,
    PopLast,
    Remove(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0usize..3, 0u64..5)
            .prop_map(|(class, who)| Step::Push([Class::In, Class::SignIn, Class::New][class], who)),
        2 => Just(Step::Pop),
        1 => Just(Step::PopLast),
        1 => (0usize..50).prop_map(Step::Remove),
    ]
}

proptest! {
    /// Each request leaves once, none is lost, and each user's leave in their order.
    #[test]
    fn no_waiting_request_is_lost(steps in proptest::collection::vec(step(), 0..300)) {
        let mut queue = WaitQueue::new();
        let mut inside: Vec<(Class, Who, u64)> = Vec::new();
        for (id, step) in (0u64..).zip(steps) {
            match step {
                Step::Push(class, who) => {
                    let who = if who < 2 { Who::at([192, 0, 2, who as u8].into()) } else { Who::User(who) };
                    let ahead = queue.ahead(class, who);
                    prop_assert!(ahead <= queue.len());
                    queue.push(class, who, id, id).unwrap();
                    inside.push((class, who, id));
                }
                Step::Pop => match queue.pop() {
                    None => prop_assert!(inside.is_empty()),
                    Some(id) => {
                        let at = inside.iter().position(|(_, _, other)| *other == id).unwrap();
                        let (class, who, _) = inside.remove(at);
                        prop_assert!(inside.iter().all(|(c, w, i)| (*c, *w) != (class, who) || *i > id));
                    }
                },
                Step::PopLast => match queue.pop_last_newcomer() {
                    None => prop_assert!(inside.iter().all(|(class, ..)| *class != Class::New)),
                    Some(id) => {
                        let at = inside.iter().position(|(_, _, other)| *other == id).unwrap();
                        prop_assert_eq!(inside.remove(at).0, Class::New);
                    }
                },
                Step::Remove(at) => if at < inside.len() {
                    let (class, who, id) = inside.remove(at);
                    prop_assert_eq!(queue.remove(class, who, id), Some(id));
                    prop_assert_eq!(queue.remove(class, who, id), None);
                },
            }
            prop_assert_eq!(queue.len(), inside.len());
            for ring in [&queue.inside, &queue.sign_ins, &queue.new] {
                prop_assert_eq!(ring.turns.len(), ring.of.len());
            }
        }
        prop_assert_eq!(all(&mut queue).len(), inside.len());
    }
}
