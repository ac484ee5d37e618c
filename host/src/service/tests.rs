//! A callee that is replaced while a request calls it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Semaphore;

use super::router::Router;
use super::{Generation, Identity, Registry, Revision};
use crate::capability::Grants;
use crate::capability::key_value::KeyValue;
use crate::capability::outbound_http::{Body, ClientOptions, HttpClient, HttpClientError, OutboundHttp};
use crate::capability::sqlite::Sqlite;
use crate::capability::sqlite::port::Bounds;
use crate::capability::variables::Variables;
use crate::engine::{
    CallError, Called, Callee, Chain, ChainError, Engines, Foreign, Hop, Program, RequestContext, Settings,
    Stub, Target, Value,
};
use crate::link::{self, Link, Policy, ResolvedLink};
use crate::model::outbound_host::{AllowedHosts, BlockedNetworks};
use crate::model::{AppName, Instances, InterfaceName, Limits, ServiceName};
use crate::shutdown::Tasks;
use crate::telemetry::RequestId;
use crate::telemetry::metrics::{Metrics, Tally};
use crate::telemetry::trace::Tracer;

const API: &str = "test:callee/api@1.0.0";
const RUN: &str = "test:caller/run@1.0.0";
const BARRIER: &str = "test:barrier/gate@1.0.0";

/// Passes the barrier, then answers with its own number.
fn callee(number: u32) -> String {
    format!(
        r#"(component
            (import "{BARRIER}" (instance $barrier (export "pass" (func))))
            (core func $pass (canon lower (func $barrier "pass")))
            (core module $m
                (import "" "pass" (func $pass))
                (func (export "get") (result i32) (call $pass) (i32.const {number})))
            (core instance $i (instantiate $m (with "" (instance (export "pass" (func $pass))))))
            (func $get (result u32) (canon lift (core func $i "get")))
            (instance $api (export "get" (func $get)))
            (export "{API}" (instance $api)))"#
    )
}

/// Calls twice, and answers with both numbers as two digits.
fn caller() -> String {
    format!(
        r#"(component
            (import "{API}" (instance $api (export "get" (func (result u32)))))
            (core func $get (canon lower (func $api "get")))
            (core module $m
                (import "" "get" (func $get (result i32)))
                (func (export "run") (result i32)
                    (i32.add (i32.mul (call $get) (i32.const 10)) (call $get))))
            (core instance $i (instantiate $m (with "" (instance (export "get" (func $get))))))
            (func $run (result u32) (canon lift (core func $i "run")))
            (instance $e (export "run" (func $run)))
            (export "{RUN}" (instance $e)))"#
    )
}

/// Lets a call pass for each permit.
struct Barrier {
    arrived: Semaphore,
    passes: Arc<Semaphore>,
}

impl Barrier {
    fn new(passes: usize) -> Arc<Self> {
        Arc::new(Self {
            arrived: Semaphore::new(0),
            passes: Arc::new(Semaphore::new(passes)),
        })
    }
}

impl Stub for Barrier {
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
        _: http::Request<Body>,
        _: ClientOptions,
    ) -> BoxFuture<'static, Result<http::Response<Body>, HttpClientError>> {
        std::future::ready(Err(HttpClientError::DestinationNotFound)).boxed()
    }
}

impl Chain for Nowhere {
    fn call(
        &self,
        _: Hop,
        _: http::Request<crate::engine::Body>,
        _: &Arc<RequestContext>,
    ) -> BoxFuture<'static, Result<http::Response<crate::engine::Body>, ChainError>> {
        std::future::ready(Err(ChainError::NoRoute)).boxed()
    }
}

fn name(text: &str) -> ServiceName {
    ServiceName::parse(text).unwrap()
}

fn interface(text: &str) -> InterfaceName {
    InterfaceName::parse(text).unwrap()
}

/// A revision of `service` that runs the component `text`.
fn revision(engines: &Arc<Engines>, service: &str, text: &str, foreign: Vec<Foreign>) -> Arc<Revision> {
    let bytes = wat::parse_str(text).unwrap();
    let compiled = engines.load(&bytes, &|| {}).unwrap();
    let code = engines.link(&compiled, foreign).unwrap();
    let id = Identity::of(&compiled.digest(), [0; 32]).finish();
    let metrics = Metrics::new().revision("app", service, &id.to_string());
    let grants = Grants {
        environment: Vec::new(),
        files: None,
        variables: Variables::new(BTreeMap::new()),
        key_value: KeyValue::new(BTreeMap::new()),
        sqlite: Sqlite::new(BTreeMap::new(), Bounds::default()),
        outbound_http: Arc::new(OutboundHttp::new(
            AllowedHosts::default(),
            BlockedNetworks::default(),
        )),
        http_client: Arc::new(Nowhere),
        clock: None,
    };
    let program = Program::new(
        engines.clone(),
        name(service),
        id,
        code,
        &Instances::default(),
        Limits::default(),
        grants,
        metrics.clone(),
        Tasks::new(),
    );
    Arc::new(Revision::new(name(service), id, program, metrics))
}

