//! Real engines, and programs that serve nobody but a fuzz target.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};

use midplane::capability::Grants;
use midplane::capability::key_value::KeyValue;
use midplane::capability::outbound_http::{
    Body as OutBody, ClientOptions, HttpClient, HttpClientError, OutboundHttp,
};
use midplane::capability::sqlite::Sqlite;
use midplane::capability::sqlite::port::Bounds;
use midplane::capability::variables::Variables;
use midplane::engine::{
    Body, CacheUse, CallError, Called, Callee, Callees, Chain, ChainError, Compiled, Engines, Entering,
    Foreign, Gate, Hold, Hop, Passage, Program, RequestContext, Settings, Sight, Target, Value,
};
use midplane::model::{Instances, InterfaceName, Limits, RevisionId, ServiceName};
use midplane::shutdown::Tasks;
use midplane::telemetry::{Metrics, RequestId};
use tempfile::TempDir;
use tokio::time::Instant;

type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Engines with a few pool slots, and a runtime for their guests.
pub(crate) struct Bench {
    pub(crate) engines: Arc<Engines>,
    runtime: tokio::runtime::Runtime,
    _cache: TempDir,
}

thread_local! {
    /// One for each thread, so that its directory goes with the thread.
    static BENCH: LazyLock<Bench> = LazyLock::new(Bench::new);
}

/// With the engines of this thread.
pub(crate) fn with<T>(work: impl FnOnce(&Bench) -> T) -> T {
    BENCH.with(|bench| work(bench))
}

impl Bench {
    fn new() -> Self {
        let cache = tempfile::tempdir().expect("there is a directory for temporary files");
        let settings = Settings {
            max_instances: 8,
            max_memory: 16 << 20,
            ..Settings::default()
        };
        Self {
            engines: Engines::new(settings, &cache.path().join("cache")).expect("the engines start"),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .expect("a runtime starts"),
            _cache: cache,
        }
    }

    /// Compiles a component, and keeps nothing of it on disk.
    pub(crate) fn compile(&self, bytes: &[u8]) -> Option<Compiled> {
        let compiled = self.engines.load(bytes, &|| {}).ok();
        self.engines
            .sweep(&Default::default(), CacheUse::Alone)
            .expect("the cache can be emptied");
        compiled
    }

    /// A service that runs `bytes`, and whose imports of `api` lead to `callee`.
    pub(crate) fn program(
        &self,
        bytes: &[u8],
        api: &InterfaceName,
        callee: Option<&Arc<Program>>,
    ) -> Arc<Program> {
        let compiled = self.compile(bytes).expect("the component is valid");
        let foreign = callee.map(|callee| Foreign {
            interface: api.clone(),
            target: Target::Service(Arc::new(Open(callee.clone()))),
        });
        let code = self
            .engines
            .link(&compiled, foreign.into_iter().collect())
            .expect("the component links");
        Arc::new(Program::new(
            self.engines.clone(),
            service(),
            RevisionId::new(compiled.digest()),
            code,
            &Instances::default(),
            Limits::default(),
            grants(),
            Metrics::new().revision("fuzz", "guest", "0"),
            Tasks::new(),
        ))
    }

    /// Calls an exported function.
    pub(crate) fn call(
        &self,
        program: &Arc<Program>,
        called: &Called,
        arguments: Vec<Value>,
    ) -> Result<Option<Value>, CallError> {
        let context = RequestContext::entering(
            RequestId::next(),
            SocketAddr::from(([127, 0, 0, 1], 80)),
            service(),
            program.limits().timeout,
            Arc::new(Nowhere),
            Arc::new(Nowhere),
        );
        self.runtime
            .block_on(program.clone().call(called, arguments, Arc::new(context)))
    }
}

fn service() -> ServiceName {
    ServiceName::parse("guest").expect("it is a name")
}

fn grants() -> Grants {
    Grants {
        environment: Vec::new(),
        files: None,
        variables: Variables::new(BTreeMap::new()),
        key_value: KeyValue::new(BTreeMap::new()),
        sqlite: Sqlite::new(BTreeMap::new(), Bounds::default()),
        outbound_http: Arc::new(OutboundHttp::default()),
        http_client: Arc::new(Nowhere),
        clock: None,
    }
}

/// A gate that lets every call in.
struct Open(Arc<Program>);

impl Gate for Open {
    fn callee(&self) -> &ServiceName {
        self.0.service()
    }

    fn enter(&self, caller: &Arc<RequestContext>, _: &str) -> Entering {
        let limits = self.0.limits();
        let context = caller.next_call(service(), limits, limits.timeout, Instant::now());
        Entering::Now(context.map_err(CallError::from).map(|context| Passage {
            callee: self.0.clone(),
            context: Arc::new(context),
            hold: Box::new(Nowhere),
        }))
    }

    fn refused(&self, _: &CallError) {}
}

/// Where whatever is not asked for here would go.
struct Nowhere;

impl Hold for Nowhere {
    fn ended(&mut self, _: Option<&CallError>) {}
}

impl HttpClient for Nowhere {
    fn send(
        &self,
        _: http::Request<OutBody>,
        _: ClientOptions,
    ) -> Later<Result<http::Response<OutBody>, HttpClientError>> {
        Box::pin(std::future::ready(Err(HttpClientError::DestinationNotFound)))
    }
}

impl Chain for Nowhere {
    fn call(
        &self,
        _: Hop,
        _: http::Request<Body>,
        _: &Arc<RequestContext>,
    ) -> Later<Result<http::Response<Body>, ChainError>> {
        Box::pin(std::future::ready(Err(ChainError::NoRoute)))
    }
}

impl Callees for Nowhere {
    fn callee(&self, _: &ServiceName) -> Option<Arc<dyn Callee>> {
        None
    }

    fn sight(&self) -> Sight {
        Sight {
            generation: 0,
            chosen: 0,
        }
    }
}
