//! The checker, checked: books that agree, then one thing in them changed at a time.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Files, Known, Rule, check};
use crate::shop::client::text;
use crate::shop::orders::{Counter, cancel, order};
use crate::shop::{shop, sqlite};

/// The database that a change is made in.
#[derive(Clone, Copy)]
enum Of {
    Auth,
    Catalog,
    Orders,
}

/// Each a change that its rule has to find, and no other. The names in capitals stand for orders, of which clients
/// heard nothing if they are `SILENT` or `QUIET`.
const CHANGES: &[(Rule, Of, &str)] = &[
    (
        Rule::Whole,
        Of::Catalog,
        "PRAGMA ignore_check_constraints = ON; UPDATE catalog_products SET amount = -1 WHERE sku = 'LAMP';",
    ),
    (
        Rule::Owned,
        Of::Auth,
        "DELETE FROM auth_accounts WHERE email = 'ada@example.com';",
    ),
    (
        Rule::Totals,
        Of::Orders,
        "UPDATE orders_orders SET total = total + 1 WHERE id = 'CONFIRMED';",
    ),
    (
        Rule::Totals,
        Of::Orders,
        "UPDATE orders_orders SET pieces = 1 WHERE id = 'CONFIRMED';",
    ),
    (
        Rule::Totals,
        Of::Orders,
        "DELETE FROM orders_lines WHERE order_id = 'QUIET';",
    ),
    (
        Rule::Totals,
        Of::Orders,
        "INSERT INTO orders_lines VALUES ('x', 0, 'p', 'n', 1, 1);",
    ),
    (
        Rule::Decided,
        Of::Orders,
        "UPDATE orders_orders SET status = 'pending' WHERE id = 'QUIET';",
    ),
    (
        Rule::Decided,
        Of::Orders,
        "UPDATE orders_orders SET status = 'reserved' WHERE id = 'QUIET';",
    ),
    (
        Rule::Decided,
        Of::Orders,
        "UPDATE orders_orders SET status = 'cancelling' WHERE id = 'QUIET';",
    ),
    (
        Rule::Delivered,
        Of::Catalog,
        "UPDATE catalog_reservations SET state = 'released' WHERE id = 'CONFIRMED';
        UPDATE catalog_products SET on_hand = on_hand + 3 WHERE sku = 'LAMP';",
    ),
    (
        Rule::Delivered,
        Of::Catalog,
        "UPDATE catalog_reservation_lines SET quantity = 2 WHERE reservation_id = 'CONFIRMED';
        UPDATE catalog_products SET on_hand = on_hand + 1 WHERE sku = 'LAMP';",
    ),
    (
        Rule::Delivered,
        Of::Catalog,
        "DELETE FROM catalog_reservations WHERE id = 'CONFIRMED';
        UPDATE catalog_products SET on_hand = on_hand + 3 WHERE sku = 'LAMP';",
    ),
    (
        Rule::Delivered,
        Of::Orders,
        "UPDATE orders_orders SET status = 'confirmed' WHERE id = 'QUIET';",
    ),
    (
        Rule::Paid,
        Of::Catalog,
        "UPDATE catalog_reservations SET state = 'committed' WHERE id = 'CANCELLED';
        UPDATE catalog_products SET on_hand = on_hand - 2 WHERE sku = 'LAMP';",
    ),
    (
        Rule::Paid,
        Of::Orders,
        "UPDATE orders_orders SET status = 'expired' WHERE id = 'SILENT';",
    ),
    (
        Rule::Paid,
        Of::Orders,
        "UPDATE orders_orders SET status = 'rejected' WHERE id = 'SILENT';",
    ),
    (
        Rule::Ordered,
        Of::Catalog,
        "INSERT INTO catalog_reservations VALUES ('r', 'released', 1);",
    ),
    (
        Rule::Ordered,
        Of::Catalog,
        "INSERT INTO catalog_reservations VALUES ('r', 'expired', 1);",
    ),
    (
        Rule::Bound,
        Of::Catalog,
        "INSERT INTO catalog_reservation_lines VALUES ('r', 0, 'p', 1, NULL);",
    ),
    (
        Rule::Bound,
        Of::Catalog,
        "UPDATE catalog_reservation_lines SET held_until = 1 WHERE reservation_id = 'CONFIRMED';",
    ),
    (
        Rule::Bound,
        Of::Catalog,
        "UPDATE catalog_reservations SET state = 'held', expires_at = 1 WHERE id = 'CANCELLED';",
    ),
    (
        Rule::LetGo,
        Of::Catalog,
        "UPDATE catalog_reservations SET state = 'held', expires_at = 9000000000000 WHERE id = 'CANCELLED';
        UPDATE catalog_reservation_lines SET held_until = 9000000000000 WHERE reservation_id = 'CANCELLED';",
    ),
    (
        Rule::Stock,
        Of::Catalog,
        "UPDATE catalog_products SET on_hand = on_hand + 1 WHERE sku = 'LAMP';",
    ),
    (
        Rule::Stock,
        Of::Catalog,
        "UPDATE catalog_products SET on_hand = on_hand - 1 WHERE sku = 'LAMP';",
    ),
    (
        Rule::Stock,
        Of::Catalog,
        "DELETE FROM catalog_products WHERE sku = 'LAMP';",
    ),
    (
        Rule::Keyed,
        Of::Orders,
        "DELETE FROM orders_keys WHERE order_id = 'REJECTED';",
    ),
    (
        Rule::Keyed,
        Of::Orders,
        "INSERT INTO orders_keys VALUES ('c', 'k', 'nothing', 9000000000000);",
    ),
    (
        Rule::Keyed,
        Of::Orders,
        "UPDATE orders_keys SET customer = 'c' WHERE order_id = 'CONFIRMED';",
    ),
    (
        Rule::Keyed,
        Of::Orders,
        "INSERT INTO orders_keys
            SELECT customer, 'other', order_id, kept_until FROM orders_keys WHERE order_id = 'CONFIRMED';",
    ),
    (
        Rule::Told,
        Of::Orders,
        "UPDATE orders_orders SET status = 'cancelled' WHERE id = 'REJECTED';",
    ),
    (
        Rule::Told,
        Of::Orders,
        "UPDATE orders_orders SET status = 'expired' WHERE id = 'CANCELLED';",
    ),
    (
        Rule::Told,
        Of::Orders,
        "DELETE FROM orders_orders WHERE id = 'REJECTED';
        DELETE FROM orders_lines WHERE order_id = 'REJECTED';
        DELETE FROM orders_keys WHERE order_id = 'REJECTED';",
    ),
    (
        Rule::Told,
        Of::Orders,
        "UPDATE orders_lines SET quantity = 1, price = 2 * price WHERE order_id = 'CANCELLED';
        UPDATE orders_orders SET pieces = 1 WHERE id = 'CANCELLED';",
    ),
];

