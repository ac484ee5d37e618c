//! Clients that use the whole shop all the time and know what each answer has to be.
//!
//! Each has products of its own, one of each phase of a test, and is the only one that prices and buys them: so it knows
//! every price and total, whichever revision wrote it and whichever answers. Every request comes under another name, so
//! that during a canary one revision reads what the other has just written.

use std::cell::{Cell, RefCell};

use serde_json::{Value, json};

use crate::harness::{Answer, Connection, Protocol, eventually};
use crate::shop::client::{at_once, text};
use crate::shop::orders::books::Known;
use crate::shop::orders::{Counter, cancel, order, read};
use crate::shop::{Call, get, post, put};

/// By what a canary tells requests apart.
pub(super) const NAME: &str = "x-client";
const CLIENTS: usize = 6;
/// Pieces of each product, more than are bought.
const PIECES: u64 = 100_000;
/// Products of one page of a listing: few, so that several revisions answer for one listing.
const PAGE: usize = 5;
/// Failures that are kept: those that follow from the first are no news.
const FAILURES: usize = 10;

pub(super) struct Crowd<'a> {
    counter: &'a Counter,
    clients: Vec<Client<'a>>,
    board: &'a Board,
}

/// What the clients and those who watch them share.
#[derive(Default)]
pub(super) struct Board {
    /// Clients have a product of each phase up to this one.
    phase: Cell<u64>,
    closing: Cell<bool>,
    known: RefCell<Known>,
    failures: RefCell<Vec<String>>,
}

impl Board {
    pub(super) fn known(&self) -> Known {
        self.known.borrow().clone()
    }

    /// What went otherwise than it had to.
    pub(super) fn failures(&self) -> Vec<String> {
        self.failures.borrow().clone()
    }

    fn fail(&self, failure: String) {
        let mut failures = self.failures.borrow_mut();
        if failures.len() < FAILURES {
            failures.push(failure);
        }
    }
}

impl<'a> Crowd<'a> {
    pub(super) async fn gather(counter: &'a Counter, board: &'a Board) -> Self {
        board.known.replace(Known::of(counter).await);
        let mut clients = Vec::new();
        for number in 0..CLIENTS {
            let name = format!("client-{number}");
            clients.push(Client {
                counter,
                board,
                token: counter.customer(&name).await,
                // One after the other, and all at the same time.
                connection: counter.connect(Protocol::ALL[number % 2]).await,
                shelf: RefCell::default(),
                bought: RefCell::default(),
                requests: Cell::new(0),
                rounds: Cell::new(0),
                name,
            });
        }
        Self {
            counter,
            clients,
            board,
        }
    }

    /// Runs until [`Self::close`] is called: to the end of the round of each client.
    pub(super) async fn run(&self) {
        at_once(self.clients.iter().map(Client::run)).await;
    }

    pub(super) fn close(&self) {
        self.board.closing.set(true);
    }

    /// From now on everybody writes one product more.
    pub(super) fn turn(&self) {
        self.board.phase.set(self.board.phase.get() + 1);
    }

    /// Waits until everybody has read everything again, and written more, in a round that begins from now on; or until
    /// something went wrong.
    pub(super) async fn go_on(&self) {
        let goals: Vec<_> = self
            .clients
            .iter()
            .map(|client| client.rounds.get() + 2)
            .collect();
        eventually("every client to have used everything", async || {
            let mut clients = self.clients.iter().zip(&goals);
            clients.all(|(client, goal)| client.rounds.get() >= *goal) || !self.board.failures().is_empty()
        })
        .await;
    }

    /// Fails the test where anything went wrong.
    pub(super) fn is_content(&self, step: &str) {
        let failures = self.board.failures();
        assert!(
            failures.is_empty(),
            "{step}: {failures:#?}\n{}",
            self.counter.log_text()
        );
    }

    /// How many requests were answered.
    pub(super) fn requests(&self) -> u64 {
        self.clients.iter().map(|client| client.requests.get()).sum()
    }
}

/// A product as its client last wrote it.
#[derive(Clone, Debug)]
struct Product {
    id: String,
    details: Value,
    price: u64,
}

struct Client<'a> {
    counter: &'a Counter,
    board: &'a Board,
    name: String,
    token: String,
    connection: Connection,
    shelf: RefCell<Vec<Product>>,
    /// Orders as they were last answered.
    bought: RefCell<Vec<Value>>,
    requests: Cell<u64>,
    rounds: Cell<u64>,
}

