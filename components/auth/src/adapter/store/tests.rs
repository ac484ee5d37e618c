//! The statements of the adapter, run by a real SQLite.

use super::super::database::testing::Sqlite;
use super::super::schema::migrate;
use super::*;
use auth_domain::testing::{ready, suite};
use auth_domain::throttle::{Allowance, Subject};
use std::time::Duration;

fn store() -> SqlStore<Sqlite> {
    let database = Sqlite::new();
    ready(migrate(&database)).unwrap();
    SqlStore(database)
}

fn count(store: &SqlStore<Sqlite>, table: &str) -> i64 {
    match ready(store.rows(&format!("SELECT count(*) FROM {table}"), vec![])).unwrap()[0][0] {
        Value::Integer(count) => count,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn the_store_in_sql_does_what_a_store_has_to() {
    for requirement in suite::requirements::<SqlStore<Sqlite>>() {
        println!("{}", requirement.name);
        (requirement.check)(&store());
    }
}

#[test]
fn the_throttle_table_does_not_grow_without_bound() {
    let store = store();
    let now = Timestamp::from_seconds(1_800_000_000);
    let charge = |number: u32, now| {
        let client = auth_domain::Client::from_peer(Some(&std::net::Ipv4Addr::from_bits(number).to_string()));
        let allowance = Allowance {
            burst: 2,
            interval: Duration::from_secs(60),
        };
        ready(store.charge(
            &[Charge {
                subject: Subject::client(&client),
                allowance,
            }],
            now,
        ))
        .unwrap()
    };
    for number in 0..100 {
        charge(number, now);
    }
    assert_eq!(count(&store, "auth_throttle"), 100);
    charge(1000, now.plus(Duration::from_secs(60)));
    assert_eq!(count(&store, "auth_throttle"), 1, "what was paid off is gone");
    let many = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MAX_ENTRIES} + 500)
         INSERT INTO auth_throttle SELECT CAST('x' || i AS BLOB), {} + i FROM n",
        now.seconds() + 1_000
    );
    ready(store.run(&many, vec![])).unwrap();
    charge(1001, now.plus(Duration::from_secs(60)));
    assert!(count(&store, "auth_throttle") <= i64::from(MAX_ENTRIES) + 2);
}

