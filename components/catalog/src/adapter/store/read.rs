//! Rows into products and reservations.

use catalog_domain::page::{Key, Query, Sort};
use catalog_domain::port::StoreError;
use catalog_domain::product::{Details, DetailsInput, Product, ProductId, Stock};
use catalog_domain::reservation::{Line, Lines, Reservation, ReservationId, State};
use catalog_domain::time::Timestamp;

use crate::adapter::sql::{Connection, Row, Value};

/// Products with what is held of them at `?1`, in the order that [`product`] reads.
const PRODUCTS: &str = "SELECT p.id, p.sku, p.name, p.description, p.category, p.amount, p.currency,
        p.on_hand, p.created_at, p.updated_at, p.version, (
            SELECT coalesce(sum(l.quantity), 0) FROM catalog_reservation_lines l
            WHERE l.product_id = p.id AND l.held_until > ?1
        ) AS held FROM catalog_products p";

/// `?2, ?3 …`, one for each product, and the values from `?1` on: the time and the products.
pub(super) fn after_now(now: Timestamp, products: &[ProductId]) -> (String, Vec<Value>) {
    let mut values = vec![Value::from(now.millis())];
    let mut places = Vec::with_capacity(products.len());
    for product in products {
        values.push(product.to_string().into());
        places.push(format!("?{}", values.len()));
    }
    (places.join(", "), values)
}

pub(super) async fn products<C: Connection>(
    connection: &C,
    ids: &[ProductId],
    now: Timestamp,
) -> Result<Vec<Product>, StoreError> {
    let (places, values) = after_now(now, ids);
    let statement = format!("{PRODUCTS} WHERE p.id IN ({places})");
    connection
        .run(&statement, values)
        .await?
        .iter()
        .map(product)
        .collect()
}

pub(super) async fn list<C: Connection>(
    connection: &C,
    query: &Query,
    now: Timestamp,
) -> Result<Vec<Product>, StoreError> {
    let (statement, values) = listing(query, now);
    connection
        .run(&statement, values)
        .await?
        .iter()
        .map(product)
        .collect()
}

/// The statement of a listing. Nothing that came from outside stands in its text.
fn listing(query: &Query, now: Timestamp) -> (String, Vec<Value>) {
    let mut values = vec![Value::from(now.millis())];
    let mut conditions = Vec::new();
    let mut bind = |value: Value| {
        values.push(value);
        format!("?{}", values.len())
    };
    for word in query.search.iter().flat_map(|search| search.words()) {
        let word = bind(containing(word).into());
        conditions.push(format!(
            "(p.name LIKE {word} ESCAPE '\\' OR p.description LIKE {word} ESCAPE '\\')"
        ));
    }
    if let Some(category) = &query.category {
        conditions.push(format!("p.category = {}", bind(category.as_str().into())));
    }
    if let Some(amount) = query.min_price {
        conditions.push(format!("p.amount >= {}", bind(amount.into())));
    }
    if let Some(amount) = query.max_price {
        conditions.push(format!("p.amount <= {}", bind(amount.into())));
    }
    match query.in_stock {
        Some(true) => conditions.push("p.on_hand > held".to_owned()),
        Some(false) => conditions.push("p.on_hand <= held".to_owned()),
        None => {}
    }
    let column = match query.sort {
        Sort::Name => "p.name",
        Sort::Price => "p.amount",
        Sort::Created => "p.created_at",
    };
    if let Some(after) = &query.after {
        let key = match &after.key {
            Key::Name(name) => name.as_str().into(),
            Key::Price(amount) => (*amount).into(),
            Key::Created(time) => time.millis().into(),
        };
        let (key, id) = (bind(key), bind(after.id.to_string().into()));
        conditions.push(format!("({column}, p.id) > ({key}, {id})"));
    }
    let limit = bind(query.limit.get().saturating_add(1).into());
    let conditions = if conditions.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", conditions.join(" AND "))
    };
    (
        format!("{PRODUCTS}{conditions} ORDER BY {column}, p.id LIMIT {limit}"),
        values,
    )
}

/// The `LIKE` pattern (with `\` as its escape) of texts that contain a word.
fn containing(word: &str) -> String {
    let mut pattern = String::from("%");
    for c in word.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

pub(super) async fn reservation<C: Connection>(
    connection: &C,
    id: &ReservationId,
) -> Result<Option<Reservation>, StoreError> {
    let statement = "SELECT r.state, r.expires_at, l.product_id, l.quantity FROM catalog_reservations r
        JOIN catalog_reservation_lines l ON l.reservation_id = r.id WHERE r.id = ?1 ORDER BY l.position";
    let rows = connection.run(statement, vec![id.as_str().into()]).await?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let line = |row: &Row| {
        Ok(Line {
            product: product_id(row, 2)?,
            quantity: row.integer(3)?,
        })
    };
    let lines = rows.iter().map(line).collect::<Result<Vec<_>, StoreError>>()?;
    let state = State::parse(first.text(0)?);
    Ok(Some(Reservation {
        id: id.clone(),
        lines: Lines::stored(lines),
        state: state.ok_or_else(|| StoreError::Unreadable("a reservation's state".to_owned()))?,
        expires_at: Timestamp::from_millis(first.integer(1)?),
    }))
}

fn product(row: &Row) -> Result<Product, StoreError> {
    let input = DetailsInput {
        sku: row.text(1)?,
        name: row.text(2)?,
        description: row.text(3)?,
        category: row.text(4)?,
        amount: row.integer(5)?,
        currency: row.text(6)?,
    };
    Ok(Product {
        id: product_id(row, 0)?,
        details: Details::parse(&input).map_err(|invalid| StoreError::Unreadable(invalid.to_string()))?,
        stock: Stock {
            on_hand: row.integer(7)?,
            held: row.integer(11)?,
        },
        created_at: Timestamp::from_millis(row.integer(8)?),
        updated_at: Timestamp::from_millis(row.integer(9)?),
        version: row.integer(10)?,
    })
}

pub(super) fn product_id(row: &Row, column: usize) -> Result<ProductId, StoreError> {
    let id = ProductId::parse(row.text(column)?);
    id.ok_or_else(|| StoreError::Unreadable(format!("column {column} is no product id")))
}