impl Client<'_> {
    async fn run(&self) {
        while !self.board.closing.get() {
            let number = self.rounds.get();
            if let Err(failure) = self.round(number).await {
                self.board
                    .fail(format!("{} in round {number}: {failure}", self.name));
            }
            self.rounds.set(number + 1);
        }
    }

    async fn round(&self, number: u64) -> Result<(), String> {
        while self.shelved() <= self.board.phase.get() {
            self.create().await?;
        }
        let product = self.price(number).await?;
        let found = self
            .ask(200, get(format!("/catalog/products/{}", product.id)))
            .await?;
        same(&shown(&found.json()), &product.details)?;
        self.buy(number, &product).await?;
        self.look_back(number).await?;
        self.list(product.price).await
    }

    fn shelved(&self) -> u64 {
        u64::try_from(self.shelf.borrow().len()).expect("a shelf is short")
    }

    async fn create(&self) -> Result<(), String> {
        let number = self.shelved();
        let price = 100 + number;
        let details = self.details(number, price);
        let mut body = details.clone();
        body["stock"] = json!(PIECES);
        let call = post("/catalog/products").bearer(&self.counter.admin).json(&body);
        let created = self.ask(201, call).await?.json();
        same(&shown(&created), &details)?;
        let id = text(&created, "id");
        self.board.known.borrow_mut().stock.insert(id.clone(), PIECES);
        self.shelf.borrow_mut().push(Product { id, details, price });
        Ok(())
    }

    fn details(&self, number: u64, price: u64) -> Value {
        json!({
            "sku": format!("{}.{number}", self.name.to_uppercase()), "name": format!("Product {number}"),
            "description": "Made by a test.", "category": self.name,
            "price": { "amount": price, "currency": "EUR" },
        })
    }

    /// Gives one product after the other a price that it did not have, and returns it.
    async fn price(&self, number: u64) -> Result<Product, String> {
        let turn = number % self.shelved();
        let index = usize::try_from(turn).expect("a shelf is short");
        let mut product = self.shelf.borrow()[index].clone();
        let path = format!("/catalog/products/{}", product.id);
        let seen = self.ask(200, get(&path)).await?;
        same(&shown(&seen.json()), &product.details)?;
        product.price = 100 + number * 7919 % 90_000;
        product.details = self.details(turn, product.price);
        // What one revision says of a state, another one understands.
        let call = put(&path)
            .bearer(&self.counter.admin)
            .header("if-match", seen.header("etag"))
            .json(&product.details);
        let written = self.ask(200, call).await?;
        same(&shown(&written.json()), &product.details)?;
        self.shelf.borrow_mut()[index] = product.clone();
        Ok(product)
    }

    /// Orders some pieces, and gives every third order back.
    async fn buy(&self, number: u64, product: &Product) -> Result<(), String> {
        let pieces = 1 + number % 3;
        let key = format!("{}-{number}", self.name);
        let call = order(&self.token, &key, &[(&product.id, pieces)]);
        let mut bought = self.ask(201, call).await?.json();
        self.board.known.borrow_mut().told(&bought);
        let total = json!({ "amount": pieces * product.price, "currency": "EUR" });
        same(&bought["total"], &total)?;
        same(&bought["status"], &json!("confirmed"))?;
        if number % 3 == 2 {
            bought = self
                .ask(200, cancel(&self.token, &text(&bought, "id")))
                .await?
                .json();
            self.board.known.borrow_mut().told(&bought);
            same(&bought["status"], &json!("cancelled"))?;
        }
        self.bought.borrow_mut().push(bought);
        Ok(())
    }

    /// Reads an order of any time.
    async fn look_back(&self, number: u64) -> Result<(), String> {
        let bought = {
            let bought = self.bought.borrow();
            let index = usize::try_from(number * 31).expect("rounds are few") % bought.len();
            bought[index].clone()
        };
        let found = self.ask(200, read(&self.token, &text(&bought, "id"))).await?;
        same(&found.json(), &bought)
    }

    /// Reads everything of its own, cheapest first, page by page; and what has one price.
    async fn list(&self, price: u64) -> Result<(), String> {
        let listing = format!("/catalog/products?category={}&sort=price", self.name);
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self
                .ask(200, get(format!("{listing}&limit={PAGE}{cursor}")))
                .await?;
            let page = page.json();
            items.extend(details(&page));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let mut shelf = self.shelf.borrow().clone();
        shelf.sort_by(|a, b| (a.price, &a.id).cmp(&(b.price, &b.id)));
        let all = shelf.iter().map(|product| product.details.clone()).collect();
        same(&Value::Array(items), &Value::Array(all))?;
        let call = get(format!("{listing}&min_price={price}&max_price={price}"));
        let found = self.ask(200, call).await?.json();
        let priced = shelf.iter().filter(|product| product.price == price);
        let priced = priced.map(|product| product.details.clone()).collect();
        same(&Value::Array(details(&found)), &Value::Array(priced))
    }

    /// Sends a request that is to be answered with this status.
    async fn ask(&self, status: u16, call: Call) -> Result<Answer, String> {
        let number = self.requests.get();
        let call = call.header(NAME, &format!("{}-{number}", self.name));
        let what = format!("{} {}", call.method, call.path);
        let answer = self.counter.attempt(&self.connection, call).await;
        let answer = answer.ok_or_else(|| format!("{what} is not answered"))?;
        self.requests.set(number + 1);
        match answer.status == status {
            true => Ok(answer),
            false => Err(format!(
                "{what} is answered with {}: {}",
                answer.status,
                answer.text()
            )),
        }
    }
}

/// What an editor says about a product.
fn shown(product: &Value) -> Value {
    let members = ["sku", "name", "description", "category", "price"];
    members
        .map(|member| (member.to_owned(), product[member].clone()))
        .into_iter()
        .collect()
}

fn details(page: &Value) -> Vec<Value> {
    let items = page["items"].as_array().expect("a page has items");
    items.iter().map(shown).collect()
}

fn same(found: &Value, expected: &Value) -> Result<(), String> {
    match found == expected {
        true => Ok(()),
        false => Err(format!("there is {found}, where there should be {expected}")),
    }
}
