//! The store keeps the domain's promises against a real SQLite, and keeps them between connections.

use std::time::Duration;

use catalog_domain::memory::{CountedIds, SetClock};
use catalog_domain::reservation::{Lines, ReservationId};
use catalog_domain::{Catalog, Error, suite};
use proptest::prelude::*;

use super::*;
use crate::adapter::native::{File, Native, ready};
use crate::adapter::schema;
use crate::adapter::sql::Row;
use crate::adapter::world::{RandomIds, SystemClock};

#[test]
fn the_store_in_sql_keeps_every_promise() {
    ready(suite::promises(|| Sqlite::new(File::empty())));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_history_in_sql_goes_below_zero(steps in prop::collection::vec(any::<[u8; 4]>(), 0..60)) {
        ready(suite::history(Sqlite::new(File::empty()), &steps));
    }
}

fn catalog(file: &File) -> Catalog<Sqlite<File>, SystemClock, RandomIds> {
    Catalog::new(Sqlite::new(file.clone()), SystemClock, RandomIds)
}

fn count(file: &File, statement: &str) -> u32 {
    file.connect()
        .0
        .query_row(statement, [], |row| row.get(0))
        .unwrap()
}

#[test]
fn the_last_piece_is_sold_once() {
    let file = File::seeded();
    let products = ready(catalog(&file).list(Query::default())).unwrap().items;
    let stool = products.iter().find(|p| p.stock.on_hand == 5).unwrap();
    let path = file.path();
    let id = stool.id.to_string();
    let buyers: Vec<_> = (0..4)
        .map(|buyer| {
            let (path, id) = (path.clone(), id.clone());
            std::thread::spawn(move || {
                let mut sold = 0;
                for order in 0..5 {
                    sold += u32::from(buy(&path, &id, &format!("b{buyer}-{order}")));
                }
                sold
            })
        })
        .collect();
    let sold: u32 = buyers.into_iter().map(|buyer| buyer.join().unwrap()).sum();
    assert_eq!(sold, 5);
    let stock = ready(catalog(&file).product(&id)).unwrap().stock;
    assert_eq!((stock.on_hand, stock.held), (0, 0));
}

/// Reserves and commits one piece on a connection of its own; `false` when there is none left.
fn buy(path: &std::path::Path, product: &str, order: &str) -> bool {
    let catalog = Catalog::new(Sqlite::new(Path(path.to_owned())), SystemClock, RandomIds);
    let id = ReservationId::parse(order).unwrap();
    let lines = Lines::parse([(product, 1)].into_iter()).unwrap();
    match ready(catalog.reserve(id.clone(), lines, Duration::from_secs(60))) {
        Ok(_) => {
            ready(catalog.commit(&id)).unwrap();
            true
        }
        Err(Error::Short(shortage)) => {
            assert_eq!(shortage.available, 0);
            false
        }
        Err(error) => panic!("{error}"),
    }
}

/// A pool that can go to another thread.
#[derive(Clone)]
struct Path(std::path::PathBuf);

impl Pool for Path {
    type Connection = Native;

    async fn take(&self) -> Result<Self::Connection, StoreError> {
        let connection = rusqlite::Connection::open(&self.0).unwrap();
        connection.busy_timeout(Duration::from_secs(20)).unwrap();
        Ok(Native(connection))
    }

    fn give_back(&self, _: Self::Connection) {}
}

#[test]
fn the_first_start_seeds_once() {
    let file = File::seeded();
    let ids = CountedIds::default();
    for _ in 0..2 {
        ready(schema::migrate(&file.connect(), &SetClock::default(), &ids)).unwrap();
    }
    assert_eq!(count(&file, "SELECT count(*) FROM catalog_products"), 12);
    file.connect()
        .0
        .execute("DELETE FROM catalog_products", [])
        .unwrap();
    ready(schema::migrate(&file.connect(), &SetClock::default(), &ids)).unwrap();
    assert_eq!(
        count(&file, "SELECT count(*) FROM catalog_products"),
        0,
        "what was deleted stays so"
    );
}

#[test]
fn several_first_starts_at_once_are_one() {
    let file = File::blank();
    let path = file.path();
    let starts: Vec<_> = (0..4)
        .map(|_| {
            let pool = Path(path.clone());
            std::thread::spawn(move || {
                let connection = ready(pool.take()).unwrap();
                ready(schema::migrate(&connection, &SystemClock, &RandomIds))
            })
        })
        .collect();
    for start in starts {
        start.join().unwrap().unwrap();
    }
    assert_eq!(count(&file, "SELECT count(*) FROM catalog_products"), 12);
    assert_eq!(count(&file, "SELECT version FROM catalog_schema_version"), 2);
}

