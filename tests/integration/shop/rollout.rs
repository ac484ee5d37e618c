//! Data across revisions: two of them share a service's database during a canary, and a rollback brings back code, not
//! data. So a schema expands, then the code switches, then the schema contracts; and each revision can be beside the
//! next.
//!
//! Here the catalog goes that way ([`variant`] says what it changes) while clients use the whole shop ([`crowd`]).

mod crowd;
mod variant;

use std::path::Path;

use serde_json::Value;

use self::crowd::{Board, Crowd, NAME};
use self::variant::Next;
use super::client::text;
use super::orders::Counter;
use super::orders::books::{self, Files};
use super::{get, shop, sqlite};
use crate::harness::{Builder, Finished, eventually};

/// Requests that each revision of a step has to serve.
const ENOUGH: u64 = 40;

/// Who changes the shop while it is open.
struct Operator<'a> {
    builder: &'a Builder,
    counter: &'a Counter,
}

impl Operator<'_> {
    /// Runs a command that is expected to go well.
    async fn run(&self, arguments: &[&str]) {
        let state = self.builder.folder().join("state");
        let state = ["--state-dir", path(&state)];
        let finished = Finished::of(&[arguments, &state].concat(), self.builder.folder()).await;
        assert_eq!(finished.status.code(), Some(0), "{arguments:?}: {finished:?}");
    }

    async fn deploy(&self, next: Next) {
        let component = next.component().await;
        self.run(&["deploy", "catalog", path(&component)]).await;
    }

    /// For half of the requests.
    async fn try_out(&self, next: Next) {
        let component = next.component().await;
        let by = format!("header:{NAME}");
        let canary = ["--canary", "50%", "--sticky", &by];
        self.run(&[&["deploy", "catalog", path(&component)][..], &canary].concat())
            .await;
    }

    /// What the admin API says of the catalog, or of what is below it.
    async fn asked(&self, below: &str) -> Value {
        let path = format!("/v1/apps/shop/services/catalog{below}");
        let answer = self.counter.admin_get(&path).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// The revisions that serve now: the current one, and the candidate if there is one.
    async fn serving(&self) -> Vec<Serving> {
        let catalog = self.asked("").await;
        let candidate = &catalog["candidate"]["revision"];
        let serving = [&catalog["current"], candidate].into_iter();
        serving
            .filter(|shown| !shown.is_null())
            .map(Serving::new)
            .collect()
    }

    /// The one revision that serves now.
    async fn alone(&self) -> String {
        let mut serving = self.serving().await;
        assert_eq!(serving.len(), 1, "{serving:?}");
        serving.remove(0).revision
    }
}

#[derive(Debug)]
struct Serving {
    revision: String,
    served: u64,
    failed: u64,
}

impl Serving {
    fn new(shown: &Value) -> Self {
        let count = |member: &str| shown[member].as_u64().expect("requests are counted");
        Self {
            revision: text(shown, "revision"),
            served: count("served"),
            failed: count("failed"),
        }
    }
}

/// One step of a rollout after the other, each with the crowd at work.
struct Script<'a> {
    operator: Operator<'a>,
    crowd: &'a Crowd<'a>,
}

impl Script<'_> {
    /// Waits until so many revisions have each served enough since now, and everybody has written and read everything
    /// anew.
    async fn served_by(&self, revisions: usize, step: &str) {
        let since = self.operator.serving().await;
        assert_eq!(since.len(), revisions, "{step}: {since:?}");
        self.crowd.turn();
        eventually(step, async || {
            self.crowd.is_content(step);
            let now = self.operator.serving().await;
            assert_eq!(now.len(), revisions, "{step}: {now:?}");
            let failed = now.iter().any(|serving| serving.failed > 0);
            assert!(!failed, "{step}: {now:?}\n{}", self.operator.counter.log_text());
            let mut both = since.iter().zip(&now);
            both.all(|(since, now)| now.served >= since.served + ENOUGH)
        })
        .await;
        self.crowd.go_on().await;
        self.crowd.is_content(step);
    }

    /// The way that the rule says, and back at every place where there is a way back.
    async fn expand_switch_contract(&self) {
        let Self { operator, .. } = self;
        let first = operator.alone().await;
        self.served_by(1, "1 alone").await;

        operator.try_out(Next::Expand).await;
        self.served_by(2, "1, and 2 expands").await;
        operator.run(&["abort", "catalog"]).await;
        assert_eq!(operator.alone().await, first);
        self.served_by(1, "1 with what 2 has written").await;

        operator.deploy(Next::Expand).await;
        let second = operator.alone().await;
        self.served_by(1, "2 alone").await;
        // The instances of the first are new ones: they start on a schema that they do not know.
        operator.run(&["rollback", "catalog"]).await;
        assert_eq!(operator.alone().await, first);
        self.served_by(1, "1 once more").await;
        operator.deploy(Next::Expand).await;
        assert_eq!(operator.alone().await, second);
        self.served_by(1, "2 once more").await;

        operator.try_out(Next::Switch).await;
        self.served_by(2, "2, and 3 switches").await;
        operator.run(&["promote", "catalog"]).await;
        let third = operator.alone().await;
        self.served_by(1, "3 alone").await;
        operator.run(&["rollback", "catalog"]).await;
        assert_eq!(operator.alone().await, second);
        self.served_by(1, "2 with what 3 has written").await;
        operator.run(&["rollback", "catalog", &third]).await;
        assert_eq!(operator.alone().await, third);
        self.served_by(1, "3 once more").await;

        operator.try_out(Next::Contract).await;
        self.served_by(2, "3, and 4 contracts").await;
        operator.run(&["abort", "catalog"]).await;
        assert_eq!(operator.alone().await, third);
        self.served_by(1, "3 with what 4 has left").await;
        operator.deploy(Next::Contract).await;
        let fourth = operator.alone().await;
        self.served_by(1, "4 alone").await;
        operator.run(&["rollback", "catalog"]).await;
        assert_eq!(operator.alone().await, third);
        self.served_by(1, "3 once more, contracted").await;
        operator.deploy(Next::Contract).await;
        assert_eq!(operator.alone().await, fourth);
        self.served_by(1, "4 once more").await;
    }
}

