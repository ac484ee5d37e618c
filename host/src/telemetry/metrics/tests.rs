//! The figures as a scraper reads them, held against the table in the documentation.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use http::StatusCode;

use super::{
    CacheLookup, CallOutcome, DataRefusal, ErrorReason, Instantiation, LinkOutcome, Metrics, OutboundOutcome,
    RolloutOutcome, Tally, UploadOutcome, Verdict,
};

/// The value of the one sample that is written so.
fn sample(text: &str, series: &str) -> Option<f64> {
    text.lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// Type and labels by family, from the table.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    include_str!("../metrics.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `"))
        .map(|row| {
            let cells: Vec<_> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
            let labels = cells[2]
                .split(", ")
                .filter(|label| !label.is_empty())
                .map(str::to_owned)
                .collect();
            (cells[0].to_owned(), (cells[1].to_owned(), labels))
        })
        .collect()
}

/// The same from the output.
fn encoded(text: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut families = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap();
            name.clone_into(&mut current);
            let before = families.insert(current.clone(), (kind.to_owned(), BTreeSet::new()));
            assert!(before.is_none(), "{name} is there twice");
        } else if !line.starts_with('#') {
            assert!(
                line.starts_with(&current),
                "{line} stands among the samples of {current}"
            );
            let (_, labels) = families.get_mut(&current).unwrap();
            let Some((_, rest)) = line.split_once('{') else {
                continue;
            };
            let (inner, _) = rest.split_once('}').unwrap();
            for label in inner.split(',').filter(|label| !label.is_empty()) {
                let (name, _) = label.split_once('=').unwrap();
                // The bucket of a histogram is no label of the family.
                if name != "le" {
                    labels.insert(name.to_owned());
                }
            }
        }
    }
    families
}

#[test]
fn the_table_names_exactly_what_is_encoded() {
    let metrics = Metrics::new();
    let _revision = metrics.revision("shop", "catalog", "0123456789ab");
    let _link = metrics.link("shop", "orders", "catalog", "shop:catalog/products@1.0.0");
    let text = metrics.encode();
    assert!(text.ends_with("# EOF\n"));
    assert_eq!(encoded(&text), documented());
}

#[test]
fn a_request_is_counted_once_in_every_family_it_belongs_to() {
    let metrics = Metrics::new();
    let revision = metrics.revision("shop", "catalog", "0a");
    let request = revision.begin();
    let labels = "{app=\"shop\",service=\"catalog\",revision=\"0a\"";
    let in_flight = format!("midplane_requests_in_flight{labels}}}");
    assert_eq!(sample(&metrics.encode(), &in_flight), Some(1.0));
    request.finish(StatusCode::NOT_FOUND, Duration::from_millis(3), Verdict::Served);
    let text = metrics.encode();
    for (series, value) in [
        (in_flight.as_str(), 0.0),
        (&format!("midplane_requests_total{labels},status=\"4xx\"}}"), 1.0),
        (&format!("midplane_requests_total{labels},status=\"2xx\"}}"), 0.0),
        (&format!("midplane_request_duration_seconds_count{labels}}}"), 1.0),
        (&format!("midplane_request_duration_seconds_sum{labels}}}"), 0.003),
        (
            &format!("midplane_errors_total{labels},reason=\"cancelled\"}}"),
            0.0,
        ),
    ] {
        assert_eq!(sample(&text, series), Some(value), "{series}\n{text}");
    }
    let buckets: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("midplane_request_duration_seconds_bucket"))
        .map(|line| line.rsplit(' ').next().unwrap())
        .collect();
    assert_eq!(buckets.len(), 18);
    assert_eq!(buckets.iter().filter(|count| **count == "1").count(), 13);
}

#[test]
fn the_tally_has_what_says_something_about_the_revision() {
    let metrics = Metrics::new();
    let revision = metrics.revision("shop", "catalog", "0a");
    let finish = |status, verdict| {
        let status = StatusCode::from_u16(status).unwrap();
        revision.begin().finish(status, Duration::ZERO, verdict);
    };
    assert_eq!(revision.tally(), Tally::default());
    finish(200, Verdict::Served);
    finish(404, Verdict::Served);
    finish(500, Verdict::Failed);
    finish(503, Verdict::Excused);
    drop(revision.begin());
    assert_eq!(revision.tally(), Tally { served: 3, failed: 1 });
    revision.called(CallOutcome::Answered);
    revision.called(CallOutcome::Failed);
    revision.begin().call_ended();
    assert_eq!(revision.tally(), Tally { served: 5, failed: 2 });
    revision.turned_away();
    revision.failed_afterwards();
    assert_eq!(revision.tally(), Tally { served: 6, failed: 4 });
    let text = metrics.encode();
    for (outcome, calls) in [("answered", 1.0), ("failed", 1.0)] {
        let series = format!(
            "midplane_calls_total{{app=\"shop\",service=\"catalog\",revision=\"0a\",outcome=\"{outcome}\"}}"
        );
        assert_eq!(sample(&text, &series), Some(calls), "{text}");
    }
}

