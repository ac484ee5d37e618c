//! Why a service cannot be tested, or did not do what a test asked of it.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::fit::Mismatch;
use super::stub::StubFault;
use crate::adapter::http_client::TlsSetupError;
use crate::adapter::sqlite::SqliteDataError;
use crate::engine::{self, CallError, CompileError};
use crate::gateway::local::LocalError;
use crate::link::ReflectError;
use crate::model::outbound_host::AllowedHostError;
use crate::model::route::RouteError;
use crate::model::{InterfaceNameError, NameError};

/// Why a service cannot be tested, or did not do what a test asked of it.
///
/// `Debug` shows what `Display` does and all causes below it, since that is what a test prints that unwraps.
#[derive(thiserror::Error)]
pub enum Error {
    /// The component cannot be read.
    #[error("cannot read the component {}", path.display())]
    Read {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The engines cannot be set up.
    #[error("cannot set up the Wasm engines")]
    Engines(#[source] Arc<engine::Error>),
    /// The component is none, or none for this host.
    #[error("the component cannot be run")]
    Compile(#[source] Arc<CompileError>),
    /// Its imports or exports are too large to be read.
    #[error("the contracts of the component cannot be read")]
    Contracts(#[source] ReflectError),
    /// A name of a service, a label or a variable is none.
    #[error("`{name}` is no name")]
    Name {
        /// What was given.
        name: String,
        /// Why.
        source: NameError,
    },
    /// A name of an interface is none.
    #[error("`{name}` is no interface")]
    Interface {
        /// What was given.
        name: String,
        /// Why.
        source: InterfaceNameError,
    },
    /// A route is none.
    #[error("`{route}` is no route")]
    Route {
        /// What was given.
        route: String,
        /// Why.
        source: RouteError,
    },
    /// A limit is beyond what the tests of a process have.
    #[error("the limit `{limit}` is {given}, and tests have at most {most}")]
    Limit {
        /// Its name.
        limit: &'static str,
        /// What was given.
        given: u64,
        /// The most that can be.
        most: u64,
    },
    /// What is allowed to go out is no host.
    #[error("an allowed outbound host is wrong")]
    AllowedHost(#[source] AllowedHostError),
    /// The client for outbound requests cannot be set up.
    #[error("cannot set up outbound HTTP")]
    HttpClient(#[source] TlsSetupError),
    /// There is no place for temporary data.
    #[error("cannot make a folder for temporary data")]
    Folder(#[source] io::Error),
    /// A data label cannot be bound to a file.
    #[error("cannot set up the data of the label `{label}`")]
    Data {
        /// The label.
        label: String,
        /// Why.
        source: SqliteDataError,
    },
    /// There is a stub for something that the component does not import.
    #[error("there is a stub for {stub}, which the component does not import; it imports {imports}")]
    NotImported {
        /// The interface, or the function and its interface.
        stub: String,
        /// What could be stubbed.
        imports: String,
    },
    /// The component imports interfaces that neither the host nor a stub provides.
    #[error(
        "the component imports {imports}, which this host does not have; give each of them a stub (`Builder::stub`)"
    )]
    NotStubbed {
        /// The interfaces and their functions.
        imports: String,
    },
    /// An imported interface has something that no other service could provide either.
    #[error("the component imports what cannot be stubbed: {reason}")]
    Unsupported {
        /// What, and where.
        reason: String,
    },
    /// Preparing was cut off: the runtime ended, or the host panicked.
    #[error("preparing the service was cut off")]
    Interrupted,
    /// A request for a component that exports no HTTP handler.
    #[error("the component exports no HTTP handler; it exports {exports}")]
    NoHandler {
        /// The interfaces and their functions.
        exports: String,
    },
    /// The component has no such function.
    #[error("the component does not export `{function}` of `{interface}`; it exports {exports}")]
    NotExported {
        /// The interface that was asked for.
        interface: String,
        /// The function that was asked for.
        function: String,
        /// The interfaces and their functions.
        exports: String,
    },
    /// The function takes another number of arguments.
    #[error("`{function}` of `{interface}` takes {wanted} arguments, not {given}")]
    ArgumentCount {
        /// The interface.
        interface: String,
        /// The function.
        function: String,
        /// How many it takes.
        wanted: usize,
        /// How many there were.
        given: usize,
    },
    /// An argument is of another type than the function's.
    #[error("the argument `{argument}` of `{function}` of `{interface}` is wrong")]
    Argument {
        /// The interface.
        interface: String,
        /// The function.
        function: String,
        /// The parameter's name.
        argument: String,
        /// How.
        source: Box<Mismatch>,
    },
    /// A stub did wrong, whatever the service made of it.
    #[error("a stub is wrong{log}")]
    Stub {
        /// What the service said meanwhile.
        log: String,
        /// What.
        source: Box<StubFault>,
    },
    /// The service gave no response, or no whole one.
    #[error("the service gave no response{log}")]
    Request {
        /// What the service said meanwhile, and how it failed.
        log: String,
        /// What became of the request.
        source: LocalError,
    },
    /// The call of an exported function has no result.
    #[error("calling `{function}` of `{interface}` failed{log}")]
    Call {
        /// The interface.
        interface: String,
        /// The function.
        function: String,
        /// What the service said meanwhile, and how it failed.
        log: String,
        /// Why.
        source: CallError,
    },
    /// No place for the call was free.
    #[error("no place for the call was free")]
    Overloaded(#[source] engine::NoPlace),
}

/// As `Display`, and the causes, and what to do about it.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut source = self.source();
        while let Some(cause) = source {
            write!(f, "\ncaused by: {cause}")?;
            source = cause.source();
        }
        if let Self::Compile(error) = self
            && let Some(hint) = error.hint()
        {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}
