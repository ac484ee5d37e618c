//! Writes the figures in the order of the table in [`metrics`](super). Here stand the names, types and
//! labels.

use std::{
    fmt,
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, UNIX_EPOCH},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, NoLabelSet},
    metrics::MetricType,
    registry::Unit,
};

use super::{
    Host, LinkKey, RolloutOutcome, UploadOutcome,
    histogram::{Snapshot, seconds},
    link::{LinkMetrics, LinkOutcome},
    process,
    revision::{
        CallOutcome, DataRefusal, ErrorReason, Instantiation, OutboundOutcome, RevisionMetrics,
        STATUS_CLASSES,
    },
};
use crate::telemetry::{DroppedLines, trace::SpanCounts};

/// A label with its value.
type Label<'a> = (&'static str, &'a str);

/// One live revision with the labels that all of its series bear.
struct Row {
    app: String,
    service: String,
    revision: String,
    metrics: Arc<RevisionMetrics>,
}

impl Row {
    fn labels(&self) -> [Label<'_>; 3] {
        [
            ("app", &self.app),
            ("service", &self.service),
            ("revision", &self.revision),
        ]
    }

    fn labels_and<'a>(&'a self, name: &'static str, value: &'a str) -> [Label<'a>; 4] {
        [
            ("app", &self.app),
            ("service", &self.service),
            ("revision", &self.revision),
            (name, value),
        ]
    }
}

/// One live link with the labels that all of its series bear.
struct LinkRow {
    key: LinkKey,
    metrics: Arc<LinkMetrics>,
}

impl LinkRow {
    fn labels(&self) -> [Label<'_>; 4] {
        let LinkKey {
            app,
            caller,
            callee,
            interface,
        } = &self.key;
        [
            ("app", app),
            ("caller", caller),
            ("callee", callee),
            ("interface", interface),
        ]
    }

    fn labels_and<'a>(&'a self, name: &'static str, value: &'a str) -> [Label<'a>; 5] {
        let [app, caller, callee, interface] = self.labels();
        [app, caller, callee, interface, (name, value)]
    }
}

impl Collector for Host {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.encode_revisions(&mut page)?;
        self.encode_links(&mut page)?;
        self.encode_host(&mut page)?;
        self.encode_process(&mut page)
    }
}

impl Host {
    fn rows(&self) -> Vec<Row> {
        let revisions = self.revisions.lock().unwrap_or_else(PoisonError::into_inner);
        revisions
            .iter()
            .filter_map(|((app, service, revision), metrics)| {
                let metrics = metrics.upgrade()?;
                Some(Row {
                    app: app.clone(),
                    service: service.clone(),
                    revision: revision.clone(),
                    metrics,
                })
            })
            .collect()
    }

