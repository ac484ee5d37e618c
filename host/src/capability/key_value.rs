//! Key-value stores: `fermyon:spin/key-value@2.0.0` and `spin:key-value@3.0.0`.
//!
//! A guest opens a store by its label and gets the one that belongs to its service (or to the app, see the manifest's
//! `data`). What bounds it: [`MAX_OPEN`] stores open at once, the port's bounds on keys, values and size, and at most
//! [`MAX_LISTED_BYTES`] of keys in one list; the streaming list of version 3 reads page by page.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::channel::oneshot;
use futures::future::BoxFuture;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Accessor, Destination, FutureReader, HasData, Resource, ResourceTable, StreamProducer, StreamReader,
    StreamResult, VecBuffer,
};

use super::Denials;
use crate::bindings::resource::Store;
use crate::bindings::{fermyon, spin};
use crate::model::Label;
use crate::telemetry::metrics::{DataRefusal, RevisionMetrics};

pub mod port;

use port::{KeyPage, KeyValueError, KeyValueStore, MAX_BATCH};

type Error2 = fermyon::spin::key_value::Error;
type Error3 = spin::key_value::key_value::Error;

/// Stores that an instance may have open at once.
pub const MAX_OPEN: usize = 256;
/// The keys of one list in bytes, where they come all at once.
pub const MAX_LISTED_BYTES: usize = 16 * 1024 * 1024;

/// The key-value grants of one service.
pub struct KeyValue {
    stores: BTreeMap<Label, Arc<dyn KeyValueStore>>,
}

impl KeyValue {
    /// Grants `stores` to a service.
    pub fn new(stores: BTreeMap<Label, Arc<dyn KeyValueStore>>) -> Self {
        Self { stores }
    }

    fn find(&self, label: &str, denials: &mut Denials) -> Result<Arc<dyn KeyValueStore>, OpenError> {
        let granted = Label::parse(label).ok().and_then(|label| self.stores.get(&label));
        match granted {
            Some(store) => Ok(store.clone()),
            None => {
                denials.denied(
                    &format!("the key-value store {label:?}"),
                    &format!("key_value_stores = [{label:?}]"),
                );
                Err(OpenError::AccessDenied)
            }
        }
    }
}

enum OpenError {
    AccessDenied,
    TableFull,
}

/// The grants together with the handles of one instance.
pub struct View<'a> {
    /// What the service may open.
    pub grants: &'a KeyValue,
    /// The handles of the instance.
    pub table: &'a mut ResourceTable,
    /// How many stores are open.
    pub open: &'a mut usize,
    /// Where denied calls are told.
    pub denials: &'a mut Denials,
    /// Where operations are counted that a bound ended.
    pub metrics: &'a Arc<RevisionMetrics>,
}

/// Marks the interface in a linker.
pub struct Capability;

impl HasData for Capability {
    type Data<'a> = View<'a>;
}

impl View<'_> {
    fn open(&mut self, label: &str) -> Result<Resource<Store>, OpenError> {
        let store = self.grants.find(label, self.denials)?;
        if *self.open >= MAX_OPEN {
            return Err(OpenError::TableFull);
        }
        let handle = self
            .table
            .push(Store(Box::new(store)))
            .map_err(|_full| OpenError::TableFull)?;
        *self.open += 1;
        Ok(handle)
    }

    fn store(&self, handle: &Resource<Store>) -> wasmtime::Result<Arc<dyn KeyValueStore>> {
        let Store(payload) = self.table.get(handle)?;
        let store = payload.downcast_ref::<Arc<dyn KeyValueStore>>();
        store
            .cloned()
            .ok_or_else(|| wasmtime::format_err!("the handle is not one of a key-value store"))
    }

    /// Counts what a bound ended.
    fn counted<T>(&self, result: Result<T, KeyValueError>) -> Result<T, KeyValueError> {
        result.inspect_err(|error| {
            if let Some(reason) = refusal(error) {
                self.metrics.data_refused(reason);
            }
        })
    }

    fn close(&mut self, handle: Resource<Store>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        *self.open = self.open.saturating_sub(1);
        Ok(())
    }
}

