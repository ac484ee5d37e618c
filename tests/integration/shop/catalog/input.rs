//! Bodies and texts that are hostile, or merely wrong.

use serde_json::{Value, json};

use crate::harness::raw;
use crate::shop::client::{at_once, product, text};
use crate::shop::{Call, Shop, delete, get, post, put, shop};

/// Texts that mean something to somebody else.
const HOSTILE: [&str; 12] = [
    "'; DROP TABLE catalog_products; --",
    "\" OR \"\"=\"",
    "Robert'); DELETE FROM catalog_products WHERE ('1'='1",
    "../../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "<script>alert(1)</script>",
    "{{ admin_password }}",
    "${jndi:ldap://example.com/a}",
    "x\",\"role\":\"admin",
    "%00%0d%0aSet-Cookie:%20a=b",
    "\u{202e}evil\u{feff} 💡 e\u{301}",
    "-- \\ %s %n {} ?1 :a @b $c",
];

#[tokio::test]
async fn hostile_texts_are_kept_and_given_back_as_they_are() {
    let shop = Shop::start(&shop().await).await;
    let admin = shop.admin().await;
    for (number, hostile) in HOSTILE.iter().enumerate() {
        let mut body = product(&format!("SKU-{number}"), 1);
        body["name"] = (*hostile).into();
        body["description"] = format!("{hostile}\n\t{hostile}\r\n").into();
        let created = shop.create(&admin, &body).await;
        let id = text(&created, "id");
        assert_eq!(
            (&created["name"], &created["description"]),
            (&body["name"], &body["description"])
        );
        assert_eq!(shop.product(&id).await, created);
        let update = json!({
            "sku": body["sku"], "name": format!("{hostile}!"), "category": "test", "price": body["price"],
        });
        let path = format!("/catalog/products/{id}");
        let changed = shop
            .expect(
                200,
                put(path).bearer(&admin).header("if-match", "*").json(&update),
            )
            .await
            .json();
        assert_eq!(changed["name"], format!("{hostile}!"));
        assert_eq!(changed["description"], "");
    }
    let listed = shop.list("category=test&sort=created").await;
    let names: Vec<_> = listed.iter().map(|item| text(item, "name")).collect();
    assert_eq!(names, HOSTILE.map(|hostile| format!("{hostile}!")));
    assert_eq!(shop.list("").await.len(), 12 + HOSTILE.len());
}

#[tokio::test]
async fn hostile_paths_name_nothing() {
    let shop = Shop::start(&shop().await).await;
    let admin = shop.admin().await;
    let id = text(&shop.list("").await[0], "id");
    for segment in [
        "x",
        "0",
        "%27%20OR%20%271%27=%271",
        "..%2f..",
        "%2e%2e",
        "%00",
        "%0d%0aset-cookie:%20a=b",
        "*",
        &id[..35],
        &format!("{id}0"),
        &id.replace('-', ""),
        &format!("%7B{id}%7D"),
        &"a".repeat(3000),
    ] {
        let path = format!("/catalog/products/{segment}");
        shop.expect(404, get(&path)).await;
        shop.expect(404, delete(&path).bearer(&admin).header("if-match", "*"))
            .await;
        shop.expect(
            404,
            put(format!("{path}/stock"))
                .bearer(&admin)
                .json(&json!({ "on_hand": 1 })),
        )
        .await;
        let answer = shop
            .expect(
                404,
                get(format!("/catalog/reservations/{segment}")).bearer(&admin),
            )
            .await;
        assert_eq!(answer.header("set-cookie"), "");
    }
    // A segment is compared after it was decoded, once.
    shop.expect(200, get(format!("/catalog/products/{}", id.replace('-', "%2D"))))
        .await;
    shop.expect(
        404,
        get(format!("/catalog/products/{}", id.replace('-', "%252D"))),
    )
    .await;
    let upper = shop
        .expect(200, get(format!("/catalog/products/{}", id.to_uppercase())))
        .await
        .json();
    assert_eq!(upper["id"], id);
    // What is not UTF-8 is no path at all.
    let answer = shop.probe(get("/catalog/products/%FF")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type")),
        (404, "application/problem+json")
    );
}

