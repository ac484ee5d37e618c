//! Reservations: all or nothing, the same answer again, and stock that always adds up.

use std::time::Duration;

use crate::port::Store;
use crate::product::{ON_HAND_MAX, Product};
use crate::reservation::{RETENTION, Shortage, State};
use crate::service::{Error, Reserved};
use crate::tag::Expected;

use super::{Bench, NOON, lines, rid};

const TTL: Duration = Duration::from_secs(60);

pub(super) async fn promises<S: Store>(new: &impl Fn() -> S) {
    a_reservation_binds_stock_until_it_leaves(&Bench::new(new())).await;
    a_reservation_gives_back_what_it_held(&Bench::new(new())).await;
    all_lines_or_none(&Bench::new(new())).await;
    reserving_again_repeats_the_answer(&Bench::new(new())).await;
    time_gives_stock_back(&Bench::new(new())).await;
    what_expired_stays_expired_when_the_clock_goes_back(&Bench::new(new())).await;
    cancelling_takes_back_whatever_became_of_it(&Bench::new(new())).await;
    old_reservations_are_forgotten(&Bench::new(new())).await;
}

/// On hand and available.
async fn stock<S: Store>(bench: &Bench<S>, product: &Product) -> (u32, u32) {
    let stock = bench
        .catalog
        .product(&product.id.to_string())
        .await
        .unwrap()
        .stock;
    (stock.on_hand, stock.available())
}

async fn a_reservation_binds_stock_until_it_leaves<S: Store>(bench: &Bench<S>) {
    let (a, b) = (bench.product("A", 5).await, bench.product("B", 9).await);
    bench.clock.set(NOON + 1);
    let held = bench
        .catalog
        .reserve(rid("r"), lines(&[(&b, 9), (&a, 2)]), TTL)
        .await
        .unwrap();
    let Reserved::New(held) = held else {
        panic!("it is new")
    };
    assert_eq!(
        (held.state, held.expires_at.millis()),
        (State::Held, NOON + 61_000),
        "a whole second, never earlier"
    );
    assert_eq!(held.lines.products(), [b.id, a.id], "in the order given");
    assert_eq!(bench.catalog.reservation(&rid("r")).await.as_ref(), Ok(&held));
    assert_eq!((stock(bench, &a).await, stock(bench, &b).await), ((5, 3), (9, 0)));
    for _ in 0..2 {
        let committed = bench.catalog.commit(&rid("r")).await.unwrap();
        assert_eq!(committed.state, State::Committed);
        assert_eq!(committed.lines.products(), [b.id, a.id]);
        assert_eq!((stock(bench, &a).await, stock(bench, &b).await), ((3, 3), (0, 0)));
    }
    assert_eq!(
        bench.catalog.release(&rid("r")).await,
        Err(Error::Conflict(State::Committed))
    );
    assert_eq!(
        bench.catalog.reservation(&rid("r")).await.unwrap().state,
        State::Committed
    );
    bench
        .catalog
        .delete(&b.id.to_string(), &Expected::Any)
        .await
        .unwrap();
    assert_eq!(
        bench.catalog.commit(&rid("r")).await.unwrap().state,
        State::Committed,
        "even then"
    );
}

async fn a_reservation_gives_back_what_it_held<S: Store>(bench: &Bench<S>) {
    let a = bench.product("A", 5).await;
    bench
        .catalog
        .reserve(rid("r"), lines(&[(&a, 5)]), TTL)
        .await
        .unwrap();
    for _ in 0..2 {
        assert_eq!(
            bench.catalog.release(&rid("r")).await.unwrap().state,
            State::Released
        );
        assert_eq!(stock(bench, &a).await, (5, 5));
    }
    assert_eq!(
        bench.catalog.commit(&rid("r")).await,
        Err(Error::Conflict(State::Released))
    );
    for missing in [
        bench.catalog.commit(&rid("x")).await,
        bench.catalog.release(&rid("x")).await,
        bench.catalog.reservation(&rid("x")).await,
    ] {
        assert_eq!(missing, Err(Error::NoReservation));
    }
}