fn generation(number: u64, revisions: &[&Arc<Revision>]) -> Generation {
    let services = revisions
        .iter()
        .map(|revision| (revision.service().clone(), Arc::clone(revision)))
        .collect();
    Generation::new(
        AppName::parse("app").unwrap(),
        number,
        Router::new(Vec::new()),
        services,
    )
}

/// What a request that enters now gets from the caller.
async fn enter(registry: &Registry) -> Result<Option<Value>, CallError> {
    let generation = registry.current();
    let revision = generation.revision(&name("caller")).unwrap().clone();
    let context = RequestContext::entering(
        RequestId::next(),
        SocketAddr::from(([127, 0, 0, 1], 80)),
        name("caller"),
        revision.limits().timeout,
        Arc::new(Nowhere),
        generation,
    );
    let run = Called {
        interface: interface(RUN),
        function: "run".into(),
        is_async: false,
        has_result: true,
    };
    revision
        .program()
        .clone()
        .call(&run, Vec::new(), Arc::new(context))
        .await
}

#[tokio::test]
async fn a_request_stays_with_the_callee_that_it_began_with_while_the_next_meets_the_new_one() {
    let cache = tempfile::tempdir().unwrap();
    let settings = Settings {
        max_instances: 16,
        ..Settings::default()
    };
    let engines = Engines::new(settings, &cache.path().join("cache")).unwrap();
    let behind = |barrier: &Arc<Barrier>| {
        vec![Foreign {
            interface: interface(BARRIER),
            target: Target::Stub(barrier.clone()),
        }]
    };
    let (closed, open) = (Barrier::new(0), Barrier::new(10));
    let old = revision(&engines, "callee", &callee(1), behind(&closed));
    let new = revision(&engines, "callee", &callee(2), behind(&open));
    let wanted = {
        let bytes = wat::parse_str(caller()).unwrap();
        let compiled = engines.load(&bytes, &|| {}).unwrap();
        let imports = link::imports(compiled.component(), &|_| false).unwrap();
        imports.contracts.into_iter().next().unwrap()
    };
    let link = ResolvedLink {
        caller: name("caller"),
        import: interface(API),
        callee: name("callee"),
        export: interface(API),
        explicit: true,
        functions: wanted.functions,
    };
    let metrics = Metrics::new().link("app", "caller", "callee", API);
    let gate = Link::new(&link, Policy::default(), metrics, Tracer::disabled());
    let foreign = Foreign {
        interface: interface(API),
        target: Target::Service(Arc::new(gate)),
    };
    let caller = revision(&engines, "caller", &caller(), vec![foreign]);

    let registry = Registry::new(generation(1, &[&caller, &old]));
    let mut begun = std::pin::pin!(enter(&registry));
    // It waits inside of the callee, on its first call.
    tokio::select! {
        biased;
        ended = &mut begun => panic!("it passed a closed barrier: {ended:?}"),
        arrived = closed.arrived.acquire() => arrived.unwrap().forget(),
    }
    registry.publish(generation(2, &[&caller, &new]));
    let retired: Weak<Revision> = Arc::downgrade(&old);
    drop(old);
    assert_eq!(enter(&registry).await, Ok(Some(Value::U32(22))));
    assert!(retired.upgrade().is_some(), "the request that began still has it");
    // Its second call comes after the swap, and meets the same callee.
    closed.passes.add_permits(2);
    assert_eq!(begun.await, Ok(Some(Value::U32(11))));
    assert_eq!(closed.arrived.available_permits(), 1);
    assert!(retired.upgrade().is_none(), "nobody has it any more");
}

#[tokio::test(start_paused = true)]
async fn who_finds_no_place_counts_as_a_failure_of_the_revision() {
    let cache = tempfile::tempdir().unwrap();
    let engines = Engines::new(Settings::default(), &cache.path().join("cache")).unwrap();
    let revision = revision(&engines, "callee", "(component)", Vec::new());
    let mut leases = Vec::new();
    for _ in 0..revision.limits().concurrency.get() {
        leases.push(revision.lease().await.unwrap_or_else(|busy| panic!("{busy}")));
    }
    assert_eq!(revision.metrics().tally(), Tally::default());
    assert!(revision.lease().await.is_err());
    assert_eq!(revision.metrics().tally(), Tally { served: 1, failed: 1 });
    assert!(revision.clone().try_enter().is_none());
    let deadline = tokio::time::Instant::now();
    assert!(revision.clone().enter(deadline).await.is_err());
    assert_eq!(revision.metrics().tally(), Tally { served: 2, failed: 2 });
    drop(leases);
    assert!(revision.lease().await.is_ok());
    assert_eq!(revision.metrics().tally(), Tally { served: 2, failed: 2 });
}
