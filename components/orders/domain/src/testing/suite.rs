//! What every repository has to keep, as tests that each adapter runs against itself.

use std::collections::BTreeSet;

use crate::item::{Currency, Line, Money};
use crate::order::{Change, Order, OrderId, Refusal, Status};
use crate::page::{Limit, Position, Query};
use crate::port::{Due, Ids, Orders, Placement};
use crate::time::Timestamp;

use super::{NOON, SetTime, buyer, key, product};

/// Checks every promise of [`Orders`]. `new` makes an empty repository each time.
///
/// # Panics
/// When the repository breaks one.
pub async fn promises<R: Orders>(new: impl Fn() -> R) {
    an_order_comes_back_as_it_was_written(&new()).await;
    a_key_stands_for_one_order_until_its_time_is_over(&new()).await;
    keys_whose_time_is_over_are_forgotten(&new()).await;
    a_status_changes_only_from_what_it_was(&new()).await;
    a_lease_is_had_by_one(&new()).await;
    open_orders_become_due(&new()).await;
    what_is_leased_or_put_off_leaves_its_place_to_others(&new()).await;
    pages_follow_each_other(&new()).await;
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(NOON + seconds * 1000)
}

/// A pending order of `name`, placed then, that has a minute.
pub fn order(ids: &SetTime, name: &str, created_at: Timestamp) -> Order {
    let expires_at = created_at.plus(std::time::Duration::from_secs(60));
    let line = |number, quantity| Line {
        product: product(number),
        name: format!("Thing {number} \"'é"),
        quantity,
        price: 250,
    };
    Order {
        id: ids.order(created_at),
        customer: buyer(name).customer,
        lines: vec![line(9, 2), line(1, 3)],
        total: Money {
            amount: 1250,
            currency: Currency::parse("EUR").unwrap(),
        },
        status: Status::Pending,
        refusal: None,
        created_at,
        updated_at: created_at,
        expires_at,
        confirmed_at: None,
        due_at: expires_at,
        leased_until: created_at.plus(std::time::Duration::from_secs(10)),
    }
}

/// Writes an order down, under a key of its own.
async fn placed<R: Orders>(orders: &R, order: &Order) {
    let placement = orders.place(order, &key(&order.id.to_string()), at(86_400)).await;
    assert_eq!(placement, Ok(Placement::New));
}

fn change(to: Status, seconds: u64) -> Change {
    Change {
        to,
        at: at(seconds),
        refusal: None,
        due_at: at(seconds + 60),
    }
}

async fn an_order_comes_back_as_it_was_written<R: Orders>(orders: &R) {
    let ids = SetTime::default();
    let first = order(&ids, "ada", at(0));
    assert_eq!(orders.find(first.id).await, Ok(None));
    placed(orders, &first).await;
    assert_eq!(orders.find(first.id).await, Ok(Some(first.clone())));
    for refusal in [
        Refusal::Gone(product(9)),
        Refusal::Short {
            product: product(1),
            requested: 3,
            available: 0,
        },
    ] {
        let order = order(&ids, "ada", at(1));
        placed(orders, &order).await;
        let rejected = Change {
            refusal: Some(refusal),
            ..change(Status::Rejected, 2)
        };
        assert_eq!(
            orders.advance(order.id, Status::Pending, &rejected).await,
            Ok(true)
        );
        let found = orders.find(order.id).await.unwrap().unwrap();
        assert_eq!(found, order.changed(&rejected));
    }
    assert_eq!(
        orders.find(first.id).await,
        Ok(Some(first)),
        "the others are as they were"
    );
}

async fn a_key_stands_for_one_order_until_its_time_is_over<R: Orders>(orders: &R) {
    let ids = SetTime::default();
    let (first, second) = (order(&ids, "ada", at(0)), order(&ids, "ada", at(1)));
    let k = key("k");
    assert_eq!(orders.by_key(&first.customer, &k, at(0)).await, Ok(None));
    assert_eq!(orders.place(&first, &k, at(100)).await, Ok(Placement::New));
    let taken = Placement::Taken(Box::new(first.clone()));
    assert_eq!(orders.place(&second, &k, at(100)).await, Ok(taken));
    assert_eq!(
        orders.find(second.id).await,
        Ok(None),
        "neither the key nor the order"
    );
    assert_eq!(
        orders.by_key(&first.customer, &k, at(99)).await,
        Ok(Some(first.clone()))
    );
    assert_eq!(orders.by_key(&first.customer, &key("K"), at(0)).await, Ok(None));
    let other = order(&ids, "bob", at(2));
    assert_eq!(orders.by_key(&other.customer, &k, at(2)).await, Ok(None));
    assert_eq!(
        orders.place(&other, &k, at(100)).await,
        Ok(Placement::New),
        "keys are a customer's own"
    );
    assert_eq!(orders.by_key(&first.customer, &k, at(100)).await, Ok(None));
    let later = order(&ids, "ada", at(100));
    assert_eq!(orders.place(&later, &k, at(200)).await, Ok(Placement::New));
    assert_eq!(orders.by_key(&first.customer, &k, at(100)).await, Ok(Some(later)));
    assert_eq!(orders.find(first.id).await, Ok(Some(first)), "the order stays");
}

