//! Stock under many hands at once.

use serde_json::json;

use crate::harness::Answer;
use crate::shop::client::{at_once, product, text};
use crate::shop::{Shop, get, post, shop};

fn with(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

#[tokio::test]
async fn of_sixty_four_buyers_of_ten_pieces_ten_get_one_also_over_a_restart() {
    let builder = shop().await;
    let shop = Shop::start(&builder).await;
    let admin = shop.admin().await;
    let id = text(&shop.create(&admin, &product("SKU-1", 10)).await, "id");
    let call = |number: usize| Shop::reservation(&admin, &format!("buyer-{number}"), &id, 1, 86_400);
    let answers = at_once((0..64).map(|number| shop.send(call(number)))).await;
    assert_eq!(
        (with(&answers, 201), with(&answers, 409)),
        (10, 54),
        "{answers:#?}"
    );
    let stock = shop.product(&id).await;
    assert_eq!((&stock["stock"], &stock["available"]), (&10.into(), &0.into()));
    shop.host.stop().await;

    let shop = Shop::start(&builder).await;
    assert_eq!(shop.product(&id).await, stock);
    // The same again: who has one has it, and nobody else gets one.
    let again = at_once((0..64).map(|number| shop.send(call(number)))).await;
    for (first, second) in answers.iter().zip(&again) {
        let expected = if first.status == 201 { 200 } else { 409 };
        assert_eq!(second.status, expected, "{second:?}");
    }
    // All at once, and each of them twice: half are committed, half released.
    let winners: Vec<_> = (0..64).filter(|number| answers[*number].status == 201).collect();
    let settle = winners.iter().enumerate().flat_map(|(place, number)| {
        let action = if place % 2 == 0 { "commit" } else { "release" };
        let call = post(format!("/catalog/reservations/buyer-{number}/{action}")).bearer(&admin);
        [shop.expect(200, call.clone()), shop.expect(200, call)]
    });
    at_once(settle).await;
    let stock = shop.product(&id).await;
    assert_eq!((&stock["stock"], &stock["available"]), (&5.into(), &5.into()));
}

#[tokio::test]
async fn buyers_of_the_same_id_make_one_reservation() {
    let shop = Shop::start(&shop().await).await;
    let admin = shop.admin().await;
    let id = text(&shop.create(&admin, &product("SKU-1", 10)).await, "id");
    let answers = at_once((0..16).map(|_| shop.send(Shop::reservation(&admin, "one", &id, 4, 600)))).await;
    assert_eq!(
        (with(&answers, 201), with(&answers, 200)),
        (1, 15),
        "{answers:#?}"
    );
    assert!(
        answers.iter().all(|answer| answer.json() == answers[0].json()),
        "{answers:#?}"
    );
    assert_eq!(shop.product(&id).await["available"], 6);
}

#[tokio::test]
async fn committing_and_releasing_at_once_does_one_of_them() {
    let shop = Shop::start(&shop().await).await;
    let admin = shop.admin().await;
    let id = text(&shop.create(&admin, &product("SKU-1", 80)).await, "id");
    let mut committed = 0;
    for round in 0..8 {
        shop.expect(201, Shop::reservation(&admin, &format!("r{round}"), &id, 10, 600))
            .await;
        let act =
            |action: &str| shop.send(post(format!("/catalog/reservations/r{round}/{action}")).bearer(&admin));
        let answers = at_once(["commit", "release", "commit", "release"].map(act)).await;
        assert_eq!((with(&answers, 200), with(&answers, 409)), (2, 2), "{answers:#?}");
        let state = shop
            .expect(200, get(format!("/catalog/reservations/r{round}")).bearer(&admin))
            .await
            .json();
        committed += u64::from(state["state"] == "committed");
        let stock = shop.product(&id).await;
        assert_eq!(stock["stock"], 80 - 10 * committed);
        assert_eq!(stock["available"], stock["stock"]);
    }
}

#[tokio::test]
async fn buyers_of_several_products_in_any_order_get_all_or_none() {
    let shop = Shop::start(&shop().await).await;
    let admin = shop.admin().await;
    let (a, b) = (
        shop.create(&admin, &product("A-1", 10)).await,
        shop.create(&admin, &product("B-1", 7)).await,
    );
    let (a, b) = (text(&a, "id"), text(&b, "id"));
    let calls = (0..32).map(|number| {
        let mut lines = [
            json!({ "product_id": a, "quantity": 1 }),
            json!({ "product_id": b, "quantity": 1 }),
        ];
        if number % 2 == 0 {
            lines.reverse();
        }
        let body = json!({ "id": format!("r{number}"), "lines": lines, "ttl_seconds": 600 });
        shop.send(post("/catalog/reservations").bearer(&admin).json(&body))
    });
    let answers = at_once(calls).await;
    assert_eq!(
        (with(&answers, 201), with(&answers, 409)),
        (7, 25),
        "{answers:#?}"
    );
    assert_eq!(shop.product(&a).await["available"], 3);
    assert_eq!(shop.product(&b).await["available"], 0);
}
