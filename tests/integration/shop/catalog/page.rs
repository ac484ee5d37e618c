//! Listings page by page: each product once, whatever happens meanwhile.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::shop::client::{at_once, text};
use crate::shop::{Shop, delete, get, shop};

/// A product that shares name and price with many.
fn alike(sku: &str, number: usize) -> Value {
    let (name, amount) = [("same", 700), ("Same", 700), ("other", 800)][number % 3];
    json!({ "sku": sku, "name": name, "category": "alike", "price": { "amount": amount, "currency": "EUR" } })
}

/// One page: its products' numbers, and where the next begins.
async fn page(shop: &Shop, parameters: &str, cursor: Option<&str>) -> (Vec<String>, Option<String>) {
    let cursor = cursor
        .map(|cursor| format!("&cursor={cursor}"))
        .unwrap_or_default();
    let page = shop
        .expect(200, get(format!("/catalog/products?{parameters}{cursor}")))
        .await
        .json();
    let items = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| text(item, "sku"))
        .collect();
    (items, page["next_cursor"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn the_pages_of_a_listing_are_the_listing() {
    let shop = Shop::start(&shop().await).await;
    let admin = shop.admin().await;
    at_once((0..23).map(|number| {
        let (shop, admin) = (&shop, &admin);
        async move {
            shop.create(admin, &alike(&format!("A-{number:02}"), number))
                .await
        }
    }))
    .await;
    for sort in ["name", "price", "created"] {
        let whole: Vec<_> = shop
            .list(&format!("sort={sort}"))
            .await
            .iter()
            .map(|item| text(item, "sku"))
            .collect();
        assert_eq!(whole.iter().collect::<BTreeSet<_>>().len(), 35);
        for limit in [1, 2, 7, 34, 35, 36] {
            let parameters = format!("sort={sort}&limit={limit}");
            let (mut walked, mut cursor) = page(&shop, &parameters, None).await;
            let mut pages = 1;
            while let Some(at) = cursor {
                let (items, next) = page(&shop, &parameters, Some(&at)).await;
                assert!(!items.is_empty(), "{parameters}: a page without products");
                walked.extend(items);
                cursor = next;
                pages += 1;
            }
            assert_eq!(walked, whole, "{parameters}");
            assert_eq!(pages, 35_usize.div_ceil(limit), "{parameters}");
        }
    }
    // The same, of what a filter leaves.
    let (items, next) = page(&shop, "category=alike&limit=20&q=same", None).await;
    assert_eq!((items.len(), next), (16, None));
}

#[tokio::test]
async fn products_that_come_and_go_meanwhile_shift_nothing() {
    let shop = Shop::start(&shop().await).await;
    let admin = shop.admin().await;
    for number in 0..12 {
        shop.create(&admin, &alike(&format!("A-{number:02}"), number))
            .await;
    }
    for sort in ["name", "price", "created"] {
        let parameters = format!("sort={sort}&limit=3");
        let before: Vec<_> = shop.list(&format!("sort={sort}")).await;
        let mut expected: Vec<_> = before.iter().map(|item| text(item, "sku")).collect();
        let (mut walked, mut cursor) = page(&shop, &parameters, None).await;
        let mut round = 0;
        while let Some(at) = cursor {
            // Some before and some behind the place of the cursor; and one that was already listed goes.
            let added = (0..3).map(|number| {
                let (shop, admin) = (&shop, &admin);
                let sku = format!("{}-{round}-{number}", sort.to_uppercase());
                async move { shop.create(admin, &alike(&sku, number)).await }
            });
            at_once(added).await;
            if round == 1 {
                let gone = before.iter().find(|item| text(item, "sku") == walked[0]).unwrap();
                let path = format!("/catalog/products/{}", text(gone, "id"));
                shop.expect(204, delete(path).bearer(&admin).header("if-match", "*"))
                    .await;
            }
            // And one that was still to come.
            if round == 2 {
                let last = before.iter().rev().find(|item| text(item, "category") == "alike");
                let last = last
                    .filter(|item| !walked.contains(&text(item, "sku")))
                    .expect("one is to come");
                let path = format!("/catalog/products/{}", text(last, "id"));
                shop.expect(204, delete(path).bearer(&admin).header("if-match", "*"))
                    .await;
                expected.retain(|sku| *sku != text(last, "sku"));
            }
            let (items, next) = page(&shop, &parameters, Some(&at)).await;
            walked.extend(items);
            cursor = next;
            round += 1;
            // In this order, what is new is always ahead: the walk ends because adding does.
            if round == 6 {
                break;
            }
        }
        while let Some(at) = cursor.take() {
            let (items, next) = page(&shop, &parameters, Some(&at)).await;
            walked.extend(items);
            cursor = next;
        }
        let distinct: BTreeSet<_> = walked.iter().collect();
        assert_eq!(distinct.len(), walked.len(), "{sort}: repeated in {walked:?}");
        walked.retain(|sku| expected.contains(sku));
        assert_eq!(walked, expected, "{sort}");
    }
}
