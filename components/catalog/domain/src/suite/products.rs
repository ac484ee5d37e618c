//! Products: written once, read the same, listed completely and in order.

use std::collections::BTreeSet;

use crate::page::{Limit, Query, Sort};
use crate::port::{Store, Unit};
use crate::service::Error;
use crate::tag::Expected;
use crate::text::{Category, Search};

use super::{Bench, NOON, details, lines, rid};

pub(super) async fn promises<S: Store>(new: &impl Fn() -> S) {
    what_was_created_is_read_back(&Bench::new(new())).await;
    many_are_answered_in_the_order_asked_for(&Bench::new(new())).await;
    an_update_needs_the_version_that_it_saw(&Bench::new(new())).await;
    a_sku_belongs_to_one_product(&Bench::new(new())).await;
    what_is_held_cannot_be_deleted_or_counted_away(&Bench::new(new())).await;
    a_listing_filters(&Bench::new(new())).await;
    pages_hold_each_product_once_in_order(&Bench::new(new())).await;
    a_transaction_that_does_not_commit_did_not_happen(new()).await;
}

async fn what_was_created_is_read_back<S: Store>(bench: &Bench<S>) {
    let hostile = "Robert'); DROP TABLE catalog_products;-- \" % _ \\ ü 🍲";
    let made = details("A-1", hostile, "line\nbreak\t'", "odd-things", 1_000_000_000_000);
    let created = bench.catalog.create(made.clone(), 1_000_000_000).await.unwrap();
    let read = bench.catalog.product(&created.id.to_string()).await.unwrap();
    assert_eq!(read, created);
    assert_eq!(read.details, made);
    assert_eq!((read.version, read.stock.available()), (1, 1_000_000_000));
    assert_eq!(read.created_at.millis(), NOON);
    for absent in [
        "",
        "x",
        "00000000-0000-7000-8000-000000000000",
        &"9".repeat(10_000),
    ] {
        let bounded: String = absent.chars().take(64).collect();
        assert_eq!(
            bench.catalog.product(absent).await,
            Err(Error::NoProduct(bounded))
        );
    }
}

async fn many_are_answered_in_the_order_asked_for<S: Store>(bench: &Bench<S>) {
    let (a, b) = (bench.product("A", 1).await, bench.product("B", 2).await);
    let ids = [b.id.to_string(), a.id.to_string(), b.id.to_string()];
    assert_eq!(bench.catalog.products(&ids).await.unwrap(), [b.clone(), a, b]);
    assert_eq!(bench.catalog.products::<&str>(&[]).await.unwrap(), []);
    let absent = ["x".to_owned(), ids[0].clone(), "y".to_owned()];
    assert_eq!(
        bench.catalog.products(&absent).await,
        Err(Error::NoProduct("x".to_owned()))
    );
    assert_eq!(
        bench.catalog.products(&vec![&ids[0]; 100]).await.unwrap().len(),
        100
    );
    assert_eq!(
        bench.catalog.products(&vec![&ids[0]; 101]).await,
        Err(Error::TooMany(101))
    );
}

async fn an_update_needs_the_version_that_it_saw<S: Store>(bench: &Bench<S>) {
    let first = bench.product("A", 5).await;
    let id = first.id.to_string();
    let seen = Expected::OneOf(vec![first.tag()]);
    bench.clock.set(NOON + 7);
    bench.catalog.set_on_hand(&id, 6).await.unwrap();
    let second = bench
        .catalog
        .update(&id, &seen, details("A2", "B", "c", "d", 9))
        .await
        .unwrap();
    assert_eq!(
        (second.version, second.stock.on_hand),
        (2, 6),
        "a count does not outdate an editor"
    );
    assert_eq!(
        (second.created_at, second.updated_at.millis()),
        (first.created_at, NOON + 7)
    );
    assert_eq!(bench.catalog.product(&id).await.unwrap(), second);
    let changed = Err(Error::Changed { version: 2 });
    assert_eq!(
        bench.catalog.update(&id, &seen, first.details.clone()).await,
        changed
    );
    assert_eq!(
        bench.catalog.delete(&id, &seen).await,
        Err(Error::Changed { version: 2 })
    );
    assert_eq!(
        bench.catalog.product(&id).await.unwrap(),
        second,
        "nothing half-written"
    );
    let absent = Err(Error::NoProduct("x".to_owned()));
    assert_eq!(
        bench
            .catalog
            .update("x", &Expected::Any, first.details.clone())
            .await,
        absent
    );
    bench
        .catalog
        .delete(&id, &Expected::OneOf(vec![second.tag()]))
        .await
        .unwrap();
    assert_eq!(
        bench.catalog.delete(&id, &Expected::Any).await,
        Err(Error::NoProduct(id.clone()))
    );
    assert_eq!(bench.catalog.product(&id).await, Err(Error::NoProduct(id)));
}

