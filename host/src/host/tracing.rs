//! Traces, as the standard environment variables of OpenTelemetry ask for them.
//!
//! The exporter has tasks and connections of its own, so that it outlives the requests whose spans it sends, and so that
//! what guests may not reach is no bound for it.

use std::sync::Arc;
use std::time::Duration;

use super::Error;
use crate::adapter::http_client::{PooledClient, Spawner};
use crate::adapter::otlp::{self, OtlpExporter};
use crate::manifest::App;
use crate::shutdown::Tasks;
use crate::telemetry::Metrics;
use crate::telemetry::trace::{TraceSettings, Tracer};

/// How long sending the last spans may take at shutdown.
const FLUSH: Duration = Duration::from_secs(5);

/// The tracer of a host, and what sends its spans.
pub(super) struct Tracing {
    tracer: Tracer,
    tasks: Tasks,
}

impl Tracing {
    /// Reads the environment. Without an endpoint nothing is recorded.
    pub(super) fn new(app: &App, metrics: &Metrics) -> Result<Self, Error> {
        let lookup = |name: &str| std::env::var(name).ok();
        let settings = TraceSettings::from_env(app.name.as_str(), &app.version, lookup)
            .map_err(|source| Error::Traces { source })?;
        let tasks = Tasks::new();
        let Some(settings) = settings else {
            let tracer = Tracer::disabled();
            return Ok(Self { tracer, tasks });
        };
        let connections = tasks.clone();
        // Dropping the handle detaches the task; it ends with the exporter.
        let spawner = Spawner::new(move |task| drop(connections.background("span connection", task)));
        let client = PooledClient::load(otlp::client_settings(&settings, Vec::new()), spawner)?;
        let exporter = Arc::new(OtlpExporter::new(Arc::new(client), &settings));
        let tracer = Tracer::exporting(settings.sampler, exporter, settings.timeout, &tasks);
        metrics.watch_spans(tracer.counts());
        Ok(Self { tracer, tasks })
    }

    pub(super) fn tracer(&self) -> Tracer {
        self.tracer.clone()
    }

    /// Sends what waits, for a bounded time. No request runs any more.
    pub(super) async fn close(self) {
        if !self.tracer.close(FLUSH).await {
            ::tracing::warn!("the last spans could not be sent in time");
        }
        self.tasks.begin_drain();
        self.tasks.drained(Duration::ZERO).await;
    }
}
