//! The use cases one by one. What crashes and concurrency do to them is in `crash` and `race`.

mod crash;
mod race;

use super::*;
use crate::order::Refusal;
use crate::port::Held;
use crate::testing::{Bench, Fault, Memory, admin, buyer, items, key, product, run, suite};

type World = Bench<Memory>;

/// A shop with ten pieces of product 1 at 2.50 and five of product 2 at 1.00.
fn world() -> World {
    let world = World::default();
    world.warehouse.stock(product(1), 10, 250, "EUR");
    world.warehouse.stock(product(2), 5, 100, "EUR");
    world.warehouse.stock(product(3), 5, 100, "USD");
    world
}

/// Stock, reservations and orders agree, and nothing is in between any more. Of products 1 and 2, of which
/// ten and five were there.
fn assert_settled(world: &World) {
    let orders = world.orders.all();
    for order in &orders {
        assert!(!order.status.is_open(), "{:?} is open", order.status);
    }
    for (product, stock) in [(product(1), 10), (product(2), 5)] {
        let confirmed = orders.iter().filter(|order| order.status == Status::Confirmed);
        let ordered: u32 = confirmed
            .flat_map(|order| &order.lines)
            .filter(|line| line.product == product)
            .map(|line| line.quantity)
            .sum();
        let (committed, held) = (
            world.warehouse.pieces(product, Held::Committed),
            world.warehouse.pieces(product, Held::Held),
        );
        assert_eq!((ordered, held), (committed, 0), "{product}");
        assert_eq!(world.warehouse.on_hand(product) + committed, stock, "{product}");
    }
}

fn place(world: &World, name: &str, k: &str, wanted: &[(u8, i64)]) -> Result<Placed, Error> {
    run(world.shop().place(&buyer(name), &key(k), &items(wanted))).unwrap()
}

fn confirmed(world: &World, name: &str, k: &str, wanted: &[(u8, i64)]) -> Order {
    let placed = place(world, name, k, wanted).unwrap();
    assert!(matches!(placed, Placed::New(_)));
    placed.order().clone()
}

#[test]
fn the_repository_in_memory_keeps_every_promise() {
    run(suite::promises(|| World::default().orders)).unwrap();
}

#[test]
fn an_order_is_priced_confirmed_and_its_stock_leaves() {
    let world = world();
    let order = confirmed(&world, "ada", "k", &[(2, 1), (1, 4)]);
    assert_eq!(order.status, Status::Confirmed);
    assert_eq!((order.total.amount, order.total.currency.as_str()), (1100, "EUR"));
    let lines: Vec<_> = order
        .lines
        .iter()
        .map(|l| (l.product, l.quantity, l.price))
        .collect();
    assert_eq!(lines, [(product(2), 1, 100), (product(1), 4, 250)]);
    assert_eq!(
        (
            world.warehouse.on_hand(product(1)),
            world.warehouse.on_hand(product(2))
        ),
        (6, 4)
    );
    assert_eq!(world.warehouse.state(order.id), Some(Held::Committed));
    assert_eq!(
        run(world.shop().order(&buyer("ada"), &order.id.to_string())),
        Some(Ok(order))
    );
    assert_settled(&world);
}

#[test]
fn a_key_stands_for_one_order_at_the_price_of_then() {
    let world = world();
    let first = confirmed(&world, "ada", "k", &[(1, 4), (2, 1)]);
    world.warehouse.stock(product(1), 6, 999, "EUR");
    for same in [&[(1, 4), (2, 1)], &[(2, 1), (1, 4)]] {
        assert_eq!(place(&world, "ada", "k", same), Ok(Placed::Again(first.clone())));
    }
    assert_eq!(place(&world, "ada", "k", &[(1, 4)]), Err(Error::KeyReused));
    assert_eq!(
        place(&world, "ada", "k", &[(9, 1)]),
        Err(Error::KeyReused),
        "before it is priced"
    );
    assert_ne!(confirmed(&world, "bob", "k", &[(1, 4)]).id, first.id);
    world.time.pass(86_399);
    assert!(place(&world, "ada", "k", &[(1, 4), (2, 1)]).is_ok());
    world.time.pass(1);
    assert_ne!(
        confirmed(&world, "ada", "k", &[(1, 1)]).id,
        first.id,
        "a day later it is another key"
    );
}

