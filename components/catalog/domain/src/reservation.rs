//! Reservations: stock promised to a buyer for a while, and the states that a promise goes through.
//!
//! ```text
//!             ┌─ commit ──► committed ─┐ cancel
//!    held ────┼─ release ─► released ◄─┤
//!             └─ time ────► expired ───┘ release
//! ```
//!
//! Only `held` binds stock, `committed` has taken it away, and `released` is final. To cancel is to release what
//! has not left, and to take back what has. Time works lazily: a held reservation whose
//! time is over counts as expired wherever it is looked at, and is written down as such once somebody else
//! gets its stock.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::product::{Product, ProductId};
use crate::time::Timestamp;
use crate::violation::{Gather, Invalid};

/// Most characters of a reservation's id.
pub const ID_MAX: usize = 64;
/// Most lines of a reservation.
pub const LINES_MAX: usize = 100;
/// Most pieces of one line.
pub const QUANTITY_MAX: u32 = 1_000_000;
/// The longest time to live: one day, in seconds.
pub const TTL_SECONDS_MAX: u32 = 86_400;
/// How long a reservation can be asked for, and its id stays taken, after its time to live.
pub const RETENTION: Duration = Duration::from_secs(30 * 86_400);

/// A reservation's id, chosen by whoever reserves: an order's number, or a UUID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationId(String);

impl ReservationId {
    /// # Errors
    /// A sentence part that says the rule: 1 to [`ID_MAX`] of `A`–`Z`, `a`–`z`, `0`–`9`, `.`, `_`, `:`, `-`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-');
        if (1..=ID_MAX).contains(&text.len()) && text.bytes().all(fits) && !matches!(text, "." | "..") {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "must be 1 to {ID_MAX} of A-Z, a-z, 0-9, '.', '_', ':' and '-'"
            ))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReservationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// So many pieces of one product: 1 to [`QUANTITY_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Which product.
    pub product: ProductId,
    /// How many pieces.
    pub quantity: u32,
}

/// The lines of a reservation: 1 to [`LINES_MAX`], each of another product, in the order given.
#[derive(Debug, Clone)]
pub struct Lines(Vec<Line>);

impl Lines {
    /// Checks lines that came from outside as pairs of product id and quantity.
    ///
    /// # Errors
    /// All that is wrong, below `/lines`.
    pub fn parse<'a>(lines: impl ExactSizeIterator<Item = (&'a str, i64)>) -> Result<Self, Invalid> {
        if !(1..=LINES_MAX).contains(&lines.len()) {
            return Err(Invalid::one(
                "/lines",
                format!("must have 1 to {LINES_MAX} lines"),
            ));
        }
        let mut gather = Gather::default();
        let mut seen = BTreeMap::new();
        let mut parsed = Vec::with_capacity(lines.len());
        for (index, (product, quantity)) in lines.enumerate() {
            let place = format!("/lines/{index}/product_id");
            let product = ProductId::parse(product).ok_or_else(|| "must be a UUID".to_owned());
            let product = gather.field(&place, product);
            let quantity = gather.field(format!("/lines/{index}/quantity"), parse_quantity(quantity));
            if let Some(product) = product
                && let Some(first) = seen.insert(product, index)
            {
                gather.field::<()>(&place, Err(format!("is the product of line {first} again")));
            }
            parsed.extend(
                product
                    .zip(quantity)
                    .map(|(product, quantity)| Line { product, quantity }),
            );
        }
        gather.finish(Some(Self(parsed)))
    }

    /// Lines that a store kept, which came from [`Lines::parse`] once.
    pub fn stored(lines: Vec<Line>) -> Self {
        Self(lines)
    }

    /// The lines.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Line> {
        self.0.iter()
    }

    /// The products, in the order of the lines.
    pub fn products(&self) -> Vec<ProductId> {
        self.0.iter().map(|line| line.product).collect()
    }

    /// Whether each line can be had.
    ///
    /// # Errors
    /// The first line, in order, that cannot.
    pub fn check(&self, products: &[Product]) -> Result<(), Unavailable> {
        for line in &self.0 {
            let product = products.iter().find(|product| product.id == line.product);
            let available = product
                .ok_or(Unavailable::Unknown(line.product))?
                .stock
                .available();
            if available < line.quantity {
                let shortage = Shortage {
                    product: line.product,
                    requested: line.quantity,
                    available,
                };
                return Err(Unavailable::Short(shortage));
            }
        }
        Ok(())
    }
}

