//! Random histories of an inventory against a model: a table of numbers and states, written down from the
//! answers alone.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::port::Store;
use crate::product::Product;
use crate::reservation::{Reservation, State};
use crate::service::Error;

use super::{Bench, NOON, lines, rid};

/// Plays a history: four bytes say what happens next. Every operation on a reservation is done twice.
///
/// # Panics
/// When stock or availability goes below zero, does not add up with what was answered, or an answer is not
/// repeated.
pub async fn history<S: Store>(store: S, steps: &[[u8; 4]]) {
    let bench = Bench::new(store);
    let mut products = Vec::new();
    for sku in ["A", "B", "C"] {
        products.push(bench.product(sku, 10).await);
    }
    let on_hand = vec![10; products.len()];
    let mut model = Model {
        bench,
        products,
        on_hand,
        known: BTreeMap::new(),
        now: NOON,
        latest: NOON,
    };
    for step in steps {
        model.play(*step).await;
        model.check().await;
    }
}

struct Model<S> {
    bench: Bench<S>,
    products: Vec<Product>,
    /// What the last count left, less what was committed since.
    on_hand: Vec<u32>,
    /// Each reservation as it was answered last.
    known: BTreeMap<String, Reservation>,
    now: u64,
    /// The latest time that the clock has shown.
    latest: u64,
}

impl<S: Store> Model<S> {
    async fn play(&mut self, [what, which, first, second]: [u8; 4]) {
        let id = format!("r{}", which % 6);
        match what % 9 {
            0..=2 => self.reserve(&id, first, second).await,
            3 => self.commit(&id).await,
            4 => self.release(&id).await,
            8 => self.cancel(&id).await,
            5 => self.count(usize::from(which) % 3, u32::from(first % 16)).await,
            6 => self.tick(u64::from(first) * 100),
            _ if first < 32 => self.now -= u64::from(second) * 50,
            _ => self.tick(u64::from(second) * 10),
        }
        self.bench.clock.set(self.now);
    }

    fn tick(&mut self, millis: u64) {
        self.now += millis;
        self.latest = self.latest.max(self.now);
    }

    async fn reserve(&mut self, id: &str, first: u8, second: u8) {
        let mut wanted = vec![(
            &self.products[usize::from(first) % 3],
            i64::from(first / 16 % 6) + 1,
        )];
        if second.is_multiple_of(2) {
            wanted.push((
                &self.products[(usize::from(first) + 1) % 3],
                i64::from(second / 16 % 6) + 1,
            ));
        }
        let (wanted, ttl) = (lines(&wanted), Duration::from_secs(u64::from(second % 8) + 1));
        let reserve = async || {
            let answer = self.bench.catalog.reserve(rid(id), wanted.clone(), ttl).await;
            answer.map(crate::service::Reserved::into_reservation)
        };
        let (once, again) = (reserve().await, reserve().await);
        assert_eq!(once, again, "a repeated call repeats its answer");
        match once {
            Ok(held) => {
                assert_eq!((held.state, &held.lines), (State::Held, &wanted));
                self.known.insert(id.to_owned(), held);
            }
            Err(Error::Conflict(state)) => self.look(id, state),
            Err(Error::Short(shortage)) => assert!(shortage.available < shortage.requested),
            Err(error) => panic!("reserve: {error}"),
        }
    }

    async fn commit(&mut self, id: &str) {
        let answer = self.bench.catalog.commit(&rid(id)).await;
        assert_eq!(
            answer,
            self.bench.catalog.commit(&rid(id)).await,
            "a repeated call repeats its answer"
        );
        match answer {
            Ok(committed) => {
                assert_eq!(committed.state, State::Committed);
                let before = self.known.insert(id.to_owned(), committed.clone()).unwrap();
                assert!(matches!(before.state, State::Held | State::Committed));
                for line in committed.lines.iter().filter(|_| before.state == State::Held) {
                    let at = self.products.iter().position(|p| p.id == line.product).unwrap();
                    let left = self.on_hand[at].checked_sub(line.quantity);
                    self.on_hand[at] = left.unwrap();
                }
            }
            Err(Error::Conflict(state)) => self.look(id, state),
            Err(error) => assert_eq!((error, self.known.get(id)), (Error::NoReservation, None)),
        }
    }

    async fn release(&mut self, id: &str) {
        let answer = self.bench.catalog.release(&rid(id)).await;
        assert_eq!(
            answer,
            self.bench.catalog.release(&rid(id)).await,
            "a repeated call repeats its answer"
        );
        match answer {
            Ok(released) => {
                assert_eq!(released.state, State::Released);
                let before = self.known.insert(id.to_owned(), released).unwrap();
                assert_ne!(before.state, State::Committed);
            }
            Err(Error::Conflict(state)) => self.look(id, state),
            Err(error) => assert_eq!((error, self.known.get(id)), (Error::NoReservation, None)),
        }
    }

    async fn cancel(&mut self, id: &str) {
        let answer = self.bench.catalog.cancel(&rid(id)).await;
        assert_eq!(
            answer,
            self.bench.catalog.cancel(&rid(id)).await,
            "a repeated call repeats its answer"
        );
        match answer {
            Ok(cancelled) => {
                assert_eq!(cancelled.state, State::Released);
                let before = self.known.insert(id.to_owned(), cancelled.clone()).unwrap();
                for line in cancelled
                    .lines
                    .iter()
                    .filter(|_| before.state == State::Committed)
                {
                    let at = self.products.iter().position(|p| p.id == line.product).unwrap();
                    self.on_hand[at] += line.quantity;
                }
            }
            Err(error) => assert_eq!((error, self.known.get(id)), (Error::NoReservation, None)),
        }
    }

    async fn count(&mut self, at: usize, on_hand: u32) {
        match self
            .bench
            .catalog
            .set_on_hand(&self.products[at].id.to_string(), on_hand)
            .await
        {
            Ok(product) => {
                assert_eq!(product.stock.on_hand, on_hand);
                self.on_hand[at] = on_hand;
            }
            Err(Error::Held { held, .. }) => assert!(held > on_hand),
            Err(error) => panic!("count: {error}"),
        }
    }

    /// A state that a refusal named has to be one that the reservation can be in.
    fn look(&self, id: &str, state: State) {
        let known = &self.known[id];
        let over = known.expires_at.millis() <= self.latest;
        let can_be = known.state == state || (known.state == State::Held && state == State::Expired && over);
        assert!(can_be, "{known:?} was called {state:?}");
    }

    async fn check(&self) {
        let ids: Vec<_> = self.products.iter().map(|p| p.id.to_string()).collect();
        let stocks = self.bench.catalog.products(&ids).await.unwrap();
        for (at, product) in stocks.iter().enumerate() {
            let stock = product.stock;
            assert_eq!(stock.on_hand, self.on_hand[at], "what is on hand adds up");
            assert!(stock.held <= stock.on_hand, "never below zero: {stock:?}");
            let held = |r: &&Reservation| r.state == State::Held && r.expires_at.millis() > self.now;
            let lines = self.known.values().filter(held).flat_map(|r| r.lines.iter());
            let promised: u32 = lines
                .filter(|l| l.product == product.id)
                .map(|l| l.quantity)
                .sum();
            if self.now == self.latest {
                assert_eq!(stock.held, promised, "what is held is what was promised");
            } else {
                assert!(stock.held <= promised, "a hold that is over may stay so");
            }
        }
        for id in self.known.keys() {
            let state = self.bench.catalog.reservation(&rid(id)).await.unwrap().state;
            self.look(id, state);
        }
    }
}