async fn keys_whose_time_is_over_are_forgotten<R: Orders>(orders: &R) {
    let ids = SetTime::default();
    let came_to: [&[Status]; 6] = [
        &[Status::Rejected],
        &[Status::Reserved, Status::Expired],
        &[],
        &[Status::Confirmed],
        &[Status::Cancelling, Status::Cancelled],
        &[Status::Expired],
    ];
    let mut old = Vec::new();
    for (number, path) in (0..).zip(came_to) {
        let order = order(&ids, "ada", at(number));
        let key = key(&format!("old-{number}"));
        assert_eq!(
            orders.place(&order, &key, at(100 + number)).await,
            Ok(Placement::New)
        );
        let mut from = Status::Pending;
        for to in path {
            assert_eq!(orders.advance(order.id, from, &change(*to, 50)).await, Ok(true));
            from = *to;
        }
        old.push((order.id, key, from));
    }
    let place = async |key: &str| {
        let order = order(&ids, "ada", at(200));
        let placed = orders.place(&order, &self::key(key), at(300)).await;
        assert_eq!(placed, Ok(Placement::New));
    };
    // The one key is used anew, and there are older ones.
    place("old-5").await;
    assert_eq!(orders.find(old[5].0).await, Ok(None), "nothing else leads to it");
    for number in 0..2 {
        place(&format!("new-{number}")).await;
    }
    for (id, key, status) in &old[..5] {
        // Seen from a time when they were good.
        let found = orders.by_key(&buyer("ada").customer, key, at(0)).await.unwrap();
        let nothing = matches!(status, Status::Rejected | Status::Expired);
        assert_eq!(found.is_some(), status.is_open(), "{status:?}");
        assert_eq!(orders.find(*id).await.unwrap().is_none(), nothing, "{status:?}");
    }
    let found = orders
        .by_key(&buyer("ada").customer, &key("new-1"), at(200))
        .await;
    assert_eq!(found.unwrap().unwrap().lines.len(), 2);
}

async fn a_status_changes_only_from_what_it_was<R: Orders>(orders: &R) {
    let ids = SetTime::default();
    let (one, other) = (order(&ids, "ada", at(0)), order(&ids, "ada", at(0)));
    placed(orders, &one).await;
    placed(orders, &other).await;
    let reserve = change(Status::Reserved, 1);
    assert_eq!(orders.advance(one.id, Status::Pending, &reserve).await, Ok(true));
    assert_eq!(orders.advance(one.id, Status::Pending, &reserve).await, Ok(false));
    let expired = change(Status::Expired, 2);
    assert_eq!(orders.advance(one.id, Status::Pending, &expired).await, Ok(false));
    let confirm = change(Status::Confirmed, 3);
    assert_eq!(orders.advance(one.id, Status::Reserved, &confirm).await, Ok(true));
    let cancel = change(Status::Cancelling, 4);
    assert_eq!(orders.advance(one.id, Status::Confirmed, &cancel).await, Ok(true));
    let expect = one.changed(&reserve).changed(&confirm).changed(&cancel);
    assert_eq!(expect.confirmed_at, Some(at(3)), "it was, once");
    assert_eq!(orders.find(expect.id).await, Ok(Some(expect)));
    assert_eq!(
        orders.find(other.id).await,
        Ok(Some(other)),
        "the others are as they were"
    );
    let nobody = OrderId::new(at(9), &[9; 10]);
    assert_eq!(orders.advance(nobody, Status::Pending, &reserve).await, Ok(false));
}

async fn a_lease_is_had_by_one<R: Orders>(orders: &R) {
    let ids = SetTime::default();
    let order = order(&ids, "ada", at(0));
    placed(orders, &order).await;
    assert_eq!(orders.lease(order.id, at(10), at(20)).await, Ok(true));
    assert_eq!(orders.lease(order.id, at(10), at(21)).await, Ok(false));
    assert_eq!(orders.find(order.id).await.unwrap().unwrap().leased_until, at(20));
    assert_eq!(orders.lease(order.id, at(20), Timestamp::EPOCH).await, Ok(true));
    assert_eq!(
        orders
            .advance(order.id, Status::Pending, &change(Status::Expired, 60))
            .await,
        Ok(true)
    );
    assert_eq!(
        orders.lease(order.id, Timestamp::EPOCH, at(90)).await,
        Ok(false),
        "it is over"
    );
}

/// Of those who look then, with orders and leases of a minute and ten seconds at most.
fn due(seconds: u64, limit: u32) -> Due {
    Due {
        now: at(seconds),
        latest: at(seconds + 60),
        longest_lease: at(seconds + 10),
        limit,
    }
}