    fn encode_revisions(&self, page: &mut Page<'_>) -> fmt::Result {
        let rows = self.rows();
        page.counter(
            ("requests", None, "Requests answered, by status class"),
            rows.iter().flat_map(|row| {
                let counts = STATUS_CLASSES.iter().zip(&row.metrics.requests);
                counts.map(|(class, count)| (row.labels_and("status", class), count.load(Relaxed)))
            }),
        )?;
        page.counter(
            ("errors", None, "Requests that a revision failed to serve"),
            rows.iter().flat_map(|row| {
                let counts = ErrorReason::ALL.iter().zip(&row.metrics.errors);
                counts.map(|(reason, count)| (row.labels_and("reason", reason.as_str()), count.load(Relaxed)))
            }),
        )?;
        page.counter(
            ("calls", None, "Calls of contracts that ended"),
            rows.iter().flat_map(|row| {
                let counts = CallOutcome::ALL.iter().zip(&row.metrics.calls);
                counts.map(|(outcome, count)| {
                    (row.labels_and("outcome", outcome.as_str()), count.load(Relaxed))
                })
            }),
        )?;
        page.histogram(
            (
                "request_duration",
                Some(Unit::Seconds),
                "From the head of a request to the end of its response",
            ),
            rows.iter()
                .map(|row| (row.labels(), row.metrics.duration.snapshot())),
        )?;
        page.gauge(
            ("requests_in_flight", None, "Requests begun and not ended"),
            rows.iter()
                .map(|row| (row.labels(), row.metrics.in_flight.load(Relaxed))),
        )?;
        page.gauge(
            ("instances", None, "Wasm instances alive, idle ones included"),
            rows.iter()
                .map(|row| (row.labels(), row.metrics.instances.load(Relaxed))),
        )?;
        page.counter(
            (
                "instantiations",
                None,
                "Requests that got a fresh or a reused instance",
            ),
            rows.iter().flat_map(|row| {
                let counts = Instantiation::ALL.iter().zip(&row.metrics.instantiations);
                counts.map(|(kind, count)| (row.labels_and("kind", kind.as_str()), count.load(Relaxed)))
            }),
        )?;
        page.gauge(
            (
                "linear_memory",
                Some(Unit::Bytes),
                "Linear memory of the instances alive",
            ),
            rows.iter()
                .map(|row| (row.labels(), row.metrics.memory.load(Relaxed))),
        )?;
        page.counter(
            ("cpu", Some(Unit::Seconds), "Time spent running guest code"),
            rows.iter()
                .map(|row| (row.labels(), seconds(row.metrics.cpu_nanos.load(Relaxed)))),
        )?;
        page.counter(
            ("traps", None, "Instances that trapped"),
            rows.iter()
                .map(|row| (row.labels(), row.metrics.traps.load(Relaxed))),
        )?;
        page.counter(
            ("outbound_requests", None, "HTTP requests of guests"),
            rows.iter().flat_map(|row| {
                let counts = OutboundOutcome::ALL.iter().zip(&row.metrics.outbound);
                counts.map(|(outcome, count)| {
                    (row.labels_and("outcome", outcome.as_str()), count.load(Relaxed))
                })
            }),
        )?;
        self.encode_refusals(page, &rows)?;
        page.counter(
            (
                "guest_log_lines_dropped",
                None,
                "Lines of guests over the bound of a request",
            ),
            rows.iter()
                .map(|row| (row.labels(), row.metrics.log_lines_dropped.load(Relaxed))),
        )
    }

    fn encode_refusals(&self, page: &mut Page<'_>, rows: &[Row]) -> fmt::Result {
        page.counter(
            (
                "memory_refusals",
                None,
                "Growths of a memory or a table that a limit did not let happen",
            ),
            rows.iter()
                .map(|row| (row.labels(), row.metrics.memory_refusals.load(Relaxed))),
        )?;
        page.counter(
            (
                "descriptor_refusals",
                None,
                "Sockets and files that a guest was not let open",
            ),
            rows.iter()
                .map(|row| (row.labels(), row.metrics.descriptor_refusals.load(Relaxed))),
        )?;
        page.counter(
            (
                "slot_refusals",
                None,
                "Instances that the share of pool slots did not let come up",
            ),
            rows.iter()
                .map(|row| (row.labels(), row.metrics.slot_refusals.load(Relaxed))),
        )?;
        page.counter(
            ("data_refusals", None, "Operations on data that a bound ended"),
            rows.iter().flat_map(|row| {
                let counts = DataRefusal::ALL.iter().zip(&row.metrics.data_refusals);
                counts.map(|(reason, count)| (row.labels_and("reason", reason.as_str()), count.load(Relaxed)))
            }),
        )
    }

    fn encode_links(&self, page: &mut Page<'_>) -> fmt::Result {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let rows: Vec<_> = links
            .iter()
            .filter_map(|(key, metrics)| {
                let (key, metrics) = (key.clone(), metrics.upgrade()?);
                Some(LinkRow { key, metrics })
            })
            .collect();
        drop(links);
        page.counter(
            ("link_calls", None, "Calls over a link that ended"),
            rows.iter().flat_map(|row| {
                let counts = LinkOutcome::ALL.iter().zip(&row.metrics.calls);
                counts.map(|(outcome, count)| {
                    (row.labels_and("outcome", outcome.as_str()), count.load(Relaxed))
                })
            }),
        )?;
        page.histogram(
            (
                "link_call_duration",
                Some(Unit::Seconds),
                "From the call to its end, waits included",
            ),
            rows.iter()
                .map(|row| (row.labels(), row.metrics.duration.snapshot())),
        )?;
        page.gauge(
            ("link_calls_in_flight", None, "Calls begun and not ended"),
            rows.iter()
                .map(|row| (row.labels(), row.metrics.in_flight.load(Relaxed))),
        )
    }

