//! One statement of a guest: compiled, bound, stepped, and its rows counted while they come. Blocks.

use super::call::Call;
use super::failure::Stop;
use super::loan::{Loan, MAX_STATEMENT_BYTES};
use super::rows::Writer;
use crate::adapter::blocking::Blocking;
use crate::capability::sqlite::port::{Bounds, QueryResult, Row, SqlError, Value};
use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Batch, Statement, ToSql};
use std::time::Duration;

/// A statement with the values of its parameters.
pub(super) struct Order {
    pub(super) sql: String,
    pub(super) parameters: Vec<Value>,
}

/// Where rows go.
pub(super) trait Sink {
    /// Called once, before any row, when the statement has passed its first step.
    fn columns(&mut self, columns: Vec<String>);
    /// Takes one row of about `bytes`.
    fn row(&mut self, row: Row, bytes: usize) -> Result<(), SqlError>;
}

/// Runs `order` to its end.
pub(super) fn run(loan: &Loan, call: &Call, order: &Order, sink: &mut dyn Sink) -> Result<(), Stop> {
    if call.is_over() {
        return Err(call.verdict().into());
    }
    if order.sql.len() > MAX_STATEMENT_BYTES {
        return Err(wrong(format!(
            "the statement has more than {MAX_STATEMENT_BYTES} bytes"
        )));
    }
    if order.sql.contains('\0') {
        return Err(wrong(
            "the statement contains a NUL; pass such text as a parameter",
        ));
    }
    let connection = loan.connection()?;
    if is_surely_single(&order.sql) {
        let mut statement = connection
            .prepare_cached(&order.sql)
            .map_err(|error| loan.translate(error))?;
        return step(loan, &mut statement, &order.parameters, sink);
    }
    // `prepare` looks for further statements by recursion, once per statement; a batch does not.
    let mut batch = Batch::new(connection, &order.sql);
    let first = batch.next().map_err(|error| loan.translate(error))?;
    // Whatever compiles next, or fails to, is a second statement. Some pragmas act while they compile.
    let rest = loan
        .control
        .while_refusing_all(|| batch.next().map(|statement| statement.is_some()));
    if !matches!(rest, Ok(false)) {
        return Err(wrong("there is more than one statement; run them one by one"));
    }
    match first {
        Some(mut statement) => step(loan, &mut statement, &order.parameters, sink),
        None => {
            sink.columns(Vec::new());
            Ok(())
        }
    }
}

/// Whether nothing can follow the first statement: without a `;` there is no second one.
fn is_surely_single(sql: &str) -> bool {
    !sql.trim_end_matches([';', ' ', '\t', '\n', '\r']).contains(';')
}

fn wrong(message: impl Into<String>) -> Stop {
    Stop::Failed(SqlError::Statement {
        message: message.into(),
    })
}

/// Whether there was nothing but blanks and comments to compile.
fn is_nothing(statement: &Statement<'_>) -> bool {
    statement.readonly() && statement.column_count() == 0 && statement.expanded_sql().is_none()
}

fn step(
    loan: &Loan,
    statement: &mut Statement<'_>,
    parameters: &[Value],
    sink: &mut dyn Sink,
) -> Result<(), Stop> {
    if is_nothing(statement) {
        sink.columns(Vec::new());
        return Ok(());
    }
    let wanted = statement.parameter_count();
    if wanted != parameters.len() {
        return Err(wrong(format!(
            "the statement has {wanted} parameters and {} values were given",
            parameters.len()
        )));
    }
    for (index, parameter) in parameters.iter().enumerate() {
        statement
            .raw_bind_parameter(index + 1, parameter)
            .map_err(|error| loan.translate(error))?;
    }
    // A kept statement is compiled anew by its first step where the schema has changed, by another revision for
    // example: what its columns are is known afterwards. Without a row it matters less.
    let mut columns = Some(names(statement));
    let mut width = 0;
    let mut rows = statement.raw_query();
    let mut count = 0_usize;
    loop {
        let next = match rows.next() {
            Ok(next) => next,
            Err(error) => {
                return Err(match loan.translate(error) {
                    // Rows that were handed over cannot be taken back.
                    Stop::Locked if columns.is_none() => Stop::Failed(SqlError::Conflict),
                    stop => stop,
                });
            }
        };
        if let Some(before) = columns.take() {
            let now = next.map_or(before, |row| names(row.as_ref()));
            width = now.len();
            sink.columns(now);
        }
        let Some(row) = next else { return Ok(()) };
        count = count.saturating_add(1);
        let mut values = Vec::with_capacity(width);
        let mut bytes = 0_usize;
        for index in 0..width {
            let value = row.get_ref(index).map_err(|error| loan.translate(error))?;
            let value = owned(value).ok_or_else(|| {
                wrong(format!(
                    "the text in row {count}, column {} is not UTF-8; read it with CAST(… AS BLOB)",
                    index + 1
                ))
            })?;
            bytes = bytes.saturating_add(size(&value));
            values.push(value);
        }
        sink.row(values, bytes.saturating_add(size_of::<Row>()))?;
    }
}

fn names(statement: &Statement<'_>) -> Vec<String> {
    statement.column_names().map(str::to_owned).collect()
}

fn owned(value: ValueRef<'_>) -> Option<Value> {
    Some(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => Value::Integer(integer),
        ValueRef::Real(real) => Value::Real(real),
        ValueRef::Text(text) => Value::Text(std::str::from_utf8(text).ok()?.to_owned()),
        ValueRef::Blob(blob) => Value::Blob(blob.to_vec()),
    })
}

/// What a value takes in memory.
fn size(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::Text(text) => text.len(),
            Value::Blob(blob) => blob.len(),
            Value::Integer(_) | Value::Real(_) | Value::Null => 0,
        }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Integer(integer) => ValueRef::Integer(*integer),
            Value::Real(real) => ValueRef::Real(*real),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(blob) => ValueRef::Blob(blob),
            Value::Null => ValueRef::Null,
        }))
    }
}

/// Keeps all rows, within bounds.
pub(super) struct Collect {
    pub(super) result: QueryResult,
    max_rows: usize,
    max_bytes: usize,
    bytes: usize,
}

impl Collect {
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self {
            result: QueryResult {
                columns: Vec::new(),
                rows: Vec::new(),
            },
            max_rows: bounds.max_rows,
            max_bytes: bounds.max_bytes,
            bytes: 0,
        }
    }
}

impl Sink for Collect {
    fn columns(&mut self, columns: Vec<String>) {
        self.result.columns = columns;
    }

    fn row(&mut self, row: Row, bytes: usize) -> Result<(), SqlError> {
        if self.result.rows.len() >= self.max_rows {
            return Err(SqlError::TooManyRows { max: self.max_rows });
        }
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.max_bytes {
            return Err(SqlError::ResultTooLarge {
                max_bytes: self.max_bytes,
            });
        }
        self.result.rows.push(row);
        Ok(())
    }
}

/// Hands rows to a reader as they come.
pub(super) struct Forward<'a> {
    pub(super) writer: &'a mut Writer,
    pub(super) call: &'a Call,
    pub(super) pool: &'a Blocking,
    pub(super) patience: Duration,
}

impl Sink for Forward<'_> {
    fn columns(&mut self, columns: Vec<String>) {
        self.writer.columns(columns);
    }

    fn row(&mut self, row: Row, bytes: usize) -> Result<(), SqlError> {
        self.writer.row(row, bytes, self.call, self.pool, self.patience)
    }
}
