//! What a Wasm store holds for its guest, and what is linked into every guest.
//!
//! Everything is linked for everyone; what a service is not granted answers with the interface's own error for that. So
//! which interfaces exist depends on the engine only: the plain one has no component-model async and hence no `async func`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use parking_lot::Mutex;
use wasmtime::component::{Accessor, Linker, Resource, ResourceTable};
use wasmtime::error::Context as _;
use wasmtime::{AsContextMut as _, StoreContextMut};
use wasmtime_wasi::sockets::SocketAddrUse;
use wasmtime_wasi::{
    FsPerms, HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView,
};
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest};
use wasmtime_wasi_http::{RequestOptions, WasiHttp, WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::account::Portion;
use super::context::RequestContext;
use super::descriptor::{self, Held};
use super::limiter::Limiter;
use super::outbound::Outbound;
use super::output::{InstanceOutput, Output, SharedOutput};
use super::program::Program;
use super::shared::Session;
use crate::bindings::{fermyon, spin};
use crate::capability::sqlite::port::CpuMeter;
use crate::capability::{Clock, Grants, key_value, sqlite, variables};
use crate::telemetry::Stream;
use crate::telemetry::metrics::RevisionMetrics;

/// Resources (of WASI and of capabilities) that an instance may hold at once.
const MAX_RESOURCES: usize = 10_000;
/// Sockets, files and streams of these that an instance may hold at once.
const MAX_DESCRIPTORS: usize = 500;
/// What one header section made by a guest may take in memory, in bytes.
const MAX_FIELDS: usize = 128 * 1024;
/// Random bytes of one call.
const MAX_RANDOM: u64 = 1024 * 1024;

pub(super) struct Guest {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    outbound: Outbound,
    grants: Arc<Grants>,
    open_stores: usize,
    open_databases: Arc<AtomicUsize>,
    descriptors: Held,
    output: SharedOutput,
    calls: Arc<()>,
    metrics: Arc<RevisionMetrics>,
    cpu_time: Duration,
    /// Those that are served at once, where several are.
    session: Option<Arc<Session>>,
    pub(super) limiter: Limiter,
}

impl Guest {
    /// For an instance that has `memory` to begin with.
    pub(super) fn new(program: &Program, memory: Portion) -> wasmtime::Result<Self> {
        let output = Arc::new(Mutex::new(InstanceOutput::new(program)));
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(Output {
            shared: output.clone(),
            stream: Stream::Stdout,
        })
        .stderr(Output {
            shared: output.clone(),
            stream: Stream::Stderr,
        })
        .max_random_size(MAX_RANDOM)
        .envs(&program.grants.environment);
        if let Some(clock) = &program.grants.clock {
            wasi.wall_clock(GivenClock(clock.clone()))
                .monotonic_clock(GivenClock(clock.clone()));
        }
        if let Some(files) = &program.grants.files {
            wasi.preopened_dir(files, "/", FsPerms::ReadOnly)
                .with_context(|| format!("the service's files in {} cannot be opened", files.display()))?;
        }
        let (tcp, udp) = (
            program.grants.outbound_http.has_sockets("tcp"),
            program.grants.outbound_http.has_sockets("udp"),
        );
        if tcp || udp {
            let grant = program.grants.outbound_http.clone();
            wasi.allow_tcp(tcp)
                .allow_udp(udp)
                .allow_ip_name_lookup(grant.may_resolve())
                .socket_addr_check(move |address, purpose| {
                    let allowed = match purpose {
                        // A guest serves nobody; a socket that connects may have any free port of its own.
                        SocketAddrUse::TcpBind | SocketAddrUse::UdpBind => address.port() == 0,
                        SocketAddrUse::TcpListen | SocketAddrUse::TcpAccept => false,
                        SocketAddrUse::TcpConnect => grant.allows_socket("tcp", address),
                        SocketAddrUse::UdpSend | SocketAddrUse::UdpReceive => {
                            grant.allows_socket("udp", address)
                        }
                    };
                    Box::pin(std::future::ready(allowed))
                });
        }
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(MAX_FIELDS);
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        Ok(Self {
            wasi: wasi.build(),
            http,
            table,
            outbound: Outbound::new(program),
            grants: program.grants.clone(),
            open_stores: 0,
            open_databases: Arc::new(AtomicUsize::new(0)),
            descriptors: Held::new(program.descriptors.clone(), MAX_DESCRIPTORS),
            output,
            calls: Arc::new(()),
            metrics: program.metrics.clone(),
            cpu_time: program.limits.cpu_time,
            session: None,
            limiter: Limiter::new(memory, &program.limits, program.metrics.instance()),
        })
    }

    /// From now on this instance works for this request.
    pub(super) fn begin(&mut self, context: Arc<RequestContext>) {
        self.output.lock().begin(context.id);
        self.limiter.begin();
        self.outbound.begin(context);
    }

    /// From now on this instance works for the requests of this session.
    pub(super) fn attend(&mut self, session: Arc<Session>) {
        self.session = Some(session);
    }

    /// Whether it works for those of a session, one more of which comes now: the first of them, or one beside others.
    pub(super) fn begin_in_session(&mut self, context: &RequestContext, is_first: bool) {
        if is_first {
            self.output.lock().begin(context.id);
            self.outbound.denials.begin(context.id);
        } else {
            self.output.lock().begin_another();
            self.outbound.begin_another();
        }
    }

    /// The request that this instance works for. Where it works for several, that of the last [`attribute`]d call.
    pub(super) fn context(&self) -> Option<&Arc<RequestContext>> {
        self.outbound.context()
    }

    /// What a call of another service holds for as long as it is under way.
    pub(super) fn call(&self) -> Arc<()> {
        self.calls.clone()
    }

    /// Whether calls of other services are under way.
    pub(super) fn has_calls(&self) -> bool {
        Arc::strong_count(&self.calls) > 1
    }

    /// The request is over. Returns what the guest's panic said, if its last words were those of a panic.
    pub(super) fn end(&mut self) -> Option<String> {
        self.session = None;
        self.descriptors.settle(&mut self.table);
        // A guest that copes with a limit is not reported as one that failed.
        if let Some(denial) = self.limiter.take_denied() {
            self.outbound.denials.bounded(&denial);
        }
        self.outbound.end();
        self.output.lock().end()
    }

    /// Whether it may open `what`, for which there is room from now on. Otherwise that is counted and told.
    pub(super) fn may_open(&mut self, what: &str) -> bool {
        match self.descriptors.take(&mut self.table) {
            Ok(()) => true,
            Err(refused) => {
                self.metrics.descriptor_refused();
                let refused = format_args!("{what} was refused: {refused}");
                self.outbound.denials.bounded(&refused);
                false
            }
        }
    }

    /// To be held by what keeps a socket or a file open and is not in the table.
    pub(super) fn beside(&self) -> Arc<()> {
        self.descriptors.beside()
    }

    fn variables(&mut self) -> &variables::Variables {
        &self.grants.variables
    }

    fn key_value(&mut self) -> key_value::View<'_> {
        key_value::View {
            grants: &self.grants.key_value,
            table: &mut self.table,
            open: &mut self.open_stores,
            denials: &mut self.outbound.denials,
            metrics: &self.metrics,
        }
    }

    /// What the host's work for the guest is charged to.
    fn meter(&self) -> Option<Arc<dyn CpuMeter>> {
        let payer = match &self.session {
            Some(session) => Payer::Session(session.clone()),
            None => Payer::Request(self.outbound.context()?.clone()),
        };
        Some(Arc::new(Meter {
            payer,
            metrics: self.metrics.clone(),
            limit: self.cpu_time,
        }))
    }

    fn sqlite(&mut self) -> sqlite::View<'_> {
        let cpu = self.meter();
        sqlite::View {
            grants: &self.grants.sqlite,
            table: &mut self.table,
            open: &self.open_databases,
            cpu,
            denials: &mut self.outbound.denials,
            metrics: &self.metrics,
        }
    }
}

