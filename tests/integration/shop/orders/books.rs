//! The checker: reads the databases of all three services and says where they contradict each other, or what clients
//! were told.
//!
//! To be asked when nothing is under way any more: then no order is open, and each rule holds without exception. The
//! files are read as they lie there, by the program that an operator has, so that no code of the services takes part.

mod seeded;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::shop::client::text;
use crate::shop::{Shop, sqlite};

/// What must hold, once nothing is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A database is as SQLite wrote it.
    Whole,
    /// Every order belongs to an account.
    Owned,
    /// An order's counts and its total are those of its lines.
    Totals,
    /// No order is open.
    Decided,
    /// A confirmed order has a committed reservation of the same lines.
    Delivered,
    /// A committed reservation has a confirmed order.
    Paid,
    /// A reservation is one of an order.
    Ordered,
    /// A line of a reservation belongs to one, and binds stock exactly while that one is held.
    Bound,
    /// No stock is held any more, unless its time is over.
    LetGo,
    /// Pieces in stock and pieces that left are together what there was.
    Stock,
    /// Every key stands for an order of its buyer, and every order has one key.
    Keyed,
    /// What a client was told is so.
    Told,
}

impl Rule {
    pub const ALL: [Self; 12] = [
        Self::Whole,
        Self::Owned,
        Self::Totals,
        Self::Decided,
        Self::Delivered,
        Self::Paid,
        Self::Ordered,
        Self::Bound,
        Self::LetGo,
        Self::Stock,
        Self::Keyed,
        Self::Told,
    ];
}

/// A rule that does not hold, and where.
pub type Finding = (Rule, String);

/// Pieces by product.
pub type Pieces = BTreeMap<String, u64>;

/// Where the databases are. In a static composition all of them are one.
#[derive(Clone, Debug)]
pub struct Files {
    pub auth: PathBuf,
    pub catalog: PathBuf,
    pub orders: PathBuf,
}

impl Files {
    pub fn of(shop: &Shop) -> Self {
        let file = |service| sqlite::database(&shop.announcement, service);
        Self {
            auth: file("auth"),
            catalog: file("catalog"),
            orders: file("orders"),
        }
    }
}

/// What clients know, and the books must agree with.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What there was of each product before anything was ordered.
    pub stock: Pieces,
    /// The last that was said of each order.
    orders: BTreeMap<String, Told>,
}

#[derive(Clone, Debug)]
struct Told {
    /// One, or several where it is not known which.
    statuses: Vec<String>,
    /// Empty of an order that was only refused.
    lines: Pieces,
}

impl Known {
    /// With the products that are for sale now.
    pub async fn of(shop: &Shop) -> Self {
        let products = shop.list("").await;
        let stock = products.iter().map(|product| {
            let pieces = product["stock"].as_u64().expect("pieces are counted");
            (text(product, "id"), pieces)
        });
        Self {
            stock: stock.collect(),
            orders: BTreeMap::new(),
        }
    }

    /// Takes note of an order as it was answered.
    pub fn told(&mut self, order: &Value) {
        let line = |item: &Value| {
            let quantity = item["quantity"].as_u64().expect("pieces are counted");
            (text(item, "product_id"), quantity)
        };
        let items = order["items"].as_array().expect("an order has items");
        let told = Told {
            statuses: vec![text(order, "status")],
            lines: items.iter().map(line).collect(),
        };
        self.orders.insert(text(order, "id"), told);
    }

    /// Takes note of a refusal that names the order.
    pub fn refused(&mut self, problem: &Value) {
        let told = Told {
            statuses: vec![text(problem, "order_status")],
            lines: Pieces::new(),
        };
        self.orders.insert(text(problem, "order_id"), told);
    }

    /// Takes note that an order may stand there as well: nobody answered who was asked to bring it there.
    pub fn or(&mut self, id: &str, status: &str) {
        let told = self.orders.get_mut(id).expect("the order was told of before");
        told.statuses.push(status.to_owned());
    }
}

struct Order {
    customer: String,
    status: String,
    total: u64,
    counts: (u64, u64),
    /// Pieces and price of one by product.
    lines: BTreeMap<String, (u64, u64)>,
}

struct Reservation {
    state: String,
    /// In milliseconds since the Unix epoch.
    expires_at: u64,
    lines: Pieces,
}

