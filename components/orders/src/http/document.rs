//! What goes over the wire, as JSON. Unknown members are refused.
//!
//! Numbers come in as 64-bit integers, wider than any bound of the domain, so that one out of bounds is told
//! as such (422) and only what is no such integer is malformed (400).

use orders_domain::item::{Line, Money};
use orders_domain::order::{Order, OrderId, Refusal, Status, Summary};
use orders_domain::page::{Page, Position};
use orders_domain::policy::Policy;
use orders_domain::time::Timestamp;
use rest::time::rfc3339;
use rest::{Problem, cursor};
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOrder {
    pub(super) items: Vec<ItemIn>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ItemIn {
    pub(super) product_id: String,
    pub(super) quantity: i64,
}

#[derive(Debug, Serialize)]
struct MoneyOut {
    amount: u64,
    currency: String,
}

impl From<Money> for MoneyOut {
    fn from(money: Money) -> Self {
        Self {
            amount: money.amount,
            currency: money.currency.to_string(),
        }
    }
}

#[derive(Debug, Serialize)]
struct ItemOut {
    product_id: String,
    name: String,
    quantity: u32,
    unit_price: MoneyOut,
    price: MoneyOut,
}

#[derive(Debug, Serialize)]
pub(super) struct RefusalOut {
    pub(super) product_id: String,
    /// Missing when the product is no longer for sale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) requested: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) available: Option<u32>,
}

impl From<Refusal> for RefusalOut {
    fn from(refusal: Refusal) -> Self {
        let (product, requested, available) = match refusal {
            Refusal::Short {
                product,
                requested,
                available,
            } => (product, Some(requested), Some(available)),
            Refusal::Gone(product) => (product, None, None),
        };
        Self {
            product_id: product.to_string(),
            requested,
            available,
        }
    }
}

/// An order, as its customer and administrators see it.
#[derive(Debug, Serialize)]
pub(super) struct OrderOut {
    id: String,
    customer_id: String,
    status: &'static str,
    items: Vec<ItemOut>,
    total: MoneyOut,
    created_at: String,
    updated_at: String,
    /// Of an order that is not decided yet.
    expires_at: Option<String>,
    /// Of a confirmed order.
    cancellable_until: Option<String>,
    /// Of a rejected order.
    refusal: Option<RefusalOut>,
}

impl OrderOut {
    pub(super) fn of(order: &Order, policy: &Policy) -> Self {
        let currency = order.total.currency;
        let money = |amount| MoneyOut::from(Money { amount, currency });
        let item = |line: &Line| ItemOut {
            product_id: line.product.to_string(),
            name: line.name.clone(),
            quantity: line.quantity,
            unit_price: money(line.price),
            // The total was counted once, so this can be.
            price: money(line.amount().unwrap_or(u64::MAX)),
        };
        let undecided = matches!(order.status, Status::Pending | Status::Reserved);
        let confirmed = order.status == Status::Confirmed;
        let cancellable = order.cancellable_until(policy.cancellation());
        Self {
            id: order.id.to_string(),
            customer_id: order.customer.0.clone(),
            status: order.status.as_str(),
            items: order.lines.iter().map(item).collect(),
            total: order.total.into(),
            created_at: shown(order.created_at),
            updated_at: shown(order.updated_at),
            expires_at: undecided.then(|| shown(order.expires_at)),
            cancellable_until: cancellable.filter(|_| confirmed).map(shown),
            refusal: order.refusal.map(RefusalOut::from),
        }
    }
}

/// To the second, never later than it is.
pub(super) fn shown(time: Timestamp) -> String {
    rfc3339(time.seconds())
}

/// An order in a list.
#[derive(Debug, Serialize)]
struct SummaryOut {
    id: String,
    customer_id: String,
    status: &'static str,
    item_count: u32,
    pieces: u64,
    total: MoneyOut,
    created_at: String,
    updated_at: String,
}

impl From<&Summary> for SummaryOut {
    fn from(order: &Summary) -> Self {
        Self {
            id: order.id.to_string(),
            customer_id: order.customer.0.clone(),
            status: order.status.as_str(),
            item_count: order.lines,
            pieces: order.pieces,
            total: order.total.into(),
            created_at: shown(order.created_at),
            updated_at: shown(order.updated_at),
        }
    }
}

/// A page of orders. `next_cursor` is `null` on the last.
#[derive(Debug, Serialize)]
pub(super) struct PageOut {
    items: Vec<SummaryOut>,
    next_cursor: Option<String>,
}

impl From<&Page> for PageOut {
    fn from(page: &Page) -> Self {
        let next = page.next.as_ref();
        Self {
            items: page.items.iter().map(SummaryOut::from).collect(),
            next_cursor: next
                .and_then(|next| cursor::encode(&(next.created_at.millis(), next.id.to_string()))),
        }
    }
}

/// The place that a cursor stands for.
///
/// # Errors
/// 400 when it did not come from here.
pub(super) fn position(text: &str) -> Result<Position, Problem> {
    let (millis, id): (u64, String) = cursor::decode(text)?;
    let garbage = || Problem::bad_request("this cursor did not come from here: start without one");
    Ok(Position {
        created_at: Timestamp::from_millis(millis),
        id: OrderId::parse(&id).ok_or_else(garbage)?,
    })
}