#[tokio::test]
async fn a_schema_expands_and_contracts_under_load_and_no_request_fails() {
    let builder = shop().await;
    let counter = Counter::open_with(&builder).await;
    let board = Board::default();
    let crowd = Crowd::gather(&counter, &board).await;
    let files = Files::of(&counter);
    assert_eq!(stand(&files).await, ["2|1", "amount"]);
    let script = Script {
        operator: Operator {
            builder: &builder,
            counter: &counter,
        },
        crowd: &crowd,
    };
    tokio::join!(crowd.run(), async {
        script.expand_switch_contract().await;
        crowd.close();
    });
    crowd.is_content("the end");
    assert!(crowd.requests() > 1000, "{} requests", crowd.requests());
    let history = script.operator.asked("/history").await;
    let entries = history["entries"].as_array().expect("a history has entries");
    for entry in entries {
        assert_eq!(entry["outcome"], "published", "{entry}");
        assert_eq!(entry["interrupted"].as_u64().unwrap_or_default(), 0, "{entry}");
    }
    drop(crowd);
    counter.shop.host.stop().await;
    assert_eq!(stand(&files).await, ["5|4", "exact_price"]);
    books::agree(&files, &board.known()).await;
}

/// What happens to those who do not keep to the rule: the test above would see it.
#[tokio::test]
async fn a_schema_that_contracts_beside_a_revision_that_needs_it_fails_requests() {
    let builder = shop().await;
    let counter = Counter::open_with(&builder).await;
    let operator = Operator {
        builder: &builder,
        counter: &counter,
    };
    let board = Board::default();
    let crowd = Crowd::gather(&counter, &board).await;
    tokio::join!(crowd.run(), async {
        crowd.go_on().await;
        crowd.is_content("1 alone");
        operator.try_out(Next::Contract).await;
        eventually("requests to fail, and the first to be where", async || {
            !board.failures().is_empty() && operator.serving().await[0].failed > 0
        })
        .await;
        crowd.close();
    });
    let failures = board.failures();
    let answered = |failure: &String| failure.contains("is answered with 50");
    assert!(failures.iter().any(answered), "{failures:#?}");
    // The one that is tried out does well.
    let [_, fourth] = &operator.serving().await[..] else {
        panic!("both serve")
    };
    assert_eq!(fourth.failed, 0, "{fourth:?}\n{}", counter.log_text());

    // Code comes back, data does not: now everybody fails.
    operator.run(&["abort", "catalog"]).await;
    all_answer(500, &counter).await;
    // There is only one way: on.
    operator.deploy(Next::Contract).await;
    all_answer(200, &counter).await;
    // A new instance does not even try, and says why.
    operator.run(&["rollback", "catalog"]).await;
    all_answer(500, &counter).await;
    let reason = "its schema is of version 5, for services that know 4, and this one knows 2";
    let told = counter.wait_for_log("the reason", |line| line.text().contains(reason));
    told.await;
    operator.deploy(Next::Contract).await;
    all_answer(200, &counter).await;
    drop(crowd);
    counter.shop.host.stop().await;
}

/// Looks at the catalog as several clients. All are answered with this status.
async fn all_answer(status: u16, counter: &Counter) {
    for number in 0..20 {
        let call = get("/catalog/products").header(NAME, &number.to_string());
        counter.expect(status, call).await;
    }
}

/// The version of the catalog's schema with the least that a service has to know, and where it keeps prices.
async fn stand(files: &Files) -> Vec<String> {
    let statements = "SELECT version, oldest FROM catalog_schema_version;
        SELECT name FROM pragma_table_info('catalog_products') WHERE name IN ('amount', 'exact_price');";
    let mut lines = Vec::new();
    for statement in statements.lines() {
        lines.extend(sqlite::run(&files.catalog, statement.trim()).await);
    }
    lines
}

fn path(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}