#[test]
fn a_first_start_that_breaks_off_leaves_nothing() {
    let file = File::blank();
    // Somebody's table is in the way of the last step.
    file.connect()
        .0
        .execute("CREATE TABLE catalog_reservation_lines (x)", [])
        .unwrap();
    let connection = file.connect();
    let failed = ready(schema::migrate(&connection, &SystemClock, &RandomIds));
    assert!(matches!(failed, Err(StoreError::Failed(_))), "{failed:?}");
    drop(connection);
    assert_eq!(
        count(&file, "SELECT count(*) FROM sqlite_master WHERE type = 'table'"),
        1
    );
}

/// Makes a database one of a later version.
fn later(file: &File, oldest: u32) {
    file.connect()
        .0
        .execute(
            "UPDATE catalog_schema_version SET version = 99, oldest = ?1",
            [oldest],
        )
        .unwrap();
}

#[test]
fn a_database_of_a_later_version_serves_whoever_it_says() {
    let file = File::seeded();
    let migrate = || ready(schema::migrate(&file.connect(), &SystemClock, &RandomIds));
    for oldest in [1, 2] {
        later(&file, oldest);
        migrate().unwrap();
        assert_eq!(count(&file, "SELECT version FROM catalog_schema_version"), 99);
    }
    later(&file, 3);
    let Err(StoreError::Unreadable(text)) = migrate() else {
        panic!("a service went on with what it does not know")
    };
    assert!(text.contains("version 99, for services that know 3"), "{text}");
}

/// A connection that a later version overtakes while it waits for the lock.
struct Overtaken(File, Native);

impl Connection for Overtaken {
    async fn run(&self, statement: &str, parameters: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        if statement == "BEGIN IMMEDIATE" {
            ready(schema::migrate(&self.0.connect(), &SystemClock, &RandomIds))?;
            later(&self.0, 1);
        }
        self.1.run(statement, parameters).await
    }
}

#[test]
fn whoever_is_overtaken_by_a_later_version_leaves_it_alone() {
    let file = File::blank();
    let overtaken = Overtaken(file.clone(), file.connect());
    ready(schema::migrate(&overtaken, &SystemClock, &RandomIds)).unwrap();
    assert!(overtaken.1.0.is_autocommit(), "a transaction is left open");
    assert_eq!(count(&file, "SELECT version FROM catalog_schema_version"), 99);
}

#[test]
fn a_database_of_the_first_version_is_brought_up_to_date() {
    let file = File::seeded();
    file.connect()
        .0
        .execute_batch(
            "ALTER TABLE catalog_schema_version DROP COLUMN oldest;
            UPDATE catalog_schema_version SET version = 1;",
        )
        .unwrap();
    ready(schema::migrate(&file.connect(), &SystemClock, &RandomIds)).unwrap();
    assert_eq!(count(&file, "SELECT version FROM catalog_schema_version"), 2);
    assert_eq!(count(&file, "SELECT oldest FROM catalog_schema_version"), 1);
    assert_eq!(count(&file, "SELECT count(*) FROM catalog_products"), 12);
}

#[test]
fn every_table_carries_the_context() {
    let file = File::seeded();
    let strangers = "SELECT count(*) FROM sqlite_master WHERE name NOT LIKE 'catalog\\_%' ESCAPE '\\'
        AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    assert_eq!(count(&file, strangers), 0);
    assert!(
        count(
            &file,
            "SELECT count(*) FROM sqlite_master WHERE name LIKE 'catalog%'"
        ) > 8
    );
}

#[test]
fn no_query_walks_through_all_reservations() {
    let file = File::seeded();
    let plan = |statement: &str| {
        let connection = file.connect();
        let mut plan = connection
            .0
            .prepare(&format!("EXPLAIN QUERY PLAN {statement}"))
            .unwrap();
        let steps = plan.query_map([], |row| row.get::<_, String>(3)).unwrap();
        steps.map(Result::unwrap).collect::<Vec<_>>().join("\n")
    };
    let held =
        plan("SELECT sum(quantity) FROM catalog_reservation_lines WHERE product_id = 'x' AND held_until > 1");
    assert!(
        held.contains("COVERING INDEX catalog_reservation_lines_held"),
        "{held}"
    );
    let over = plan(
        "SELECT reservation_id FROM catalog_reservation_lines WHERE held_until <= 1 AND product_id IN ('x')",
    );
    assert!(over.contains("INDEX catalog_reservation_lines_held"), "{over}");
    let old = plan("SELECT id FROM catalog_reservations WHERE expires_at < 1 ORDER BY expires_at LIMIT 4");
    assert!(
        old.contains("INDEX catalog_reservations_by_end") && !old.contains("B-TREE"),
        "{old}"
    );
    let listing = plan(
        "SELECT id FROM catalog_products p WHERE (p.amount, p.id) > (1, 'x')
            ORDER BY p.amount, p.id LIMIT 21",
    );
    assert!(
        listing.contains("INDEX catalog_products_by_amount") && !listing.contains("B-TREE"),
        "{listing}"
    );
}