#[test]
fn what_cannot_be_ordered_leaves_nothing_behind() {
    let world = world();
    let unknown = Error::NoProduct {
        item: 1,
        product: product(9),
    };
    assert_eq!(place(&world, "ada", "k", &[(1, 1), (9, 1)]), Err(unknown));
    let mixed = place(&world, "ada", "k", &[(1, 1), (3, 1)]);
    let Err(Error::Invalid(invalid)) = mixed else {
        panic!("{mixed:?}")
    };
    assert_eq!(invalid.violations()[0].place, "/items/1/product_id");
    assert!(world.orders.all().is_empty());
    assert!(
        place(&world, "ada", "k", &[(1, 1)]).is_ok(),
        "the key was not used up"
    );
}

#[test]
fn a_shortage_is_told_and_told_again() {
    let world = world();
    for _ in 0..2 {
        let refused = place(&world, "ada", "k", &[(1, 1), (2, 6)]);
        let Err(Error::NotPlaced(order)) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(order.status, Status::Rejected);
        let short = Refusal::Short {
            product: product(2),
            requested: 6,
            available: 5,
        };
        assert_eq!(order.refusal, Some(short));
        world.warehouse.stock(product(4), 1, 1, "EUR");
    }
    assert_eq!(world.orders.all().len(), 1);
    assert_settled(&world);
    let id = world.orders.all()[0].id.to_string();
    let refused = run(world.shop().cancel(&buyer("ada"), &id)).unwrap();
    assert_eq!(refused, Err(Error::NotCancellable(Status::Rejected)));
}