#[tokio::test]
async fn the_checker_finds_each_kind_of_contradiction() {
    let builder = shop().await;
    let counter = Counter::open_with(&builder).await;
    let ada = counter.customer("ada").await;
    let lamp = counter.stocked("LAMP", 20).await;
    let mut known = Known::of(&counter).await;
    let confirmed = counter.placed(&ada, "confirmed", &[(&lamp, 3)]).await;
    let cancelled = counter.placed(&ada, "cancelled", &[(&lamp, 2)]).await;
    let cancelled = counter
        .expect(200, cancel(&ada, &text(&cancelled, "id")))
        .await
        .json();
    let silent = counter.placed(&ada, "silent", &[(&lamp, 1)]).await;
    let refused = async |key: &str| {
        counter
            .expect(409, order(&ada, key, &[(&lamp, 100)]))
            .await
            .json()
    };
    let (rejected, quiet) = (refused("rejected").await, refused("quiet").await);
    known.told(&confirmed);
    known.told(&cancelled);
    known.refused(&rejected);
    let names = [
        ("CONFIRMED", text(&confirmed, "id")),
        ("CANCELLED", text(&cancelled, "id")),
        ("SILENT", text(&silent, "id")),
        ("REJECTED", text(&rejected, "order_id")),
        ("QUIET", text(&quiet, "order_id")),
    ];
    let files = Files::of(&counter);
    counter.shop.host.stop().await;
    assert_eq!(check(&files, &known).await, []);

    let mut rules = BTreeSet::new();
    for (rule, of, change) in CHANGES {
        let folder = tempfile::tempdir().expect("the system has a temporary folder");
        let copy = copied(&files, folder.path()).await;
        assert_eq!(check(&copy, &known).await, [], "a copy is no change");
        apply(*of, &copy, change, &names).await;
        let found = check(&copy, &known).await;
        let kinds: BTreeSet<_> = found.iter().map(|(rule, _)| *rule).collect();
        assert_eq!(kinds, [*rule].into(), "{change}: {found:?}");
        rules.insert(*rule);
    }
    assert_eq!(rules, Rule::ALL.into(), "a rule is broken by no change");
}

/// Changes one of the databases.
async fn apply(of: Of, files: &Files, change: &str, names: &[(&str, String)]) {
    let file = match of {
        Of::Auth => &files.auth,
        Of::Catalog => &files.catalog,
        Of::Orders => &files.orders,
    };
    let mut change = change.replace('\n', " ");
    for (name, id) in names {
        change = change.replace(name, id);
    }
    // The tool wants each statement on a line of its own.
    sqlite::run(file, &change.replace(';', ";\n")).await;
}

async fn copied(files: &Files, folder: &Path) -> Files {
    let copy = async |file: &Path, name: &str| {
        let to = folder.join(name);
        sqlite::run(file, &format!(".backup \"{}\"", to.display())).await;
        to
    };
    Files {
        auth: copy(&files.auth, "auth.db").await,
        catalog: copy(&files.catalog, "catalog.db").await,
        orders: copy(&files.orders, "orders.db").await,
    }
}
