//! Programs that run small guests: what ends them, what they count as, what is known of them before they are asked.

mod cpu;
mod guest;
mod interrupt;
mod linked;
mod memory;
mod outbound;
mod reuse;
mod shared;
mod tally;
mod warm;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use http_body_util::Full;
use tempfile::TempDir;
use tokio::sync::Semaphore;

use super::*;
use crate::capability::Grants;
use crate::capability::key_value::KeyValue;
use crate::capability::outbound_http::{
    Body as OutBody, ClientOptions, HttpClient, HttpClientError, OutboundHttp,
};
use crate::capability::sqlite::Sqlite;
use crate::capability::sqlite::port::Bounds;
use crate::capability::variables::Variables;
use crate::model::outbound_host::{AllowedHosts, BlockedNetworks};
use crate::model::{InstancePolicy, Instances, InterfaceName, Limits, RevisionId, ServiceName};
use crate::shutdown::Tasks;
use crate::telemetry::RequestId;
use crate::telemetry::metrics::{Metrics, RevisionMetrics};

/// Lets a call pass for each permit, and tells of each that arrives.
struct Door {
    arrived: Semaphore,
    passes: Arc<Semaphore>,
}

impl Door {
    fn new(passes: usize) -> Arc<Self> {
        Arc::new(Self {
            arrived: Semaphore::new(0),
            passes: Arc::new(Semaphore::new(passes)),
        })
    }

    /// Until one more call has arrived.
    async fn arrival(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }

    /// Lets one more pass.
    fn open(&self) {
        self.passes.add_permits(1);
    }
}

impl Stub for Door {
    fn call(&self, _: &str, _: Vec<Value>) -> BoxFuture<'static, Result<Option<Value>, CallError>> {
        self.arrived.add_permits(1);
        let passes = self.passes.clone();
        async move {
            passes
                .acquire()
                .await
                .map_err(|_| CallError::Refused("closed".into()))?
                .forget();
            Ok(None)
        }
        .boxed()
    }
}

struct Nowhere;

impl HttpClient for Nowhere {
    fn send(
        &self,
        _: http::Request<OutBody>,
        _: ClientOptions,
    ) -> BoxFuture<'static, Result<http::Response<OutBody>, HttpClientError>> {
        std::future::ready(Err(HttpClientError::DestinationNotFound)).boxed()
    }
}

impl Chain for Nowhere {
    fn call(
        &self,
        _: Hop,
        _: http::Request<Body>,
        _: &Arc<RequestContext>,
    ) -> BoxFuture<'static, Result<http::Response<Body>, ChainError>> {
        std::future::ready(Err(ChainError::NoRoute)).boxed()
    }
}

impl Callees for Nowhere {
    fn callee(&self, _: &ServiceName) -> Option<Arc<dyn Callee>> {
        None
    }

    fn sight(&self) -> Sight {
        Sight {
            generation: 1,
            chosen: 0,
        }
    }
}

/// Engines, and what programs of them share.
struct Bench {
    engines: Arc<Engines>,
    limits: Limits,
    instances: Instances,
    client: Arc<dyn HttpClient>,
    _cache: TempDir,
}

/// A program, and what it leads to and counts.
struct Subject {
    program: Arc<Program>,
    door: Arc<Door>,
    metrics: Arc<RevisionMetrics>,
    figures: Metrics,
}

impl Bench {
    /// With so many pool slots in each engine.
    fn new(max_instances: u32) -> Self {
        Self::with(Settings {
            max_instances,
            ..Settings::default()
        })
    }

    /// Where guests stay in the task that asks for them, and so are done when their response is.
    fn in_one_task() -> Self {
        Self::with(Settings {
            max_instances: 16,
            fair_pool: false,
            ..Settings::default()
        })
    }

