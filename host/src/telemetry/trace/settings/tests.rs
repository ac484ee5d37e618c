//! What each variable does, and what is refused.

use std::{collections::BTreeMap, error::Error as _};

use super::*;

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");

fn read(pairs: &[(&str, &str)]) -> Result<Option<Settings>, SettingsError> {
    let variables: BTreeMap<_, _> = pairs.iter().copied().collect();
    Settings::from_env("shop", "1.2.3", |name| {
        variables.get(name).map(|value| (*value).to_owned())
    })
}

fn with(pair: (&str, &str)) -> Result<Settings, SettingsError> {
    Ok(read(&[ENDPOINT, pair])?.unwrap())
}

#[test]
fn there_is_no_tracing_unless_an_endpoint_is_set() {
    assert!(read(&[]).unwrap().is_none());
    assert!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]).unwrap().is_none());
    assert!(read(&[("OTEL_TRACES_SAMPLER", "nonsense")]).unwrap().is_none());
    assert!(read(&[ENDPOINT]).unwrap().is_some());
}

#[test]
fn tracing_can_be_switched_off() {
    for pair in [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_SDK_DISABLED", "TRUE"),
        ("OTEL_TRACES_EXPORTER", "none"),
    ] {
        assert!(read(&[ENDPOINT, pair]).unwrap().is_none(), "{pair:?}");
    }
    for pair in [
        ("OTEL_SDK_DISABLED", "false"),
        ("OTEL_SDK_DISABLED", ""),
        ("OTEL_TRACES_EXPORTER", "otlp"),
    ] {
        assert!(read(&[ENDPOINT, pair]).unwrap().is_some(), "{pair:?}");
    }
}

#[test]
fn the_endpoint_of_traces_stands_as_it_is_and_the_other_is_a_base() {
    for (variable, value, expected) in [
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "http://localhost:4318",
            "http://localhost:4318/v1/traces",
        ),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "http://localhost:4318/",
            "http://localhost:4318/v1/traces",
        ),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "https://x.test/otlp/",
            "https://x.test/otlp/v1/traces",
        ),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "http://[::1]:4318",
            "http://[::1]:4318/",
        ),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "https://x.test/a?b=c",
            "https://x.test/a?b=c",
        ),
    ] {
        let settings = read(&[(variable, value)]).unwrap().unwrap();
        assert_eq!(settings.endpoint.to_string(), expected, "{value}");
    }
    let both = with(("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://other.test/x")).unwrap();
    assert_eq!(both.endpoint, "http://other.test/x");
}