    fn encode_host(&self, page: &mut Page<'_>) -> fmt::Result {
        page.counter(
            (
                "rejections",
                None,
                "Requests refused before they reached a revision",
            ),
            ErrorReason::ALL
                .iter()
                .zip(&self.rejections)
                .map(|(reason, count)| ([("reason", reason.as_str())], count.load(Relaxed))),
        )?;
        page.counter(
            ("rollouts", None, "Changes of what is served, by how they ended"),
            RolloutOutcome::ALL
                .iter()
                .zip(&self.rollouts)
                .map(|(outcome, count)| ([("outcome", outcome.as_str())], count.load(Relaxed))),
        )?;
        page.counter(
            ("uploads", None, "Components that were sent to the host"),
            UploadOutcome::ALL
                .iter()
                .zip(&self.uploads)
                .map(|(outcome, count)| ([("outcome", outcome.as_str())], count.load(Relaxed))),
        )?;
        page.lone_gauge(
            ("connections", None, "Client connections open"),
            Some(self.connections.load(Relaxed)),
        )?;
        page.counter(
            ("compile_cache_lookups", None, "Compiled code asked of the cache"),
            [("hit", &self.cache_hits), ("miss", &self.cache_misses)]
                .map(|(result, count)| ([("result", result)], count.load(Relaxed))),
        )?;
        page.lone_counter(
            ("compile", Some(Unit::Seconds), "Time spent compiling components"),
            &seconds(self.compile_nanos.load(Relaxed)),
        )?;
        page.lone_counter(
            (
                "log_lines_dropped",
                None,
                "Log lines lost because their reader was too slow",
            ),
            &self.log.get().map_or(0, DroppedLines::count),
        )?;
        let spans = self.spans.get();
        page.counter(
            ("spans", None, "Spans that ended, by what became of them"),
            [
                ("exported", spans.map_or(0, SpanCounts::exported)),
                ("dropped", spans.map_or(0, SpanCounts::dropped)),
            ]
            .map(|(outcome, count)| ([("outcome", outcome)], count)),
        )
    }

    fn encode_process(&self, page: &mut Page<'_>) -> fmt::Result {
        let started = self
            .started
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO)
            .as_secs_f64();
        page.lone_gauge(
            (
                "process_resident_memory",
                Some(Unit::Bytes),
                "Memory of the host process in RAM",
            ),
            process::resident_memory(),
        )?;
        page.lone_gauge(
            ("process_open_fds", None, "File descriptors open"),
            process::open_fds(),
        )?;
        page.lone_gauge(
            ("process_max_fds", None, "File descriptors allowed"),
            process::max_fds(),
        )?;
        page.lone_gauge(
            (
                "process_start_time",
                Some(Unit::Seconds),
                "When the host started, Unix time",
            ),
            Some(started),
        )?;
        page.info(
            ("build", None, "The version of the host"),
            &[("version", env!("CARGO_PKG_VERSION"))],
        )
    }
}

/// The name without prefix, unit and suffix; the unit; the help text without a full stop.
type Family = (&'static str, Option<Unit>, &'static str);

struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn counter<L: EncodeLabelSet, V: EncodeCounterValue>(
        &mut self,
        (name, unit, help): Family,
        samples: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?;
        for (labels, value) in samples {
            family
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, _, f64>(&value, None)?;
        }
        Ok(())
    }

    fn gauge<L: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        (name, unit, help): Family,
        samples: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
        for (labels, value) in samples {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// A counter without labels.
    fn lone_counter(&mut self, (name, unit, help): Family, value: &impl EncodeCounterValue) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?;
        family.encode_counter::<NoLabelSet, _, f64>(value, None)
    }

    /// A gauge without labels, which is missing where it cannot be measured.
    fn lone_gauge(
        &mut self,
        (name, unit, help): Family,
        value: Option<impl EncodeGaugeValue>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
        value.map_or(Ok(()), |value| family.encode_gauge(&value))
    }

    fn histogram<L: EncodeLabelSet>(
        &mut self,
        (name, unit, help): Family,
        samples: impl IntoIterator<Item = (L, Snapshot)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, unit.as_ref(), MetricType::Histogram)?;
        for (labels, snapshot) in samples {
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                snapshot.sum,
                snapshot.count,
                &snapshot.buckets,
                None,
            )?;
        }
        Ok(())
    }

    fn info(&mut self, (name, unit, help): Family, labels: &impl EncodeLabelSet) -> fmt::Result {
        self.0
            .encode_descriptor(name, help, unit.as_ref(), MetricType::Info)?
            .encode_info(labels)
    }
}
