//! Counting, place by place.

use super::*;

#[test]
fn r38_a_place_that_is_given_back_is_one_and_no_more() {
    let places = Places::new(1000, |_| false);
    let address: IpAddr = "192.0.2.1".parse().unwrap();
    let mut held: Vec<_> = (0..10).map(|_| places.take(Some(address)).unwrap()).collect();
    let own = || places.all.lock().of.get(&Who::at(address)).copied();
    for left in (1..10).rev() {
        held.pop();
        assert_eq!((own(), places.taken()), (Some(left), left));
    }
    held.pop();
    assert_eq!((own(), places.taken()), (None, 0));
}

#[test]
fn r38_the_reserve_is_a_part_of_all_within_bounds() {
    let reserve = |most| Places::new(most, |_| false).reserve.lock().most;
    assert_eq!(reserve(0), MIN_RESERVE);
    assert_eq!(reserve(MIN_RESERVE * RESERVE_PART * 2), MIN_RESERVE * 2);
    assert_eq!(reserve(usize::MAX), MAX_RESERVE);
}