async fn all_lines_or_none<S: Store>(bench: &Bench<S>) {
    let (a, b) = (bench.product("A", 5).await, bench.product("B", 1).await);
    let short = Shortage {
        product: b.id,
        requested: 2,
        available: 1,
    };
    let refused = bench
        .catalog
        .reserve(rid("r"), lines(&[(&a, 1), (&b, 2)]), TTL)
        .await;
    assert_eq!(refused, Err(Error::Short(short)));
    let mut absent = a.clone();
    absent.id = crate::product::ProductId::parse("00000000-0000-7000-8000-000000000000").unwrap();
    let refused = bench
        .catalog
        .reserve(rid("r"), lines(&[(&a, 1), (&absent, 1)]), TTL)
        .await;
    assert_eq!(refused, Err(Error::NoProduct(absent.id.to_string())));
    assert_eq!(stock(bench, &a).await, (5, 5));
    assert_eq!(
        bench.catalog.reservation(&rid("r")).await,
        Err(Error::NoReservation)
    );
    bench
        .catalog
        .reserve(rid("r"), lines(&[(&a, 5), (&b, 1)]), TTL)
        .await
        .unwrap();
}

async fn reserving_again_repeats_the_answer<S: Store>(bench: &Bench<S>) {
    let (a, b) = (bench.product("A", 5).await, bench.product("B", 5).await);
    let first = bench
        .catalog
        .reserve(rid("r"), lines(&[(&a, 3), (&b, 1)]), TTL)
        .await
        .unwrap()
        .into_reservation();
    bench.clock.set(NOON + 30_000);
    let again = bench
        .catalog
        .reserve(rid("r"), lines(&[(&b, 1), (&a, 3)]), TTL * 2)
        .await
        .unwrap();
    assert_eq!(again, Reserved::Again(first), "its time does not begin anew");
    assert_eq!(stock(bench, &a).await, (5, 2), "held once");
    let other = bench.catalog.reserve(rid("r"), lines(&[(&a, 1)]), TTL).await;
    assert_eq!(other, Err(Error::Conflict(State::Held)));
    bench.catalog.commit(&rid("r")).await.unwrap();
    let late = bench
        .catalog
        .reserve(rid("r"), lines(&[(&a, 3), (&b, 1)]), TTL)
        .await;
    assert_eq!(late, Err(Error::Conflict(State::Committed)));
}

async fn time_gives_stock_back<S: Store>(bench: &Bench<S>) {
    let a = bench.product("A", 5).await;
    bench
        .catalog
        .reserve(rid("r"), lines(&[(&a, 5)]), TTL)
        .await
        .unwrap();
    bench.clock.set(NOON + 59_999);
    assert_eq!(stock(bench, &a).await, (5, 0));
    bench.clock.set(NOON + 60_000);
    assert_eq!(stock(bench, &a).await, (5, 5));
    assert_eq!(
        bench.catalog.reservation(&rid("r")).await.unwrap().state,
        State::Expired
    );
    assert_eq!(
        bench.catalog.commit(&rid("r")).await,
        Err(Error::Conflict(State::Expired))
    );
    let again = bench.catalog.reserve(rid("r"), lines(&[(&a, 5)]), TTL).await;
    assert_eq!(again, Err(Error::Conflict(State::Expired)));
    assert_eq!(
        bench.catalog.release(&rid("r")).await.unwrap().state,
        State::Released
    );
    assert_eq!(
        bench.catalog.commit(&rid("r")).await,
        Err(Error::Conflict(State::Released))
    );
    bench
        .catalog
        .reserve(rid("s"), lines(&[(&a, 5)]), TTL)
        .await
        .unwrap();
    assert_eq!(stock(bench, &a).await, (5, 0));
}