async fn a_sku_belongs_to_one_product<S: Store>(bench: &Bench<S>) {
    let (a, b) = (bench.product("A", 1).await, bench.product("B", 1).await);
    assert_eq!(
        bench.catalog.create(a.details.clone(), 1).await,
        Err(Error::SkuTaken)
    );
    let b_id = b.id.to_string();
    assert_eq!(
        bench
            .catalog
            .update(&b_id, &Expected::Any, a.details.clone())
            .await,
        Err(Error::SkuTaken)
    );
    let same = bench
        .catalog
        .update(&b_id, &Expected::Any, b.details.clone())
        .await
        .unwrap();
    assert_eq!(same.version, 2, "its own SKU it may keep");
    bench
        .catalog
        .delete(&a.id.to_string(), &Expected::Any)
        .await
        .unwrap();
    bench.catalog.create(a.details, 1).await.unwrap();
}

async fn what_is_held_cannot_be_deleted_or_counted_away<S: Store>(bench: &Bench<S>) {
    let product = bench.product("A", 5).await;
    let id = product.id.to_string();
    let ttl = std::time::Duration::from_secs(10);
    bench
        .catalog
        .reserve(rid("r"), lines(&[(&product, 3)]), ttl)
        .await
        .unwrap();
    assert_eq!(bench.catalog.product(&id).await.unwrap().stock.available(), 2);
    assert_eq!(
        bench.catalog.set_on_hand(&id, 2).await,
        Err(Error::Held { held: 3, on_hand: 2 })
    );
    assert_eq!(
        bench.catalog.delete(&id, &Expected::Any).await,
        Err(Error::Held { held: 3, on_hand: 0 })
    );
    assert_eq!(
        bench.catalog.set_on_hand(&id, 3).await.unwrap().stock.available(),
        0
    );
    bench.clock.set(NOON + 10_000);
    assert_eq!(
        bench.catalog.set_on_hand(&id, 0).await.unwrap().stock.held,
        0,
        "the hold is over"
    );
    bench.clock.set(NOON);
    assert_eq!(
        bench.catalog.product(&id).await.unwrap().stock.held,
        0,
        "and stays so when the clock goes back"
    );
    assert_eq!(
        bench.catalog.set_on_hand("x", 1).await,
        Err(Error::NoProduct("x".to_owned()))
    );
    bench.catalog.delete(&id, &Expected::Any).await.unwrap();
}

