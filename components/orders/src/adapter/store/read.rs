//! Rows into orders.

use orders_domain::item::{Currency, Line, Money, ProductId};
use orders_domain::key::Key;
use orders_domain::order::{Customer, Order, OrderId, Refusal, Status, Summary};
use orders_domain::page::Query;
use orders_domain::port::{Due, StoreError};
use orders_domain::time::Timestamp;

use crate::adapter::sql::{Connection, Row, Value};

/// An order once for each of its lines, in the order that [`assembled`] reads.
const ORDER: &str = "SELECT o.id, o.customer, o.status, o.total, o.currency,
        o.refused_product, o.refused_requested, o.refused_available,
        o.created_at, o.updated_at, o.expires_at, o.confirmed_at, o.due_at, o.leased_until,
        l.product_id, l.name, l.quantity, l.price
    FROM orders_orders o JOIN orders_lines l ON l.order_id = o.id";

pub(super) async fn order<C: Connection>(connection: &C, id: OrderId) -> Result<Option<Order>, StoreError> {
    let statement = format!("{ORDER} WHERE o.id = ?1 ORDER BY l.position");
    let rows = connection.run(&statement, vec![id.to_string().into()]).await?;
    assembled(&rows)
}

pub(super) async fn by_key<C: Connection>(
    connection: &C,
    customer: &Customer,
    key: &Key,
    now: Timestamp,
) -> Result<Option<Order>, StoreError> {
    let statement = format!(
        "{ORDER} WHERE o.id = (
            SELECT order_id FROM orders_keys WHERE customer = ?1 AND key = ?2 AND kept_until > ?3
        ) ORDER BY l.position"
    );
    let values = vec![
        customer.0.as_str().into(),
        key.as_str().into(),
        now.millis().into(),
    ];
    assembled(&connection.run(&statement, values).await?)
}

/// The order that rows are of, which is one.
fn assembled(rows: &[Row]) -> Result<Option<Order>, StoreError> {
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let line = |row: &Row| {
        Ok(Line {
            product: product(row, 14)?,
            name: row.text(15)?.to_owned(),
            quantity: row.integer(16)?,
            price: row.integer(17)?,
        })
    };
    let refusal = match (&row.0.get(5), row.optional(6)?, row.optional(7)?) {
        (Some(Value::Null), _, _) => None,
        (_, Some(requested), Some(available)) => Some(Refusal::Short {
            product: product(row, 5)?,
            requested,
            available,
        }),
        _ => Some(Refusal::Gone(product(row, 5)?)),
    };
    Ok(Some(Order {
        id: order_id(row)?,
        customer: Customer(row.text(1)?.to_owned()),
        lines: rows.iter().map(line).collect::<Result<_, StoreError>>()?,
        total: money(row)?,
        status: status(row)?,
        refusal,
        created_at: time(row, 8)?,
        updated_at: time(row, 9)?,
        expires_at: time(row, 10)?,
        confirmed_at: row.optional(11)?.map(Timestamp::from_millis),
        due_at: time(row, 12)?,
        leased_until: time(row, 13)?,
    }))
}

/// Two walks along one index, merged. Left to itself, SQLite prefers the index by status, and then has to sort.
pub(super) const DUE: &str = "SELECT id, due_at FROM orders_orders INDEXED BY orders_orders_open
        WHERE length(id) = 36 AND status IN ('pending', 'reserved', 'cancelling') AND due_at <= ?1
        AND (leased_until <= ?1 OR leased_until > ?3)
    UNION ALL SELECT id, due_at FROM orders_orders INDEXED BY orders_orders_open
        WHERE length(id) = 36 AND status IN ('pending', 'reserved', 'cancelling') AND due_at > ?2
        AND (leased_until <= ?1 OR leased_until > ?3)
    ORDER BY due_at, id LIMIT ?4";

pub(super) async fn due<C: Connection>(connection: &C, due: &Due) -> Result<Vec<OrderId>, StoreError> {
    let values = vec![
        due.now.millis().into(),
        due.latest.millis().into(),
        due.longest_lease.millis().into(),
        due.limit.into(),
    ];
    let rows = connection.run(DUE, values).await?;
    // Nobody can ask for an order whose id is none, nor is it in the way of the others.
    Ok(rows.iter().filter_map(|row| order_id(row).ok()).collect())
}

pub(super) async fn list<C: Connection>(connection: &C, query: &Query) -> Result<Vec<Summary>, StoreError> {
    let (statement, values) = listing(query);
    let rows = connection.run(&statement, values).await?;
    rows.iter().map(summary).collect()
}

/// The statement of a listing. Nothing that came from outside stands in its text.
pub(super) fn listing(query: &Query) -> (String, Vec<Value>) {
    let mut values = Vec::new();
    let mut conditions = Vec::new();
    let mut bind = |value: Value| {
        values.push(value);
        format!("?{}", values.len())
    };
    if let Some(customer) = &query.customer {
        conditions.push(format!("customer = {}", bind(customer.0.as_str().into())));
    }
    if let Some(status) = query.status {
        conditions.push(format!("status = {}", bind(status.as_str().into())));
    }
    if let Some(after) = query.after {
        let (time, id) = (
            bind(after.created_at.millis().into()),
            bind(after.id.to_string().into()),
        );
        conditions.push(format!("(created_at, id) < ({time}, {id})"));
    }
    let limit = bind(query.limit.get().saturating_add(1).into());
    let conditions = if conditions.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", conditions.join(" AND "))
    };
    let statement = format!(
        "SELECT id, customer, status, total, currency, lines, pieces, created_at, updated_at
            FROM orders_orders{conditions} ORDER BY created_at DESC, id DESC LIMIT {limit}"
    );
    (statement, values)
}

fn summary(row: &Row) -> Result<Summary, StoreError> {
    Ok(Summary {
        id: order_id(row)?,
        customer: Customer(row.text(1)?.to_owned()),
        status: status(row)?,
        total: money(row)?,
        lines: row.integer(5)?,
        pieces: row.integer(6)?,
        created_at: time(row, 7)?,
        updated_at: time(row, 8)?,
    })
}

fn order_id(row: &Row) -> Result<OrderId, StoreError> {
    OrderId::parse(row.text(0)?).ok_or_else(|| unreadable("an order's id"))
}

fn status(row: &Row) -> Result<Status, StoreError> {
    Status::parse(row.text(2)?).ok_or_else(|| unreadable("an order's status"))
}

fn money(row: &Row) -> Result<Money, StoreError> {
    let currency = Currency::parse(row.text(4)?);
    Ok(Money {
        amount: row.integer(3)?,
        currency: currency.ok_or_else(|| unreadable("an order's currency"))?,
    })
}

fn product(row: &Row, column: usize) -> Result<ProductId, StoreError> {
    ProductId::parse(row.text(column)?).ok_or_else(|| unreadable("a product's id"))
}

fn time(row: &Row, column: usize) -> Result<Timestamp, StoreError> {
    row.integer(column).map(Timestamp::from_millis)
}

fn unreadable(what: &str) -> StoreError {
    StoreError::Unreadable(what.to_owned())
}
