//! Whoever works on an order is struck at each of its calls in turn, in each way. Afterwards nothing is lost.

use super::*;
use crate::port::Stock;

/// What somebody does, and what they were told; `None` when they died, or there was nothing to do it to.
type Play = fn(&World) -> Option<Result<Status, Error>>;

fn order_once(world: &World) -> Option<Result<Status, Error>> {
    let placed = run(world
        .shop()
        .place(&buyer("ada"), &key("k"), &items(&[(1, 4), (2, 1)])))?;
    Some(placed.map(|placed| placed.order().status))
}

fn order_too_much(world: &World) -> Option<Result<Status, Error>> {
    let placed = run(world
        .shop()
        .place(&buyer("ada"), &key("k"), &items(&[(1, 4), (2, 6)])))?;
    Some(placed.map(|placed| placed.order().status))
}

fn cancel(world: &World) -> Option<Result<Status, Error>> {
    let id = world.orders.all().first()?.id.to_string();
    let cancelled = run(world.shop().cancel(&buyer("ada"), &id))?;
    Some(cancelled.map(|order| order.status))
}

fn read(world: &World) -> Option<Result<Status, Error>> {
    let id = world.orders.all().first()?.id.to_string();
    let shown = run(world.shop().order(&buyer("ada"), &id))?;
    Some(shown.map(|order| order.status))
}

fn sweep(world: &World) -> Option<Result<Status, Error>> {
    let swept = run(world.shop().sweep())?;
    Some(swept.map(|()| {
        world
            .orders
            .all()
            .first()
            .map_or(Status::Pending, |order| order.status)
    }))
}

/// The world in which the first play was struck there.
fn struck(before: fn() -> World, play: Play, call: usize, fault: Fault) -> Option<World> {
    let world = before();
    world.plan.fail(call, fault);
    let _ = play(&world);
    let reached = world.plan.calls() >= call;
    world.plan.heal();
    reached.then_some(world)
}

/// Plays something once for each of its calls and each way of going wrong, and then `after`. How often that
/// was.
fn strike(before: fn() -> World, play: Play, mut after: impl FnMut(&World, &str)) -> usize {
    let mut count = 0;
    for fault in Fault::ALL {
        for call in 1.. {
            let Some(world) = struck(before, play, call, fault) else {
                break;
            };
            after(&world, &format!("{fault:?} at call {call}"));
            count += 1;
        }
    }
    count
}

fn ordered() -> World {
    let world = world();
    assert_eq!(order_once(&world), Some(Ok(Status::Confirmed)));
    world
}

#[test]
fn a_buyer_who_repeats_the_order_gets_it_wherever_it_broke_off() {
    let count = strike(world, order_once, |world, place| {
        world.time.pass(10);
        assert_eq!(order_once(world), Some(Ok(Status::Confirmed)), "{place}");
        assert_eq!(world.orders.all().len(), 1, "{place}");
        assert_settled(world);
    });
    // The key, the prices, writing down, reserving, writing that down, committing, writing that down.
    assert_eq!(count, 4 * 7);
}

#[test]
fn a_buyer_who_never_returns_leaves_nothing_in_between() {
    let count = strike(world, order_once, |world, place| {
        world.time.pass(60);
        assert!(sweep(world).unwrap().is_ok(), "{place}");
        assert_settled(world);
    });
    assert_eq!(count, 4 * 7);
}

#[test]
fn reading_the_order_goes_on_wherever_it_broke_off() {
    strike(world, order_once, |world, place| {
        world.time.pass(10);
        if let Some(shown) = read(world) {
            assert_eq!(shown, Ok(Status::Confirmed), "{place}");
        }
        assert_settled(world);
    });
}

#[test]
fn a_shortage_is_found_again_wherever_it_broke_off() {
    let count = strike(world, order_too_much, |world, place| {
        world.time.pass(10);
        let again = order_too_much(world).unwrap();
        assert!(
            matches!(&again, Err(Error::NotPlaced(order)) if order.status == Status::Rejected),
            "{place}: {again:?}"
        );
        assert_settled(world);
    });
    assert_eq!(count, 4 * 5);
}

