//! Finding products: search, filters, order, and parameters that are none.

use serde_json::{Value, json};

use crate::shop::client::text;
use crate::shop::{Shop, get, shop};

fn skus(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| text(item, "sku")).collect()
}

/// Percent-encodes whatever is not a letter or digit.
fn encoded(text: &str) -> String {
    let encode = |byte: &u8| match byte.is_ascii_alphanumeric() {
        true => char::from(*byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.as_bytes().iter().map(encode).collect()
}

#[tokio::test]
async fn a_newcomer_finds_a_dozen_products() {
    let shop = Shop::start(&shop().await).await;
    let all = shop.list("").await;
    assert_eq!(all.len(), 12);
    assert_eq!(text(&all[0], "sku"), "LGT-0101");
    for item in &all {
        assert_eq!(shop.product(&text(item, "id")).await, *item);
    }
    // Nobody needs to know the order's name to get the default.
    assert_eq!(shop.list("sort=created").await, all);
    let page = shop.expect(200, get("/catalog/products")).await.json();
    assert_eq!(page["items"].as_array().unwrap(), &all);
    assert_eq!(page["next_cursor"], Value::Null);
}

#[tokio::test]
async fn products_are_found_by_words_category_price_and_stock() {
    let shop = Shop::start(&shop().await).await;
    let admin = shop.admin().await;
    for (sku, name, description, amount, stock) in [
        ("X-1", "100% wool_blanket", "A back\\slash and 'quotes'.", 0, 1),
        ("X-2", "Wool scarf", "100 % new", 1_000_000_000_000_u64, 0),
        ("X-3", "Ärmel", "Ünïcode 💡", 5000, 3),
    ] {
        let product = json!({
            "sku": sku, "name": name, "description": description, "category": "x-y",
            "price": { "amount": amount, "currency": "JPY" }, "stock": stock,
        });
        shop.create(&admin, &product).await;
    }
    let x3 = text(&shop.list("q=%C3%84rmel").await[0], "id");
    shop.expect(201, Shop::reservation(&admin, "all", &x3, 3, 600))
        .await;
    for (parameters, found) in [
        ("q=lamp", &["LGT-0101", "LGT-0102"][..]),
        ("q=LAMPSHADE", &["LGT-0102"]),
        // All words, in any order, in name or description; also parts of words.
        ("q=dimmer+desk", &["LGT-0101"]),
        ("q=desk+tent", &[]),
        ("q=wool", &["X-1", "X-2"]),
        ("category=x-y", &["X-1", "X-2", "X-3"]),
        ("category=x", &[]),
        ("category=x-y&q=wool&in_stock=true", &["X-1"]),
        ("category=x-y&in_stock=false", &["X-2", "X-3"]),
        ("category=x-y&min_price=1", &["X-2", "X-3"]),
        ("category=x-y&max_price=0", &["X-1"]),
        ("min_price=1000000000000", &["X-2"]),
        ("min_price=5000&max_price=5000", &["X-3"]),
        ("min_price=4950&max_price=4950", &["LGT-0102"]),
        ("category=x-y&sort=price", &["X-1", "X-3", "X-2"]),
        ("category=x-y&sort=name", &["X-1", "X-2", "X-3"]),
    ] {
        assert_eq!(skus(&shop.list(parameters).await), found, "{parameters}");
    }
    // Nothing that is typed means anything else than itself.
    for (typed, found) in [
        ("100%", &["X-1"][..]),
        ("%", &["X-1", "X-2"]),
        ("_", &["X-1"]),
        ("l_b", &["X-1"]),
        ("w__l", &[]),
        ("\\", &["X-1"]),
        ("'quotes'", &["X-1"]),
        ("' OR '1'='1", &[]),
        ("'; DROP TABLE catalog_products; --", &[]),
        ("*", &[]),
        ("\"wool", &[]),
        ("💡", &["X-3"]),
    ] {
        let parameters = format!("category=x-y&q={}", encoded(typed));
        assert_eq!(skus(&shop.list(&parameters).await), found, "{typed}");
    }
    assert_eq!(shop.list("").await.len(), 15);
}

#[tokio::test]
async fn each_order_is_total_and_ascending() {
    let shop = Shop::start(&shop().await).await;
    for sort in ["name", "price", "created"] {
        let key = |item: &Value| match sort {
            "name" => text(item, "name").to_ascii_lowercase(),
            "price" => format!("{:020}", item["price"]["amount"].as_u64().expect("an amount")),
            // A whole second is written without a fraction, which is no order of texts.
            _ => match text(item, "created_at").trim_end_matches('Z') {
                whole if !whole.contains('.') => format!("{whole}.000"),
                fraction => fraction.to_owned(),
            },
        };
        let keys: Vec<_> = shop.list(&format!("sort={sort}")).await.iter().map(key).collect();
        assert_eq!(keys.len(), 12);
        assert!(keys.is_sorted(), "{sort}: {keys:?}");
    }
}

#[tokio::test]
async fn parameters_that_are_none_are_refused() {
    let shop = Shop::start(&shop().await).await;
    let long = "a".repeat(101);
    for parameters in [
        "colour=red",
        "Limit=5",
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=ten",
        "limit=",
        "limit=1&limit=2",
        "limit=99999999999999999999",
        "sort=size",
        "sort=",
        "sort=NAME",
        "in_stock=yes",
        "min_price=-1",
        "min_price=1.5",
        "min_price=1000000000001",
        "min_price=2&max_price=1",
        "category=",
        "category=Desk%20Lamps",
        "category='%20OR%201=1",
        "q=",
        "q=%20",
        "q=a%00b",
        "q=%FF",
        "q=a+b+c+d+e+f+g+h+i",
        &format!("q={long}"),
        "cursor=",
        "cursor=nonsense",
        "cursor=e30",
        "cursor=W10",
        &format!("cursor={}", "A".repeat(1025)),
        // Cursors that nobody was given: another shape, a string where a number has to be, SQL.
        &format!(
            "cursor={}",
            crate::shop::token::encode(br#"[{"price":"0) OR 1=1 --"},"x"]"#)
        ),
        &format!(
            "cursor={}",
            crate::shop::token::encode(br#"[{"created":0},"x' OR '1'='1"]"#)
        ),
        &format!(
            "cursor={}",
            crate::shop::token::encode(br#"[{"created":-1},"019b79d0-2c00-7a3b-9c41-5d0f3a6e8b21"]"#)
        ),
    ] {
        shop.expect(400, get(format!("/catalog/products?{parameters}")))
            .await;
    }
    // A cursor of one order leads nowhere in another.
    let page = shop
        .expect(200, get("/catalog/products?limit=1&sort=price"))
        .await
        .json();
    let next = text(&page, "next_cursor");
    let other = shop
        .expect(400, get(format!("/catalog/products?sort=name&cursor={next}")))
        .await;
    assert_eq!(other.json()["errors"][0]["parameter"], "cursor");
    for path in [
        "/catalog/openapi.json",
        "/catalog/products/019b79d0-2c00-7a3b-9c41-5d0f3a6e8b21",
    ] {
        shop.expect(400, get(format!("{path}?x=1"))).await;
    }
}
