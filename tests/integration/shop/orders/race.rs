//! More buyers than pieces.

use serde_json::Value;

use super::books::{self, Files, Known};
use super::{Counter, cancel, order};
use crate::harness::{Answer, Builder, Connection, Protocol};
use crate::shop::client::{at_once, text};
use crate::shop::shop;

const BUYERS: usize = 64;

/// A shop that is full of people.
struct Crowd {
    /// Its folder has the books.
    _builder: Builder,
    counter: Counter,
    tokens: Vec<String>,
    known: Known,
}

impl Crowd {
    async fn gather() -> Self {
        let builder = shop().await;
        let counter = Counter::open_with(&builder).await;
        let mut tokens = Vec::new();
        for number in 0..BUYERS {
            tokens.push(counter.customer(&format!("buyer-{number}")).await);
        }
        let known = Known::of(&counter).await;
        Self {
            _builder: builder,
            counter,
            tokens,
            known,
        }
    }

    /// A product that the books know from its beginning.
    async fn stocked(&mut self, sku: &str, pieces: u64) -> String {
        let id = self.counter.stocked(sku, pieces).await;
        self.known.stock.insert(id.clone(), pieces);
        id
    }

    /// Everybody orders at the same time. Each is told one or the other.
    async fn order(&mut self, protocol: Protocol, key: &str, items: &[&[(&str, u64)]]) -> Vec<Answer> {
        // All on one connection where that is what the protocol is for.
        let count = match protocol {
            Protocol::Http1 => BUYERS,
            Protocol::Http2 => 1,
        };
        let connections = at_once((0..count).map(|_| self.counter.connect(protocol))).await;
        let orders = self.tokens.iter().enumerate().map(|(number, token)| {
            let connection: &Connection = &connections[number % count];
            let call = order(token, key, items[number % items.len()]);
            self.counter.attempt(connection, call)
        });
        let answers = at_once(orders).await.into_iter();
        let answers: Vec<_> = answers.map(|answer| answer.expect("the host answers")).collect();
        for answer in &answers {
            match answer.status.as_u16() {
                201 => self.known.told(&answer.json()),
                409 => self.known.refused(&answer.json()),
                _ => panic!("{answer:?}\n{}", self.counter.log_text()),
            }
        }
        answers
    }
}

/// The orders of those who got something, with the places of their buyers.
fn winners(answers: &[Answer]) -> Vec<(usize, Value)> {
    let answers = answers.iter().enumerate();
    answers
        .filter(|(_, answer)| answer.status == 201)
        .map(|(buyer, answer)| (buyer, answer.json()))
        .collect()
}

#[tokio::test]
async fn of_sixty_four_buyers_of_ten_pieces_ten_have_an_order() {
    let mut crowd = Crowd::gather().await;
    for (round, protocol) in [Protocol::Http1, Protocol::Http2, Protocol::Http1]
        .into_iter()
        .enumerate()
    {
        let id = crowd.stocked(&format!("RARE-{round}"), 10).await;
        let key = format!("round-{round}");
        let answers = crowd.order(protocol, &key, &[&[(&id, 1)]]).await;
        let first = winners(&answers);
        assert_eq!(first.len(), 10, "{answers:#?}");
        for answer in answers.iter().filter(|answer| answer.status == 409) {
            assert!(
                text(&answer.json(), "type").ends_with("/InsufficientStock"),
                "{answer:?}"
            );
        }
        assert_eq!(crowd.counter.pieces(&id).await, (0, 0));
        // Whoever asks again hears the same again.
        let again = crowd.order(protocol, &key, &[&[(&id, 1)]]).await;
        assert_eq!(winners(&again), first);

        // Four give theirs back, twice each and all at once. So there are four for those who try anew.
        let returns = first.iter().take(4).flat_map(|(buyer, order)| {
            let call = cancel(&crowd.tokens[*buyer], &text(order, "id"));
            [
                crowd.counter.expect(200, call.clone()),
                crowd.counter.expect(200, call),
            ]
        });
        for answer in at_once(returns).await {
            crowd.known.told(&answer.json());
        }
        assert_eq!(crowd.counter.pieces(&id).await, (4, 4));
        let second = crowd
            .order(protocol, &format!("{key}-again"), &[&[(&id, 1)]])
            .await;
        assert_eq!(winners(&second).len(), 4, "{second:#?}");
        assert_eq!(crowd.counter.pieces(&id).await, (0, 0));
    }
    settled(crowd, 3 * 2 * BUYERS).await;
}

/// Whoever gets one of two products, but not the other, gets none.
#[tokio::test]
async fn buyers_of_several_pieces_and_products_take_no_more_than_there_is() {
    let mut crowd = Crowd::gather().await;
    for (round, protocol) in Protocol::ALL.into_iter().enumerate() {
        let (a, b) = (
            crowd.stocked(&format!("A-{round}"), 40).await,
            crowd.stocked(&format!("B-{round}"), 25).await,
        );
        // In either order, so that those who wait for each other are found.
        let baskets: [&[(&str, u64)]; 5] = [
            &[(&a, 3)],
            &[(&a, 2), (&b, 1)],
            &[(&b, 1), (&a, 2)],
            &[(&b, 4)],
            &[(&b, 2), (&a, 7)],
        ];
        let answers = crowd.order(protocol, &format!("round-{round}"), &baskets).await;
        let bought = |id: &str| -> u64 {
            let winners = winners(&answers);
            let items = winners
                .iter()
                .flat_map(|(_, order)| order["items"].as_array().expect("items"));
            let items = items.filter(|item| item["product_id"] == id);
            items
                .map(|item| item["quantity"].as_u64().expect("pieces are counted"))
                .sum()
        };
        for (id, pieces) in [(&a, 40), (&b, 25)] {
            let left = pieces - bought(id);
            assert_eq!(crowd.counter.pieces(id).await, (left, left));
        }
        // Nobody was refused what was still there at the end, when least was.
        let left = [crowd.counter.pieces(&a).await.0, crowd.counter.pieces(&b).await.0];
        for (buyer, answer) in answers
            .iter()
            .enumerate()
            .filter(|(_, answer)| answer.status == 409)
        {
            let basket = baskets[buyer % baskets.len()];
            let fits = basket
                .iter()
                .all(|(id, pieces)| *pieces <= left[usize::from(*id == b)]);
            assert!(!fits, "{basket:?} of {left:?}: {answer:?}");
        }
    }
    settled(crowd, 2 * BUYERS).await;
}

/// Stops the host and has the books checked.
async fn settled(crowd: Crowd, orders: usize) {
    let files = Files::of(&crowd.counter);
    crowd.counter.shop.host.stop().await;
    books::agree(&files, &crowd.known).await;
    assert_eq!(books::count(&files).await, orders);
}
