//! What keeps the services apart, and what a buyer notices when one of them does not answer.

use super::{Counter, order, read};
use crate::harness::eventually;
use crate::shop::application::{Shape, manifest, replace};
use crate::shop::client::text;
use crate::shop::{get, shop, sqlite};

async fn tables(counter: &Counter, service: &str) -> Vec<String> {
    let file = sqlite::database(&counter.announcement, service);
    let statement = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%';";
    sqlite::run(&file, statement).await
}

/// One label, three databases: what `orders` writes is in none but its own.
#[tokio::test]
async fn the_label_that_all_services_have_is_another_database_in_each() {
    let counter = Counter::open().await;
    let ada = counter.customer("ada").await;
    let lamp = counter.stocked("LAMP", 10).await;
    counter.placed(&ada, "key", &[(&lamp, 1)]).await;
    let services = ["auth", "catalog", "orders"];
    let files = services.map(|service| sqlite::database(&counter.announcement, service));
    assert!(
        files[0] != files[1] && files[1] != files[2] && files[0] != files[2],
        "{files:?}"
    );
    for service in services {
        let found = tables(&counter, service).await;
        let prefix = format!("{service}_");
        assert!(!found.is_empty());
        assert!(
            found.iter().all(|table| table.starts_with(&prefix)),
            "{service}: {found:?}"
        );
    }
}

#[tokio::test]
async fn every_call_between_services_is_counted() {
    let counter = Counter::open().await;
    let ada = counter.customer("ada").await;
    let lamp = counter.stocked("LAMP", 10).await;
    let calls = async |interface: &str, callee: &str| {
        let labels = [
            "caller=\"orders\"",
            &format!("callee=\"{callee}\""),
            &format!("interface=\"{interface}\""),
            "outcome=\"answered\"",
        ];
        counter
            .metric("midplane_link_calls_total", &labels)
            .await
            .unwrap_or_default()
    };
    let all = async || {
        [
            calls("shop:auth/tokens@1.0.0", "auth").await,
            calls("shop:catalog/products@1.1.0", "catalog").await,
            calls("shop:catalog/inventory@1.1.0", "catalog").await,
        ]
    };
    assert_eq!(all().await, [0.0; 3]);
    // Who is there, at what price; held, and gone.
    let placed = counter.placed(&ada, "key", &[(&lamp, 1)]).await;
    assert_eq!(all().await, [1.0, 1.0, 2.0]);
    counter.expect(200, read(&ada, &text(&placed, "id"))).await;
    assert_eq!(all().await, [2.0, 1.0, 2.0]);
    counter.expect(409, order(&ada, "many", &[(&lamp, 10)])).await;
    assert_eq!(all().await, [3.0, 2.0, 3.0]);
    // A refused token costs nothing more, and the document nothing at all.
    counter.expect(401, get("/orders").bearer("x")).await;
    counter.expect(200, get("/orders/openapi.json")).await;
    assert_eq!(all().await, [4.0, 2.0, 3.0]);
}

/// The manifest with a limit on the link to the stock.
async fn limited() -> String {
    replace(
        &manifest(Shape::PerService).await,
        "\"shop:catalog/inventory@1.1.0\" = { service = \"catalog\", timeout = \"5s\" }",
        "\"shop:catalog/inventory@1.1.0\" = { service = \"catalog\", timeout = \"200ms\" }",
    )
}

#[tokio::test]
async fn an_order_whose_stock_answers_too_late_is_unavailable_and_goes_on_later() {
    let builder = shop().await.manifest(limited().await);
    let counter = Counter::open_with(&builder).await;
    let ada = counter.customer("ada").await;
    let lamp = counter.stocked("LAMP", 10).await;
    let call = order(&ada, "key", &[(&lamp, 3)]);
    // Somebody else writes to the catalog, and does not end.
    let lock = sqlite::Lock::take(&sqlite::database(&counter.announcement, "catalog")).await;
    let answer = counter.expect(503, call.clone()).await;
    let problem = answer.json();
    assert!(
        text(&problem, "detail").contains("the catalog does not answer"),
        "{problem}"
    );
    assert!(
        !answer.text().contains("200"),
        "how it is made is nobody's business: {problem}"
    );
    let labels = [
        "callee=\"catalog\"",
        "interface=\"shop:catalog/inventory@1.1.0\"",
        "outcome=\"timeout\"",
    ];
    assert_eq!(
        counter.metric("midplane_link_calls_total", &labels).await,
        Some(1.0)
    );
    // Prices and tokens are there, and who orders is not held up by who cannot.
    counter.expect(200, get("/orders").bearer(&ada)).await;
    counter.expect(200, get("/auth/me").bearer(&ada)).await;
    lock.release().await;
    // The call that was given up may have held the stock all the same, or not: the order is the same one.
    eventually("the order to be confirmed", async || {
        counter.send(call.clone()).await.status == 201
    })
    .await;
    assert_eq!(counter.pieces(&lamp).await, (7, 7));
    let page = counter.expect(200, get("/orders").bearer(&ada)).await.json();
    assert_eq!(page["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn without_a_catalog_that_works_nothing_is_ordered_and_orders_can_be_read() {
    let builder = shop().await;
    let counter = Counter::open_with(&builder).await;
    let ada = counter.customer("ada").await;
    let lamp = counter.stocked("LAMP", 10).await;
    let placed = counter.placed(&ada, "key", &[(&lamp, 1)]).await;
    let id = text(&placed, "id");
    counter.shop.host.stop().await;

    // The same again, without the grant that the catalog lives from.
    let whole = manifest(Shape::PerService).await;
    let (before, after) = whole
        .split_once("[component.catalog]")
        .expect("the manifest has the service");
    let grant = "sqlite_databases = [\"default\"]";
    assert!(
        after.find(grant) < after.find("[component.orders]"),
        "it has its database"
    );
    let broken = format!(
        "{before}[component.catalog]{}",
        after.replacen(grant, "sqlite_databases = []", 1)
    );
    let builder = builder.manifest(broken);
    let counter = Counter::open_with(&builder).await;
    let answer = counter.expect(503, order(&ada, "other", &[(&lamp, 1)])).await;
    assert_ne!(answer.header("retry-after"), "");
    for inside in ["sqlite", "default", "store", "grant"] {
        assert!(!answer.text().contains(inside), "{answer:?}");
    }
    assert_eq!(counter.expect(200, read(&ada, &id)).await.json(), placed);
    // What was confirmed stays so, and is told to who asks again.
    let again = counter.expect(201, order(&ada, "key", &[(&lamp, 1)])).await;
    assert_eq!(again.json(), placed);
    // Cancelling is written down and goes on when it can.
    counter.expect(503, super::cancel(&ada, &id)).await;
    assert_eq!(counter.status(&ada, &id).await, "cancelling");
    counter.shop.host.stop().await;

    let counter = Counter::open_with(&builder.manifest(whole)).await;
    assert_eq!(
        counter.status(&ada, &id).await,
        "cancelled",
        "{}",
        counter.log_text()
    );
    assert_eq!(counter.pieces(&lamp).await, (10, 10));
}