    fn with(settings: Settings) -> Self {
        let cache = tempfile::tempdir().unwrap();
        Self {
            engines: Engines::new(settings, &cache.path().join("cache")).unwrap(),
            limits: Limits {
                concurrency: NonZeroU32::MIN.saturating_add(7),
                ..Limits::default()
            },
            instances: Instances::default(),
            client: Arc::new(Nowhere),
            _cache: cache,
        }
    }

    /// The component `text`, with a door that so many calls pass, if it imports one.
    fn program(&self, text: &str, passes: usize) -> Subject {
        let compiled = self.engines.load(&wat::parse_str(text).unwrap(), &|| {}).unwrap();
        let door = Door::new(passes);
        let foreign = self.foreign(&compiled, &door);
        self.linked(&compiled, foreign, door)
    }

    /// The door, if a component imports one.
    fn foreign(&self, compiled: &Compiled, door: &Arc<Door>) -> Vec<Foreign> {
        let foreign = compiled.imports().into_iter().filter(|name| name == guest::DOOR);
        let foreign = foreign.map(|name| Foreign {
            interface: InterfaceName::parse(&name).unwrap(),
            target: Target::Stub(door.clone()),
        });
        foreign.collect()
    }

    fn linked(&self, compiled: &Compiled, foreign: Vec<Foreign>, door: Arc<Door>) -> Subject {
        let code = self.engines.link(compiled, foreign).unwrap();
        let figures = Metrics::new();
        let metrics = figures.revision("app", "subject", "0a");
        let program = Program::new(
            self.engines.clone(),
            service(),
            RevisionId::new(compiled.digest()),
            code,
            &self.instances,
            self.limits.clone(),
            grants(self.client.clone()),
            metrics.clone(),
            Tasks::new(),
        );
        Subject {
            program: Arc::new(program),
            door,
            metrics,
            figures,
        }
    }
}

impl Subject {
    fn context(&self) -> Arc<RequestContext> {
        Arc::new(RequestContext::entering(
            RequestId::next(),
            SocketAddr::from(([127, 0, 0, 1], 80)),
            service(),
            self.program.limits().timeout,
            Arc::new(Nowhere),
            Arc::new(Nowhere),
        ))
    }

    /// A request, which holds `hold` until its guest is done.
    async fn request<H: Send + 'static>(
        &self,
        context: Arc<RequestContext>,
        drive: Drive,
        hold: H,
    ) -> Result<http::Response<Body>, Failure> {
        let request = http::Request::get("http://127.0.0.1/")
            .body(Full::<Bytes>::default())
            .unwrap();
        self.program.clone().handle(request, context, drive, hold).await
    }

    /// A call of the function that the guests of [`guest`] export.
    async fn call(&self, is_async: bool) -> Result<Option<Value>, CallError> {
        let called = Called {
            interface: InterfaceName::parse(guest::API).unwrap(),
            function: "get".into(),
            is_async,
            has_result: true,
        };
        self.program
            .clone()
            .call(&called, Vec::new(), self.context())
            .await
    }

    /// The value of a series of this revision.
    fn figure(&self, name: &str, label: &str) -> u64 {
        let series = format!("midplane_{name}{{app=\"app\",service=\"subject\",revision=\"0a\"{label}}} ");
        let text = self.figures.encode();
        let value = text.lines().find_map(|line| line.strip_prefix(&series));
        value
            .unwrap_or_else(|| panic!("no {series}in {text}"))
            .parse()
            .unwrap()
    }
}

fn service() -> ServiceName {
    ServiceName::parse("subject").unwrap()
}

/// What leads to every host, by `client`.
fn grants(client: Arc<dyn HttpClient>) -> Grants {
    Grants {
        environment: Vec::new(),
        files: None,
        variables: Variables::new(BTreeMap::new()),
        key_value: KeyValue::new(BTreeMap::new()),
        sqlite: Sqlite::new(BTreeMap::new(), Bounds::default()),
        outbound_http: Arc::new(OutboundHttp::new(
            AllowedHosts::parse(["*://*:*"]).unwrap(),
            BlockedNetworks::default(),
        )),
        http_client: client,
        clock: None,
    }
}