/// What the databases say.
struct Books {
    accounts: BTreeSet<String>,
    on_hand: Pieces,
    reservations: BTreeMap<String, Reservation>,
    orders: BTreeMap<String, Order>,
    /// Buyer, key and order.
    keys: Vec<[String; 3]>,
    now: u64,
    findings: Vec<Finding>,
}

/// Every rule that does not hold; each finding names its place. Nothing when all is well.
pub async fn check(files: &Files, known: &Known) -> Vec<Finding> {
    let mut books = Books::read(files).await;
    books.orders_are_sound();
    books.orders_and_reservations_agree();
    books.stock_agrees(&known.stock);
    books.keys_agree();
    books.clients_agree(known);
    books.findings
}

/// Fails the test unless every rule holds.
pub async fn agree(files: &Files, known: &Known) {
    let findings = check(files, known).await;
    assert!(findings.is_empty(), "the books do not agree: {findings:#?}");
}

/// How many orders are there.
pub async fn count(files: &Files) -> usize {
    let rows = sqlite::run(&files.orders, "SELECT count(*) FROM orders_orders;").await;
    rows[0].parse().expect("a count is a number")
}

impl Books {
    async fn read(files: &Files) -> Self {
        let mut findings = Vec::new();
        for file in [&files.auth, &files.catalog, &files.orders] {
            let said = sqlite::run(file, "PRAGMA integrity_check;").await;
            if said != ["ok"] {
                findings.push((Rule::Whole, format!("{}: {said:?}", file.display())));
            }
        }
        let accounts = table(&files.auth, "SELECT id FROM auth_accounts").await;
        let on_hand = table(&files.catalog, "SELECT id, on_hand FROM catalog_products").await;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("it is after 1970");
        let mut books = Self {
            accounts: accounts.into_iter().map(|[id]| id).collect(),
            on_hand: on_hand
                .into_iter()
                .map(|[id, pieces]| (id, number(&pieces)))
                .collect(),
            reservations: BTreeMap::new(),
            orders: BTreeMap::new(),
            keys: table(&files.orders, "SELECT customer, key, order_id FROM orders_keys").await,
            now: u64::try_from(now.as_millis()).expect("it is before the year 500000000"),
            findings,
        };
        books.read_reservations(files).await;
        books.read_orders(files).await;
        books
    }

    async fn read_reservations(&mut self, files: &Files) {
        let statement = "SELECT id, state, expires_at FROM catalog_reservations";
        for [id, state, expires_at] in table(&files.catalog, statement).await {
            let reservation = Reservation {
                state,
                expires_at: number(&expires_at),
                lines: Pieces::new(),
            };
            self.reservations.insert(id, reservation);
        }
        let statement = "SELECT reservation_id, product_id, quantity, held_until IS NOT NULL
            FROM catalog_reservation_lines";
        for [id, product, quantity, bound] in table(&files.catalog, statement).await {
            let Some(reservation) = self.reservations.get_mut(&id) else {
                self.found(Rule::Bound, format!("a line of no reservation: {id}"));
                continue;
            };
            let held = reservation.state == "held";
            reservation.lines.insert(product.clone(), number(&quantity));
            if held != (bound == "1") {
                self.found(Rule::Bound, format!("{id}: {product}"));
            }
        }
    }

    async fn read_orders(&mut self, files: &Files) {
        let statement = "SELECT id, customer, status, total, lines, pieces FROM orders_orders";
        for [id, customer, status, total, lines, pieces] in table(&files.orders, statement).await {
            let order = Order {
                customer,
                status,
                total: number(&total),
                counts: (number(&lines), number(&pieces)),
                lines: BTreeMap::new(),
            };
            self.orders.insert(id, order);
        }
        let statement = "SELECT order_id, product_id, quantity, price FROM orders_lines";
        for [id, product, quantity, price] in table(&files.orders, statement).await {
            match self.orders.get_mut(&id) {
                Some(order) => {
                    order.lines.insert(product, (number(&quantity), number(&price)));
                }
                None => self.found(Rule::Totals, format!("a line of no order: {id}")),
            }
        }
    }

    fn found(&mut self, rule: Rule, place: impl Into<String>) {
        self.findings.push((rule, place.into()));
    }

