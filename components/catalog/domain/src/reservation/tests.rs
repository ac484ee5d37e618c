//! The rules of one reservation. What many of them do to each other is in [`crate::suite`].

use super::*;
use crate::product::{Details, DetailsInput, Stock};

fn product_id(number: u8) -> ProductId {
    ProductId::new(Timestamp::from_millis(u64::from(number)), &[number; 10])
}

fn lines(lines: &[(u8, i64)]) -> Result<Lines, Invalid> {
    let lines: Vec<_> = lines
        .iter()
        .map(|(p, quantity)| (product_id(*p).to_string(), *quantity))
        .collect();
    Lines::parse(
        lines
            .iter()
            .map(|(product, quantity)| (product.as_str(), *quantity)),
    )
}

fn product(number: u8, on_hand: u32, held: u32) -> Product {
    let input = DetailsInput {
        sku: "A",
        name: "A",
        description: "",
        category: "a",
        amount: 1,
        currency: "EUR",
    };
    Product {
        id: product_id(number),
        details: Details::parse(&input).unwrap(),
        stock: Stock { on_hand, held },
        created_at: Timestamp::from_millis(0),
        updated_at: Timestamp::from_millis(0),
        version: 1,
    }
}

fn reservation(state: State) -> Reservation {
    Reservation {
        id: ReservationId::parse("r").unwrap(),
        lines: lines(&[(1, 2), (2, 3)]).unwrap(),
        state,
        expires_at: Timestamp::from_millis(1000),
    }
}

#[test]
fn ids_are_bounded_and_safe_in_a_path() {
    for good in [
        "a",
        "order-2026:17.2_x",
        "018f5b0c-0000-7000-8000-000000000000",
        &"x".repeat(ID_MAX),
    ] {
        assert_eq!(ReservationId::parse(good).unwrap().as_str(), good);
    }
    for bad in [
        "",
        ".",
        "..",
        "a b",
        "a/b",
        "a'--",
        "é",
        "a\0",
        &"x".repeat(ID_MAX + 1),
    ] {
        assert!(ReservationId::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn lines_name_each_product_once_in_bounds() {
    assert_eq!(lines(&[(1, 1), (2, 1_000_000)]).unwrap().iter().len(), 2);
    for (bad, pointer) in [
        (vec![], "/lines"),
        (vec![(1, 0)], "/lines/0/quantity"),
        (vec![(1, 1), (2, -1)], "/lines/1/quantity"),
        (vec![(1, 1_000_001)], "/lines/0/quantity"),
        (vec![(1, i64::MAX)], "/lines/0/quantity"),
        (vec![(1, 1), (2, 1), (1, 1)], "/lines/2/product_id"),
        ((0..=100).map(|n| (n, 1)).collect(), "/lines"),
    ] {
        assert_eq!(
            lines(&bad).unwrap_err().violations()[0].pointer,
            pointer,
            "{bad:?}"
        );
    }
    let no_id = Lines::parse([("1", 0)].into_iter()).unwrap_err();
    assert_eq!(no_id.violations().len(), 2);
}

#[test]
fn lines_are_the_same_in_any_order() {
    let one = lines(&[(1, 2), (2, 3)]).unwrap();
    assert_eq!(one, lines(&[(2, 3), (1, 2)]).unwrap());
    assert_ne!(one, lines(&[(1, 3), (2, 2)]).unwrap());
    assert_ne!(one, lines(&[(1, 2)]).unwrap());
    assert_ne!(one, lines(&[(1, 2), (2, 3), (3, 1)]).unwrap());
}

#[test]
fn times_to_live_are_a_second_to_a_day() {
    assert_eq!(parse_ttl(1), Ok(Duration::from_secs(1)));
    assert_eq!(parse_ttl(86_400), Ok(Duration::from_secs(86_400)));
    for bad in [0, -1, 86_401, i64::MIN, i64::MAX] {
        assert_eq!(
            parse_ttl(bad).unwrap_err().violations()[0].pointer,
            "/ttl_seconds"
        );
    }
}

#[test]
fn the_first_line_that_cannot_be_had_is_named() {
    let wanted = lines(&[(1, 2), (2, 3)]).unwrap();
    assert_eq!(wanted.check(&[product(2, 3, 0), product(1, 3, 1)]), Ok(()));
    let shortage = Shortage {
        product: product_id(1),
        requested: 2,
        available: 1,
    };
    assert_eq!(
        wanted.check(&[product(1, 2, 1)]),
        Err(Unavailable::Short(shortage))
    );
    assert_eq!(
        wanted.check(&[product(1, 2, 0)]),
        Err(Unavailable::Unknown(product_id(2)))
    );
}

#[test]
fn a_hold_ends_at_its_time_and_nothing_else_does() {
    for state in State::ALL {
        let before = reservation(state).at(Timestamp::from_millis(999)).state;
        let then = reservation(state).at(Timestamp::from_millis(1000)).state;
        assert_eq!(before, state);
        assert_eq!(
            then,
            if state == State::Held {
                State::Expired
            } else {
                state
            }
        );
    }
}

#[test]
fn the_table_of_transitions() {
    use State::{Committed, Expired, Held, Released};
    let again = lines(&[(2, 3), (1, 2)]).unwrap();
    for (state, reserve, commit, release) in [
        (Held, Ok(()), Ok(Step::Go), Ok(Step::Go)),
        (
            Committed,
            Err(Conflict(Committed)),
            Ok(Step::Repeat),
            Err(Conflict(Committed)),
        ),
        (
            Released,
            Err(Conflict(Released)),
            Err(Conflict(Released)),
            Ok(Step::Repeat),
        ),
        (
            Expired,
            Err(Conflict(Expired)),
            Err(Conflict(Expired)),
            Ok(Step::Go),
        ),
    ] {
        let reservation = reservation(state);
        assert_eq!(reservation.reserve_again(&again), reserve, "{state:?}");
        assert_eq!(reservation.commit(), commit, "{state:?}");
        assert_eq!(reservation.release(), release, "{state:?}");
    }
    let others = lines(&[(1, 2)]).unwrap();
    assert_eq!(reservation(Held).reserve_again(&others), Err(Conflict(Held)));
}

#[test]
fn states_are_named_in_both_directions() {
    for state in State::ALL {
        assert_eq!(State::parse(state.as_str()), Some(state));
    }
    assert_eq!(State::parse("Held"), None);
}

#[test]
fn whatever_became_of_it_can_be_cancelled() {
    for (state, step) in [
        (State::Held, Cancel::Release),
        (State::Expired, Cancel::Release),
        (State::Committed, Cancel::TakeBack),
        (State::Released, Cancel::Repeat),
    ] {
        assert_eq!(reservation(state).cancel(), step, "{state:?}");
    }
}
