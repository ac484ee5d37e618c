//! The SQLite capability's ports, on [`Core`]: each guest connection holds one loan for its lifetime.

use super::call::Call;
use super::database::{Core, GRACE, Locked, stopper};
use super::failure::Stop;
use super::loan::Loan;
use super::rows::{Reader, Writer, channel};
use super::statement::{Collect, Forward, Order, run};
use crate::capability::sqlite::port::{
    Bounds, Database, QueryResult, RowStream, SqlConnection, SqlError, Value,
};
use futures::StreamExt as _;
use futures::future::{BoxFuture, Either, FutureExt as _, select};
use parking_lot::Mutex;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout_at;

/// A database file as the capability sees it.
pub(super) struct SqliteDatabase {
    pub(super) core: Arc<Core>,
    pub(super) max_bytes: u64,
}

impl Database for SqliteDatabase {
    fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn SqlConnection>, SqlError>> {
        async move {
            let loan = self.core.lend(self.max_bytes).await?;
            let effects = Effects {
                earlier: loan.connection()?.total_changes(),
                ..Effects::default()
            };
            let connection = SqliteConnection {
                core: Arc::clone(&self.core),
                loan: Arc::new(tokio::sync::Mutex::new(loan)),
                effects: Arc::new(effects),
            };
            Ok(Arc::new(connection) as Arc<dyn SqlConnection>)
        }
        .boxed()
    }
}

struct SqliteConnection {
    core: Arc<Core>,
    /// Held while a statement runs, by the statement itself, so that it outlives a caller that went away.
    loan: Arc<tokio::sync::Mutex<Loan>>,
    effects: Arc<Effects>,
}

/// What the last statement left behind; read without waiting for the next.
#[derive(Default)]
struct Effects {
    last_insert_rowid: AtomicI64,
    changes: AtomicU64,
    /// How many rows former holders of the connection had changed: until more are, the last change was theirs.
    earlier: u64,
}

impl Effects {
    fn note(&self, loan: &Loan) -> Result<(), SqlError> {
        let connection = loan.connection()?;
        self.last_insert_rowid
            .store(connection.last_insert_rowid(), Ordering::Release);
        if connection.total_changes() != self.earlier {
            self.changes.store(connection.changes(), Ordering::Release);
        }
        Ok(())
    }
}

impl SqliteConnection {
    /// Waits for the statements before this one.
    async fn turn(&self, bounds: &Bounds) -> Result<OwnedMutexGuard<Loan>, SqlError> {
        tokio::time::timeout(bounds.timeout, Arc::clone(&self.loan).lock_owned())
            .await
            .map_err(|_| SqlError::TimedOut {
                limit: bounds.timeout,
            })
    }
}

impl SqlConnection for SqliteConnection {
    fn execute(
        &self,
        statement: String,
        parameters: Vec<Value>,
        bounds: Bounds,
    ) -> BoxFuture<'_, Result<QueryResult, SqlError>> {
        let order = Order {
            sql: statement,
            parameters,
        };
        async move {
            let loan = self.turn(&bounds).await?;
            let effects = Arc::clone(&self.effects);
            self.core
                .run_metered(loan, bounds.timeout, bounds.cpu.clone(), move |loan, call| {
                    let mut rows = Collect::new(&bounds);
                    run(loan, call, &order, &mut rows)?;
                    effects.note(loan)?;
                    Ok(rows.result)
                })
                .await
        }
        .boxed()
    }

    fn query(
        &self,
        statement: String,
        parameters: Vec<Value>,
        bounds: Bounds,
    ) -> BoxFuture<'_, Result<(Vec<String>, RowStream), SqlError>> {
        let order = Arc::new(Order {
            sql: statement,
            parameters,
        });
        async move {
            let mut loan = self.turn(&bounds).await?;
            let call = Arc::new(Call::metered(bounds.timeout, bounds.cpu.clone()));
            let stopper = stopper(&loan, &call);
            let mut locked = Locked::new(self.core.settings().busy_timeout);
            loop {
                let (writer, mut reader) = channel();
                let work = Arc::new(self.streaming(Arc::clone(&order), writer));
                // Once the columns are there the attempt goes on without us, and tells the reader how it ends.
                let begun = {
                    let attempt = pin!(self.core.attempt(loan, &call, work));
                    let columns = pin!(reader.columns());
                    let deadline = tokio::time::Instant::from_std(call.deadline() + GRACE);
                    match timeout_at(deadline, select(attempt, columns)).await {
                        Err(_) => {
                            return Err(SqlError::TimedOut {
                                limit: bounds.timeout,
                            });
                        }
                        Ok(Either::Left((ended, _))) => Either::Left(ended?),
                        Ok(Either::Right((columns, _))) => Either::Right(columns),
                    }
                };
                let ended = match begun {
                    Either::Left(ended) => ended,
                    Either::Right(columns) => return Ok((columns, stream(reader, stopper))),
                };
                match ended {
                    // It was over so soon that its end came before its columns; both are with the reader.
                    (_, Ok(())) => {
                        let columns = reader.columns().await;
                        return Ok((columns, stream(reader, stopper)));
                    }
                    (_, Err(Stop::Failed(error))) => return Err(error),
                    (returned, Err(Stop::Locked)) => {
                        loan = returned;
                        locked.wait(&self.core, &call).await?;
                    }
                }
            }
        }
        .boxed()
    }

    fn last_insert_rowid(&self) -> i64 {
        self.effects.last_insert_rowid.load(Ordering::Acquire)
    }

    fn changes(&self) -> u64 {
        self.effects.changes.load(Ordering::Acquire)
    }
}

impl SqliteConnection {
    /// Work that runs `order` into `writer`. Its result is an error only as long as the reader knows of nothing.
    fn streaming(
        &self,
        order: Arc<Order>,
        writer: Writer,
    ) -> impl Fn(&Loan, &Call) -> Result<(), Stop> + Send + Sync + 'static {
        let (core, effects) = (Arc::clone(&self.core), Arc::clone(&self.effects));
        let writer = Mutex::new(Some(writer));
        move |loan, call| {
            let Some(mut writer) = writer.lock().take() else {
                return Err(SqlError::Unavailable {
                    message: "the query was lost".to_owned(),
                }
                .into());
            };
            let patience = core.settings().reader_timeout;
            let mut rows = Forward {
                writer: &mut writer,
                call,
                pool: core.pool(),
                patience,
            };
            let outcome = run(loan, call, &order, &mut rows);
            effects.note(loan)?;
            match outcome {
                Ok(()) => writer.end(None),
                Err(Stop::Failed(error)) if writer.has_begun() => writer.end(Some(error)),
                Err(stop) => return Err(stop),
            }
            Ok(())
        }
    }
}

/// The rows that come out of `reader`; dropping them stops the statement.
fn stream(reader: Reader, stopper: super::call::Stopper) -> RowStream {
    futures::stream::unfold((reader, stopper), |(mut reader, stopper)| async move {
        reader.next().await.map(|batch| (batch, (reader, stopper)))
    })
    .boxed()
}
