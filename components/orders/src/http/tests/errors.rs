//! What is refused, and how.

use orders_domain::Error;
use orders_domain::port::{StockError, StoreError};

use super::*;

#[test]
fn every_type_of_problem_is_described() {
    use super::refusal::{IN_PROGRESS, INSUFFICIENT_STOCK, KEY_REUSED, NOT_CANCELLABLE, NOT_PLACED};
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    for type_ in [
        IN_PROGRESS,
        INSUFFICIENT_STOCK,
        KEY_REUSED,
        NOT_CANCELLABLE,
        NOT_PLACED,
    ] {
        let pointer = type_.strip_prefix("/orders/openapi.json#").unwrap();
        assert!(document.pointer(pointer).is_some(), "{type_}");
    }
}

#[test]
fn other_paths_and_methods_are_404_and_405() {
    let site = Site::open();
    for path in ["/", "/orders/", "/orders/a/b", "/orders//cancel", "/orders/%ff"] {
        assert_eq!(site.get("ada", path).status, 404, "{path}");
    }
    let answer = site.request("ada", "DELETE", "/orders", &[], "");
    assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD, POST"));
    let answer = site.request("ada", "GET", "/orders/x/cancel", &[], "");
    assert_eq!((answer.status, answer.header("allow")), (405, "POST"));
}

#[test]
fn every_operation_but_the_document_asks_who_is_there() {
    let site = Site::open();
    for route in ROUTES {
        let path = route.path.replace("{id}", "x");
        let request = Request::builder().method(route.method.clone()).uri(&path);
        let nobody = site.send(request.body(Full::default()).unwrap());
        if route.operation_id == "getOpenApi" {
            assert_eq!(nobody.status, 200);
            continue;
        }
        assert_eq!(
            (nobody.status, nobody.header("www-authenticate")),
            (401, "Bearer")
        );
        for token in ["expired", "forged"] {
            let refused = site.request(token, route.method.as_str(), &path, &[], "");
            let challenge = refused.header("www-authenticate");
            assert_eq!(
                (refused.status, challenge),
                (401, "Bearer error=\"invalid_token\"")
            );
        }
        site.bench.plan.fail(1, Fault::Refused);
        let away = site.request("ada", route.method.as_str(), &path, &[], "");
        assert_eq!((away.status, away.header("retry-after")), (503, "1"));
        site.bench.plan.heal();
        assert_ne!(
            site.request("ada", route.method.as_str(), &path, &[], "").status,
            500
        );
    }
}

#[test]
fn a_key_is_required() {
    let site = Site::open();
    let body = wanted(&[(1, 1)]).to_string();
    let json = (CONTENT_TYPE.as_str(), "application/json");
    let long = "x".repeat(65);
    for keys in [&[][..], &["a", "b"], &[""], &["a b"], &[&long]] {
        let mut fields = vec![json];
        fields.extend(keys.iter().map(|key| ("idempotency-key", *key)));
        let refused = site.request("ada", "POST", "/orders", &fields, &body);
        assert_eq!(refused.status, 400, "{keys:?}");
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.contains("Idempotency-Key"), "{detail}");
    }
    let request = Request::post("/orders")
        .header(AUTHORIZATION, "Bearer ada")
        .header("idempotency-key", &b"\xc3\xa9"[..]);
    assert_eq!(site.send(request.body(Full::default()).unwrap()).status, 400);
    assert_eq!(site.place("ada", &"x".repeat(64), &wanted(&[(1, 1)])).status, 201);
}

#[test]
fn bodies_are_json_of_the_right_shape_and_size() {
    let site = Site::open();
    let key = ("idempotency-key", "k");
    let json = ("content-type", "application/json");
    let send = |fields: &[(&str, &str)], body: &str| site.request("ada", "POST", "/orders", fields, body);
    let good = wanted(&[(1, 1)]).to_string();
    assert_eq!(send(&[key], &good).status, 415);
    assert_eq!(send(&[key, json], "{").status, 400);
    let mut more = wanted(&[(1, 1)]);
    more["items"][0]["price"] = 1.into();
    assert_eq!(send(&[key, json], &more.to_string()).places(), ["/items/0/price"]);
    let padded = good.replace('{', &format!("{{{}", " ".repeat(BODY_MAX / 2)));
    assert_eq!(send(&[key, json], &padded).status, 413);
    let known = site.request("ada", "POST", "/orders?dry=true", &[key, json], &good);
    assert_eq!(known.status, 400);
    assert_eq!(send(&[key, json], &good).status, 201);
}

