//! Idempotency keys: what repeating a request does, and what it does not.

use serde_json::json;

use super::{Counter, cancel, order};
use crate::harness::Answer;
use crate::shop::client::{at_once, text};
use crate::shop::{Call, get};

async fn count(counter: &Counter, token: &str) -> usize {
    let page = counter
        .expect(200, get("/orders?limit=100").bearer(token))
        .await
        .json();
    page["items"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn repeating_a_request_repeats_its_answer() {
    let counter = Counter::open().await;
    let ada = counter.customer("ada").await;
    let (lamp, shade) = (
        counter.stocked("LAMP", 10).await,
        counter.stocked("SHADE", 10).await,
    );
    let call = order(&ada, "~key!", &[(&lamp, 3), (&shade, 1)]);
    let first = counter.expect(201, call.clone()).await;
    for _ in 0..3 {
        let again = counter.expect(201, call.clone()).await;
        assert_eq!(again.json(), first.json());
        assert_eq!(again.header("location"), first.header("location"));
    }
    // The order of items is the buyer's taste.
    let turned = order(&ada, "~key!", &[(&shade, 1), (&lamp.to_uppercase(), 3)]);
    assert_eq!(counter.expect(201, turned).await.json(), first.json());
    assert_eq!(counter.pieces(&lamp).await, (7, 7));
    assert_eq!(count(&counter, &ada).await, 1);

    // What became of it since is told; what was bought is not bought again.
    let id = text(&first.json(), "id");
    let cancelled = counter.expect(200, cancel(&ada, &id)).await.json();
    assert_eq!(counter.expect(201, call).await.json(), cancelled);
    assert_eq!(counter.pieces(&lamp).await, (10, 10));
}

#[tokio::test]
async fn a_key_stands_for_its_items_and_its_buyer() {
    let counter = Counter::open().await;
    let (ada, bob) = (counter.customer("ada").await, counter.customer("bob").await);
    let (lamp, shade) = (
        counter.stocked("LAMP", 10).await,
        counter.stocked("SHADE", 10).await,
    );
    let first = counter.placed(&ada, "key", &[(&lamp, 3)]).await;
    for items in [
        &[(lamp.as_str(), 2)][..],
        &[(shade.as_str(), 3)],
        &[(lamp.as_str(), 3), (shade.as_str(), 1)],
    ] {
        let problem = counter.expect(422, order(&ada, "key", items)).await.json();
        assert!(text(&problem, "type").ends_with("/KeyReused"), "{problem}");
    }
    // Keys are case-sensitive, and another buyer's key is another key.
    let others = [
        counter.placed(&ada, "Key", &[(&lamp, 3)]).await,
        counter.placed(&bob, "key", &[(&lamp, 3)]).await,
    ];
    for other in &others {
        assert_ne!(other["id"], first["id"]);
    }
    assert_ne!(others[1]["customer_id"], first["customer_id"]);
    assert_eq!(counter.pieces(&lamp).await, (1, 1));
    assert_eq!(counter.pieces(&shade).await, (10, 10));
}

#[tokio::test]
async fn requests_of_one_key_at_the_same_time_make_one_order() {
    let counter = Counter::open().await;
    let ada = counter.customer("ada").await;
    let lamp = counter.stocked("LAMP", 1000).await;
    for round in 0..4 {
        let call = order(&ada, &format!("round-{round}"), &[(&lamp, 4)]);
        let answers = at_once((0..16).map(|_| counter.send(call.clone()))).await;
        let busy = |answer: &&Answer| answer.status == 409;
        for answer in answers.iter().filter(busy) {
            let problem = answer.json();
            assert!(text(&problem, "type").ends_with("/InProgress"), "{problem}");
            assert_ne!(answer.header("retry-after"), "");
        }
        let mut placed: Vec<_> = answers
            .iter()
            .filter(|answer| answer.status == 201)
            .map(Answer::json)
            .collect();
        assert!(!placed.is_empty(), "{answers:#?}");
        assert_eq!(
            placed.len() + answers.iter().filter(busy).count(),
            16,
            "{answers:#?}"
        );
        placed.push(counter.expect(201, call).await.json());
        placed.dedup();
        assert_eq!(placed.len(), 1, "{placed:#?}");
        let left = 1000 - 4 * (round + 1);
        assert_eq!(counter.pieces(&lamp).await, (left, left));
    }
    assert_eq!(count(&counter, &ada).await, 4);
}

#[tokio::test]
async fn a_request_names_one_key() {
    let counter = Counter::open().await;
    let ada = counter.customer("ada").await;
    let lamp = counter.stocked("LAMP", 10).await;
    let call = order(&ada, "key", &[(&lamp, 1)]);
    counter.expect(400, call.clone().without("idempotency-key")).await;
    let mut twice = call.clone();
    twice
        .headers
        .push(("idempotency-key".to_owned(), "key".to_owned()));
    counter.expect(400, twice).await;
    for wrong in ["", "a b", &"k".repeat(65), "schlüssel"] {
        let problem = counter
            .expect(400, call.clone().header("idempotency-key", wrong))
            .await
            .json();
        assert!(text(&problem, "detail").contains("Idempotency-Key"), "{problem}");
    }
    for right in [
        "k",
        "\"quoted\"",
        "'; DROP TABLE orders_keys; --".replace(' ', "/").as_str(),
        &"k".repeat(64),
    ] {
        counter
            .expect(201, call.clone().header("idempotency-key", right))
            .await;
    }
    assert_eq!(counter.pieces(&lamp).await, (6, 6));
    // A key that was refused with its request is free.
    let wrong = Call::json(call.clone(), &json!({ "items": [] }));
    counter.expect(422, wrong).await;
    counter.expect(201, call).await;
}
