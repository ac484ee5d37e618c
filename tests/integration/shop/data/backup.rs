//! Data files as an operator meets them: where they are, how to look into them, how to keep and bring back a copy.

use std::fs;

use rustix::process::Signal;

use crate::shop::application::{Shape, manifest};
use crate::shop::client::{at_once, product, text};
use crate::shop::{Shop, get, shop, sqlite};

#[tokio::test]
async fn each_service_has_its_data_where_the_host_says() {
    let builder = shop().await;
    let shop = Shop::start(&builder).await;
    shop.admin().await;
    shop.list("").await;
    let state = builder
        .folder()
        .join("state")
        .canonicalize()
        .expect("the state is there");
    let mut files = Vec::new();
    for (service, count, elsewhere) in [
        ("auth", "SELECT count(*) FROM auth_accounts;", "catalog_"),
        ("catalog", "SELECT count(*) FROM catalog_products;", "auth_"),
    ] {
        let file = sqlite::database(&shop.announcement, service);
        assert!(file.starts_with(&state), "{}", file.display());
        assert_eq!(
            sqlite::run(&file, count).await,
            [if service == "auth" { "1" } else { "12" }]
        );
        let tables = sqlite::run(
            &file,
            "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%';",
        )
        .await;
        let own = format!("{service}_");
        assert!(
            tables.iter().all(|table| table.starts_with(&own)),
            "{elsewhere}: {tables:?}"
        );
        assert_eq!(sqlite::run(&file, "PRAGMA journal_mode;").await, ["wal"]);
        files.push(file);
    }
    assert_ne!(files[0], files[1]);
}

#[tokio::test]
async fn looking_into_the_data_costs_nothing() {
    let builder = shop().await;
    let mut shop = Shop::start(&builder).await;
    let admin = shop.admin().await;
    let catalog = sqlite::database(&shop.announcement, "catalog");
    // Several connections at once, and between them one from outside that comes and goes. It must not take itself
    // for the last one, which would fold the write-ahead log in and delete it under the host.
    for round in 0..3 {
        let writes = (0..8).map(|number| {
            let (shop, admin) = (&shop, &admin);
            async move {
                shop.create(admin, &product(&format!("SKU-{round}-{number}"), 1))
                    .await
            }
        });
        at_once(writes).await;
        let count = sqlite::run(
            &catalog,
            "SELECT count(*) FROM catalog_products WHERE category = 'test';",
        )
        .await;
        assert_eq!(count, [(8 * (round + 1)).to_string()]);
        assert!(
            catalog.with_file_name("default.db-wal").exists(),
            "the host's log was deleted under it"
        );
    }
    let last = shop.create(&admin, &product("LAST", 1)).await;
    shop.signal(Signal::KILL);
    shop.host.finish().await;
    let shop = Shop::start(&builder).await;
    assert_eq!(
        shop.list("category=test").await.len(),
        25,
        "acknowledged writes are gone"
    );
    assert_eq!(shop.product(&text(&last, "id")).await, last);
}

#[tokio::test]
async fn a_copy_taken_while_the_host_writes_is_whole_and_can_be_brought_back() {
    let builder = shop().await;
    let shop = Shop::start(&builder).await;
    let admin = shop.admin().await;
    let early = at_once((0..10).map(|number| {
        let (shop, admin) = (&shop, &admin);
        async move { shop.create(admin, &product(&format!("EARLY-{number}"), 1)).await }
    }))
    .await;
    let catalog = sqlite::database(&shop.announcement, "catalog");
    let (backup, vacuumed) = (
        builder.folder().join("backup.db"),
        builder.folder().join("vacuumed.db"),
    );
    let copies = async {
        sqlite::run(&catalog, &format!(".backup \"{}\"", backup.display())).await;
        sqlite::run(&catalog, &format!("VACUUM INTO '{}';", vacuumed.display())).await;
    };
    let writes = async {
        for number in 0..20 {
            shop.create(&admin, &product(&format!("LATE-{number}"), 1)).await;
        }
    };
    tokio::join!(copies, writes);
    for copy in [&backup, &vacuumed] {
        assert_eq!(sqlite::run(copy, "PRAGMA integrity_check;").await, ["ok"]);
        let early = sqlite::run(
            copy,
            "SELECT count(*) FROM catalog_products WHERE sku LIKE 'EARLY-%';",
        )
        .await;
        assert_eq!(early, ["10"], "{}", copy.display());
    }
    let late: usize = sqlite::run(
        &backup,
        "SELECT count(*) FROM catalog_products WHERE sku LIKE 'LATE-%';",
    )
    .await[0]
        .parse()
        .expect("a count");
    assert_eq!(
        shop.list("category=test").await.len(),
        30,
        "the host lost a write to the copying"
    );
    shop.host.stop().await;

    // Bringing it back: the host is stopped, the copy takes the place of the file and of its log.
    for file in ["default.db", "default.db-wal", "default.db-shm"] {
        let _absent = fs::remove_file(catalog.with_file_name(file));
    }
    fs::copy(&backup, &catalog).expect("the folder is ours");
    let shop = Shop::start(&builder).await;
    assert_eq!(shop.list("category=test").await.len(), 10 + late);
    for product in early {
        assert_eq!(shop.product(&text(&product, "id")).await, product);
    }
    // The other service has kept what it had.
    shop.expect(200, get("/auth/me").bearer(&admin)).await;
    shop.create(&admin, &product("AGAIN", 1)).await;
}

#[tokio::test]
async fn two_hosts_do_not_share_a_state() {
    let builder = shop().await;
    let shop = Shop::start(&builder).await;
    let refused = builder.fail().await;
    assert!(!refused.status.success());
    assert!(refused.stderr.contains("state"), "{refused:?}");
    shop.expect(200, get("/catalog/products")).await;
}

#[tokio::test]
async fn apps_in_one_state_do_not_see_each_others_data() {
    let text_of = manifest(Shape::PerService).await;
    let ours = shop().await;
    let named = crate::shop::application::replace(&text_of, "name = \"shop\"", "name = \"other\"");
    let theirs = shop()
        .await
        .manifest(named)
        .state_dir(ours.folder().join("state"));
    let first = Shop::start(&ours).await;
    let admin = first.admin().await;
    first.create(&admin, &product("OURS-1", 1)).await;
    first.register("ada@example.com", "a password of the tests").await;
    let file = sqlite::database(&first.announcement, "catalog");
    first.host.stop().await;

    let second = Shop::start(&theirs).await;
    assert_ne!(sqlite::database(&second.announcement, "catalog"), file);
    assert_eq!(second.list("").await.len(), 12);
    second.expect(401, get("/auth/me").bearer(&admin)).await;
    second
        .register("ada@example.com", "another password of the tests")
        .await;
    let other_admin = second.admin().await;
    second.create(&other_admin, &product("THEIRS-1", 1)).await;
    second.host.stop().await;

    let third = Shop::start(&ours).await;
    let listed: Vec<_> = third
        .list("category=test")
        .await
        .iter()
        .map(|item| text(item, "sku"))
        .collect();
    assert_eq!(listed, ["OURS-1"]);
    third.login("ada@example.com", "a password of the tests").await;
    third.expect(200, get("/auth/me").bearer(&admin)).await;
}