#[test]
fn values_out_of_bounds_are_told_with_their_places() {
    let site = Site::open();
    let many: Vec<_> = (0..101).map(|number| (number, 1)).collect();
    for (items, places) in [
        (vec![], vec!["/items"]),
        (many, vec!["/items"]),
        (vec![(1, 0)], vec!["/items/0/quantity"]),
        (vec![(1, 1), (2, 1_000_001)], vec!["/items/1/quantity"]),
        (vec![(1, 1), (1, 1)], vec!["/items/1/product_id"]),
        (vec![(1, 1), (99, 1)], vec!["/items/1/product_id"]),
        (vec![(1, 1), (3, 1)], vec!["/items/1/product_id"]),
    ] {
        let answer = site.place("ada", "k", &wanted(&items));
        assert_eq!((answer.status, answer.places()), (422, places), "{items:?}");
    }
    let no_id = json!({ "items": [{ "product_id": "1' OR '1'='1", "quantity": 1 }] });
    assert_eq!(site.place("ada", "k", &no_id).places(), ["/items/0/product_id"]);
    assert_eq!(site.file.count("SELECT count(*) FROM orders_orders"), 0);
}

#[test]
fn a_total_that_cannot_be_counted_is_refused() {
    let site = Site::open();
    site.bench
        .warehouse
        .stock(product(4), 1_000_000, u64::MAX / 1_000_000, "EUR");
    let answer = site.place("ada", "k", &wanted(&[(4, 1_000_000)]));
    assert_eq!((answer.status, answer.places()), (422, vec!["/items"]));
}

#[test]
fn a_shortage_is_told_with_its_numbers_and_told_again() {
    let site = Site::open();
    for _ in 0..2 {
        let short = site.place("ada", "k", &wanted(&[(1, 1), (2, 6)]));
        assert_eq!(
            (short.status, &short.body["type"]),
            (409, &json!(refusal::INSUFFICIENT_STOCK))
        );
        assert_eq!(short.body["product_id"], product(2).to_string());
        assert_eq!(
            (&short.body["requested"], &short.body["available"]),
            (&json!(6), &json!(5))
        );
        let id = short.body["order_id"].as_str().unwrap();
        let read = site.get("ada", &format!("/orders/{id}"));
        assert_eq!(read.body["status"], "rejected");
        assert_eq!(read.body["refusal"]["requested"], 6);
        let path = format!("/orders/{id}/cancel");
        let refused = site.request("ada", "POST", &path, &[], "");
        assert_eq!(
            (refused.status, &refused.body["order_status"]),
            (409, &json!("rejected"))
        );
    }
}

#[test]
fn a_product_that_just_went_is_a_conflict() {
    let site = Site::open();
    // The token, the prices, the reservation.
    site.bench.plan.fail(3, Fault::Refused);
    assert_eq!(site.place("ada", "k", &wanted(&[(1, 1)])).status, 503);
    site.bench.plan.heal();
    site.bench.warehouse.remove(product(1));
    let gone = site.place("ada", "k", &wanted(&[(1, 1)]));
    assert_eq!(
        (gone.status, &gone.body["type"]),
        (409, &json!(refusal::NOT_PLACED))
    );
    assert_eq!(gone.body["product_id"], product(1).to_string());
    let id = gone.body["order_id"].as_str().unwrap();
    let read = site.get("ada", &format!("/orders/{id}"));
    assert_eq!(
        read.body["refusal"],
        json!({ "product_id": product(1).to_string() })
    );
}