/// The bound that ended an operation, if one did.
fn refusal(error: &KeyValueError) -> Option<DataRefusal> {
    match error {
        KeyValueError::Full(_) => Some(DataRefusal::Full),
        KeyValueError::KeyTooLong { .. }
        | KeyValueError::ValueTooLarge { .. }
        | KeyValueError::BatchTooLong { .. }
        | KeyValueError::BatchTooLarge { .. } => Some(DataRefusal::TooLarge),
        KeyValueError::TimedOut { .. } => Some(DataRefusal::Timeout),
        KeyValueError::Busy { .. } | KeyValueError::Overloaded => Some(DataRefusal::Busy),
        KeyValueError::NotANumber
        | KeyValueError::Overflow
        | KeyValueError::Damaged
        | KeyValueError::Unavailable { .. } => None,
    }
}

/// All keys, as far as they are within bounds.
async fn all_keys(store: &dyn KeyValueStore) -> Result<Vec<String>, KeyValueError> {
    let mut keys = Vec::new();
    let mut bytes = 0;
    let mut cursor = None;
    loop {
        let page = store.keys_after(cursor, MAX_BATCH).await?;
        bytes += page.keys.iter().map(String::len).sum::<usize>();
        if bytes > MAX_LISTED_BYTES {
            return Err(KeyValueError::Unavailable {
                message: format!(
                    "its keys are together larger than {MAX_LISTED_BYTES} bytes, too many for one list: \
                     use `spin:key-value@3.0.0`, which streams them"
                ),
            });
        }
        keys.extend(page.keys);
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(keys),
        }
    }
}

impl From<KeyValueError> for Error2 {
    fn from(error: KeyValueError) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<KeyValueError> for Error3 {
    fn from(error: KeyValueError) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<OpenError> for Error2 {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::AccessDenied => Self::AccessDenied,
            OpenError::TableFull => Self::StoreTableFull,
        }
    }
}

impl From<OpenError> for Error3 {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::AccessDenied => Self::AccessDenied,
            OpenError::TableFull => Self::StoreTableFull,
        }
    }
}

impl fermyon::spin::key_value::Host for View<'_> {}

