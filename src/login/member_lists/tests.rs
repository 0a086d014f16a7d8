use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const EVERY: Duration = Duration::from_secs(900);
const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn at(secs: u64) -> UnixMillis {
    NOW.plus(Duration::from_secs(secs))
}

fn due(department: u32, checked_at: UnixMillis) -> DueMember {
    DueMember { department: Some(department), checked_at }
}

/// The lists that are chosen for these members, who fall due one after another.
fn chosen(lists: &mut MemberLists, members: &[(u64, DueMember)]) -> Vec<Option<u32>> {
    members.iter().map(|(secs, member)| lists.choose(*member, at(*secs), EVERY)).collect()
}

#[test]
fn a_list_is_requested_for_the_third_member_and_then_for_the_first() {
    let mut lists = MemberLists::default();
    let many = [(1, due(4, NOW)), (2, due(5, NOW)), (3, due(4, NOW)), (4, due(4, NOW))];
    assert_eq!(chosen(&mut lists, &many), [None, None, None, Some(4)]);
    assert!(!lists.listed(4, at(4), 20));
    // Who comes shortly afterwards is asked about alone, and is on the next list.
    assert_eq!(chosen(&mut lists, &[(10, due(4, at(5))), (400, due(4, at(390)))]), [None, None]);
    assert_eq!(chosen(&mut lists, &[(904, due(4, at(4)))]), [Some(4)]);
}

#[test]
fn who_is_rarely_due_or_unknown_is_asked_about_alone() {
    let mut lists = MemberLists::default();
    let rarely: Vec<_> = (0..9).map(|n| (n * 500, due(4, NOW))).collect();
    assert_eq!(chosen(&mut lists, &rarely), [None; 9], "two within a recheck");
    let unknown = DueMember { department: None, checked_at: NOW };
    assert_eq!(chosen(&mut lists, &[(1, unknown); 9]), [None; 9]);
}

#[test]
fn r15_whom_the_last_list_did_not_name_is_asked_about_alone() {
    let mut lists = MemberLists::default();
    lists.listed(4, at(100), 20);
    assert_eq!(chosen(&mut lists, &[(950, due(4, at(50))), (1000, due(4, at(100)))]), [None, Some(4)]);
}

#[test]
fn refused_lists_are_tried_again_an_hour_later_and_useless_ones_the_next_day() {
    let mut lists = MemberLists::default();
    let all = |secs| [(secs, due(4, NOW)), (secs, due(4, NOW)), (secs, due(4, NOW))];
    assert_eq!(chosen(&mut lists, &all(0))[2], Some(4));
    assert!(lists.refused(at(0)), "this is news");
    assert_eq!(chosen(&mut lists, &all(3599)), [None; 3]);
    assert_eq!(chosen(&mut lists, &all(7200))[2], Some(4));
    assert!(!lists.refused(at(7200)), "known already");
    assert_eq!(chosen(&mut lists, &all(20_000))[2], Some(4));
    assert!(lists.listed(4, at(20_000), 20) && !lists.listed(5, at(20_000), 20), "back, reported once");
    for useless in [
        |lists: &mut MemberLists| _ = lists.listed(4, at(30_000), 1),
        |lists: &mut MemberLists| lists.too_long(4, at(30_000)),
    ] {
        let mut lists = MemberLists::default();
        useless(&mut lists);
        let later = |secs| [(secs, due(4, at(secs))), (secs, due(4, at(secs))), (secs, due(4, at(secs)))];
        assert_eq!(chosen(&mut lists, &later(30_000 + 86_399)), [None; 3]);
        assert_eq!(chosen(&mut lists, &later(40_000 + 86_400))[2], Some(4));
        let others = [(31_000, due(5, NOW)), (31_000, due(5, NOW)), (31_000, due(5, NOW))];
        assert_eq!(chosen(&mut lists, &others)[2], Some(5), "others are listed");
    }
}

/// A member as WeCom has it, and as a node knows it.
#[derive(Clone)]
struct Person {
    department: u32,
    known: Option<u32>,
    checked_at: UnixMillis,
}

/// Calls to WeCom in this many rounds. `moves`: who moves to which department in which second. `named`: whether lists name anyone.
/// Everyone is in use all the time, and is asked about when it is due. Also returns how many were asked about alone after a list.
fn calls(
    people: &mut [Person],
    rounds: u64,
    moves: &BTreeMap<u64, (usize, u32)>,
    named: bool,
) -> (usize, usize) {
    let (mut lists, mut calls, mut missing) = (MemberLists::default(), 0, 0);
    for second in 0..rounds * EVERY.as_secs() {
        let now = at(second);
        if let Some((who, wher)) = moves.get(&second) {
            let count = people.len();
            people[who % count].department = *wher;
        }
        for index in 0..people.len() {
            let one = people[index].clone();
            if now.since(one.checked_at) < EVERY {
                continue;
            }
            let member = DueMember { department: one.known, checked_at: one.checked_at };
            if let Some(department) = lists.choose(member, now, EVERY) {
                calls += 1;
                let mut confirmed = 0;
                for other in people.iter_mut().filter(|other| named && other.department == department) {
                    (other.checked_at, other.known) = (now, Some(department));
                    confirmed += 1;
                }
                missing += usize::from(people[index].checked_at != now);
                lists.listed(department, now, confirmed);
            }
            if people[index].checked_at != now {
                calls += 1;
                (people[index].checked_at, people[index].known) = (now, Some(one.department));
            }
        }
        assert!(
            people.iter().all(|one| now.since(one.checked_at) < EVERY),
            "no one waits longer than before"
        );
    }
    (calls, missing)
}

fn people(departments: &[u32]) -> Vec<Person> {
    let count = departments.len() as u64;
    let one = |(index, department): (usize, &u32)| Person {
        department: *department,
        known: Some(*department),
        checked_at: at(index as u64 * EVERY.as_secs() / count).minus(EVERY),
    };
    departments.iter().enumerate().map(one).collect()
}

#[test]
fn a_company_costs_about_one_call_for_each_department() {
    let departments: Vec<u32> = (0..1000).map(|index| index % 20 + 1).collect();
    let (calls, missing) = calls(&mut people(&departments), 4, &BTreeMap::new(), true);
    assert_eq!(missing, 0);
    assert!(calls <= 2 * 20 + 4 * 20, "{calls} calls in place of 4,000");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn lists_cost_no_more_than_asking_about_each_member_except_once_for_a_member_who_moved(
        departments in prop::collection::vec(1..6_u32, 1..24),
        moves in prop::collection::btree_map(0..4500_u64, (0..24_usize, 1..6_u32), 0..40),
        named in prop::bool::weighted(0.9),
    ) {
        let rounds = 5;
        let alone = departments.len() * usize::try_from(rounds).unwrap();
        let (calls, missing) = calls(&mut people(&departments), rounds, &moves, named);
        // One for each member who has moved; and a list that names no one is not requested again for a day.
        prop_assert!(missing <= moves.len() + 5 * usize::from(!named), "{missing} were not on their list");
        prop_assert!(calls <= alone + missing, "{calls} calls in place of {alone}, {missing} were not on their list");
    }
}