#[test]
fn a_request_that_is_dropped_counts_as_cancelled() {
    let metrics = Metrics::new();
    let revision = metrics.revision("shop", "catalog", "0a");
    drop(revision.begin());
    assert_eq!(revision.in_flight(), 0);
    let series =
        "midplane_errors_total{app=\"shop\",service=\"catalog\",revision=\"0a\",reason=\"cancelled\"}";
    assert_eq!(sample(&metrics.encode(), series), Some(1.0));
}

#[test]
fn what_a_revision_does_shows_in_its_series() {
    let metrics = Metrics::new();
    let revision = metrics.revision("shop", "s", "r");
    let mut instance = revision.instance();
    let mut second = revision.instance();
    instance.set_memory(65_536 * 3);
    instance.set_memory(65_536 * 5);
    second.set_memory(65_536);
    drop(second);
    revision.instantiated(Instantiation::Reused);
    revision.add_cpu(Duration::from_millis(1500));
    revision.trap();
    revision.error(ErrorReason::Trap);
    revision.outbound(OutboundOutcome::Denied);
    revision.log_lines_dropped(12);
    instance.refuse_memory();
    revision.descriptor_refused();
    revision.slot_refused();
    revision.data_refused(DataRefusal::Full);
    let text = metrics.encode();
    for (name, label, value) in [
        ("instances", "", 1.0),
        ("linear_memory_bytes", "", 327_680.0),
        ("instantiations_total", ",kind=\"reused\"", 1.0),
        ("instantiations_total", ",kind=\"fresh\"", 0.0),
        ("cpu_seconds_total", "", 1.5),
        ("traps_total", "", 1.0),
        ("errors_total", ",reason=\"trap\"", 1.0),
        ("outbound_requests_total", ",outcome=\"denied\"", 1.0),
        ("guest_log_lines_dropped_total", "", 12.0),
        ("memory_refusals_total", "", 1.0),
        ("descriptor_refusals_total", "", 1.0),
        ("slot_refusals_total", "", 1.0),
        ("data_refusals_total", ",reason=\"full\"", 1.0),
        ("data_refusals_total", ",reason=\"busy\"", 0.0),
    ] {
        let series = format!("midplane_{name}{{app=\"shop\",service=\"s\",revision=\"r\"{label}}}");
        assert_eq!(sample(&text, &series), Some(value), "{series}\n{text}");
    }
    drop(instance);
    assert_eq!(
        sample(
            &metrics.encode(),
            "midplane_linear_memory_bytes{app=\"shop\",service=\"s\",revision=\"r\"}"
        ),
        Some(0.0)
    );
}