async fn what_expired_stays_expired_when_the_clock_goes_back<S: Store>(bench: &Bench<S>) {
    let (a, b) = (bench.product("A", 5).await, bench.product("B", 5).await);
    bench
        .catalog
        .reserve(rid("r"), lines(&[(&a, 5), (&b, 5)]), TTL)
        .await
        .unwrap();
    bench.clock.set(NOON + 60_000);
    bench
        .catalog
        .reserve(rid("s"), lines(&[(&a, 4)]), TTL)
        .await
        .unwrap();
    bench.clock.set(NOON);
    assert_eq!(
        bench.catalog.commit(&rid("r")).await,
        Err(Error::Conflict(State::Expired))
    );
    assert_eq!(
        (stock(bench, &a).await, stock(bench, &b).await),
        ((5, 1), (5, 5)),
        "wholly"
    );
    bench.catalog.commit(&rid("s")).await.unwrap();
    assert_eq!(stock(bench, &a).await, (1, 1));
}

async fn cancelling_takes_back_whatever_became_of_it<S: Store>(bench: &Bench<S>) {
    let (a, b) = (bench.product("A", 9).await, bench.product("B", 9).await);
    for id in ["held", "committed", "released", "expired", "gone", "full"] {
        bench
            .catalog
            .reserve(rid(id), lines(&[(&a, 1), (&b, 1)]), TTL)
            .await
            .unwrap();
    }
    for id in ["committed", "gone", "full"] {
        bench.catalog.commit(&rid(id)).await.unwrap();
    }
    bench.catalog.release(&rid("released")).await.unwrap();
    assert_eq!(stock(bench, &a).await, (6, 4));
    let cancel = async |id: &str, expect: (u32, u32)| {
        for _ in 0..2 {
            let cancelled = bench.catalog.cancel(&rid(id)).await.unwrap();
            assert_eq!(cancelled.state, State::Released, "{id}");
            assert_eq!(cancelled.lines.products(), [a.id, b.id], "{id}");
            assert_eq!(stock(bench, &a).await, expect, "{id}");
        }
        let late = bench.catalog.commit(&rid(id)).await;
        assert_eq!(late, Err(Error::Conflict(State::Released)), "{id}");
        let again = bench
            .catalog
            .reserve(rid(id), lines(&[(&a, 1), (&b, 1)]), TTL)
            .await;
        assert_eq!(again, Err(Error::Conflict(State::Released)), "{id}");
    };
    cancel("released", (6, 4)).await;
    cancel("held", (6, 5)).await;
    cancel("committed", (7, 6)).await;
    bench.clock.set(NOON + 60_000);
    cancel("expired", (7, 7)).await;
    assert_eq!(stock(bench, &b).await, (7, 7));
    let delete = bench.catalog.delete(&b.id.to_string(), &Expected::Any).await;
    assert_eq!(delete, Ok(()));
    cancel("gone", (8, 8)).await;
    bench
        .catalog
        .set_on_hand(&a.id.to_string(), ON_HAND_MAX)
        .await
        .unwrap();
    cancel("full", (ON_HAND_MAX, ON_HAND_MAX)).await;
    assert_eq!(bench.catalog.cancel(&rid("x")).await, Err(Error::NoReservation));
}

async fn old_reservations_are_forgotten<S: Store>(bench: &Bench<S>) {
    let a = bench.product("A", 20).await;
    for id in ["committed", "released", "held"] {
        bench
            .catalog
            .reserve(rid(id), lines(&[(&a, 1)]), TTL)
            .await
            .unwrap();
    }
    bench.catalog.commit(&rid("committed")).await.unwrap();
    bench.catalog.release(&rid("released")).await.unwrap();
    let over = NOON + 60_000 + u64::try_from(RETENTION.as_millis()).unwrap();
    bench.clock.set(over);
    bench
        .catalog
        .reserve(rid("n1"), lines(&[(&a, 1)]), TTL)
        .await
        .unwrap();
    assert_eq!(
        bench.catalog.commit(&rid("committed")).await.unwrap().state,
        State::Committed,
        "kept so long"
    );
    bench.clock.set(over + 1);
    for id in ["n2", "n3", "n4"] {
        bench
            .catalog
            .reserve(rid(id), lines(&[(&a, 1)]), TTL)
            .await
            .unwrap();
    }
    for id in ["committed", "released", "held"] {
        assert_eq!(
            bench.catalog.reservation(&rid(id)).await,
            Err(Error::NoReservation),
            "{id}"
        );
    }
    assert_eq!(stock(bench, &a).await, (19, 15), "only the new ones are held");
}
