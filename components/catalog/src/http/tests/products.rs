//! `/catalog/products`.

use super::*;

#[test]
fn a_newcomer_sees_a_dozen_products() {
    let answer = Shop::seeded().get("/catalog/products");
    assert_eq!(answer.status, 200);
    let items = answer.body["items"].as_array().unwrap();
    assert_eq!((items.len(), &answer.body["next_cursor"]), (12, &Value::Null));
    assert_eq!(items[0]["name"], "Arc desk lamp");
    assert_eq!(items[0]["price"], json!({ "amount": 8900, "currency": "EUR" }));
}

#[test]
fn a_product_is_created_read_updated_and_deleted() {
    let shop = Shop::empty();
    let created = shop.post("/catalog/products", &lamp("LAMP-1"));
    assert_eq!(created.status, 201);
    let path = created.header("location");
    assert_eq!(
        path,
        format!("/catalog/products/{}", created.body["id"].as_str().unwrap())
    );
    assert_eq!(created.header("etag"), "\"1-0-0\"");
    assert_eq!(created.body["created_at"], "2026-01-01T12:00:00Z");
    let read = shop.get(path);
    assert_eq!(
        (read.status, &read.body, read.header("etag")),
        (200, &created.body, "\"1-0-0\"")
    );
    shop.clock.set(NOW * 1000 + 250);
    let mut change = lamp("LAMP-2");
    change["price"]["amount"] = 0.into();
    change.as_object_mut().unwrap().remove("description");
    let updated = shop.put(path, created.header("etag"), &change);
    assert_eq!((updated.status, updated.header("etag")), (200, "\"2-0-0\""));
    assert_eq!(updated.body["description"], "", "it is overwritten whole");
    assert_eq!(updated.body["updated_at"], "2026-01-01T12:00:00.250Z");
    assert_eq!(shop.get(path).body, updated.body);
    let deleted = shop.request("DELETE", path, &[("if-match", updated.header("etag"))], None);
    assert_eq!((deleted.status, &deleted.body), (204, &Value::Null));
    assert_eq!(shop.get(path).status, 404);
}

#[test]
fn a_tag_that_still_holds_is_304() {
    let shop = Shop::empty();
    let (path, _) = shop.product("A", 5);
    let get = |tags: &str| shop.request("GET", &path, &[("if-none-match", tags)], None);
    for fresh in ["\"1-5-5\"", "W/\"1-5-5\"", "\"x\", \"1-5-5\"", "*"] {
        let answer = get(fresh);
        assert_eq!(
            (answer.status, answer.header("etag"), &answer.body),
            (304, "\"1-5-5\"", &Value::Null),
            "{fresh}"
        );
    }
    assert_eq!(get("\"1-5-4\"").status, 200);
    assert_eq!(get("1-5-5").status, 400);
    shop.request(
        "PUT",
        &format!("{path}/stock"),
        &[],
        Some(&json!({ "on_hand": 6 })),
    );
    let changed = get("\"1-5-5\"");
    assert_eq!(
        (changed.status, changed.header("etag")),
        (200, "\"1-6-6\""),
        "a count is seen"
    );
}

#[test]
fn changing_needs_the_version_that_it_is_based_on() {
    let shop = Shop::empty();
    let (path, _) = shop.product("A", 5);
    for method in ["PUT", "DELETE"] {
        let send = |headers: &[(&str, &str)]| {
            let body = lamp("A");
            shop.request(method, &path, headers, (method == "PUT").then_some(&body))
                .status
        };
        assert_eq!(send(&[]), 428);
        assert_eq!(send(&[("if-match", "1-5-5")]), 400);
        for stale in ["\"2-5-5\"", "\"x\"", "\"\"", "W/\"1-5-5\"", "\"01-5-5\""] {
            assert_eq!(send(&[("if-match", stale)]), 412, "{method} {stale}");
        }
    }
    assert_eq!(
        shop.put(&path, "\"9-9-9\", \"1-4-2\"", &lamp("A")).status,
        200,
        "stock may have moved"
    );
    let lost = shop.put(&path, "\"1-5-5\"", &lamp("A"));
    assert_eq!((lost.status, &lost.body["version"]), (412, &json!(2)));
    assert_eq!(shop.put(&path, "*", &lamp("A")).body["version"], 3);
    let absent = "/catalog/products/00000000-0000-7000-8000-000000000000";
    assert_eq!(shop.put(absent, "*", &lamp("A")).status, 404);
    assert_eq!(
        shop.request("DELETE", absent, &[("if-match", "*")], None).status,
        404
    );
}

