//! A host that is killed while people buy: nothing that they were told is lost, and nothing stays between two services.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;
use tokio::sync::watch;

use super::books::{self, Files, Known};
use super::{Counter, cancel, order};
use crate::harness::{Answer, Builder, Connection, Protocol, eventually, soon};
use crate::shop::client::{at_once, text};
use crate::shop::{Call, Shop, get, shop, sqlite, variable};

/// Of everything that is random here. A failure prints the round; the same seed does not make the same interleaving,
/// but the same wishes of the buyers and the same moments.
const SEED: u64 = 0x5eed_0b0e;
const KILLS: u64 = 6;
const BUYERS: u64 = 8;
const RESERVATION: Duration = Duration::from_secs(2);

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// A request that nobody answered.
#[derive(Clone, Debug)]
enum Doubt {
    Order(Call),
    Cancel(Call),
}

impl Doubt {
    fn call(&self) -> Call {
        match self {
            Self::Order(call) | Self::Cancel(call) => call.clone(),
        }
    }
}

/// What all buyers of the test know.
#[derive(Default)]
struct Memory {
    known: Known,
    doubts: Vec<Doubt>,
}

impl Memory {
    /// Takes note of an answer to an order, if it is one that stays.
    fn note(&mut self, answer: &Answer) -> bool {
        let body = answer.json();
        match answer.status.as_u16() {
            200 | 201 => self.known.told(&body),
            409 if body.get("order_id").is_some() => self.known.refused(&body),
            409 | 503 => return false,
            _ => panic!("{answer:?}"),
        }
        true
    }
}

struct Buyer<'a> {
    shop: &'a Shop,
    token: &'a str,
    products: &'a [String],
    memory: &'a Mutex<Memory>,
    answers: &'a watch::Sender<u64>,
    random: Random,
    name: String,
}

impl Buyer<'_> {
    /// Buys, and gives some of it back, until the host is gone.
    async fn buy(mut self) {
        let connection = self.shop.connect(Protocol::Http1).await;
        let mut mine = Vec::new();
        for number in 0.. {
            if self.random.below(4) == 0 && !mine.is_empty() {
                let id: String = mine.swap_remove(0);
                if !self.give_back(&connection, &id).await {
                    break;
                }
                continue;
            }
            let product = |random: &mut Random| {
                let index = usize::try_from(random.below(3)).expect("three is small");
                self.products[index].as_str()
            };
            let mut items = vec![(product(&mut self.random), 1 + self.random.below(3))];
            let other = product(&mut self.random);
            if items[0].0 != other {
                items.push((other, 1));
            }
            let call = order(self.token, &format!("{}-{number}", self.name), &items);
            let answer = self.shop.attempt(&connection, call.clone()).await;
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(answer) = answer else {
                memory.doubts.push(Doubt::Order(call));
                break;
            };
            if !memory.note(&answer) {
                memory.doubts.push(Doubt::Order(call));
            } else if answer.status == 201 {
                mine.push(text(&answer.json(), "id"));
            }
            self.answers.send_modify(|answers| *answers += 1);
        }
    }

    /// Whether the host is still there.
    async fn give_back(&self, connection: &Connection, id: &str) -> bool {
        let call = cancel(self.token, id);
        let answer = self.shop.attempt(connection, call.clone()).await;
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if !answer.as_ref().is_some_and(|answer| memory.note(answer)) {
            memory.known.or(id, "cancelled");
            memory.doubts.push(Doubt::Cancel(call));
        }
        self.answers.send_modify(|answers| *answers += 1);
        answer.is_some()
    }
}

struct Story {
    builder: Builder,
    tokens: Vec<String>,
    products: Vec<String>,
    memory: Memory,
    random: Random,
    /// Orders that were found open after a kill.
    open: u64,
}

impl Story {
    async fn begin() -> Self {
        let seconds = RESERVATION.as_secs().to_string();
        let builder = variable(shop().await, "reservation_seconds", &seconds);
        let counter = Counter::open_with(&builder).await;
        let names: Vec<_> = (0..BUYERS).map(|buyer| format!("buyer-{buyer}")).collect();
        let tokens = at_once(names.iter().map(|name| counter.customer(name))).await;
        let mut products = Vec::new();
        // One of them runs out.
        for (sku, pieces) in [("MANY", 1_000_000), ("MORE", 1_000_000), ("FEW", 60)] {
            products.push(counter.stocked(sku, pieces).await);
        }
        let known = Known::of(&counter).await;
        counter.shop.host.stop().await;
        Self {
            builder,
            tokens,
            products,
            memory: Memory {
                known,
                doubts: Vec::new(),
            },
            random: Random(SEED),
            open: 0,
        }
    }

