//! Tests of one service, in process and under plain `cargo test`: its links stubbed, its data temporary, its clock under
//! control.
//!
//! The component that is tested is the one that is deployed, run by the same engines, with the same grants and limits, and
//! reached by the same routes. What other services would answer, closures do.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use midplane::testing::{Clock, Error, Service, value};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! async fn a_customer_without_orders_has_an_empty_list() -> Result<(), Error> {
//!     let clock = Clock::at_unix(1_800_000_000);
//!     let orders = Service::builder("../components/target/wasm32-wasip2/release/orders.wasm")
//!         .name("orders")
//!         .sqlite("default")
//!         .variable("reservation_seconds", "60")
//!         .clock(clock.clone())
//!         .stub("shop:auth/tokens@1.0.0", "verify", |_| async {
//!             value::ok(value::record([
//!                 ("subject", value::string("a customer")),
//!                 ("email", value::string("customer@example.com")),
//!                 ("roles", value::list([])),
//!                 ("expires-at", value::int(1_900_000_000)),
//!             ]))
//!         })
//!         .unavailable("shop:catalog/products@1.1.0")
//!         .unavailable("shop:catalog/inventory@1.1.0")
//!         .start()
//!         .await?;
//!
//!     clock.advance(Duration::from_secs(30));
//!     let request = http::Request::get("/orders").header("authorization", "Bearer token");
//!     let response = orders.request(request.body("").expect("the request is valid")).await?;
//!     assert_eq!(response.status(), 200);
//!     assert_eq!(orders.calls().len(), 1);
//!     Ok(())
//! }
//! # fn main() {}
//! ```
//!
//! All tests of a process share its engines, and a component is compiled once for all of them; [`Service`]s are independent
//! of each other, and each is to be used on the runtime that it was started on. Dropping one drops its data.
//!
//! Compiling is slow where Cranelift itself is not optimised; this in the workspace's `Cargo.toml` helps:
//!
//! ```toml
//! [profile.dev.package."*"]
//! opt-level = 2
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber;

mod builder;
mod clock;
mod contract;
mod error;
mod fit;
mod log;
mod process;
mod stub;
pub mod value;

pub use builder::{Builder, Component};
pub use clock::Clock;
pub use error::Error;
pub use fit::Mismatch;
pub use log::{LogLine, LogSource};
pub use stub::{Answer, Call, StubFault};

use log::Log;
use stub::Record;

use crate::adapter::sqlite::SqliteData;
use crate::engine::{Called, Place, Value};
use crate::gateway::local;
use crate::link::{Contract, Function};
use crate::service::{Generation, Revision};

/// A service under test. Requests and calls may be made at the same time, as many as its limits let in.
pub struct Service {
    revision: Arc<Revision>,
    generation: Arc<Generation>,
    exports: Vec<Contract>,
    record: Arc<Record>,
    log: Log,
    dispatch: Dispatch,
    databases: BTreeMap<String, PathBuf>,
    data: SqliteData,
    /// Removed last.
    _folder: TempDir,
}

impl Service {
    /// Begins with a component: the path of its file, or its bytes.
    pub fn builder(component: impl Into<Component>) -> Builder {
        Builder::new(component.into())
    }

    fn new(
        revision: Arc<Revision>,
        generation: Arc<Generation>,
        exports: Vec<Contract>,
        record: Arc<Record>,
        databases: BTreeMap<String, PathBuf>,
        data: SqliteData,
        folder: TempDir,
    ) -> Self {
        let log = Log::default();
        Self {
            revision,
            generation,
            exports,
            record,
            dispatch: log.dispatch(),
            log,
            databases,
            data,
            _folder: folder,
        }
    }