#[test]
fn a_taken_sku_is_409() {
    let shop = Shop::empty();
    shop.product("A", 0);
    let (path, _) = shop.product("B", 0);
    let taken = shop.post("/catalog/products", &lamp("A"));
    assert_eq!((taken.status, &taken.body["pointer"]), (409, &json!("/sku")));
    assert_eq!(shop.put(&path, "*", &lamp("A")).status, 409);
}

#[test]
fn stock_is_counted_and_not_below_what_is_held() {
    let shop = Shop::empty();
    let (path, id) = shop.product("A", 5);
    let stock = format!("{path}/stock");
    let count = |on_hand: Value| shop.request("PUT", &stock, &[], Some(&json!({ "on_hand": on_hand })));
    let reserve = json!({ "id": "r", "lines": [{ "product_id": id, "quantity": 3 }], "ttl_seconds": 60 });
    assert_eq!(shop.post("/catalog/reservations", &reserve).status, 201);
    let counted = count(json!(4));
    assert_eq!((counted.status, counted.header("etag")), (200, "\"1-4-1\""));
    let held = count(json!(2));
    assert_eq!((held.status, &held.body["held"]), (409, &json!(3)));
    assert_eq!(
        shop.request("DELETE", &path, &[("if-match", "*")], None).status,
        409
    );
    for bad in [json!(-1), json!(1_000_000_001), json!(i64::MIN)] {
        assert_eq!(
            (count(bad.clone()).status, count(bad).places()),
            (422, vec!["/on_hand"])
        );
    }
    for malformed in [json!(1.5), json!("1"), json!(null), json!(1e30)] {
        assert_eq!(count(malformed).status, 400);
    }
    assert_eq!(
        shop.get(&path).header("etag"),
        "\"1-4-1\"",
        "nothing else was written"
    );
    let absent = "/catalog/products/x/stock";
    assert_eq!(
        shop.request("PUT", absent, &[], Some(&json!({ "on_hand": 1 })))
            .status,
        404
    );
}