#[test]
fn a_product_that_goes_between_price_and_reservation_is_a_rejection() {
    let world = world();
    // The fourth call is `reserve`: key, prices, writing down come before it.
    world.plan.fail(4, Fault::Refused);
    assert!(matches!(
        place(&world, "ada", "k", &[(1, 1)]),
        Err(Error::Stock(_))
    ));
    world.plan.heal();
    world.warehouse.remove(product(1));
    let refused = place(&world, "ada", "k", &[(1, 1)]);
    let Err(Error::NotPlaced(order)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(order.refusal, Some(Refusal::Gone(product(1))));
}

#[test]
fn cancelling_gives_the_stock_back_once() {
    let world = world();
    let order = confirmed(&world, "ada", "k", &[(1, 4)]);
    let id = order.id.to_string();
    world.time.pass(3599);
    let first = run(world.shop().cancel(&buyer("ada"), &id)).unwrap().unwrap();
    assert_eq!(first.status, Status::Cancelled);
    world.time.pass(3600);
    assert_eq!(
        run(world.shop().cancel(&buyer("ada"), &id)),
        Some(Ok(first.clone())),
        "repeated, however late"
    );
    assert_eq!(world.warehouse.on_hand(product(1)), 10);
    assert_eq!(
        place(&world, "ada", "k", &[(1, 4)]),
        Ok(Placed::Again(first)),
        "it was placed"
    );
    assert_settled(&world);
}

#[test]
fn what_was_handed_to_shipping_stays() {
    let world = world();
    let order = confirmed(&world, "ada", "k", &[(1, 4)]);
    world.time.pass(3600);
    for caller in [buyer("ada"), admin()] {
        let refused = run(world.shop().cancel(&caller, &order.id.to_string())).unwrap();
        assert_eq!(
            refused,
            Err(Error::TooLate(order.created_at.plus(Duration::from_secs(3600))))
        );
    }
    assert_settled(&world);
}

#[test]
fn orders_are_their_customers_and_administrators() {
    let world = world();
    let order = confirmed(&world, "ada", "k", &[(1, 1)]);
    let id = order.id.to_string();
    let stranger = buyer("bob");
    assert_eq!(run(world.shop().order(&stranger, &id)), Some(Err(Error::NoOrder)));
    assert_eq!(
        run(world.shop().cancel(&stranger, &id)),
        Some(Err(Error::NoOrder))
    );
    assert_eq!(run(world.shop().order(&admin(), &id)), Some(Ok(order.clone())));
    for none in ["", "x", "018f5b0c-0000-7000-8000-000000000000"] {
        assert_eq!(run(world.shop().order(&admin(), none)), Some(Err(Error::NoOrder)));
        assert_eq!(
            run(world.shop().cancel(&admin(), none)),
            Some(Err(Error::NoOrder))
        );
    }
    let all = Query::default();
    assert_eq!(
        run(world.shop().list(&stranger, &all)),
        Some(Err(Error::NotAdmin))
    );
    assert_eq!(
        run(world.shop().list(&admin(), &all))
            .unwrap()
            .unwrap()
            .items
            .len(),
        1
    );
    let of = |name: &str| Query {
        customer: Some(buyer(name).customer),
        ..Query::default()
    };
    assert_eq!(
        run(world.shop().list(&stranger, &of("ada"))),
        Some(Err(Error::NotAdmin))
    );
    assert_eq!(
        run(world.shop().list(&stranger, &of("bob")))
            .unwrap()
            .unwrap()
            .items,
        []
    );
    assert_eq!(
        run(world.shop().list(&buyer("ada"), &of("ada")))
            .unwrap()
            .unwrap()
            .items,
        [(&order).into()]
    );
    assert_eq!(
        run(world.shop().cancel(&admin(), &id)).unwrap().unwrap().status,
        Status::Cancelled
    );
}

#[test]
fn while_somebody_is_at_work_others_are_told_to_wait() {
    let world = world();
    // Dead before its reservation, with the lease still running.
    world.plan.fail(4, Fault::DieBefore);
    assert!(run(world.shop().place(&buyer("ada"), &key("k"), &items(&[(1, 4)]))).is_none());
    world.plan.heal();
    let id = world.orders.all()[0].id.to_string();
    world.time.pass(4);
    let waiting = Err(Error::InProgress(Duration::from_secs(6)));
    assert_eq!(place(&world, "ada", "k", &[(1, 4)]), waiting);
    let shown = run(world.shop().order(&buyer("ada"), &id)).unwrap().unwrap();
    assert_eq!(shown.status, Status::Pending, "reading does not wait");
    assert_eq!(place(&world, "ada", "k", &[(1, 5)]), Err(Error::KeyReused));
    world.time.pass(6);
    let order = place(&world, "ada", "k", &[(1, 4)]).unwrap();
    assert_eq!(order.order().status, Status::Confirmed);
    assert_settled(&world);
}

#[test]
fn a_failed_attempt_need_not_be_waited_for() {
    let world = world();
    world.plan.fail(4, Fault::Refused);
    assert!(matches!(
        place(&world, "ada", "k", &[(1, 4)]),
        Err(Error::Stock(StockError::Unavailable(_)))
    ));
    world.plan.heal();
    assert!(matches!(
        place(&world, "ada", "k", &[(1, 4)]),
        Ok(Placed::Again(_))
    ));
    assert_settled(&world);
}

#[test]
fn a_lease_of_a_clock_that_was_ahead_counts_for_nothing() {
    let world = world();
    world.plan.fail(4, Fault::DieBefore);
    assert!(run(world.shop().place(&buyer("ada"), &key("k"), &items(&[(1, 4)]))).is_none());
    world.plan.heal();
    world.time.go_back(3600);
    assert!(place(&world, "ada", "k", &[(1, 4)]).is_ok());
    assert_settled(&world);
}

#[test]
fn what_is_read_goes_on_first() {
    let world = world();
    // Dead after `reserved` was written.
    world.plan.fail(5, Fault::DieAfter);
    assert!(run(world.shop().place(&buyer("ada"), &key("k"), &items(&[(1, 4)]))).is_none());
    world.plan.heal();
    let order = world.orders.all()[0].clone();
    assert_eq!(order.status, Status::Reserved);
    world.time.pass(10);
    let shown = run(world.shop().order(&buyer("ada"), &order.id.to_string()))
        .unwrap()
        .unwrap();
    assert_eq!(shown.status, Status::Confirmed);
    assert_settled(&world);
}

#[test]
fn reading_goes_on_without_the_stock() {
    let world = world();
    world.plan.fail(4, Fault::Refused);
    assert!(place(&world, "ada", "k", &[(1, 4)]).is_err());
    let id = world.orders.all()[0].id.to_string();
    // The third call is `reserve`: the order is found and leased before it.
    world.plan.fail(3, Fault::Refused);
    let shown = run(world.shop().order(&buyer("ada"), &id)).unwrap().unwrap();
    assert_eq!(shown.status, Status::Pending);
}

#[test]
fn what_could_not_be_cancelled_at_once_is_gone_on_with_by_whoever_looks_at_it_next() {
    let world = world();
    let placed = place(&world, "ada", "k", &[(1, 4)]).unwrap();
    let id = placed.order().id.to_string();
    // Found, written down, then the stock.
    world.plan.fail(3, Fault::Refused);
    let cancelled = run(world.shop().cancel(&buyer("ada"), &id)).unwrap();
    assert!(matches!(cancelled, Err(Error::Stock(_))), "{cancelled:?}");
    world.plan.heal();
    // Nobody is at work on it, though it was only just placed.
    let shown = run(world.shop().order(&buyer("ada"), &id)).unwrap().unwrap();
    assert_eq!(shown.status, Status::Cancelled);
    assert_settled(&world);
}

#[test]
fn an_order_that_is_forgotten_by_the_stock_is_over() {
    let world = world();
    world.plan.fail(5, Fault::DieAfter);
    assert!(run(world.shop().place(&buyer("ada"), &key("k"), &items(&[(1, 4)]))).is_none());
    world.plan.heal();
    world.time.pass(31 * 86_400);
    world.warehouse.forget(world.orders.all()[0].id);
    run(world.shop().sweep()).unwrap().unwrap();
    assert_eq!(world.orders.all()[0].status, Status::Expired);
    assert_settled(&world);
}

/// An order whose buyer dies at a call of [`Shop::place`].
fn left(world: &World, name: &str, call: usize) {
    world.plan.fail(call, Fault::DieAfter);
    let (name, wanted) = (buyer(name), items(&[(1, 1)]));
    assert!(run(world.shop().place(&name, &key("k"), &wanted)).is_none());
    world.plan.heal();
}

#[test]
fn sweeps_go_on_with_all_that_a_crash_left_a_bounded_number_at_a_time() {
    let world = world();
    for number in 0..SWEEP_MAX + 4 {
        left(&world, &format!("b{number}"), 4);
    }
    run(world.shop().sweep()).unwrap().unwrap();
    let open = || {
        world
            .orders
            .all()
            .iter()
            .filter(|order| order.status.is_open())
            .count()
    };
    assert_eq!(open(), SWEEP_MAX as usize + 4, "not before they are due");
    world.time.pass(60);
    run(world.shop().sweep()).unwrap().unwrap();
    assert_eq!(open(), 4);
    run(world.shop().sweep()).unwrap().unwrap();
    assert_settled(&world);
}

#[test]
fn after_a_stock_that_is_away_there_is_no_sweep_for_a_moment() {
    let world = world();
    left(&world, "ada", 4);
    left(&world, "bob", 4);
    world.time.pass(60);
    let shop = world.shop();
    world.plan.fail(4, Fault::Refused);
    assert!(matches!(run(shop.sweep()), Some(Err(Error::Stock(_)))));
    world.plan.heal();
    run(shop.sweep()).unwrap().unwrap();
    assert_eq!(world.plan.calls(), 0);
    world.time.pass(1);
    run(shop.sweep()).unwrap().unwrap();
    assert_eq!(world.orders.all()[1].status, Status::Expired);
    // Should the clock go back, the moment does not last for as long as that.
    world.time.pass(3600);
    world.plan.fail(1, Fault::Refused);
    assert!(matches!(run(shop.sweep()), Some(Err(Error::Store(_)))));
    world.plan.heal();
    world.time.go_back(3500);
    run(shop.sweep()).unwrap().unwrap();
    assert_settled(&world);
}

#[test]
fn a_clock_that_was_ahead_leaves_nothing_behind() {
    let year = 365 * 86_400;
    let world = world();
    world.time.pass(year);
    // Written down; reserved; that written down; committed.
    for call in [3, 4, 5, 6] {
        left(&world, &format!("b{call}"), call);
    }
    world.time.go_back(year);
    run(world.shop().sweep()).unwrap().unwrap();
    let states: Vec<_> = world.orders.all().iter().map(|order| order.status).collect();
    assert_eq!(
        states,
        [
            Status::Expired,
            Status::Expired,
            Status::Expired,
            Status::Confirmed
        ]
    );
    assert_settled(&world);
}

#[test]
fn clocks_that_differ_a_little_are_no_reason_to_give_up() {
    let world = world();
    world.time.pass(8);
    world.plan.fail(4, Fault::Refused);
    assert!(place(&world, "ada", "k", &[(1, 4)]).is_err());
    world.plan.heal();
    world.time.go_back(8);
    let placed = place(&world, "ada", "k", &[(1, 4)]).unwrap();
    assert_eq!(placed.order().status, Status::Confirmed);
    assert_settled(&world);
}

#[test]
fn a_buyer_is_not_kept_from_an_order_by_those_who_tried_it_in_vain() {
    let world = world();
    left(&world, "ada", 4);
    world.time.pass(60);
    // Due, found, leased, then the stock.
    world.plan.fail(4, Fault::Refused);
    assert!(matches!(run(world.shop().sweep()), Some(Err(Error::Stock(_)))));
    // By its key, leased, then the stock again.
    world.plan.fail(3, Fault::Refused);
    let again = place(&world, "ada", "k", &[(1, 1)]);
    assert!(matches!(again, Err(Error::Stock(_))), "{again:?}");
    world.plan.heal();
    assert!(matches!(
        place(&world, "ada", "k", &[(1, 1)]),
        Err(Error::NotPlaced(order)) if order.status == Status::Expired
    ));
    assert_settled(&world);
}

#[test]
fn what_came_to_nothing_is_forgotten_after_its_key() {
    let world = world();
    for number in 0..40 {
        let short = place(&world, "ada", &format!("k{number}"), &[(1, 11)]);
        assert!(matches!(short, Err(Error::NotPlaced(_))), "{short:?}");
    }
    world.time.pass(86_399);
    let kept = confirmed(&world, "ada", "a", &[(1, 1)]);
    assert_eq!(world.orders.all().len(), 41);
    world.time.pass(1);
    for number in 0..9 {
        confirmed(&world, "bob", &format!("b{number}"), &[(1, 1)]);
    }
    let short = place(&world, "bob", "b9", &[(1, 1)]);
    assert!(matches!(short, Err(Error::NotPlaced(_))), "{short:?}");
    let orders = world.orders.all();
    assert_eq!(
        orders.len(),
        11,
        "the confirmed, and the last, whose key is in use"
    );
    assert!(orders.contains(&kept));
    assert_settled(&world);
}

#[test]
fn a_sweep_ends_where_the_stock_is_away_and_others_do_not_repeat_it() {
    let world = world();
    for name in ["ada", "bob"] {
        world.plan.fail(4, Fault::DieAfter);
        assert!(run(world.shop().place(&buyer(name), &key("k"), &items(&[(1, 1)]))).is_none());
    }
    world.time.pass(60);
    // Due, found, leased, then the stock.
    world.plan.fail(4, Fault::Refused);
    assert!(matches!(run(world.shop().sweep()), Some(Err(Error::Stock(_)))));
    // And it is put off.
    assert_eq!(world.plan.calls(), 5);
    world.plan.heal();
    run(world.shop().sweep()).unwrap().unwrap();
    let states: Vec<_> = world.orders.all().iter().map(|order| order.status).collect();
    assert_eq!(
        states,
        [Status::Pending, Status::Expired],
        "the first is left alone for a while"
    );
    world.time.pass(10);
    run(world.shop().sweep()).unwrap().unwrap();
    assert_settled(&world);
}