#[test]
fn headers_are_decoded_and_hidden() {
    let settings = with((
        "OTEL_EXPORTER_OTLP_HEADERS",
        "Authorization=Basic%20aHVudGVyMg%3D%3D, x-tenant = a=b ,,",
    ))
    .unwrap();
    assert_eq!(settings.headers.len(), 2);
    assert_eq!(settings.headers["authorization"], "Basic aHVudGVyMg==");
    assert_eq!(settings.headers["x-tenant"], "a=b");
    assert!(settings.headers["authorization"].is_sensitive());
    let shown = format!("{settings:?}");
    assert!(
        shown.contains("authorization") && !shown.contains("aHVudGVyMg"),
        "{shown}"
    );
    let both = read(&[
        ENDPOINT,
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2"),
    ]);
    assert_eq!(both.unwrap().unwrap().headers.keys().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn the_resource_is_the_app_unless_the_environment_says_otherwise() {
    let own = with(("OTEL_SERVICE_NAME", "")).unwrap().resource;
    let get = |resource: &[(String, String)], wanted: &str| {
        let found: Vec<_> = resource.iter().filter(|(name, _)| name == wanted).collect();
        assert!(found.len() <= 1, "{wanted} is there twice");
        found.first().map(|(_, value)| value.clone())
    };
    assert_eq!(own[0], ("service.name".to_owned(), "shop".to_owned()));
    assert_eq!(get(&own, "service.version").unwrap(), "1.2.3");
    assert_eq!(
        get(&own, "telemetry.sdk.version").unwrap(),
        env!("CARGO_PKG_VERSION")
    );
    let attributes = (
        "OTEL_RESOURCE_ATTRIBUTES",
        "service.name=a,service.version=9,deployment.environment.name=k%C3%B6ln%2C%20east",
    );
    let said = with(attributes).unwrap().resource;
    assert_eq!(get(&said, "service.name").unwrap(), "a");
    assert_eq!(get(&said, "service.version").unwrap(), "9");
    assert_eq!(get(&said, "deployment.environment.name").unwrap(), "köln, east");
    let both = read(&[ENDPOINT, attributes, ("OTEL_SERVICE_NAME", "b")])
        .unwrap()
        .unwrap();
    assert_eq!(get(&both.resource, "service.name").unwrap(), "b");
    let nameless = Settings::from_env("shop", "", |name| {
        (name == ENDPOINT.0).then(|| ENDPOINT.1.to_owned())
    });
    assert_eq!(get(&nameless.unwrap().unwrap().resource, "service.version"), None);
}

#[test]
fn samplers_have_the_standard_names() {
    for (name, argument, expected) in [
        ("", "", Sampler::default()),
        ("always_on", "", Sampler::always(CallerDecision::Ignored)),
        ("always_off", "", Sampler::never(CallerDecision::Ignored)),
        (
            "traceidratio",
            "0.25",
            Sampler::ratio(0.25, CallerDecision::Ignored),
        ),
        ("parentbased_always_on", "", Sampler::default()),
        (
            "parentbased_always_off",
            "",
            Sampler::never(CallerDecision::Holds),
        ),
        (
            "parentbased_traceidratio",
            "1e-1",
            Sampler::ratio(0.1, CallerDecision::Holds),
        ),
        ("parentbased_traceidratio", "", Sampler::default()),
    ] {
        let settings = read(&[
            ENDPOINT,
            ("OTEL_TRACES_SAMPLER", name),
            ("OTEL_TRACES_SAMPLER_ARG", argument),
        ]);
        assert_eq!(settings.unwrap().unwrap().sampler, expected, "{name} {argument}");
    }
}

#[test]
fn the_time_of_an_attempt_is_in_milliseconds() {
    assert_eq!(with(("", "")).unwrap().timeout, Duration::from_secs(10));
    let said = with(("OTEL_EXPORTER_OTLP_TIMEOUT", "2500")).unwrap();
    assert_eq!(said.timeout, Duration::from_millis(2500));
}

#[test]
fn what_cannot_be_understood_is_an_error_that_names_the_variable() {
    for (variable, value, problem) in [
        (
            "OTEL_SDK_DISABLED",
            "yes",
            "\"yes\" is none of `true` and `false`",
        ),
        (
            "OTEL_TRACES_EXPORTER",
            "zipkin",
            "\"zipkin\" is none of `otlp` and `none`",
        ),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "localhost:4318",
            "it is no URL such as http://localhost:4318",
        ),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "grpc://x.test",
            "it is no URL such as http://localhost:4318",
        ),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "http://x.test?a",
            "it is no URL such as http://localhost:4318",
        ),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "http://",
            "it is no URL such as http://localhost:4318",
        ),
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "grpc",
            "\"grpc\" is none of http/protobuf",
        ),
        (
            "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
            "gzip",
            "\"gzip\" is none of none",
        ),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "a=1,b",
            "part 2 of the list is not `name=value`",
        ),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "a=%4",
            "part 1 of the list is not percent-encoded text",
        ),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "a=%0a",
            "part 1 of the list cannot be a header",
        ),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "a b=1",
            "part 1 of the list cannot be a header",
        ),
        (
            "OTEL_EXPORTER_OTLP_TIMEOUT",
            "0",
            "\"0\" is no number from 1 to 300000",
        ),
        (
            "OTEL_EXPORTER_OTLP_TIMEOUT",
            "10s",
            "\"10s\" is no number from 1 to 300000",
        ),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "=1",
            "part 1 of the list is not `name=value`",
        ),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "a=1,b=%ff",
            "part 2 of the list is not percent-encoded text",
        ),
    ] {
        let error = with((variable, value)).map(|_| ()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the environment variable {variable} is not valid")
        );
        assert_eq!(error.source().unwrap().to_string(), problem, "{variable}={value}");
    }
    for (sampler, argument) in [
        ("traceidratio", "2"),
        ("parentbased_traceidratio", "nan"),
        ("jaeger_remote", "1"),
    ] {
        let pairs = [
            ENDPOINT,
            ("OTEL_TRACES_SAMPLER", sampler),
            ("OTEL_TRACES_SAMPLER_ARG", argument),
        ];
        let error = read(&pairs).unwrap_err();
        assert!(error.variable.starts_with("OTEL_TRACES_SAMPLER"), "{error}");
    }
}

#[test]
fn no_error_shows_what_may_be_secret() {
    for (variable, value) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hunter2@x.test"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hunter2%"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hunter2%00"),
    ] {
        let error = with((variable, value)).map(|_| ()).unwrap_err();
        let shown = format!("{error} {error:?} {}", error.source().unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
