//! SQLite databases: `fermyon:spin/sqlite@2.0.0` and `spin:sqlite@3.1.0`.
//!
//! A guest opens a database by its label and gets the one that belongs to its service (or to the app, see the manifest's
//! `data`). A handle is a connection of its own, so transactions work as in SQLite. What bounds it: [`MAX_OPEN`] connections
//! of an instance, and [`Bounds`] on time, rows and size of a statement.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures::StreamExt;
use futures::channel::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Accessor, Destination, FutureReader, HasData, Resource, ResourceTable, StreamProducer, StreamReader,
    StreamResult, VecBuffer,
};

use super::Denials;
use crate::bindings::resource::Connection;
use crate::bindings::{fermyon, spin};
use crate::model::Label;
use crate::telemetry::metrics::{DataRefusal, RevisionMetrics};

pub mod port;

use port::{Bounds, CpuMeter, Database, RowStream, SqlConnection, SqlError, Value};

use fermyon::spin::sqlite as v2;
use spin::sqlite::sqlite as v3;

/// Connections that an instance may have open at once.
pub const MAX_OPEN: usize = 16;

/// The SQLite grants of one service.
pub struct Sqlite {
    databases: BTreeMap<Label, Arc<dyn Database>>,
    bounds: Bounds,
}

impl Sqlite {
    /// Grants `databases` to a service, with `bounds` for each of its statements.
    pub fn new(databases: BTreeMap<Label, Arc<dyn Database>>, bounds: Bounds) -> Self {
        Self { databases, bounds }
    }

    fn find(&self, label: &str, denials: &mut Denials) -> Option<Arc<dyn Database>> {
        let granted = Label::parse(label)
            .ok()
            .and_then(|label| self.databases.get(&label));
        if granted.is_none() {
            denials.denied(
                &format!("the database {label:?}"),
                &format!("sqlite_databases = [{label:?}]"),
            );
        }
        granted.cloned()
    }
}

/// The grants together with the handles of one instance.
pub struct View<'a> {
    /// What the service may open.
    pub grants: &'a Sqlite,
    /// The handles of the instance.
    pub table: &'a mut ResourceTable,
    /// How many connections are open, or being opened.
    pub open: &'a Arc<AtomicUsize>,
    /// Where denied calls are told.
    pub denials: &'a mut Denials,
    /// What the CPU time of statements is charged to.
    pub cpu: Option<Arc<dyn CpuMeter>>,
    /// Where statements are counted that a bound ended.
    pub metrics: &'a Arc<RevisionMetrics>,
}

/// Marks the interface in a linker.
pub struct Capability;

impl HasData for Capability {
    type Data<'a> = View<'a>;
}

enum OpenError {
    AccessDenied,
    TooMany,
    Failed(SqlError),
}

/// A place among the connections of an instance, taken before the connection is made and given back with it.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(open: &Arc<AtomicUsize>) -> Option<Self> {
        let taken = open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| {
            (open < MAX_OPEN).then_some(open + 1)
        });
        taken.is_ok().then(|| Self(open.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What stands behind a handle.
struct Open {
    connection: Arc<dyn SqlConnection>,
    _place: Place,
}

impl View<'_> {
    /// A database that may be opened: the grant is checked, the connection not yet made.
    fn may_open(&mut self, label: &str) -> Result<(Arc<dyn Database>, Place), OpenError> {
        let database = self
            .grants
            .find(label, self.denials)
            .ok_or(OpenError::AccessDenied)?;
        let place = Place::take(self.open).ok_or(OpenError::TooMany)?;
        Ok((database, place))
    }

    fn opened(
        &mut self,
        connection: Arc<dyn SqlConnection>,
        place: Place,
    ) -> wasmtime::Result<Resource<Connection>> {
        let open = Open {
            connection,
            _place: place,
        };
        Ok(self.table.push(Connection(Box::new(open)))?)
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            cpu: self.cpu.clone(),
            ..self.grants.bounds.clone()
        }
    }

    fn connection(&self, handle: &Resource<Connection>) -> wasmtime::Result<Arc<dyn SqlConnection>> {
        let Connection(payload) = self.table.get(handle)?;
        let open = payload.downcast_ref::<Open>();
        open.map(|open| open.connection.clone())
            .ok_or_else(|| wasmtime::format_err!("the handle is not one of a SQLite connection"))
    }

    fn close(&mut self, handle: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }

    /// Counts what a bound ended.
    fn counted<T>(&self, result: Result<T, SqlError>) -> Result<T, SqlError> {
        result.inspect_err(|error| count(self.metrics, error))
    }

    async fn open(&mut self, label: &str) -> wasmtime::Result<Result<Resource<Connection>, OpenError>> {
        let (database, place) = match self.may_open(label) {
            Ok(may) => may,
            Err(error) => return Ok(Err(error)),
        };
        let connected = database.connect().await;
        match self.counted(connected) {
            Ok(connection) => Ok(Ok(self.opened(connection, place)?)),
            Err(error) => Ok(Err(OpenError::Failed(error))),
        }
    }
}