    /// Has people buy, and kills the host while they are at it.
    async fn buy_and_kill(&mut self, round: u64) {
        let mut shop = Shop::start(&self.builder).await;
        let files = Files::of(&shop);
        let (count, pause) = (
            5 + self.random.below(60),
            Duration::from_micros(self.random.below(30_000)),
        );
        println!("round {round} of seed {SEED:#x}: killed {pause:?} after {count} answers");
        let memory = Mutex::new(std::mem::take(&mut self.memory));
        let (answers, mut news) = watch::channel(0);
        let buyers = self.tokens.iter().zip(0..).map(|(token, buyer)| Buyer {
            shop: &shop,
            token,
            products: &self.products,
            memory: &memory,
            answers: &answers,
            random: Random(SEED ^ (round << 32) ^ buyer),
            name: format!("r{round}-b{buyer}"),
        });
        let kill = async {
            let enough = soon("the buyers' answers", news.wait_for(|answers| *answers >= count));
            enough.await.expect("the buyers are there");
            // Nothing waits for this to pass: it is what makes the moment a random one.
            tokio::time::sleep(pause).await;
            shop.signal(Signal::KILL);
        };
        tokio::join!(at_once(buyers.map(Buyer::buy)), kill);
        let killed_at = now();
        assert!(!shop.host.finish().await.success());
        self.memory = memory.into_inner().unwrap_or_else(PoisonError::into_inner);
        assert!(
            !self.memory.doubts.is_empty(),
            "the buyers were answered after the end"
        );

        let left = unsettled(&files).await;
        self.open += left.open;
        let latest = killed_at + u64::try_from(RESERVATION.as_millis()).expect("it is short");
        assert!(
            left.due <= latest,
            "round {round}: {left:?} is later than {latest}"
        );
        // Reservations end with a second.
        assert!(
            left.held < latest + 1000,
            "round {round}: {left:?} is later than {latest}"
        );
    }

    /// Repeats what was not answered, until it is. After `settled` nobody is at work on any of it.
    async fn repeat(&mut self, shop: &Shop, settled: bool) {
        for doubt in std::mem::take(&mut self.memory.doubts) {
            let answer = soon("an answer that stays", async {
                loop {
                    let answer = shop.send(doubt.call()).await;
                    let stays = answer.status.is_success() || answer.json().get("order_id").is_some();
                    if stays || settled {
                        return answer;
                    }
                    assert!([409, 503].contains(&answer.status.as_u16()), "{answer:?}");
                }
            })
            .await;
            assert!(
                self.memory.note(&answer),
                "{doubt:?} is answered {answer:?}\n{}",
                shop.log_text()
            );
            if let Doubt::Cancel(_) = doubt {
                assert_eq!(answer.json()["status"], "cancelled");
            }
            // The truth is the same for whoever asks.
            let again = shop.send(doubt.call()).await;
            assert_eq!(
                (again.status, again.json()),
                (answer.status, answer.json()),
                "{doubt:?}"
            );
        }
    }

    /// Lets the time to live of everything pass, sends one request to each service, and has the books checked.
    async fn settle(&self, round: u64, shop: Shop) {
        let files = Files::of(&shop);
        let left = unsettled(&files).await;
        eventually("the reservations' time to pass", async || {
            now() > left.due.max(left.held)
        })
        .await;
        let token = &self.tokens[usize::try_from(round % BUYERS).expect("buyers are few")];
        shop.expect(200, get("/auth/me").bearer(token)).await;
        shop.expect(200, get(format!("/catalog/products/{}", self.products[0])))
            .await;
        shop.expect(200, get("/orders").bearer(token)).await;
        shop.host.stop().await;
        books::agree(&files, &self.memory.known).await;
    }
}

/// What a host left behind. Times are in milliseconds since the Unix epoch.
#[derive(Debug)]
struct Left {
    /// How many orders are open.
    open: u64,
    /// When the last of them can be gone on with by anybody.
    due: u64,
    /// When the last stock is let go of.
    held: u64,
}

async fn unsettled(files: &Files) -> Left {
    let orders = "SELECT count(*), coalesce(max(max(due_at, leased_until)), 0) FROM orders_orders \
                  WHERE status IN ('pending', 'reserved', 'cancelling');";
    let held = "SELECT coalesce(max(expires_at), 0) FROM catalog_reservations WHERE state = 'held';";
    let number = |text: &str| text.parse::<u64>().expect("it is a number");
    let rows = sqlite::run(&files.orders, orders).await;
    let (open, due) = rows[0].split_once('|').expect("there are two columns");
    Left {
        open: number(open),
        due: number(due),
        held: number(&sqlite::run(&files.catalog, held).await[0]),
    }
}

fn now() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is after 1970");
    u64::try_from(now.as_millis()).expect("it is before the year 500000000")
}

#[tokio::test]
async fn after_a_kill_nothing_is_lost_and_nothing_stays_half_done() {
    let mut story = Story::begin().await;
    for round in 0..KILLS {
        story.buy_and_kill(round).await;
        let shop = Shop::start(&story.builder).await;
        if round % 2 == 0 {
            // People press the button again: whatever was begun is gone on with.
            story.repeat(&shop, false).await;
            story.settle(round, shop).await;
        } else {
            // Nobody comes back for it: it is settled all the same, and who asks later hears what came of it.
            story.settle(round, shop).await;
            let shop = Shop::start(&story.builder).await;
            story.repeat(&shop, true).await;
            story.settle(round, shop).await;
        }
    }
    assert!(story.open > 0, "no kill came at a moment that matters");
}