#[test]
fn pages_follow_each_other_by_cursor() {
    let shop = Shop::seeded();
    for sort in ["name", "price", "created"] {
        let (mut path, mut names) = (format!("/catalog/products?sort={sort}&limit=5"), Vec::new());
        for size in [5, 5, 2] {
            let page = shop.get(&path).body;
            assert_eq!(page["items"].as_array().unwrap().len(), size, "{sort}");
            names.extend(
                page["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|p| p["name"].to_string()),
            );
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            path = format!("/catalog/products?sort={sort}&limit=5&cursor={cursor}");
        }
        let all = shop.get(&format!("/catalog/products?sort={sort}&limit=100")).body;
        let all: Vec<_> = all["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p["name"].to_string())
            .collect();
        assert_eq!((names.len(), names), (12, all), "{sort}");
    }
}

#[test]
fn a_listing_is_narrowed_by_every_parameter() {
    let shop = Shop::seeded();
    let count = |query: &str| {
        let answer = shop.get(&format!("/catalog/products?{query}"));
        assert_eq!(answer.status, 200, "{query}: {}", answer.body);
        answer.body["items"].as_array().unwrap().len()
    };
    assert_eq!(count("q=lamp"), 2);
    assert_eq!(count("q=LAMP%20dimmer"), 1);
    assert_eq!(count("q=%25"), 0, "a percent sign is one");
    assert_eq!(count("category=kitchen"), 3);
    assert_eq!(count("category=kitchen&in_stock=true"), 2);
    assert_eq!(count("in_stock=false"), 1);
    assert_eq!(count("min_price=17900&max_price=21900"), 2);
    assert_eq!(count("max_price=0"), 0);
    for injection in [
        "q='%20OR%201=1--",
        "q=%27%3B%20DROP%20TABLE%20catalog_products%3B--",
        "q=%22",
    ] {
        assert_eq!(count(injection), 0);
    }
    assert_eq!(count("limit=100"), 12);
}

#[test]
fn parameters_that_do_not_fit_are_400() {
    let shop = Shop::seeded();
    let cursor = shop.get("/catalog/products?sort=price&limit=1").body["next_cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    let long = format!("q={}", "a".repeat(101));
    for (query, place) in [
        ("limit=0", Some("limit")),
        ("limit=101", Some("limit")),
        ("limit=-5", Some("limit")),
        ("min_price=-1", Some("min_price")),
        ("max_price=1000000000001", Some("max_price")),
        ("min_price=2&max_price=1", Some("min_price")),
        ("category=Kitchen", Some("category")),
        ("category=x'--", Some("category")),
        ("q=", Some("q")),
        ("q=%00", Some("q")),
        (&long, Some("q")),
        (&format!("sort=name&cursor={cursor}"), Some("cursor")),
        ("cursor=x", None),
        ("cursor=W10", None),
        ("limit=x", None),
        ("limit=1&limit=2", None),
        ("in_stock=yes", None),
        ("sort=id", None),
        ("sort=name;DROP", None),
        ("colour=red", None),
        ("q=%ff", None),
    ] {
        let answer = shop.get(&format!("/catalog/products?{query}"));
        assert_eq!(answer.status, 400, "{query}");
        if let Some(place) = place {
            assert_eq!(answer.places(), [place], "{query}");
        }
    }
    for path in ["/catalog/products/x?a=1", "/catalog/openapi.json?a=1"] {
        assert_eq!(shop.get(path).status, 400, "{path}");
    }
    assert_eq!(
        shop.post("/catalog/products?dry_run=true", &lamp("A")).status,
        400
    );
}

#[test]
fn bodies_that_do_not_fit_are_told_why() {
    let shop = Shop::empty();
    let with = |pointer: &str, value: Value| {
        let mut body = lamp("A");
        *body.pointer_mut(pointer).unwrap() = value;
        shop.post("/catalog/products", &body)
    };
    for (pointer, value) in [
        ("/price/amount", json!(-1)),
        ("/price/amount", json!(1_000_000_000_001_i64)),
        ("/price/currency", json!("euro")),
        ("/sku", json!("a b")),
        ("/name", json!("")),
        ("/name", json!("x".repeat(121))),
        ("/name", json!("a\u{0}b")),
        ("/description", json!("x".repeat(2001))),
        ("/category", json!("Not A Slug")),
    ] {
        let answer = with(pointer, value);
        assert_eq!(
            (answer.status, answer.places()),
            (422, vec![pointer]),
            "{pointer}"
        );
    }
    for (pointer, value) in [
        ("/price/amount", json!(19.99)),
        ("/price/amount", json!("1999")),
        ("/price/amount", json!(1e40)),
        ("/name", json!(null)),
        ("/name", json!(["x"])),
        ("/price", json!(1999)),
    ] {
        let answer = with(pointer, value);
        assert_eq!(
            (answer.status, answer.places()),
            (400, vec![pointer]),
            "{pointer}"
        );
    }
    let mut unknown = lamp("A");
    unknown["colour"] = "red".into();
    assert_eq!(shop.post("/catalog/products", &unknown).places(), ["/colour"]);
    let mut many = lamp("a");
    many["name"] = "".into();
    many["stock"] = (-1).into();
    assert_eq!(shop.post("/catalog/products", &many).places(), ["/sku", "/name"]);
    let mut stock = lamp("A");
    stock["stock"] = 1.into();
    let (path, _) = shop.product("B", 0);
    assert_eq!(
        shop.put(&path, "*", &stock).status,
        400,
        "stock has its own operation"
    );
    assert_eq!(
        shop.get("/catalog/products").body["items"]
            .as_array()
            .unwrap()
            .len(),
        1,
        "nothing half-written"
    );
}

#[test]
fn bodies_that_are_no_json_or_too_large_are_refused() {
    let shop = Shop::empty();
    let send = |content_type: Option<&str>, body: Vec<u8>| {
        let mut request = Request::post("/catalog/products")
            .header(AUTHORIZATION, format!("Bearer {}", token("k", &["admin"])));
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        shop.send(request.body(Full::new(Bytes::from(body))).unwrap())
            .status
    };
    let good = lamp("A").to_string().into_bytes();
    assert_eq!(send(None, good.clone()), 415);
    assert_eq!(send(Some("text/plain"), good.clone()), 415);
    for bad in [
        &b""[..],
        b"{",
        b"[]",
        b"null",
        b"{\"sku\":\"\xff\"}",
        b"\x00",
        b"{\"sku\":1}{",
    ] {
        assert_eq!(send(Some("application/json"), bad.to_vec()), 400, "{bad:?}");
    }
    let mut padded = good.clone();
    padded.resize(BODY_MAX, b' ');
    padded.push(b' ');
    assert_eq!(send(Some("application/json"), padded.clone()), 413);
    padded.pop();
    assert_eq!(send(Some("application/json"), padded), 201);
}