fn count(metrics: &RevisionMetrics, error: &SqlError) {
    if let Some(reason) = refusal(error) {
        metrics.data_refused(reason);
    }
}

/// The bound that ended a statement, if one did.
fn refusal(error: &SqlError) -> Option<DataRefusal> {
    match error {
        SqlError::DatabaseFull(_) => Some(DataRefusal::Full),
        SqlError::TooManyRows { .. } | SqlError::ResultTooLarge { .. } => Some(DataRefusal::TooLarge),
        SqlError::TimedOut { .. } | SqlError::Unread { .. } => Some(DataRefusal::Timeout),
        SqlError::OutOfCpu => Some(DataRefusal::CpuTime),
        SqlError::Busy { .. } | SqlError::TooManyConnections { .. } | SqlError::Overloaded => {
            Some(DataRefusal::Busy)
        }
        SqlError::Statement { .. }
        | SqlError::Forbidden { .. }
        | SqlError::Conflict
        | SqlError::Damaged
        | SqlError::Unavailable { .. } => None,
    }
}

/// The same types and conversions for both versions of the interface.
macro_rules! conversions {
    ($version:ident) => {
        impl From<OpenError> for $version::Error {
            fn from(error: OpenError) -> Self {
                match error {
                    OpenError::AccessDenied => Self::AccessDenied,
                    OpenError::TooMany => Self::Io(format!(
                        "{MAX_OPEN} connections are open already: close some of them"
                    )),
                    OpenError::Failed(error) => error.into(),
                }
            }
        }

        impl From<SqlError> for $version::Error {
            fn from(error: SqlError) -> Self {
                match error {
                    // The interface has no room for the reason, which is in the host's log.
                    SqlError::DatabaseFull(_) => Self::DatabaseFull,
                    other => Self::Io(other.to_string()),
                }
            }
        }

        impl From<$version::Value> for Value {
            fn from(value: $version::Value) -> Self {
                match value {
                    $version::Value::Integer(value) => Self::Integer(value),
                    $version::Value::Real(value) => Self::Real(value),
                    $version::Value::Text(value) => Self::Text(value),
                    $version::Value::Blob(value) => Self::Blob(value),
                    $version::Value::Null => Self::Null,
                }
            }
        }

        impl From<Value> for $version::Value {
            fn from(value: Value) -> Self {
                match value {
                    Value::Integer(value) => Self::Integer(value),
                    Value::Real(value) => Self::Real(value),
                    Value::Text(value) => Self::Text(value),
                    Value::Blob(value) => Self::Blob(value),
                    Value::Null => Self::Null,
                }
            }
        }

        impl From<Vec<Value>> for $version::RowResult {
            fn from(row: Vec<Value>) -> Self {
                Self {
                    values: row.into_iter().map(Into::into).collect(),
                }
            }
        }

        impl From<port::QueryResult> for $version::QueryResult {
            fn from(result: port::QueryResult) -> Self {
                Self {
                    columns: result.columns,
                    rows: result.rows.into_iter().map(Into::into).collect(),
                }
            }
        }
    };
}

conversions!(v2);
conversions!(v3);

impl v2::Host for View<'_> {}

impl v2::HostConnection for View<'_> {
    async fn open(&mut self, database: String) -> wasmtime::Result<Result<Resource<Connection>, v2::Error>> {
        Ok(View::open(self, &database).await?.map_err(v2::Error::from))
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<v2::Value>,
    ) -> wasmtime::Result<Result<v2::QueryResult, v2::Error>> {
        let connection = self.connection(&connection)?;
        let parameters = parameters.into_iter().map(Into::into).collect();
        let result = connection.execute(statement, parameters, self.bounds()).await;
        Ok(self.counted(result).map(Into::into).map_err(v2::Error::from))
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.close(connection)
    }
}

impl v3::Host for View<'_> {}