    /// Sends a request, and reads the response whole. The path is that of the app, the host, where none is named,
    /// `127.0.0.1`; the guest sees the headers that the gateway adds.
    ///
    /// # Errors
    /// Where a client would get a problem of the host in place of the guest's response: [`Error::Request`], with how the guest
    /// failed. [`Error::Stub`] if a stub did wrong, whatever the guest made of it.
    pub async fn request<B: Into<Bytes>>(
        &self,
        request: http::Request<B>,
    ) -> Result<http::Response<Bytes>, Error> {
        if !self.revision.program().has_handler() {
            return Err(Error::NoHandler {
                exports: contract::list(&self.exports),
            });
        }
        let before = self.log.said();
        let answering = local::answer(&self.generation, request.map(Into::into));
        let (answered, fault) = stub::watched(answering.with_subscriber(self.dispatch.clone())).await;
        self.check_stubs(fault, before)?;
        answered.map_err(|source| Error::Request {
            log: self.log.since(before),
            source,
        })
    }

    /// Calls a function of an exported interface, as a service that is linked to this one would.
    ///
    /// # Errors
    /// [`Error::Call`] where such a service would meet a failed call; an error that is the function's own result is an answer.
    pub async fn call(
        &self,
        interface: &str,
        function: &str,
        arguments: Vec<Value>,
    ) -> Result<Option<Value>, Error> {
        let (called, arguments) = self.called(interface, function, arguments)?;
        let before = self.log.said();
        let lease = self.revision.lease().await.map_err(Error::Overloaded)?;
        let context = local::context(&self.generation, &self.revision);
        let program = self.revision.program().clone();
        let answering = program.call(&called, arguments, context);
        let (answered, fault) = stub::watched(answering.with_subscriber(self.dispatch.clone())).await;
        Box::new(lease).leave();
        self.check_stubs(fault, before)?;
        answered.map_err(|source| Error::Call {
            interface: called.interface.to_string(),
            function: called.function,
            log: self.log.since(before),
            source,
        })
    }

    /// The calls that it made of its stubs, in the order in which they were made.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.record.calls()
    }

    /// The last lines that it printed and that the host said about it.
    #[must_use]
    pub fn logs(&self) -> Vec<LogLine> {
        self.log.lines()
    }

    /// The file of a database, to fill it or to look into it. It is there once the service has used it, or a test has made it.
    #[must_use]
    pub fn sqlite_file(&self, label: &str) -> Option<&Path> {
        self.databases.get(label).map(PathBuf::as_path)
    }

    fn check_stubs(&self, fault: Option<StubFault>, before: usize) -> Result<(), Error> {
        match fault {
            None => Ok(()),
            Some(source) => Err(Error::Stub {
                log: self.log.since(before),
                source: Box::new(source),
            }),
        }
    }

    /// The exported function, and its arguments in their exact form.
    fn called(
        &self,
        interface: &str,
        function: &str,
        arguments: Vec<Value>,
    ) -> Result<(Called, Vec<Value>), Error> {
        let wanted = contract::interface(interface)?;
        let found = contract::serving(&self.exports, &wanted)
            .and_then(|contract| Some((contract, contract.functions.get(function)?)));
        let Some((contract, ty)) = found else {
            return Err(Error::NotExported {
                interface: interface.to_owned(),
                function: function.to_owned(),
                exports: contract::list(&self.exports),
            });
        };
        let arguments = fitting(contract, function, ty, arguments)?;
        let called = Called {
            interface: contract.interface.clone(),
            function: function.to_owned(),
            is_async: ty.is_async,
            has_result: ty.result.is_some(),
        };
        Ok((called, arguments))
    }
}

/// Arguments as the function takes them.
fn fitting(
    contract: &Contract,
    function: &str,
    ty: &Function,
    arguments: Vec<Value>,
) -> Result<Vec<Value>, Error> {
    if ty.params.len() != arguments.len() {
        return Err(Error::ArgumentCount {
            interface: contract.interface.to_string(),
            function: function.to_owned(),
            wanted: ty.params.len(),
            given: arguments.len(),
        });
    }
    let fitted = arguments.into_iter().zip(&ty.params).map(|(value, (name, ty))| {
        fit::fit(value, ty).map_err(|source| Error::Argument {
            interface: contract.interface.to_string(),
            function: function.to_owned(),
            argument: name.clone(),
            source: Box::new(source),
        })
    });
    fitted.collect()
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("name", &self.revision.service().as_str())
            .field("revision", &self.revision.id())
            .finish_non_exhaustive()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Connections that are in use still close when they are given back.
        self.data.close();
    }
}
