//! The repository keeps the domain's promises against a real SQLite, and keeps them between connections.

use std::sync::{Arc, Barrier};

use orders_domain::port::Held;
use orders_domain::testing::{Bench, Fault, SetTime, buyer, items, key, product, run, suite};
use orders_domain::{Error, Placed};

use super::*;
use crate::adapter::native::{File, Native, ready};
use crate::adapter::schema;
use crate::adapter::sql::Row;

#[test]
fn the_repository_in_sql_keeps_every_promise() {
    ready(suite::promises(|| Sqlite::new(File::empty())));
}

/// Runs one piece of work on so many threads at once.
fn at_once<T: Send + 'static>(threads: usize, work: impl Fn(usize) -> T + Send + Sync + 'static) -> Vec<T> {
    let (work, barrier) = (Arc::new(work), Arc::new(Barrier::new(threads)));
    let threads: Vec<_> = (0..threads)
        .map(|number| {
            let (work, barrier) = (Arc::clone(&work), Arc::clone(&barrier));
            std::thread::spawn(move || {
                barrier.wait();
                work(number)
            })
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

#[test]
fn of_those_who_come_at_once_with_one_key_one_writes_its_order_down() {
    let file = File::empty();
    let pool = file.clone();
    let placements = at_once(8, move |number| {
        let order = suite::order(&SetTime::default(), "ada", Timestamp::from_millis(number as u64));
        let until = Timestamp::from_millis(1_000_000);
        ready(Sqlite::new(pool.clone()).place(&order, &key("k"), until)).unwrap()
    });
    assert_eq!(placements.iter().filter(|one| **one == Placement::New).count(), 1);
    assert_eq!(file.count("SELECT count(*) FROM orders_orders"), 1);
    assert_eq!(file.count("SELECT count(*) FROM orders_lines"), 2);
}

#[test]
fn of_those_who_change_a_status_at_once_one_does() {
    let file = File::empty();
    let order = suite::order(&SetTime::default(), "ada", Timestamp::EPOCH);
    let store = Sqlite::new(file.clone());
    ready(store.place(&order, &key("k"), Timestamp::MAX)).unwrap();
    let changed = at_once(8, move |number| {
        let change = Change {
            to: [Status::Reserved, Status::Expired, Status::Cancelling][number % 3],
            at: Timestamp::EPOCH,
            refusal: None,
            due_at: Timestamp::EPOCH,
        };
        let store = Sqlite::new(file.clone());
        ready(store.advance(order.id, Status::Pending, &change)).unwrap()
    });
    assert_eq!(changed.iter().filter(|changed| **changed).count(), 1);
}

#[test]
fn the_saga_runs_over_sql() {
    let file = File::empty();
    let bench = Bench::over(Sqlite::new(file.clone()));
    bench.warehouse.stock(product(1), 10, 250, "EUR");
    let place = |name: &str, quantity| {
        let (caller, wanted) = (buyer(name), items(&[(1, quantity)]));
        ready(bench.shop().place(&caller, &key("k"), &wanted))
    };
    let Ok(Placed::New(order)) = place("ada", 7) else {
        panic!("it can be had")
    };
    assert_eq!(order.status, Status::Confirmed);
    assert_eq!(place("ada", 7), Ok(Placed::Again(order.clone())));
    let Err(Error::NotPlaced(refused)) = place("bob", 4) else {
        panic!("there are three")
    };
    assert_eq!(refused.status, Status::Rejected);
    assert_eq!(
        place("bob", 4),
        Err(Error::NotPlaced(refused)),
        "told again as it was"
    );
    let cancelled = ready(bench.shop().cancel(&buyer("ada"), &order.id.to_string())).unwrap();
    assert_eq!(cancelled.status, Status::Cancelled);
    assert_eq!(bench.warehouse.on_hand(product(1)), 10);
    let statuses = "SELECT count(*) FROM orders_orders WHERE status IN ('cancelled', 'rejected')";
    assert_eq!(file.count(statuses), 2);
}

#[test]
fn what_cannot_be_read_is_in_nobodys_way() {
    let file = File::empty();
    let bench = Bench::over(Sqlite::new(file.clone()));
    bench.warehouse.stock(product(1), 10, 250, "EUR");
    for number in 0..5 {
        // The prices, then the reservation.
        bench.plan.fail(2, Fault::DieAfter);
        let (buyer, wanted) = (buyer(&format!("b{number}")), items(&[(1, 1)]));
        assert!(run(bench.shop().place(&buyer, &key("k"), &wanted)).is_none());
    }
    bench.plan.heal();
    let oldest = "(SELECT id FROM orders_orders ORDER BY id LIMIT 2 OFFSET";
    let spoil = format!(
        "UPDATE orders_orders SET currency = '?' WHERE id IN {oldest} 0);
         DELETE FROM orders_lines WHERE order_id IN {oldest} 2);"
    );
    file.connect().0.execute_batch(&spoil).unwrap();
    let nameless = "INSERT INTO orders_orders SELECT 'x' || due_at, customer, status, total, currency, lines,
        pieces, NULL, NULL, NULL, created_at, updated_at, expires_at, NULL, 0, 0 FROM orders_orders LIMIT 1";
    file.connect().0.execute_batch(nameless).unwrap();
    bench.time.pass(60);
    let told = ready(bench.shop().sweep());
    assert!(
        matches!(told, Err(Error::Store(StoreError::Unreadable(_)))),
        "{told:?}"
    );
    assert_eq!(ready(bench.shop().sweep()), Ok(()));
    assert_eq!(
        file.count("SELECT count(*) FROM orders_orders WHERE status = 'expired'"),
        1
    );
    assert_eq!(bench.warehouse.pieces(product(1), Held::Held), 0);
    bench.time.pass(10);
    assert_eq!(ready(bench.shop().sweep()), told, "not for ever");
}

#[test]
fn several_first_starts_at_once_are_one() {
    let file = File::blank();
    let pool = file.clone();
    for started in at_once(4, move |_| ready(schema::migrate(&pool.connect()))) {
        started.unwrap();
    }
    assert_eq!(file.count("SELECT version FROM orders_schema_version"), 2);
}

#[test]
fn a_first_start_that_breaks_off_leaves_nothing() {
    let file = File::blank();
    // Somebody's table is in the way of the last step.
    let execute = |statement: &str| file.connect().0.execute(statement, []).unwrap();
    execute("CREATE TABLE orders_keys (x)");
    let failed = ready(schema::migrate(&file.connect()));
    assert!(matches!(failed, Err(StoreError::Failed(_))), "{failed:?}");
    assert_eq!(
        file.count("SELECT count(*) FROM sqlite_master WHERE type = 'table'"),
        1
    );
}

/// Makes a database one of a later version.
fn later(file: &File, oldest: u32) {
    let update = "UPDATE orders_schema_version SET version = 99, oldest = ?1";
    file.connect().0.execute(update, [oldest]).unwrap();
}

#[test]
fn a_database_of_a_later_version_serves_whoever_it_says() {
    let file = File::empty();
    for oldest in [1, 2] {
        later(&file, oldest);
        ready(schema::migrate(&file.connect())).unwrap();
        assert_eq!(file.count("SELECT version FROM orders_schema_version"), 99);
    }
    later(&file, 3);
    let refused = ready(schema::migrate(&file.connect()));
    let Err(StoreError::Unreadable(text)) = refused else {
        panic!("{refused:?}")
    };
    assert!(text.contains("version 99, for services that know 3"), "{text}");
}

/// A connection that a later version overtakes while it waits for the lock.
struct Overtaken(File, Native);

impl Connection for Overtaken {
    async fn run(&self, statement: &str, parameters: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        if statement == "BEGIN IMMEDIATE" {
            ready(schema::migrate(&self.0.connect()))?;
            later(&self.0, 1);
        }
        self.1.run(statement, parameters).await
    }
}

#[test]
fn whoever_is_overtaken_by_a_later_version_leaves_it_alone() {
    let file = File::blank();
    let overtaken = Overtaken(file.clone(), file.connect());
    ready(schema::migrate(&overtaken)).unwrap();
    assert!(overtaken.1.0.is_autocommit(), "a transaction is left open");
    assert_eq!(file.count("SELECT version FROM orders_schema_version"), 99);
}

#[test]
fn a_database_of_the_first_version_is_brought_up_to_date() {
    let file = File::empty();
    let first = "ALTER TABLE orders_schema_version DROP COLUMN oldest;
        UPDATE orders_schema_version SET version = 1;";
    file.connect().0.execute_batch(first).unwrap();
    ready(schema::migrate(&file.connect())).unwrap();
    assert_eq!(file.count("SELECT version FROM orders_schema_version"), 2);
    assert_eq!(file.count("SELECT oldest FROM orders_schema_version"), 1);
}

#[test]
fn every_table_carries_the_context() {
    let file = File::empty();
    let strangers = "SELECT count(*) FROM sqlite_master WHERE name NOT LIKE 'orders\\_%' ESCAPE '\\'
        AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    assert_eq!(file.count(strangers), 0);
    assert!(file.count("SELECT count(*) FROM sqlite_master WHERE name LIKE 'orders%'") > 8);
}

#[test]
fn no_query_walks_through_all_orders() {
    let file = File::empty();
    let plan = |statement: &str| {
        let connection = file.connect();
        let mut plan = connection
            .0
            .prepare(&format!("EXPLAIN QUERY PLAN {statement}"))
            .unwrap();
        let bound = vec![rusqlite::types::Value::Null; plan.parameter_count()];
        let steps = plan.query_map(rusqlite::params_from_iter(bound), |row| row.get::<_, String>(3));
        steps.unwrap().map(Result::unwrap).collect::<Vec<_>>().join("\n")
    };
    let after = orders_domain::page::Position {
        created_at: Timestamp::EPOCH,
        id: OrderId::new(Timestamp::EPOCH, &[0; 10]),
    };
    for (customer, status, index) in [
        (None, None, "orders_orders_by_created"),
        (None, Some(Status::Pending), "orders_orders_by_status"),
        (Some("ada"), None, "orders_orders_of_customer"),
        (
            Some("ada"),
            Some(Status::Pending),
            "orders_orders_of_customer_by_status",
        ),
    ] {
        let query = Query {
            customer: customer.map(|name| buyer(name).customer),
            status,
            after: Some(after),
            ..Query::default()
        };
        let plan = plan(&read::listing(&query).0);
        assert!(
            plan.contains(&format!("INDEX {index} ")) && !plan.contains("B-TREE"),
            "{plan}"
        );
    }
    let due = plan(read::DUE);
    assert!(
        due.contains("INDEX orders_orders_open") && !due.contains("B-TREE"),
        "{due}"
    );
    let old = plan(OVER);
    assert!(
        old.contains("INDEX orders_keys_by_end") && !old.contains("B-TREE"),
        "{old}"
    );
}