#[test]
fn an_order_that_another_request_is_at_work_on_is_409_with_a_time() {
    let site = Site::open();
    let (fields, body) = (
        [("content-type", "application/json"), ("idempotency-key", "k")],
        wanted(&[(1, 1)]).to_string(),
    );
    let mut request = Request::post("/orders").header(AUTHORIZATION, "Bearer ada");
    for (name, value) in fields {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    site.bench.plan.fail(3, Fault::DieBefore);
    assert!(orders_domain::testing::run(site.edge.answer(request)).is_none());
    site.bench.plan.heal();
    site.bench.time.pass(3);
    let busy = site.place("ada", "k", &wanted(&[(1, 1)]));
    assert_eq!((busy.status, busy.header("retry-after")), (409, "7"));
    assert_eq!(busy.body["type"], refusal::IN_PROGRESS);
    let shown = &site.get("ada", "/orders").body["items"][0];
    assert_eq!(shown["status"], "pending");
    let id = shown["id"].as_str().unwrap();
    let read = site.get("ada", &format!("/orders/{id}"));
    assert_eq!(read.body["expires_at"], "2026-01-01T12:01:00Z");
    site.bench.time.pass(7);
    assert_eq!(site.place("ada", "k", &wanted(&[(1, 1)])).status, 201);
}

#[test]
fn an_order_that_ran_out_of_time_is_told_as_such() {
    let site = Site::open();
    site.bench.plan.fail(3, Fault::Unanswered);
    let away = site.place("ada", "k", &wanted(&[(1, 1)]));
    assert_eq!((away.status, away.header("retry-after")), (503, "1"));
    site.bench.plan.heal();
    site.bench.time.pass(60);
    let expired = site.place("ada", "k", &wanted(&[(1, 1)]));
    assert_eq!(
        (expired.status, &expired.body["order_status"]),
        (409, &json!("expired"))
    );
    assert_eq!(expired.body["type"], refusal::NOT_PLACED);
    assert_eq!(site.bench.warehouse.on_hand(product(1)), 10);
}

#[test]
fn without_prices_nothing_is_ordered() {
    let site = Site::open();
    site.bench.plan.fail(2, Fault::Refused);
    assert_eq!(site.place("ada", "k", &wanted(&[(1, 1)])).status, 503);
    assert_eq!(site.file.count("SELECT count(*) FROM orders_orders"), 0);
}

#[test]
fn lists_take_known_parameters_in_bounds() {
    let site = Site::open();
    for (query, place) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("status=open", "status"),
    ] {
        let refused = site.get("ada", &format!("/orders?{query}"));
        assert_eq!((refused.status, refused.places()), (400, vec![place]), "{query}");
    }
    for query in [
        "page=1",
        "limit=x",
        "all=yes",
        "limit=1&limit=2",
        "cursor=nope",
        "cursor=WzEsIngiXQ",
    ] {
        assert_eq!(
            site.get("ada", &format!("/orders?{query}")).status,
            400,
            "{query}"
        );
    }
    assert_eq!(site.get("ada", "/orders?all=true").status, 403);
}

#[test]
fn a_failing_store_tells_the_client_nothing_of_itself() {
    let site = Site::open();
    let rename = "ALTER TABLE orders_orders RENAME TO elsewhere";
    site.file.connect().0.execute_batch(rename).unwrap();
    for failed in [
        site.get("ada", "/orders"),
        site.place("ada", "k", &wanted(&[(1, 1)])),
    ] {
        assert_eq!(failed.status, 500);
        let text = failed.body.to_string().to_lowercase();
        assert!(
            !text.contains("orders_orders") && !text.contains("table"),
            "{text}"
        );
    }
}

#[test]
fn errors_of_the_other_side_are_told_apart() {
    for (error, status) in [
        (Error::Store(StoreError::Busy), 503),
        (Error::Store(StoreError::Full), 503),
        (Error::Store(StoreError::Refused(String::new())), 500),
        (Error::Stock(StockError::Unavailable("a secret".to_owned())), 503),
        (Error::Stock(StockError::Broken("a secret".to_owned())), 500),
        (Error::Prices("a secret".to_owned()), 503),
    ] {
        let problem = problem(error.clone());
        assert_eq!(problem.status.as_u16(), status, "{error:?}");
        assert!(!problem.detail.contains("secret"), "{}", problem.detail);
    }
}