/// Equal when they ask for the same pieces of the same products; the order is the caller's taste.
impl PartialEq for Lines {
    fn eq(&self, other: &Self) -> bool {
        let sorted = |lines: &Self| {
            lines
                .0
                .iter()
                .map(|l| (l.product, l.quantity))
                .collect::<BTreeMap<_, _>>()
        };
        self.0.len() == other.0.len() && sorted(self) == sorted(other)
    }
}

impl Eq for Lines {}

fn parse_quantity(quantity: i64) -> Result<u32, String> {
    match u32::try_from(quantity) {
        Ok(quantity @ 1..=QUANTITY_MAX) => Ok(quantity),
        _ => Err(format!("must be 1 to {QUANTITY_MAX} pieces")),
    }
}

/// A time to live as it came from outside, in seconds.
///
/// # Errors
/// What is wrong with it, at `/ttl_seconds`.
pub fn parse_ttl(seconds: i64) -> Result<Duration, Invalid> {
    match u32::try_from(seconds) {
        Ok(seconds @ 1..=TTL_SECONDS_MAX) => Ok(Duration::from_secs(seconds.into())),
        _ => Err(Invalid::one(
            "/ttl_seconds",
            format!("must be 1 to {TTL_SECONDS_MAX} seconds"),
        )),
    }
}

/// Less of a product than asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    /// Which product.
    pub product: ProductId,
    /// Pieces asked for.
    pub requested: u32,
    /// Pieces that could be reserved.
    pub available: u32,
}

/// Why a line cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    /// No product has this id.
    Unknown(ProductId),
    /// There is not enough of it.
    Short(Shortage),
}

/// Where a reservation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Its stock is promised.
    Held,
    /// Its stock has left.
    Committed,
    /// Its stock was given back.
    Released,
    /// Its time ran out before it was committed.
    Expired,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Held, Self::Committed, Self::Released, Self::Expired];

    /// Its name, in lower case, as stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Committed => "committed",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }

    /// The state of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// What an operation has to do to a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Go to the new state.
    Go,
    /// Nothing: it went there before, and the answer is the same.
    Repeat,
}

/// What cancelling has to do to a reservation, to leave it released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancel {
    /// Release it.
    Release,
    /// Release it, and put its stock back on hand.
    TakeBack,
    /// Nothing: it went there before, and the answer is the same.
    Repeat,
}

/// The reservation is in this state, from which the operation leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict(pub State);

/// Stock promised to a buyer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Chosen by whoever reserved.
    pub id: ReservationId,
    /// What is promised.
    pub lines: Lines,
    /// Where it stands.
    pub state: State,
    /// When, held until then, it lets go of its stock. A whole second.
    pub expires_at: Timestamp,
}

impl Reservation {
    /// The same, looked at now.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        if self.state == State::Held && self.expires_at <= now {
            self.state = State::Expired;
        }
        self
    }

    /// Whether reserving these lines again, under this id, repeats what stands.
    ///
    /// # Errors
    /// When it is about other lines, or no longer held.
    pub fn reserve_again(&self, lines: &Lines) -> Result<(), Conflict> {
        if self.state == State::Held && self.lines == *lines {
            Ok(())
        } else {
            Err(Conflict(self.state))
        }
    }

    /// Whether it can leave. To be asked of a reservation looked at now ([`Reservation::at`]).
    ///
    /// # Errors
    /// When it was released or came too late.
    pub fn commit(&self) -> Result<Step, Conflict> {
        match self.state {
            State::Held => Ok(Step::Go),
            State::Committed => Ok(Step::Repeat),
            state @ (State::Released | State::Expired) => Err(Conflict(state)),
        }
    }

    /// Whether it can be given back. To be asked of a reservation looked at now ([`Reservation::at`]).
    ///
    /// # Errors
    /// When it has left.
    pub fn release(&self) -> Result<Step, Conflict> {
        match self.state {
            State::Held | State::Expired => Ok(Step::Go),
            State::Released => Ok(Step::Repeat),
            state @ State::Committed => Err(Conflict(state)),
        }
    }

    /// What cancelling it has to do. To be asked of a reservation looked at now ([`Reservation::at`]).
    pub fn cancel(&self) -> Cancel {
        match self.state {
            State::Held | State::Expired => Cancel::Release,
            State::Committed => Cancel::TakeBack,
            State::Released => Cancel::Repeat,
        }
    }
}

#[cfg(test)]
mod tests;