#[tokio::test]
async fn values_out_of_their_bounds_are_all_named() {
    let shop = Shop::start(&shop().await).await;
    let admin = shop.admin().await;
    let create = |body: &Value| post("/catalog/products").bearer(&admin).json(body);
    for (pointer, value) in [
        ("/price/amount", json!(-1)),
        ("/price/amount", json!(1_000_000_000_001_u64)),
        ("/price/amount", json!(i64::MIN)),
        ("/price/currency", json!("eur")),
        ("/price/currency", json!("EURO")),
        ("/price/currency", json!("ЕUR")),
        ("/price/currency", json!("")),
        ("/sku", json!("")),
        ("/sku", json!("lower")),
        ("/sku", json!("-A")),
        ("/sku", json!("A B")),
        ("/sku", json!("A".repeat(41))),
        ("/name", json!("")),
        ("/name", json!(" x")),
        ("/name", json!("a\nb")),
        ("/name", json!("a\u{0}b")),
        ("/name", json!("é".repeat(121))),
        ("/description", json!("a\u{7}b")),
        ("/description", json!("x".repeat(2001))),
        ("/category", json!("")),
        ("/category", json!("A")),
        ("/category", json!("a--b")),
        ("/category", json!("a".repeat(41))),
        ("/stock", json!(-1)),
        ("/stock", json!(1_000_000_001)),
    ] {
        let mut body = product("SKU-1", 1);
        *body.pointer_mut(pointer).expect("the place is in a product") = value.clone();
        let answer = shop.expect(422, create(&body)).await.json();
        assert_eq!(
            answer["errors"].as_array().map(Vec::len),
            Some(1),
            "{value}: {answer}"
        );
        assert_eq!(answer["errors"][0]["pointer"], pointer, "{value}: {answer}");
    }
    let body = json!({ "sku": "", "name": "", "category": "", "price": { "amount": -1, "currency": "" } });
    let answer = shop.expect(422, create(&body)).await.json();
    let pointers: Vec<_> = answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| text(error, "pointer"))
        .collect();
    assert_eq!(
        pointers,
        ["/sku", "/name", "/category", "/price/amount", "/price/currency"]
    );
    // The bounds themselves are within.
    let body = json!({
        "sku": "A".repeat(40), "name": "💡".repeat(120), "description": "é".repeat(2000), "category": "a".repeat(40),
        "price": { "amount": 1_000_000_000_000_u64, "currency": "XXX" }, "stock": 1_000_000_000,
    });
    let created = shop.create(&admin, &body).await;
    for member in ["sku", "name", "description", "category", "price", "stock"] {
        assert_eq!(created[member], body[member]);
    }
    assert_eq!(shop.list("category=test").await.len(), 0);
    // Of many that want one number, one gets it.
    let answers = at_once((0..16).map(|_| shop.send(create(&product("TAKEN-1", 1))))).await;
    let won = answers.iter().filter(|answer| answer.status == 201).count();
    let lost = answers.iter().filter(|answer| answer.status == 409).count();
    assert_eq!((won, lost), (1, 15), "{answers:#?}");
    let taken = answers.iter().find(|answer| answer.status == 409).unwrap().json();
    assert!(text(&taken, "type").ends_with("/SkuTaken"), "{taken}");
}

