//! What goes over the wire, as JSON. Unknown members are refused.
//!
//! Numbers come in as 64-bit integers, wider than any bound of the domain, so that one out of bounds is told
//! as such (422) and only what is no such integer is malformed (400).

use catalog_domain::page::{Key, Page, Position};
use catalog_domain::product::{DetailsInput, Product, ProductId};
use catalog_domain::reservation::Reservation;
use catalog_domain::time::Timestamp;
use rest::{Problem, cursor};
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MoneyIn {
    amount: i64,
    currency: String,
}

/// A product to create.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewProduct {
    sku: String,
    name: String,
    #[serde(default)]
    description: String,
    category: String,
    price: MoneyIn,
    #[serde(default)]
    pub(super) stock: i64,
}

impl NewProduct {
    pub(super) fn details(&self) -> DetailsInput<'_> {
        DetailsInput {
            sku: &self.sku,
            name: &self.name,
            description: &self.description,
            category: &self.category,
            amount: self.price.amount,
            currency: &self.price.currency,
        }
    }
}

/// What to say about a product from now on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProductUpdate {
    sku: String,
    name: String,
    #[serde(default)]
    description: String,
    category: String,
    price: MoneyIn,
}

impl ProductUpdate {
    pub(super) fn details(&self) -> DetailsInput<'_> {
        DetailsInput {
            sku: &self.sku,
            name: &self.name,
            description: &self.description,
            category: &self.category,
            amount: self.price.amount,
            currency: &self.price.currency,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StockUpdate {
    pub(super) on_hand: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LineIn {
    pub(super) product_id: String,
    pub(super) quantity: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewReservation {
    pub(super) id: String,
    pub(super) lines: Vec<LineIn>,
    pub(super) ttl_seconds: i64,
}

#[derive(Debug, Serialize)]
struct MoneyOut {
    amount: u64,
    currency: String,
}

/// A product, as everybody sees it.
#[derive(Debug, Serialize)]
pub(super) struct ProductOut {
    id: String,
    sku: String,
    name: String,
    description: String,
    category: String,
    price: MoneyOut,
    stock: u32,
    available: u32,
    created_at: String,
    updated_at: String,
    version: u32,
}

impl From<&Product> for ProductOut {
    fn from(product: &Product) -> Self {
        let details = &product.details;
        Self {
            id: product.id.to_string(),
            sku: details.sku.as_str().to_owned(),
            name: details.name.as_str().to_owned(),
            description: details.description.as_str().to_owned(),
            category: details.category.as_str().to_owned(),
            price: MoneyOut {
                amount: details.price.amount(),
                currency: details.price.currency().as_str().to_owned(),
            },
            stock: product.stock.on_hand,
            available: product.stock.available(),
            created_at: product.created_at.to_string(),
            updated_at: product.updated_at.to_string(),
            version: product.version,
        }
    }
}

/// A page of products. `next_cursor` is `null` on the last.
#[derive(Debug, Serialize)]
pub(super) struct PageOut {
    items: Vec<ProductOut>,
    next_cursor: Option<String>,
}

impl From<&Page> for PageOut {
    fn from(page: &Page) -> Self {
        let next = page.next.as_ref();
        Self {
            items: page.items.iter().map(ProductOut::from).collect(),
            next_cursor: next.and_then(|next| cursor::encode(&CursorDocument::from(next))),
        }
    }
}

/// What a cursor is made of: the sort key, and the id, of the last product seen.
#[derive(Debug, Serialize, Deserialize)]
struct CursorDocument(CursorKey, String);

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CursorKey {
    Name(String),
    Price(u64),
    Created(u64),
}

impl From<&Position> for CursorDocument {
    fn from(position: &Position) -> Self {
        let key = match &position.key {
            Key::Name(name) => CursorKey::Name(name.clone()),
            Key::Price(amount) => CursorKey::Price(*amount),
            Key::Created(time) => CursorKey::Created(time.millis()),
        };
        Self(key, position.id.to_string())
    }
}

/// The place that a cursor stands for.
///
/// # Errors
/// 400 when it did not come from here.
pub(super) fn position(text: &str) -> Result<Position, Problem> {
    let CursorDocument(key, id) = cursor::decode(text)?;
    let garbage = || Problem::bad_request("this cursor did not come from here: start without one");
    let key = match key {
        CursorKey::Name(name) => Key::Name(name),
        CursorKey::Price(amount) => Key::Price(amount),
        CursorKey::Created(millis) => Key::Created(Timestamp::from_millis(millis)),
    };
    Ok(Position {
        key,
        id: ProductId::parse(&id).ok_or_else(garbage)?,
    })
}

#[derive(Debug, Serialize)]
struct LineOut {
    product_id: String,
    quantity: u32,
}

/// A reservation.
#[derive(Debug, Serialize)]
pub(super) struct ReservationOut {
    id: String,
    lines: Vec<LineOut>,
    state: &'static str,
    expires_at: String,
}

impl From<&Reservation> for ReservationOut {
    fn from(reservation: &Reservation) -> Self {
        let line = |line: &catalog_domain::reservation::Line| LineOut {
            product_id: line.product.to_string(),
            quantity: line.quantity,
        };
        Self {
            id: reservation.id.to_string(),
            lines: reservation.lines.iter().map(line).collect(),
            state: reservation.state.as_str(),
            expires_at: reservation.expires_at.to_string(),
        }
    }
}