#[test]
fn no_secret_is_stored_in_clear() {
    use auth_domain::testing::{Counting, StoppedClock};
    use auth_domain::{Auth, Client, Hasher, Policy};
    let directory = std::env::temp_dir().join(format!("auth-store-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("db.sqlite");
    let database = Sqlite::at(&path);
    ready(migrate(&database)).unwrap();
    let auth = Auth {
        store: SqlStore(database),
        clock: StoppedClock::at(Timestamp::from_seconds(1_800_000_000)),
        random: Counting::default(),
        hasher: Hasher::with_cost(8, 1).unwrap(),
        policy: Policy::DEFAULT,
    };
    let client = Client::from_peer(Some("192.0.2.77:1"));
    let grant = ready(auth.register("ada@example.com", "canary password", &client)).unwrap();
    let stranger = ready(auth.login("stranger@example.com", "canary password", &client));
    assert!(stranger.is_err());
    drop(auth);
    let file = std::fs::read(&path).unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    let contains = |needle: &str| {
        file.windows(needle.len())
            .any(|window| window == needle.as_bytes())
    };
    assert!(contains("ada@example.com"), "the search finds what is there");
    for secret in [
        "canary password",
        &grant.access_token,
        &grant.refresh_token.reveal(),
        "192.0.2.77",
        "stranger@example.com",
    ] {
        assert!(!contains(secret), "{secret}");
    }
}

#[test]
fn values_that_are_not_ours_are_errors_not_panics() {
    let store = store();
    let insert = "INSERT INTO auth_accounts VALUES ('no uuid', 'ada@example.com', 'admin', 'x', 1)";
    ready(store.run(insert, vec![])).unwrap();
    let found = ready(store.account_by_email(&"ada@example.com".parse().unwrap()));
    assert!(matches!(found, Err(StoreError::Failed(_))), "{found:?}");
    ready(store.run("INSERT INTO auth_signing_keys VALUES ('k', x'00', 1)", vec![])).unwrap();
    assert!(matches!(ready(store.keys()), Err(StoreError::Failed(_))));
}

/// A database file of several connections, as several instances have it. Removed when it is dropped.
struct Shared(std::path::PathBuf);

impl Shared {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("auth-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        Self(directory)
    }

    /// Runs `work` on eight connections at once and answers what each came to.
    fn race<T: Send>(&self, work: impl Fn(SqlStore<Sqlite>) -> T + Sync) -> Vec<T> {
        let start = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let database = Sqlite::at(&self.0.join("db.sqlite"));
                        start.wait();
                        work(SqlStore(database))
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn auth<S: Store>(
    store: S,
    salt: u64,
) -> auth_domain::Auth<S, auth_domain::testing::StoppedClock, auth_domain::testing::Counting> {
    let random = auth_domain::testing::Counting::default();
    random.skip(salt * 1_000_000);
    auth_domain::Auth {
        store,
        clock: auth_domain::testing::StoppedClock::at(Timestamp::from_seconds(1_800_000_000)),
        random,
        hasher: auth_domain::Hasher::with_cost(8, 1).unwrap(),
        policy: auth_domain::Policy::DEFAULT,
    }
}

#[test]
fn instances_that_start_together_agree_on_tables_admin_and_key() {
    use std::sync::atomic::{AtomicU64, Ordering};
    let shared = Shared::new("start");
    let instance = AtomicU64::new(1);
    let started = shared.race(|store| {
        ready(migrate(&store.0)).unwrap();
        let auth = auth(store, instance.fetch_add(1, Ordering::Relaxed));
        let announced = std::cell::Cell::new(0);
        let admin = auth_domain::Admin {
            email: "admin@example.com".parse().unwrap(),
            password: None,
        };
        ready(auth.bootstrap(&admin, &|_| announced.set(announced.get() + 1))).unwrap();
        (announced.get(), ready(auth.jwks()).unwrap())
    });
    assert_eq!(started.iter().map(|(announced, _)| announced).sum::<u32>(), 1);
    assert!(
        started.iter().all(|(_, keys)| *keys == started[0].1),
        "{started:?}"
    );
}

#[test]
fn of_instances_that_get_the_same_refresh_token_one_continues_and_the_session_ends() {
    let shared = Shared::new("refresh");
    let first = SqlStore(Sqlite::at(&shared.0.join("db.sqlite")));
    ready(migrate(&first.0)).unwrap();
    let client = auth_domain::Client::from_peer(None);
    let grant = ready(auth(first, 0).register("ada@example.com", "correct horse", &client)).unwrap();
    let token = grant.refresh_token.reveal();
    let outcomes = shared.race(|store| ready(auth(store, 9).refresh(&token)).is_ok());
    assert_eq!(outcomes.iter().filter(|continued| **continued).count(), 1);
    let after = SqlStore(Sqlite::at(&shared.0.join("db.sqlite")));
    assert_eq!(count(&after, "auth_sessions"), 0);
}

#[test]
fn parallel_guesses_get_no_more_than_their_allowance() {
    let shared = Shared::new("guesses");
    ready(migrate(&Sqlite::at(&shared.0.join("db.sqlite")))).unwrap();
    let client = auth_domain::Client::from_peer(None);
    let looked_at = shared.race(|store| {
        let auth = auth(store, 0);
        let guess = || ready(auth.login("ada@example.com", "wrong password", &client));
        (0..5)
            .filter(|_| matches!(guess(), Err(auth_domain::service::AuthError::BadCredentials)))
            .count()
    });
    assert_eq!(looked_at.iter().sum::<usize>(), 10, "of forty");
}