/// The requests that take a body, with one that is right.
fn doors(admin: &str, product_id: &str) -> [(Call, usize); 7] {
    let json = |call: Call, body: Value| call.bearer(admin).json(&body);
    let (path, large, small) = (format!("/catalog/products/{product_id}"), 64 << 10, 16 << 10);
    let update =
        json!({ "sku": "A", "name": "x", "category": "x", "price": { "amount": 0, "currency": "EUR" } });
    [
        (json(post("/catalog/products"), product("NEW-1", 1)), large),
        (json(put(&path), update).header("if-match", "*"), large),
        (json(put(format!("{path}/stock")), json!({ "on_hand": 1 })), large),
        (Shop::reservation(admin, "r", product_id, 1, 60), large),
        (
            json(
                post("/auth/register"),
                json!({ "email": "a@example.com", "password": "a password of the tests" }),
            ),
            small,
        ),
        (
            json(
                post("/auth/login"),
                json!({ "email": "a@example.com", "password": "a password of the tests" }),
            ),
            small,
        ),
        (
            json(post("/auth/refresh"), json!({ "refresh_token": "x" })),
            small,
        ),
    ]
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_refused_with_the_place() {
    let shop = Shop::start(&shop().await).await;
    let admin = shop.admin().await;
    let id = text(&shop.list("").await[0], "id");
    let before = shop.product(&id).await;
    for (door, limit) in doors(&admin, &id) {
        let with = |body: &[u8]| door.clone().body("application/json", body.to_vec());
        // Not JSON: with line and column, counted from 1.
        for (body, line, column) in [
            (&b""[..], 1, 0),
            (b"{", 1, 1),
            (b"{\n  x", 2, 3),
            (b"{\n\n  ,", 3, 3),
            (b"[1, 2", 1, 5),
            (b"nope", 1, 2),
        ] {
            let answer = shop.expect(400, with(body)).await.json();
            let place = &answer["errors"][0];
            assert_eq!(
                (&place["line"], &place["column"]),
                (&line.into(), &column.into()),
                "{door:?}: {answer}"
            );
        }
        for body in [
            &b"\"\xff\""[..],
            b"{\"\xc3\x28\": 1}",
            b"\xfe\xff\0{\0}",
            b"{\"x\":\"\xed\xa0\x80\"}",
        ] {
            let answer = shop.expect(400, with(body)).await.json();
            assert!(text(&answer, "detail").contains("not UTF-8"), "{answer}");
        }
        let good = String::from_utf8(door.body.clone().unwrap().to_vec()).unwrap();
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
        let first = good[1..].split(':').next().unwrap().to_owned();
        for body in [
            "null".to_owned(),
            "1".to_owned(),
            "[]".to_owned(),
            format!("[{good}]"),
            format!("\u{feff}{good}"),
            format!("{good}x"),
            format!("{good}{good}"),
            "{}".to_owned(),
            format!("{{\"unknown\":1,{}", &good[1..]),
            format!("{{{first}:null,{}", &good[1..]),
            // A member that comes twice could mean one thing here and another elsewhere.
            format!("{},{first}:\"x\"}}", &good[..good.len() - 1]),
            good.replace(&first, &first.to_uppercase()),
            deep,
        ] {
            shop.expect(400, with(body.as_bytes())).await;
        }
        for media_type in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/jsonp",
            "application/problem+json",
            "*/*",
            "",
        ] {
            shop.expect(415, door.clone().header("content-type", media_type))
                .await;
        }
        shop.expect(415, door.clone().without("content-type")).await;
        // Up to the limit it is what is in it that counts; beyond, nothing is.
        let padded = |length: usize| with(format!("{good}{}", " ".repeat(length - good.len())).as_bytes());
        let whole = shop.send(padded(limit)).await;
        assert_ne!(whole.status, 413, "{door:?}: {whole:?}");
        let more = shop.expect(413, padded(limit + 1)).await.json();
        assert_eq!(more["limit_bytes"], limit);
    }
    assert_eq!(before["id"], id);
}

#[tokio::test]
async fn a_body_of_unknown_length_is_read_up_to_the_limit_and_one_that_breaks_off_does_nothing() {
    let shop = Shop::start(&shop().await).await;
    let admin = shop.admin().await;
    let head = |more: &str| {
        format!(
            "POST /catalog/products HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\n\
             authorization: Bearer {admin}\r\nconnection: close\r\n{more}\r\n\r\n"
        )
    };
    let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
    let endless = format!("{}{}", head("transfer-encoding: chunked"), chunk.repeat(5));
    let answer = raw(shop.address, endless.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("\"limit_bytes\":65536"), "{answer}");

    let body = product("CHUNKED-1", 1).to_string();
    let (first, second) = body.split_at(20);
    let chunks = format!(
        "{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
        first.len(),
        second.len()
    );
    let answer = raw(
        shop.address,
        format!("{}{chunks}", head("transfer-encoding: chunked")).as_bytes(),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");

    // The connection ends before the body does, though what came is whole JSON.
    let body = product("BROKEN-1", 1).to_string();
    let request = format!("{}{body}", head(&format!("content-length: {}", body.len() + 1)));
    {
        use tokio::io::AsyncWriteExt as _;
        let mut stream = tokio::net::TcpStream::connect(shop.address)
            .await
            .expect("the host accepts");
        stream
            .write_all(request.as_bytes())
            .await
            .expect("the host reads");
        stream.shutdown().await.expect("the host reads");
        let mut answer = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer);
        let _cut = crate::harness::soon("the host to give up", read).await;
    }
    let listed = shop.list("category=test").await;
    assert_eq!(
        listed.iter().map(|item| text(item, "sku")).collect::<Vec<_>>(),
        ["CHUNKED-1"]
    );
}