impl v3::HostConnection for View<'_> {
    async fn open(&mut self, database: String) -> wasmtime::Result<Result<Resource<Connection>, v3::Error>> {
        Ok(View::open(self, &database).await?.map_err(v3::Error::from))
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<v3::Value>,
    ) -> wasmtime::Result<Result<v3::QueryResult, v3::Error>> {
        let connection = self.connection(&connection)?;
        let parameters = parameters.into_iter().map(Into::into).collect();
        let result = connection.execute(statement, parameters, self.bounds()).await;
        Ok(self.counted(result).map(Into::into).map_err(v3::Error::from))
    }

    async fn last_insert_rowid(&mut self, connection: Resource<Connection>) -> wasmtime::Result<i64> {
        Ok(self.connection(&connection)?.last_insert_rowid())
    }

    async fn changes(&mut self, connection: Resource<Connection>) -> wasmtime::Result<u64> {
        Ok(self.connection(&connection)?.changes())
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.close(connection)
    }
}

impl<T: Send> v3::HostConnectionWithStore<T> for Capability {
    async fn open_async(
        accessor: &Accessor<T, Self>,
        database: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, v3::Error>> {
        let (database, place) = match accessor.with(|mut access| access.get().may_open(&database)) {
            Ok(may) => may,
            Err(error) => return Ok(Err(error.into())),
        };
        let connected = database.connect().await;
        match accessor.with(|mut access| access.get().counted(connected)) {
            Ok(connection) => accessor.with(|mut access| access.get().opened(connection, place).map(Ok)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn execute_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<v3::Value>,
    ) -> wasmtime::Result<
        Result<
            (
                Vec<String>,
                StreamReader<v3::RowResult>,
                FutureReader<Result<(), v3::Error>>,
            ),
            v3::Error,
        >,
    > {
        let (connection, bounds, metrics) = accessor.with(|mut access| {
            let view = access.get();
            wasmtime::error::Ok((view.connection(&connection)?, view.bounds(), view.metrics.clone()))
        })?;
        let parameters = parameters.into_iter().map(Into::into).collect();
        let (columns, rows) = match connection.query(statement, parameters, bounds).await {
            Ok(started) => started,
            Err(error) => {
                count(&metrics, &error);
                return Ok(Err(error.into()));
            }
        };
        let (ended, end) = oneshot::channel::<Result<(), v3::Error>>();
        let rows = Rows {
            rows: Some(rows),
            ended: Some(ended),
            metrics,
        };
        accessor.with(|mut access| {
            let end = async move {
                // The stream was dropped before its end: nothing failed.
                wasmtime::error::Ok(end.await.unwrap_or(Ok(())))
            };
            let rows = StreamReader::new(&mut access, rows)?;
            let end = FutureReader::new(&mut access, end)?;
            Ok(Ok((columns, rows, end)))
        })
    }

    async fn last_insert_rowid_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
    ) -> wasmtime::Result<i64> {
        Ok(accessor
            .with(|mut access| access.get().connection(&connection))?
            .last_insert_rowid())
    }

    async fn changes_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
    ) -> wasmtime::Result<u64> {
        Ok(accessor
            .with(|mut access| access.get().connection(&connection))?
            .changes())
    }
}

/// Hands the rows of a running query to the guest, batch by batch.
struct Rows {
    rows: Option<RowStream>,
    ended: Option<oneshot::Sender<Result<(), v3::Error>>>,
    metrics: Arc<RevisionMetrics>,
}

impl Rows {
    fn end(&mut self, result: Result<(), v3::Error>) {
        self.rows = None;
        if let Some(ended) = self.ended.take() {
            // The guest does not have to ask how it ended.
            let _unread = ended.send(result);
        }
    }
}

impl<D: 'static> StreamProducer<D> for Rows {
    type Item = v3::RowResult;
    type Buffer = VecBuffer<v3::RowResult>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, v3::RowResult, VecBuffer<v3::RowResult>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        loop {
            let Some(rows) = &mut self.rows else {
                return Poll::Ready(Ok(StreamResult::Dropped));
            };
            match rows.poll_next_unpin(cx) {
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(batch))) if batch.is_empty() => {}
                Poll::Ready(Some(Ok(batch))) => {
                    let batch: Vec<v3::RowResult> = batch.into_iter().map(Into::into).collect();
                    destination.set_buffer(batch.into());
                    return Poll::Ready(Ok(StreamResult::Completed));
                }
                Poll::Ready(Some(Err(error))) => {
                    count(&self.metrics, &error);
                    self.end(Err(error.into()));
                    return Poll::Ready(Ok(StreamResult::Dropped));
                }
                Poll::Ready(None) => {
                    self.end(Ok(()));
                    return Poll::Ready(Ok(StreamResult::Dropped));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_come_back() {
        let open = Arc::new(AtomicUsize::new(0));
        let mut places: Vec<Place> = std::iter::from_fn(|| Place::take(&open)).collect();
        assert_eq!(places.len(), MAX_OPEN);
        places.pop();
        assert!(Place::take(&open).is_some());
        drop(places);
        assert_eq!(open.load(Ordering::Relaxed), 0);
    }
}