    fn orders_are_sound(&mut self) {
        let mut findings = Vec::new();
        for (id, order) in &self.orders {
            if !self.accounts.contains(&order.customer) {
                findings.push((Rule::Owned, format!("{id} of {}", order.customer)));
            }
            let pieces = order.lines.values().map(|(quantity, _)| quantity).sum();
            let total: u64 = order
                .lines
                .values()
                .map(|(quantity, price)| quantity * price)
                .sum();
            let lines = u64::try_from(order.lines.len()).expect("an order has few lines");
            if order.counts != (lines, pieces) || order.total != total || lines == 0 {
                findings.push((Rule::Totals, id.clone()));
            }
            if ["pending", "reserved", "cancelling"].contains(&order.status.as_str()) {
                findings.push((Rule::Decided, format!("{id} is {}", order.status)));
            }
        }
        self.findings.extend(findings);
    }

    fn orders_and_reservations_agree(&mut self) {
        let mut findings = Vec::new();
        for (id, order) in self
            .orders
            .iter()
            .filter(|(_, order)| order.status == "confirmed")
        {
            let committed = self
                .reservations
                .get(id)
                .filter(|found| found.state == "committed");
            if committed.map(|reservation| &reservation.lines) != Some(&order.pieces()) {
                let found = self.reservations.get(id);
                let found = found.map(|found| (&found.state, &found.lines));
                findings.push((Rule::Delivered, format!("{id} has {found:?}")));
            }
        }
        for (id, reservation) in &self.reservations {
            let Some(order) = self.orders.get(id) else {
                findings.push((Rule::Ordered, format!("{id} is {}", reservation.state)));
                continue;
            };
            match reservation.state.as_str() {
                "committed" if order.status != "confirmed" => {
                    findings.push((Rule::Paid, format!("{id} is {}", order.status)));
                }
                "held" if reservation.expires_at > self.now => {
                    findings.push((Rule::LetGo, format!("{id}, which is {}", order.status)));
                }
                _ => {}
            }
        }
        self.findings.extend(findings);
    }

    /// What was cancelled is not committed any more, and back in stock.
    fn stock_agrees(&mut self, before: &Pieces) {
        for (product, before) in before {
            let Some(on_hand) = self.on_hand.get(product).copied() else {
                self.found(Rule::Stock, format!("{product} is gone"));
                continue;
            };
            let committed = self
                .reservations
                .values()
                .filter(|found| found.state == "committed");
            let left: u64 = committed.filter_map(|found| found.lines.get(product)).sum();
            if on_hand + left != *before {
                let place = format!("{product}: {on_hand} are there and {left} have left of {before}");
                self.found(Rule::Stock, place);
            }
        }
    }

    fn keys_agree(&mut self) {
        let mut findings = Vec::new();
        let mut keyed: BTreeMap<&String, usize> = BTreeMap::new();
        for [customer, key, id] in &self.keys {
            *keyed.entry(id).or_default() += 1;
            if self
                .orders
                .get(id)
                .is_none_or(|order| order.customer != *customer)
            {
                findings.push((Rule::Keyed, format!("{key} of {customer} stands for {id}")));
            }
        }
        for id in self.orders.keys() {
            let keys = keyed.get(id).copied().unwrap_or_default();
            if keys != 1 {
                findings.push((Rule::Keyed, format!("{id} has {keys} keys")));
            }
        }
        self.findings.extend(findings);
    }

    fn clients_agree(&mut self, known: &Known) {
        let mut findings = Vec::new();
        for (id, told) in &known.orders {
            let found = self.orders.get(id);
            let same = found.is_some_and(|order| {
                told.statuses.contains(&order.status)
                    && (told.lines.is_empty() || order.pieces() == told.lines)
            });
            if !same {
                let found = found.map(|order| (&order.status, order.pieces()));
                findings.push((Rule::Told, format!("{id} was told as {told:?} and is {found:?}")));
            }
        }
        self.findings.extend(findings);
    }
}

impl Order {
    fn pieces(&self) -> Pieces {
        let lines = self.lines.iter();
        lines
            .map(|(product, (quantity, _))| (product.clone(), *quantity))
            .collect()
    }
}

/// The rows of a statement. No value of the shop has the mark between columns but a key, and those of tests do not.
async fn table<const COLUMNS: usize>(file: &std::path::Path, statement: &str) -> Vec<[String; COLUMNS]> {
    let statement = format!("{};", statement.replace('\n', " "));
    let row = |line: String| {
        let columns: Vec<_> = line.split('|').map(str::to_owned).collect();
        columns
            .try_into()
            .unwrap_or_else(|columns| panic!("{statement}: {columns:?}"))
    };
    sqlite::run(file, &statement).await.into_iter().map(row).collect()
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}