/// Charges what the host does for a guest to its request.
struct Meter {
    payer: Payer,
    metrics: Arc<RevisionMetrics>,
    limit: Duration,
}

enum Payer {
    Request(Arc<RequestContext>),
    /// All that are served at once: which of them asked is not known.
    Session(Arc<Session>),
}

impl Payer {
    fn spend(&self, took: Duration) -> Duration {
        match self {
            Self::Request(context) => context.spend(took),
            Self::Session(session) => session.spend(took),
        }
    }
}

impl CpuMeter for Meter {
    fn left(&self) -> Duration {
        self.limit.saturating_sub(self.payer.spend(Duration::ZERO))
    }

    fn spend(&self, took: Duration) {
        self.metrics.add_cpu(took);
        self.payer.spend(took);
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("left", &self.left()).finish()
    }
}

/// Both clocks of a guest that is told the time by its grants.
struct GivenClock(Arc<dyn Clock>);

impl HostWallClock for GivenClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        self.0.wall()
    }
}

impl HostMonotonicClock for GivenClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.monotonic().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.outbound,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

/// The name under which `wasmtime-wasi-http` links the interface; it serves every `@0.2`.
const OUTGOING_HANDLER: &str = "wasi:http/outgoing-handler@0.2.12";

/// Gives a request without an authority the meaning that it has in Spin, one to the app itself; WASI alone has none for it.
fn link_relative_requests(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    type Arguments = (Resource<HostOutgoingRequest>, Option<Resource<RequestOptions>>);
    type Answer = Result<Resource<HostFutureIncomingResponse>, ErrorCode>;

    linker.allow_shadowing(true);
    let mut interface = linker.instance(OUTGOING_HANDLER)?;
    interface.func_wrap(
        "handle",
        |mut store: StoreContextMut<'_, Guest>, (request, options): Arguments| {
            attribute(store.as_context_mut());
            let mut view = store.data_mut().http();
            let asked = view.table.get_mut(&request)?;
            if asked.authority.as_ref().is_none_or(String::is_empty) {
                asked.authority = Some("self".to_owned());
                asked.scheme = Some(Scheme::Http);
            }
            let answer: Answer = match outgoing_handler::Host::handle(&mut view, request, options) {
                Ok(response) => Ok(response),
                Err(error) => Err(error.downcast()?),
            };
            Ok((answer,))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Finds out for which request a guest makes the call that is being made, where its instance works for several at once. Must
/// be called before the call first waits.
pub(super) fn attribute(mut store: StoreContextMut<'_, Guest>) {
    let Some(session) = store.data().session.clone() else {
        return;
    };
    // Youngest first: the task of the request is the last one, or not far from it.
    let context = match store.async_call_stack() {
        Ok(mut tasks) => tasks.find_map(|task| session.context_of(task)),
        Err(_) => None,
    };
    store.data_mut().outbound.attribute(context);
}

/// The name under which `wasmtime-wasi-http` links the interface; it serves every `@0.3`.
const CLIENT: &str = "wasi:http/client@0.3.0";

/// Lets a request go out for the one that the guest's task works for.
fn link_attributed_requests(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    use wasmtime_wasi_http::p3::bindings::http::client::HostWithStore;
    use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;
    use wasmtime_wasi_http::p3::{Request, Response};

    linker.allow_shadowing(true);
    let mut interface = linker.instance(CLIENT)?;
    interface.func_wrap_concurrent(
        "send",
        |accessor: &Accessor<Guest>, (request,): (Resource<Request>,)| {
            Box::pin(async move {
                accessor.with(|mut access| attribute(access.as_context_mut()));
                let accessor = accessor.with_getter::<WasiHttp>(Guest::http);
                // It hands the request on before it first waits.
                let answer: Result<Resource<Response>, ErrorCode> =
                    match <WasiHttp as HostWithStore<Guest>>::send(&accessor, request).await {
                        Ok(response) => Ok(response),
                        Err(error) => Err(error.downcast()?),
                    };
                Ok((answer,))
            })
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Links every interface of this host that the engine can have.
pub(super) fn link(linker: &mut Linker<Guest>, concurrent: bool) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    link_relative_requests(linker)?;
    fermyon::spin::variables::add_to_linker::<_, variables::Capability>(linker, Guest::variables)?;
    fermyon::spin::key_value::add_to_linker::<_, key_value::Capability>(linker, Guest::key_value)?;
    fermyon::spin::sqlite::add_to_linker::<_, sqlite::Capability>(linker, Guest::sqlite)?;
    if concurrent {
        wasmtime_wasi::p3::add_to_linker(linker)?;
        wasmtime_wasi_http::p3::add_to_linker(linker)?;
        link_attributed_requests(linker)?;
        spin::variables::variables::add_to_linker::<_, variables::Capability>(linker, Guest::variables)?;
        spin::key_value::key_value::add_to_linker::<_, key_value::Capability>(linker, Guest::key_value)?;
        spin::sqlite::sqlite::add_to_linker::<_, sqlite::Capability>(linker, Guest::sqlite)?;
    } else {
        sqlite_without_async(linker)?;
    }
    descriptor::link(linker, concurrent)
}

/// The plain functions of `spin:sqlite@3`, for guests of WASI 0.2 that import no other.
fn sqlite_without_async(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    use crate::bindings::resource::Connection;
    use spin::sqlite::sqlite::{Error, HostConnection, QueryResult, Value};
    use wasmtime::component::{Resource, ResourceType};

    type Opened = Result<Resource<Connection>, Error>;
    type Executed = Result<QueryResult, Error>;
    type Execute = (Resource<Connection>, String, Vec<Value>);

    let mut interface = linker.instance("spin:sqlite/sqlite@3.1.0")?;
    interface.resource_async(
        "connection",
        ResourceType::host::<Connection>(),
        |mut store, rep| {
            Box::new(async move {
                HostConnection::drop(&mut store.data_mut().sqlite(), Resource::new_own(rep)).await
            })
        },
    )?;
    interface.func_wrap_async("[static]connection.open", |mut store, (database,): (String,)| {
        Box::new(async move {
            let opened: Opened = HostConnection::open(&mut store.data_mut().sqlite(), database).await?;
            Ok((opened,))
        })
    })?;
    interface.func_wrap_async(
        "[method]connection.execute",
        |mut store, (this, statement, values): Execute| {
            Box::new(async move {
                let mut view = store.data_mut().sqlite();
                let executed: Executed = HostConnection::execute(&mut view, this, statement, values).await?;
                Ok((executed,))
            })
        },
    )?;
    interface.func_wrap_async(
        "[method]connection.last-insert-rowid",
        |mut store, (this,): (Resource<Connection>,)| {
            Box::new(async move {
                Ok((HostConnection::last_insert_rowid(&mut store.data_mut().sqlite(), this).await?,))
            })
        },
    )?;
    interface.func_wrap_async(
        "[method]connection.changes",
        |mut store, (this,): (Resource<Connection>,)| {
            Box::new(
                async move { Ok((HostConnection::changes(&mut store.data_mut().sqlite(), this).await?,)) },
            )
        },
    )?;
    Ok(())
}