async fn a_listing_filters<S: Store>(bench: &Bench<S>) {
    for (sku, name, description, category, amount, on_hand) in [
        ("A", "Oak stool", "three legs", "furniture", 300, 0),
        ("B", "OAK table", "100% solid", "furniture", 900, 2),
        ("C", "Lamp_shade", "oaken foot", "lighting", 500, 3),
        ("D", "Lampshade", "1000 lumen \\", "lighting", 500, 1),
    ] {
        bench
            .catalog
            .create(details(sku, name, description, category, amount), on_hand)
            .await
            .unwrap();
    }
    let list = async |query: Query| {
        let page = bench.catalog.list(query).await.unwrap();
        let skus: Vec<_> = page
            .items
            .iter()
            .map(|p| p.details.sku.as_str().to_owned())
            .collect();
        skus.concat()
    };
    let search = |text: &str| Query {
        search: Some(Search::parse(text).unwrap()),
        ..Query::default()
    };
    assert_eq!(list(Query::default()).await, "ABCD");
    assert_eq!(list(search("oak")).await, "ABC");
    assert_eq!(list(search("OAK legs")).await, "A", "every word");
    assert_eq!(list(search("100%")).await, "B", "a percent sign is one");
    assert_eq!(list(search("lamp_")).await, "C", "an underscore is one");
    assert_eq!(list(search("\\")).await, "D", "a backslash is one");
    assert_eq!(list(search("' OR 1=1 --")).await, "");
    let category = Some(Category::parse("lighting").unwrap());
    assert_eq!(
        list(Query {
            category: category.clone(),
            ..Query::default()
        })
        .await,
        "CD"
    );
    assert_eq!(
        list(Query {
            category,
            ..search("lumen")
        })
        .await,
        "D"
    );
    let (min_price, max_price) = (Some(300), Some(500));
    assert_eq!(
        list(Query {
            min_price,
            max_price,
            ..Query::default()
        })
        .await,
        "ACD",
        "both bounds count"
    );
    assert_eq!(
        list(Query {
            in_stock: Some(true),
            ..Query::default()
        })
        .await,
        "BCD"
    );
    assert_eq!(
        list(Query {
            in_stock: Some(false),
            ..Query::default()
        })
        .await,
        "A"
    );
    let all = bench.catalog.list(search("lumen")).await.unwrap().items;
    let ttl = std::time::Duration::from_secs(1);
    bench
        .catalog
        .reserve(rid("r"), lines(&[(&all[0], 1)]), ttl)
        .await
        .unwrap();
    assert_eq!(
        list(Query {
            in_stock: Some(true),
            ..Query::default()
        })
        .await,
        "BC",
        "what is held is not in stock"
    );
    bench.clock.set(NOON + 1000);
    assert_eq!(
        list(Query {
            in_stock: Some(true),
            ..Query::default()
        })
        .await,
        "BCD",
        "until its time is over"
    );
}

async fn pages_hold_each_product_once_in_order<S: Store>(bench: &Bench<S>) {
    for number in 0..11_u32 {
        bench.clock.set(NOON + u64::from(number / 3));
        let name = ["Beta", "alpha", "Alpha", "öl"][number as usize % 4];
        let details = details(&format!("S{number}"), name, "", "c", i64::from(number % 3));
        bench.catalog.create(details, number).await.unwrap();
    }
    for (sort, size) in [
        (Sort::Name, 1),
        (Sort::Name, 4),
        (Sort::Price, 3),
        (Sort::Created, 2),
        (Sort::Created, 11),
    ] {
        let limit = Limit::parse(size).unwrap();
        let mut query = Query {
            sort,
            limit,
            ..Query::default()
        };
        let mut seen = Vec::new();
        loop {
            let page = bench.catalog.list(query.clone()).await.unwrap();
            assert!(page.items.len() <= limit.get() as usize);
            seen.extend(page.items);
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        let place = |at: usize| crate::page::Position::after(&seen[at], sort);
        assert!(
            (1..seen.len()).all(|at| place(at - 1).compare(&place(at)).is_lt()),
            "{sort:?}"
        );
        assert_eq!(
            seen.iter().map(|p| p.id).collect::<BTreeSet<_>>().len(),
            11,
            "{sort:?} by {size}"
        );
        assert_eq!(seen.len(), 11);
    }
}

async fn a_transaction_that_does_not_commit_did_not_happen<S: Store>(store: S) {
    let at = crate::time::Timestamp::from_millis(NOON);
    let product = crate::seed::products(&crate::memory::CountedIds::default(), at)
        .unwrap()
        .remove(0);
    let mut unit = store.begin().await.unwrap();
    unit.insert(&product).await.unwrap();
    assert_eq!(
        unit.products(&[product.id], at).await.unwrap().len(),
        1,
        "it sees its own writes"
    );
    unit.rollback().await;
    let mut unit = store.begin().await.unwrap();
    unit.insert(&product).await.unwrap();
    drop(unit);
    assert_eq!(store.products(&[product.id], at).await.unwrap(), []);
    let mut unit = store.begin().await.unwrap();
    unit.insert(&product).await.unwrap();
    unit.commit().await.unwrap();
    assert_eq!(store.products(&[product.id], at).await.unwrap(), [product]);
}