impl fermyon::spin::key_value::HostStore for View<'_> {
    async fn open(&mut self, label: String) -> wasmtime::Result<Result<Resource<Store>, Error2>> {
        Ok(View::open(self, &label).map_err(Error2::from))
    }

    async fn get(
        &mut self,
        store: Resource<Store>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, Error2>> {
        let done = self.store(&store)?.get(key).await;
        Ok(self.counted(done).map_err(Error2::from))
    }

    async fn set(
        &mut self,
        store: Resource<Store>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error2>> {
        let done = self.store(&store)?.set(key, value).await;
        Ok(self.counted(done).map_err(Error2::from))
    }

    async fn delete(&mut self, store: Resource<Store>, key: String) -> wasmtime::Result<Result<(), Error2>> {
        let done = self.store(&store)?.delete(key).await;
        Ok(self.counted(done).map_err(Error2::from))
    }

    async fn exists(
        &mut self,
        store: Resource<Store>,
        key: String,
    ) -> wasmtime::Result<Result<bool, Error2>> {
        let done = self.store(&store)?.exists(key).await;
        Ok(self.counted(done).map_err(Error2::from))
    }

    async fn get_keys(&mut self, store: Resource<Store>) -> wasmtime::Result<Result<Vec<String>, Error2>> {
        let store = self.store(&store)?;
        let keys = all_keys(&*store).await;
        Ok(self.counted(keys).map_err(Error2::from))
    }

    async fn drop(&mut self, store: Resource<Store>) -> wasmtime::Result<()> {
        self.close(store)
    }
}

impl spin::key_value::key_value::Host for View<'_> {}

impl spin::key_value::key_value::HostStore for View<'_> {}

impl<T: Send> spin::key_value::key_value::HostStoreWithStore<T> for Capability {
    async fn open(
        accessor: &Accessor<T, Self>,
        label: String,
    ) -> wasmtime::Result<Result<Resource<Store>, Error3>> {
        Ok(accessor
            .with(|mut access| access.get().open(&label))
            .map_err(Error3::from))
    }

    async fn get(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, Error3>> {
        let store = accessor.with(|mut access| access.get().store(&store))?;
        let done = store.get(key).await;
        Ok(accessor
            .with(|mut access| access.get().counted(done))
            .map_err(Error3::from))
    }

    async fn set(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error3>> {
        let store = accessor.with(|mut access| access.get().store(&store))?;
        let done = store.set(key, value).await;
        Ok(accessor
            .with(|mut access| access.get().counted(done))
            .map_err(Error3::from))
    }

    async fn delete(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        key: String,
    ) -> wasmtime::Result<Result<(), Error3>> {
        let store = accessor.with(|mut access| access.get().store(&store))?;
        let done = store.delete(key).await;
        Ok(accessor
            .with(|mut access| access.get().counted(done))
            .map_err(Error3::from))
    }

    async fn exists(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        key: String,
    ) -> wasmtime::Result<Result<bool, Error3>> {
        let store = accessor.with(|mut access| access.get().store(&store))?;
        let done = store.exists(key).await;
        Ok(accessor
            .with(|mut access| access.get().counted(done))
            .map_err(Error3::from))
    }

    async fn get_keys(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
    ) -> wasmtime::Result<(StreamReader<String>, FutureReader<Result<(), Error3>>)> {
        let store = accessor.with(|mut access| access.get().store(&store))?;
        let (ended, end) = oneshot::channel::<Result<(), Error3>>();
        let keys = Keys {
            store: store.clone(),
            page: None,
            cursor: Some(None),
            ready: VecDeque::new(),
            ended: Some(ended),
        };
        accessor.with(|mut access| {
            let end = async move {
                // The stream was dropped before its end: nothing failed.
                wasmtime::error::Ok(end.await.unwrap_or(Ok(())))
            };
            Ok((
                StreamReader::new(&mut access, keys)?,
                FutureReader::new(&mut access, end)?,
            ))
        })
    }

    async fn drop(accessor: &Accessor<T, Self>, store: Resource<Store>) -> wasmtime::Result<()> {
        accessor.with(|mut access| access.get().close(store))
    }
}

/// Streams the keys of a store, one page read ahead.
struct Keys {
    store: Arc<dyn KeyValueStore>,
    page: Option<BoxFuture<'static, Result<KeyPage, KeyValueError>>>,
    /// Where the next page starts; `None` when the last one was read.
    cursor: Option<Option<String>>,
    ready: VecDeque<String>,
    ended: Option<oneshot::Sender<Result<(), Error3>>>,
}

impl Keys {
    fn end(&mut self, result: Result<(), Error3>) {
        self.page = None;
        self.cursor = None;
        if let Some(ended) = self.ended.take() {
            // The guest does not have to ask how it ended.
            let _unread = ended.send(result);
        }
    }
}

impl<D: 'static> StreamProducer<D> for Keys {
    type Item = String;
    type Buffer = VecBuffer<String>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, String, VecBuffer<String>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        loop {
            if !self.ready.is_empty() {
                let keys = Vec::from(std::mem::take(&mut self.ready));
                destination.set_buffer(keys.into());
                return Poll::Ready(Ok(StreamResult::Completed));
            }
            if self.page.is_none() {
                let Some(cursor) = self.cursor.take() else {
                    self.end(Ok(()));
                    return Poll::Ready(Ok(StreamResult::Dropped));
                };
                let store = self.store.clone();
                self.page = Some(Box::pin(async move { store.keys_after(cursor, MAX_BATCH).await }));
            }
            let Some(page) = &mut self.page else { continue };
            match page.as_mut().poll(cx) {
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => {
                    self.end(Err(error.into()));
                    return Poll::Ready(Ok(StreamResult::Dropped));
                }
                Poll::Ready(Ok(page)) => {
                    self.page = None;
                    self.cursor = page.next.map(Some);
                    self.ready = page.keys.into();
                }
            }
        }
    }
}
