//! Cancelling: what it gives back, until when, and what is left to cancel.

use serde_json::Value;

use super::{Counter, cancel, order, read};
use crate::harness::eventually;
use crate::shop::client::{at_once, text};
use crate::shop::{delete, shop, sqlite, variable};

#[tokio::test]
async fn a_confirmed_order_that_is_cancelled_gives_its_stock_back_once() {
    let counter = Counter::open().await;
    let ada = counter.customer("ada").await;
    let (lamp, shade) = (
        counter.stocked("LAMP", 10).await,
        counter.stocked("SHADE", 5).await,
    );
    let placed = counter.placed(&ada, "key", &[(&lamp, 3), (&shade, 5)]).await;
    let id = text(&placed, "id");
    assert_eq!(counter.pieces(&lamp).await, (7, 7));
    let cancelled = counter.expect(200, cancel(&ada, &id)).await.json();
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(cancelled["items"], placed["items"]);
    assert_eq!(cancelled["cancellable_until"], Value::Null);
    for _ in 0..3 {
        assert_eq!(counter.expect(200, cancel(&ada, &id)).await.json(), cancelled);
    }
    at_once((0..8).map(|_| counter.expect(200, cancel(&ada, &id)))).await;
    assert_eq!(counter.pieces(&lamp).await, (10, 10));
    assert_eq!(counter.pieces(&shade).await, (5, 5));
    // What came back is for sale.
    counter.placed(&ada, "next", &[(&shade, 5)]).await;
}

#[tokio::test]
async fn many_who_cancel_one_order_at_once_give_its_stock_back_once() {
    let counter = Counter::open().await;
    let ada = counter.customer("ada").await;
    let lamp = counter.stocked("LAMP", 10).await;
    for round in 0..4 {
        let placed = counter.placed(&ada, &format!("r{round}"), &[(&lamp, 10)]).await;
        let id = text(&placed, "id");
        let answers = at_once((0..16).map(|_| counter.send(cancel(&ada, &id)))).await;
        for answer in &answers {
            assert_eq!(
                (answer.status.as_u16(), &answer.json()["status"]),
                (200, &"cancelled".into())
            );
        }
        assert_eq!(counter.pieces(&lamp).await, (10, 10));
    }
}

#[tokio::test]
async fn what_came_to_nothing_or_was_shipped_is_not_cancelled() {
    let counter = Counter::open_with(&variable(shop().await, "cancellation_seconds", "0")).await;
    let ada = counter.customer("ada").await;
    let lamp = counter.stocked("LAMP", 10).await;
    let placed = counter.placed(&ada, "key", &[(&lamp, 3)]).await;
    let problem = counter
        .expect(409, cancel(&ada, &text(&placed, "id")))
        .await
        .json();
    assert!(text(&problem, "type").ends_with("/NotCancellable"), "{problem}");
    assert_eq!(problem["order_status"], "confirmed");
    assert_eq!(problem["cancellable_until"], placed["cancellable_until"]);
    assert_eq!(counter.status(&ada, &text(&placed, "id")).await, "confirmed");
    assert_eq!(counter.pieces(&lamp).await, (7, 7));

    let short = counter
        .expect(409, order(&ada, "many", &[(&lamp, 8)]))
        .await
        .json();
    let problem = counter.expect(409, cancel(&ada, &text(&short, "order_id"))).await;
    assert_eq!(problem.json()["order_status"], "rejected");
    counter
        .expect(404, cancel(&ada, "019b79d0-2c00-7a3b-9c41-5d0f3a6e8b21"))
        .await;
    counter.expect(404, cancel(&ada, "none")).await;
}

/// An order whose stock could not be asked for stays pending; cancelled then, it never takes any.
#[tokio::test]
async fn an_order_that_is_not_confirmed_yet_can_be_cancelled() {
    let builder = variable(shop().await, "reservation_seconds", "86400");
    let counter = Counter::open_with(&builder).await;
    let ada = counter.customer("ada").await;
    let lamp = counter.stocked("LAMP", 10).await;
    let call = order(&ada, "key", &[(&lamp, 3)]);
    // Prices can be read while somebody else holds the write lock, stock cannot be held.
    let catalog = sqlite::database(&counter.announcement, "catalog");
    let lock = sqlite::Lock::take(&catalog).await;
    counter.expect(503, call.clone()).await;
    let page = counter
        .expect(200, crate::shop::get("/orders?status=pending").bearer(&ada))
        .await
        .json();
    let id = text(&page["items"][0], "id");
    let pending = counter.expect(200, read(&ada, &id)).await.json();
    assert_eq!(pending["status"], "pending");
    assert!(pending["expires_at"].is_string());
    // It is written down that it is to be cancelled, and comes to that once the catalog is back.
    counter.expect(503, cancel(&ada, &id)).await;
    lock.release().await;
    eventually("the order to be cancelled", async || {
        let answer = counter.send(cancel(&ada, &id)).await;
        answer.status == 200 && answer.json()["status"] == "cancelled"
    })
    .await;
    assert_eq!(counter.pieces(&lamp).await, (10, 10));
    let problem = counter.expect(409, call).await.json();
    assert_eq!(problem["order_status"], "cancelled");
    assert_eq!(counter.pieces(&lamp).await, (10, 10));
}

/// There is nowhere to put back what has left of a product that is no longer sold; the rest comes back.
#[tokio::test]
async fn an_order_of_a_product_that_is_gone_can_be_cancelled() {
    let counter = Counter::open().await;
    let ada = counter.customer("ada").await;
    let (lamp, gone) = (
        counter.stocked("LAMP", 10).await,
        counter.stocked("GONE", 2).await,
    );
    let placed = counter.placed(&ada, "key", &[(&lamp, 3), (&gone, 2)]).await;
    let path = format!("/catalog/products/{gone}");
    let remove = delete(path).bearer(&counter.admin).header("if-match", "*");
    counter.expect(204, remove).await;
    let cancelled = counter
        .expect(200, cancel(&ada, &text(&placed, "id")))
        .await
        .json();
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(counter.pieces(&lamp).await, (10, 10));
}
