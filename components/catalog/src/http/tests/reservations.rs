//! `/catalog/reservations`.

use super::*;

fn reservation(id: &str, lines: &[(&str, i64)], ttl_seconds: i64) -> Value {
    let line = |(product, quantity): &(&str, i64)| json!({ "product_id": product, "quantity": quantity });
    json!({ "id": id, "lines": lines.iter().map(line).collect::<Vec<_>>(), "ttl_seconds": ttl_seconds })
}

#[test]
fn stock_is_reserved_committed_and_stays_so() {
    let shop = Shop::empty();
    let (path, id) = shop.product("A", 5);
    let wanted = reservation("order:1", &[(&id, 2)], 60);
    let made = shop.post("/catalog/reservations", &wanted);
    assert_eq!(
        (made.status, made.header("location")),
        (201, "/catalog/reservations/order:1")
    );
    assert_eq!(made.body["state"], "held");
    assert_eq!(made.body["expires_at"], "2026-01-01T12:01:00Z");
    let again = shop.post("/catalog/reservations", &wanted);
    assert_eq!((again.status, &again.body), (200, &made.body));
    assert_eq!(shop.get("/catalog/reservations/order:1").body, made.body);
    assert_eq!(shop.get("/catalog/reservations/order%3A1").body, made.body);
    assert_eq!(shop.get(&path).header("etag"), "\"1-5-3\"");
    for _ in 0..2 {
        let committed = shop.request("POST", "/catalog/reservations/order:1/commit", &[], None);
        assert_eq!(
            (committed.status, &committed.body["state"]),
            (200, &json!("committed"))
        );
        assert_eq!(shop.get(&path).header("etag"), "\"1-3-3\"");
    }
    let released = shop.request("POST", "/catalog/reservations/order:1/release", &[], None);
    assert_eq!(
        (released.status, &released.body["state"]),
        (409, &json!("committed"))
    );
    assert_eq!(
        shop.post("/catalog/reservations", &wanted).body["state"],
        "committed"
    );
}

#[test]
fn stock_is_given_back() {
    let shop = Shop::empty();
    let (path, id) = shop.product("A", 5);
    shop.post("/catalog/reservations", &reservation("r", &[(&id, 5)], 60));
    assert_eq!(shop.get(&path).body["available"], 0);
    for _ in 0..2 {
        let released = shop.request("POST", "/catalog/reservations/r/release", &[], None);
        assert_eq!(
            (released.status, &released.body["state"]),
            (200, &json!("released"))
        );
    }
    assert_eq!(shop.get(&path).body["available"], 5);
    let late = shop.request("POST", "/catalog/reservations/r/commit", &[], None);
    assert_eq!((late.status, &late.body["state"]), (409, &json!("released")));
}

#[test]
fn time_runs_out() {
    let shop = Shop::empty();
    let (path, id) = shop.product("A", 5);
    shop.post("/catalog/reservations", &reservation("r", &[(&id, 5)], 1));
    shop.clock.set((NOW + 1) * 1000);
    assert_eq!(shop.get("/catalog/reservations/r").body["state"], "expired");
    assert_eq!(shop.get(&path).body["available"], 5);
    let late = shop.request("POST", "/catalog/reservations/r/commit", &[], None);
    assert_eq!((late.status, &late.body["state"]), (409, &json!("expired")));
    assert_eq!(
        shop.request("POST", "/catalog/reservations/r/release", &[], None)
            .body["state"],
        "released"
    );
}

#[test]
fn what_cannot_be_had_is_named_and_nothing_is_held() {
    let shop = Shop::empty();
    let ((_, a), (path, b)) = (shop.product("A", 5), shop.product("B", 1));
    let short = shop.post(
        "/catalog/reservations",
        &reservation("r", &[(&a, 1), (&b, 2)], 60),
    );
    assert_eq!(short.status, 409);
    assert_eq!(short.body["product_id"], b.as_str());
    assert_eq!(
        (&short.body["requested"], &short.body["available"]),
        (&json!(2), &json!(1))
    );
    let absent = "00000000-0000-7000-8000-00000000000A";
    let unknown = shop.post(
        "/catalog/reservations",
        &reservation("r", &[(&a, 1), (absent, 2)], 60),
    );
    assert_eq!(
        (unknown.status, unknown.places()),
        (422, vec!["/lines/1/product_id"])
    );
    assert_eq!(shop.get("/catalog/reservations/r").status, 404);
    assert_eq!(shop.get(&path).body["available"], 1);
    shop.post("/catalog/reservations", &reservation("r", &[(&a, 1)], 60));
    let other = shop.post("/catalog/reservations", &reservation("r", &[(&a, 2)], 60));
    assert_eq!((other.status, &other.body["state"]), (409, &json!("held")));
}

#[test]
fn bounds_are_told_with_their_places() {
    let shop = Shop::empty();
    let (_, id) = shop.product("A", 5);
    let many: Vec<_> = (0..101).map(|_| (id.as_str(), 1)).collect();
    for (body, place) in [
        (reservation("", &[(&id, 1)], 60), "/id"),
        (reservation("a/b", &[(&id, 1)], 60), "/id"),
        (reservation(&"x".repeat(65), &[(&id, 1)], 60), "/id"),
        (reservation("r", &[], 60), "/lines"),
        (reservation("r", &many, 60), "/lines"),
        (reservation("r", &[(&id, 0)], 60), "/lines/0/quantity"),
        (reservation("r", &[(&id, -1)], 60), "/lines/0/quantity"),
        (reservation("r", &[(&id, 1_000_001)], 60), "/lines/0/quantity"),
        (reservation("r", &[(&id, 1), (&id, 1)], 60), "/lines/1/product_id"),
        (
            reservation("r", &[("1' OR '1'='1", 1)], 60),
            "/lines/0/product_id",
        ),
        (reservation("r", &[(&id, 1)], 0), "/ttl_seconds"),
        (reservation("r", &[(&id, 1)], 86_401), "/ttl_seconds"),
    ] {
        let answer = shop.post("/catalog/reservations", &body);
        assert_eq!((answer.status, answer.places()), (422, vec![place]), "{body}");
    }
    let mut unknown = reservation("r", &[(&id, 1)], 60);
    unknown["lines"][0]["price"] = 1.into();
    assert_eq!(
        shop.post("/catalog/reservations", &unknown).places(),
        ["/lines/0/price"]
    );
}

#[test]
fn an_id_that_is_none_names_nothing() {
    let shop = Shop::empty();
    for id in ["x", "a%2Fb", "%27", "%00"] {
        assert_eq!(
            shop.get(&format!("/catalog/reservations/{id}")).status,
            404,
            "{id}"
        );
        for what in ["commit", "release"] {
            let path = format!("/catalog/reservations/{id}/{what}");
            assert_eq!(shop.request("POST", &path, &[], None).status, 404, "{path}");
        }
    }
    assert_eq!(shop.get("/catalog/reservations/x?expand=lines").status, 400);
}