#[test]
fn whoever_goes_on_may_be_struck_too() {
    let mut count = 0;
    for (goes_on, later) in [
        (order_once as Play, 10),
        (read, 10),
        (cancel, 0),
        (cancel, 10),
        (sweep, 60),
    ] {
        for first in Fault::ALL {
            for call in 1..=7 {
                for second in Fault::ALL {
                    for again in 1.. {
                        let world = struck(world, order_once, call, first).unwrap();
                        world.time.pass(later);
                        world.plan.fail(again, second);
                        let _ = goes_on(&world);
                        let reached = world.plan.calls() >= again;
                        world.plan.heal();
                        world.time.pass(60);
                        let place = format!("{first:?} at {call}, then {second:?} at {again}");
                        assert!(sweep(&world).unwrap().is_ok(), "{place}");
                        assert_settled(&world);
                        count += 1;
                        if !reached {
                            break;
                        }
                    }
                }
            }
        }
    }
    assert!(count > 1000, "{count}");
}

#[test]
fn a_cancellation_goes_on_wherever_it_broke_off() {
    let count = strike(ordered, cancel, |world, place| {
        assert_eq!(cancel(world), Some(Ok(Status::Cancelled)), "{place}");
        assert_settled(world);
        assert_eq!(world.warehouse.on_hand(product(1)), 10);
    });
    // Finding, writing down, giving back, writing that down.
    assert_eq!(count, 4 * 4);
    strike(ordered, cancel, |world, place| {
        world.time.pass(60);
        assert!(sweep(world).unwrap().is_ok(), "{place}");
        assert_settled(world);
    });
}

#[test]
fn what_is_open_can_be_cancelled_wherever_it_broke_off() {
    strike(world, order_once, |world, place| {
        if let Some(cancelled) = cancel(world) {
            assert_eq!(cancelled, Ok(Status::Cancelled), "{place}");
            assert_eq!(world.warehouse.on_hand(product(1)), 10, "{place}");
        }
        assert_settled(world);
    });
}

#[test]
fn a_confirmation_that_was_told_is_never_taken_back() {
    let world = ordered();
    for _ in 0..3 {
        world.time.pass(60);
        assert!(sweep(&world).unwrap().is_ok());
        assert_eq!(read(&world), Some(Ok(Status::Confirmed)));
    }
    assert_settled(&world);
}

#[test]
fn an_administrator_of_the_catalog_who_meddles_is_followed() {
    // Dead after its reservation, which somebody then takes into their own hands; and once more a step later.
    for call in [4, 5] {
        for (meddle, then) in [
            ("commit", Status::Confirmed),
            ("release", Status::Expired),
            ("cancel", Status::Expired),
        ] {
            let world = struck(world, order_once, call, Fault::DieAfter).unwrap();
            let id = world.orders.all()[0].id;
            let done = match meddle {
                "commit" => run(world.warehouse.commit(id)),
                "release" => run(world.warehouse.release(id)),
                _ => run(world.warehouse.cancel(id)),
            };
            done.unwrap().unwrap();
            world.time.pass(10);
            assert_eq!(read(&world), Some(Ok(then)), "{meddle} after call {call}");
            assert_settled(&world);
        }
    }
}

#[test]
fn a_clock_that_jumps_decides_nothing_twice() {
    // Dead after `reserved` was written; for an hour nobody came.
    let world = struck(world, order_once, 5, Fault::DieAfter).unwrap();
    world.time.pass(3600);
    // Due, found, leased, too late to commit, released; dead before that is written down.
    world.plan.fail(5, Fault::DieAfter);
    assert_eq!(sweep(&world), None);
    world.plan.heal();
    // Now the reservation would be in time again, were it not released.
    world.time.go_back(3600);
    assert_eq!(read(&world), Some(Ok(Status::Expired)));
    assert_settled(&world);
}