async fn open_orders_become_due<R: Orders>(orders: &R) {
    let ids = SetTime::default();
    let mut all = Vec::new();
    for seconds in [5, 3, 4, 1, 2] {
        let order = order(&ids, "ada", at(seconds));
        placed(orders, &order).await;
        all.push(order.id);
    }
    assert_eq!(orders.due(&due(60, 9)).await, Ok(vec![]));
    assert_eq!(orders.due(&due(63, 9)).await, Ok(vec![all[3], all[4], all[1]]));
    assert_eq!(orders.due(&due(63, 2)).await, Ok(vec![all[3], all[4]]));
    assert_eq!(
        orders
            .advance(all[3], Status::Pending, &change(Status::Expired, 63))
            .await,
        Ok(true)
    );
    assert_eq!(
        orders
            .advance(all[4], Status::Pending, &change(Status::Cancelling, 63))
            .await,
        Ok(true)
    );
    assert_eq!(orders.due(&due(70, 9)).await, Ok(vec![all[1], all[2], all[0]]));
    assert_eq!(orders.due(&due(123, 1)).await, Ok(vec![all[1]]));
    assert_eq!(
        orders
            .due(&due(123, 9))
            .await
            .map(|found| found.contains(&all[4])),
        Ok(true),
        "it is open"
    );
}

async fn what_is_leased_or_put_off_leaves_its_place_to_others<R: Orders>(orders: &R) {
    let ids = SetTime::default();
    let mut all = Vec::new();
    for seconds in 0..4 {
        let order = order(&ids, "ada", at(seconds));
        placed(orders, &order).await;
        all.push(order.id);
    }
    assert_eq!(orders.lease(all[0], at(10), at(75)).await, Ok(true));
    assert_eq!(orders.due(&due(70, 1)).await, Ok(vec![all[1]]), "it is leased");
    assert_eq!(orders.due(&due(75, 1)).await, Ok(vec![all[0]]), "it was");
    assert_eq!(orders.put_off(all[0], Some(at(10)), at(80)).await, Ok(()));
    assert_eq!(
        orders.due(&due(75, 1)).await,
        Ok(vec![all[0]]),
        "the lease is another"
    );
    assert_eq!(orders.put_off(all[0], Some(at(75)), at(80)).await, Ok(()));
    assert_eq!(
        orders.find(all[0]).await.unwrap().unwrap().leased_until,
        Timestamp::EPOCH
    );
    assert_eq!(orders.put_off(all[1], None, at(81)).await, Ok(()));
    assert_eq!(orders.due(&due(79, 9)).await, Ok(vec![all[2], all[3]]));
    assert_eq!(
        orders.due(&due(81, 9)).await,
        Ok(vec![all[2], all[3], all[0], all[1]])
    );
    // Of a clock that was ahead: the lease counts for nothing, and the time has come.
    assert_eq!(orders.lease(all[2], at(12), at(9_000)).await, Ok(true));
    assert_eq!(orders.put_off(all[3], None, at(9_000)).await, Ok(()));
    assert_eq!(orders.due(&due(79, 9)).await, Ok(vec![all[2], all[3]]));
    assert_eq!(
        orders
            .due(&due(8_950, 9))
            .await
            .map(|found| found.contains(&all[3])),
        Ok(false)
    );
    let expired = change(Status::Expired, 82);
    assert_eq!(orders.advance(all[0], Status::Pending, &expired).await, Ok(true));
    assert_eq!(orders.put_off(all[0], None, at(99)).await, Ok(()));
    let found = orders.find(all[0]).await.unwrap().unwrap();
    assert_ne!(found.due_at, at(99), "it is over");
}

async fn pages_follow_each_other<R: Orders>(orders: &R) {
    let ids = SetTime::default();
    let mut all = Vec::new();
    for number in 0..12_u64 {
        let name = ["ada", "bob", "ada"][usize::try_from(number % 3).unwrap()];
        // Several in one moment: the id breaks the tie.
        let order = order(&ids, name, at(number / 4));
        placed(orders, &order).await;
        if number % 2 == 0 {
            let change = change(Status::Expired, 60);
            assert_eq!(orders.advance(order.id, Status::Pending, &change).await, Ok(true));
        }
        all.push(order.id);
    }
    all.reverse();
    let queries = [
        (None, None, 12),
        (Some("ada"), None, 8),
        (Some("bob"), Some(Status::Pending), 2),
        (None, Some(Status::Expired), 6),
        (Some("eve"), None, 0),
        (None, Some(Status::Confirmed), 0),
    ];
    for (name, status, count) in queries {
        let mut query = Query {
            customer: name.map(|name| buyer(name).customer),
            status,
            limit: Limit::parse(3).unwrap(),
            after: None,
        };
        let mut seen = Vec::new();
        loop {
            let found = orders.list(&query).await.unwrap();
            assert!(found.len() <= 4);
            let more = found.len() == 4;
            for summary in found.into_iter().take(3) {
                let order = orders.find(summary.id).await.unwrap().unwrap();
                assert_eq!(summary, (&order).into());
                query.after = Some(Position::from(&summary));
                seen.push(summary.id);
            }
            if !more {
                break;
            }
        }
        let in_order: Vec<_> = all.iter().filter(|id| seen.contains(id)).copied().collect();
        assert_eq!(seen, in_order, "{name:?} {status:?}");
        assert_eq!(seen.len(), count, "{name:?} {status:?}");
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), count);
    }
}
