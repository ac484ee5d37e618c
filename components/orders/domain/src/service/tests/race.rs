//! Several at once: every call waits once before it happens, and a test decides who goes on next. Who does
//! not finish was killed.

use std::pin::Pin;

use proptest::prelude::*;

use super::*;
use crate::testing::poll;

/// What somebody does.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Place(u8),
    Read,
    Cancel,
    Sweep,
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

fn doing(world: &World, deed: Deed) -> Task {
    let world = world.clone();
    Box::pin(async move {
        let shop = world.shop();
        let first = world.orders.all().first().map(|order| order.id.to_string());
        match (deed, first) {
            (Deed::Place(who), _) => {
                // Some share a name and a key, so that they go on with each other's order.
                let (name, k) = (buyer(&format!("b{}", who % 3)), key(&format!("k{}", who % 2)));
                let _ = shop.place(&name, &k, &items(&[(1, 4), (2, 1)])).await;
            }
            (Deed::Sweep, _) => drop(shop.sweep().await),
            (Deed::Read, Some(id)) => drop(shop.order(&admin(), &id).await),
            (Deed::Cancel, Some(id)) => drop(shop.cancel(&admin(), &id).await),
            (Deed::Read | Deed::Cancel, None) => {}
        }
    })
}

/// Who comes, in this order.
fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        4 => any::<u8>().prop_map(Deed::Place),
        2 => Just(Deed::Read),
        2 => Just(Deed::Cancel),
        2 => Just(Deed::Sweep),
    ];
    prop::collection::vec(deed, 1..12)
}

/// What happens next.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// One of those at work takes a step.
    Step(usize),
    /// One more comes.
    Comes,
    /// One of those at work is killed.
    Dies(usize),
    /// Time passes, in seconds.
    Passes(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        60 => any::<usize>().prop_map(Event::Step),
        10 => Just(Event::Comes),
        2 => any::<usize>().prop_map(Event::Dies),
        3 => (0_u64..40).prop_map(Event::Passes),
    ];
    prop::collection::vec(event, 0..200)
}

/// Lets one of them take a step, and leave when that was the last.
fn step(tasks: &mut Vec<Task>, which: usize) {
    if !tasks.is_empty() {
        let which = which % tasks.len();
        if poll(tasks[which].as_mut()).is_ready() {
            drop(tasks.swap_remove(which));
        }
    }
}

#[test]
fn stock_that_was_held_too_late_is_given_back_at_once() {
    let world = world();
    world.plan.yields(true);
    let mut placing = {
        let world = world.clone();
        Box::pin(async move {
            let placed = world
                .shop()
                .place(&buyer("b"), &key("k"), &items(&[(1, 4)]))
                .await;
            assert!(matches!(placed, Err(Error::NotPlaced(order)) if order.status == Status::Cancelled));
        })
    };
    // The order is written down, and its reservation is next.
    while world.orders.all().is_empty() {
        assert!(poll(placing.as_mut()).is_pending());
    }
    world.plan.yields(false);
    let id = world.orders.all()[0].id;
    let cancelled = run(world.shop().cancel(&buyer("b"), &id.to_string()))
        .unwrap()
        .unwrap();
    assert_eq!(
        (cancelled.status, world.warehouse.state(id)),
        (Status::Cancelled, None)
    );
    assert!(poll(placing.as_mut()).is_ready());
    assert_eq!(world.warehouse.state(id), Some(Held::Released));
    assert_settled(&world);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_at_once_stock_and_orders_agree(deeds in deeds(), events in events()) {
        let world = world();
        world.plan.yields(true);
        let mut coming = deeds.into_iter();
        let mut tasks: Vec<_> = coming.by_ref().take(2).map(|deed| doing(&world, deed)).collect();
        for event in events {
            match event {
                Event::Comes => tasks.extend(coming.next().map(|deed| doing(&world, deed))),
                Event::Step(which) => step(&mut tasks, which),
                Event::Dies(which) if !tasks.is_empty() => drop(tasks.swap_remove(which % tasks.len())),
                Event::Dies(_) => {}
                Event::Passes(seconds) => world.time.pass(seconds),
            }
        }
        // The host is killed; a reservation's lifetime later come two requests.
        drop(tasks);
        world.plan.yields(false);
        world.time.pass(60);
        // There are three names and two keys.
        for _ in 0..2 {
            run(world.shop().sweep()).unwrap().unwrap();
        }
        assert_settled(&world);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn of_64_buyers_as_many_succeed_as_there_are_pieces(
        steps in prop::collection::vec(any::<usize>(), 0..600),
    ) {
        let world = world();
        world.plan.yields(true);
        let buy = |number: i32| -> Task {
            let world = world.clone();
            Box::pin(async move {
                let (name, wanted) = (buyer(&format!("b{number}")), items(&[(1, 1)]));
                let placed = world.shop().place(&name, &key("k"), &wanted).await;
                assert!(matches!(placed, Ok(Placed::New(_)) | Err(Error::NotPlaced(_))), "{placed:?}");
            })
        };
        let mut tasks: Vec<_> = (0..64).map(buy).collect();
        for which in steps.into_iter().chain(0..).take(64 * 40) {
            step(&mut tasks, which);
        }
        prop_assert!(tasks.is_empty());
        let orders = world.orders.all();
        let count = |status| orders.iter().filter(|order| order.status == status).count();
        prop_assert_eq!((count(Status::Confirmed), count(Status::Rejected)), (10, 54));
        prop_assert_eq!(world.warehouse.on_hand(product(1)), 0);
        assert_settled(&world);
    }
}