#[test]
fn figures_of_the_host_have_no_service() {
    let metrics = Metrics::new();
    metrics.rejected(ErrorReason::NotFound);
    metrics.cache_lookup(CacheLookup::Miss);
    metrics.compiled(Duration::from_millis(250));
    metrics.rollout(RolloutOutcome::Refused);
    metrics.upload(UploadOutcome::Stored);
    let open = metrics.connection();
    drop(metrics.connection());
    let text = metrics.encode();
    for (series, value) in [
        ("midplane_rejections_total{reason=\"not_found\"}", 1.0),
        ("midplane_compile_cache_lookups_total{result=\"miss\"}", 1.0),
        ("midplane_compile_cache_lookups_total{result=\"hit\"}", 0.0),
        ("midplane_rollouts_total{outcome=\"refused\"}", 1.0),
        ("midplane_rollouts_total{outcome=\"published\"}", 0.0),
        ("midplane_uploads_total{outcome=\"stored\"}", 1.0),
        ("midplane_compile_seconds_total", 0.25),
        ("midplane_connections", 1.0),
        ("midplane_log_lines_dropped_total", 0.0),
    ] {
        assert_eq!(sample(&text, series), Some(value), "{series}\n{text}");
    }
    drop(open);
    assert!(text.contains(&format!(
        "midplane_build_info{{version=\"{}\"}} 1\n",
        env!("CARGO_PKG_VERSION")
    )));
    assert!(sample(&text, "midplane_process_start_time_seconds").unwrap() > 1.7e9);
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_is_measured() {
    let before = Metrics::new().encode();
    let opened: Vec<_> = (0..50)
        .map(|_| std::fs::File::open("/dev/null").unwrap())
        .collect();
    let after = Metrics::new().encode();
    let fds = |text: &str| sample(text, "midplane_process_open_fds").unwrap();
    assert!(fds(&after) >= 50.0, "{before}");
    assert!(sample(&after, "midplane_process_resident_memory_bytes").unwrap() > 100_000.0);
    assert!(sample(&after, "midplane_process_max_fds").unwrap() > fds(&after));
    drop(opened);
}

#[test]
fn a_revision_has_one_handle_and_its_series_go_with_it() {
    let metrics = Metrics::new();
    let first = metrics.revision("shop", "catalog", "0a");
    let again = metrics.revision("shop", "catalog", "0a");
    let other = metrics.revision("shop", "catalog", "0b");
    first.trap();
    again.trap();
    other.trap();
    let series = |revision: &str| {
        format!("midplane_traps_total{{app=\"shop\",service=\"catalog\",revision=\"{revision}\"}}")
    };
    assert_eq!(sample(&metrics.encode(), &series("0a")), Some(2.0));
    drop(first);
    assert_eq!(sample(&metrics.encode(), &series("0a")), Some(2.0));
    drop(again);
    let text = metrics.encode();
    assert!(!text.contains("revision=\"0a\""), "{text}");
    assert_eq!(sample(&text, &series("0b")), Some(1.0));
    let _third = metrics.revision("shop", "catalog", "0c");
    assert_eq!(metrics.host.revisions.lock().unwrap().len(), 2);
}

#[test]
fn statuses_outside_the_five_classes_are_counted_at_the_nearest() {
    let metrics = Metrics::new();
    let revision = metrics.revision("shop", "s", "r");
    revision.begin().finish(
        StatusCode::from_u16(999).unwrap(),
        Duration::ZERO,
        Verdict::Served,
    );
    let series = "midplane_requests_total{app=\"shop\",service=\"s\",revision=\"r\",status=\"5xx\"}";
    assert_eq!(sample(&metrics.encode(), series), Some(1.0));
}

#[test]
fn calls_of_a_link_are_counted_by_how_they_end_and_timed_in_microseconds() {
    let metrics = Metrics::new();
    let link = metrics.link("shop", "orders", "catalog", "shop:catalog/products@1.0.0");
    link.begin()
        .finish(LinkOutcome::Answered, Duration::from_nanos(900));
    link.begin()
        .finish(LinkOutcome::Timeout, Duration::from_millis(500));
    drop(link.begin());
    let open = link.begin();
    assert_eq!(link.in_flight(), 1);
    let text = metrics.encode();
    let labels =
        "app=\"shop\",caller=\"orders\",callee=\"catalog\",interface=\"shop:catalog/products@1.0.0\"";
    for (name, label, value) in [
        ("link_calls_total", ",outcome=\"answered\"", 1.0),
        ("link_calls_total", ",outcome=\"timeout\"", 1.0),
        ("link_calls_total", ",outcome=\"cancelled\"", 1.0),
        ("link_calls_total", ",outcome=\"too_deep\"", 0.0),
        ("link_calls_in_flight", "", 1.0),
        ("link_call_duration_seconds_count", "", 2.0),
    ] {
        let series = format!("midplane_{name}{{{labels}{label}}}");
        assert_eq!(sample(&text, &series), Some(value), "{series}\n{text}");
    }
    let bucket = |le: &str| {
        let series = format!("midplane_link_call_duration_seconds_bucket{{le=\"{le}\",{labels}}}");
        sample(&text, &series)
    };
    assert_eq!(bucket("1e-6").or_else(|| bucket("0.000001")), Some(1.0), "{text}");
    assert_eq!(bucket("0.5"), Some(2.0), "{text}");
    open.finish(LinkOutcome::Refused, Duration::ZERO);
    assert_eq!(link.in_flight(), 0);
}

#[test]
fn a_link_has_one_handle_and_its_series_go_with_it() {
    let metrics = Metrics::new();
    let first = metrics.link("shop", "orders", "catalog", "a:b/c");
    let again = metrics.link("shop", "orders", "catalog", "a:b/c");
    let other = metrics.link("shop", "orders", "auth", "a:b/c");
    drop(first.begin());
    drop(again.begin());
    let series = "midplane_link_calls_total{app=\"shop\",caller=\"orders\",callee=\"catalog\",\
                  interface=\"a:b/c\",outcome=\"cancelled\"}";
    assert_eq!(sample(&metrics.encode(), series), Some(2.0));
    drop((first, again));
    assert_eq!(sample(&metrics.encode(), series), None);
    assert!(metrics.encode().contains("callee=\"auth\""));
    drop(other);
    let _third = metrics.link("shop", "orders", "auth", "a:b/d");
    assert_eq!(metrics.host.links.lock().unwrap().len(), 1);
}

#[test]
fn spans_are_shown_even_without_tracing() {
    let metrics = Metrics::new();
    metrics.watch_spans(crate::telemetry::trace::Tracer::disabled().counts());
    let text = metrics.encode();
    for outcome in ["exported", "dropped"] {
        let series = format!("midplane_spans_total{{outcome=\"{outcome}\"}}");
        assert_eq!(sample(&text, &series), Some(0.0), "{text}");
    }
}
