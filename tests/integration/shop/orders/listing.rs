//! Lists of orders, page by page.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Counter, cancel, order};
use crate::shop::client::{at_once, text};
use crate::shop::get;

/// All pages of a listing. `between` comes after each of them.
async fn pages(counter: &Counter, token: &str, query: &str, mut between: impl AsyncFnMut()) -> Vec<Value> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let call = get(format!("/orders?{query}{cursor}")).bearer(token);
        let page = counter.expect(200, call).await.json();
        items.extend(
            page["items"]
                .as_array()
                .expect("a page has items")
                .iter()
                .cloned(),
        );
        assert!(items.len() < 1000, "the pages have no end");
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
        between().await;
    }
}

fn ids(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| text(item, "id")).collect()
}

#[tokio::test]
async fn every_order_is_on_one_page_and_the_newest_on_the_first() {
    let counter = Counter::open().await;
    let (ada, bob) = (counter.customer("ada").await, counter.customer("bob").await);
    let lamp = counter.stocked("LAMP", 1000).await;
    let mut hers = Vec::new();
    for number in 0..25 {
        let placed = counter.placed(&ada, &format!("k{number}"), &[(&lamp, 2)]).await;
        hers.insert(0, text(&placed, "id"));
        if number % 5 == 0 {
            counter.placed(&bob, &format!("k{number}"), &[(&lamp, 1)]).await;
        }
    }
    for limit in [1, 2, 7, 24, 25, 26, 100] {
        let items = pages(&counter, &ada, &format!("limit={limit}"), async || {}).await;
        assert_eq!(ids(&items), hers, "limit={limit}");
    }
    // Without a limit a page has twenty.
    let page = counter.expect(200, get("/orders").bearer(&ada)).await.json();
    assert_eq!(page["items"].as_array().map(Vec::len), Some(20));
    let first = &page["items"][0];
    assert_eq!(
        (&first["item_count"], &first["pieces"], &first["total"]["amount"]),
        (&1.into(), &2.into(), &2500.into())
    );
    let all = pages(&counter, &counter.admin, "all=true&limit=4", async || {}).await;
    assert_eq!(all.len(), 30);
    let times: Vec<_> = all.iter().map(|item| text(item, "created_at")).collect();
    assert!(times.is_sorted_by(|newer, older| newer >= older), "{times:?}");

    // By where they stand, of orders that stood elsewhere before.
    for id in hers.iter().step_by(3) {
        counter.expect(200, cancel(&ada, id)).await;
    }
    let stands = async |status: &str| {
        let items = pages(&counter, &ada, &format!("status={status}&limit=3"), async || {}).await;
        assert!(items.iter().all(|item| item["status"] == status), "{items:#?}");
        ids(&items)
    };
    let cancelled: Vec<_> = hers.iter().step_by(3).cloned().collect();
    assert_eq!(stands("cancelled").await, cancelled);
    let others = hers.iter().filter(|id| !cancelled.contains(id));
    assert_eq!(stands("confirmed").await, others.cloned().collect::<Vec<_>>());
    for status in ["pending", "reserved", "rejected", "expired", "cancelling"] {
        assert_eq!(stands(status).await, [""; 0]);
    }
}

#[tokio::test]
async fn orders_that_come_in_between_two_pages_shift_nothing() {
    let counter = Counter::open().await;
    let ada = counter.customer("ada").await;
    let lamp = counter.stocked("LAMP", 1000).await;
    let place = |name: String| {
        let (counter, ada, lamp) = (&counter, &ada, &lamp);
        async move { text(&counter.placed(ada, &name, &[(lamp, 1)]).await, "id") }
    };
    let mut before = BTreeSet::new();
    for number in 0..20 {
        before.insert(place(format!("before-{number}")).await);
    }
    let mut turn = 0;
    let items = pages(&counter, &ada, "limit=3", async || {
        turn += 1;
        at_once((0..4).map(|number| place(format!("between-{turn}-{number}")))).await;
    })
    .await;
    let found = ids(&items);
    let unique: BTreeSet<_> = found.iter().cloned().collect();
    assert_eq!((found.len(), unique), (20, before));
    assert!(turn >= 6);

    // While others write all the time: whatever was there when the listing began is on one page of it.
    let before: BTreeSet<_> = ids(&pages(&counter, &ada, "limit=100", async || {}).await)
        .into_iter()
        .collect();
    let writing = async {
        for number in 0..30 {
            counter
                .expect(201, order(&ada, &format!("beside-{number}"), &[(&lamp, 1)]))
                .await;
        }
    };
    let reading = async {
        for _ in 0..3 {
            let found = ids(&pages(&counter, &ada, "limit=5", async || {}).await);
            let unique: BTreeSet<_> = found.iter().cloned().collect();
            assert_eq!(found.len(), unique.len(), "{found:?}");
            assert!(unique.is_superset(&before));
        }
    };
    tokio::join!(writing, reading);
}
