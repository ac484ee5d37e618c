//! What the operator says of tracing, by the standard environment variables of OpenTelemetry
//! (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/> and
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>). They are read here and nowhere else.
//!
//! | variable | what it says |
//! | --- | --- |
//! | `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` | where spans go, as it stands; without it and the next there is no tracing |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT` | where the receiver is; spans go to `/v1/traces` below |
//! | `OTEL_EXPORTER_OTLP_TRACES_HEADERS`, `OTEL_EXPORTER_OTLP_HEADERS` | headers of each request: `name=value,…`, values percent-encoded |
//! | `OTEL_EXPORTER_OTLP_TRACES_TIMEOUT`, `OTEL_EXPORTER_OTLP_TIMEOUT` | milliseconds of one attempt, 10,000 by default |
//! | `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL`, `OTEL_EXPORTER_OTLP_PROTOCOL` | `http/protobuf`, the only one |
//! | `OTEL_EXPORTER_OTLP_TRACES_COMPRESSION`, `OTEL_EXPORTER_OTLP_COMPRESSION` | `none`, the only one |
//! | `OTEL_SERVICE_NAME` | `service.name`; by default that of the app |
//! | `OTEL_RESOURCE_ATTRIBUTES` | attributes of everything that is sent: `name=value,…`, percent-encoded |
//! | `OTEL_TRACES_SAMPLER` | `always_on`, `always_off`, `traceidratio`, and each with `parentbased_` before it; `parentbased_always_on` by default |
//! | `OTEL_TRACES_SAMPLER_ARG` | the part of traces that a ratio takes, from 0 to 1, which is the default |
//! | `OTEL_TRACES_EXPORTER` | `otlp`, or `none` for no tracing |
//! | `OTEL_SDK_DISABLED` | `true` for no tracing |
//!
//! An empty value is none. An invalid one is an error that names the variable; values that may hold secrets are
//! in no error and no `Debug` output. Where there is no tracing the others are not looked at.

use std::{fmt, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Uri, uri::PathAndQuery};
use thiserror::Error;

use super::sampler::{CallerDecision, Sampler};

/// The time of one attempt where nothing else is said.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest time of one attempt that is accepted.
const MAX_TIMEOUT: Duration = Duration::from_secs(300);

/// How and where spans are sent.
#[derive(Clone)]
pub struct Settings {
    /// Where spans are posted to: absolute, `http` or `https`.
    pub endpoint: Uri,
    /// Headers of each request, for instance an authorization.
    pub headers: HeaderMap,
    /// Time of one attempt.
    pub timeout: Duration,
    /// What is said of everything that is sent, `service.name` first; each name once.
    pub resource: Vec<(String, String)>,
    /// Which traces are recorded.
    pub sampler: Sampler,
}

/// An environment variable that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the environment variable {variable} is not valid")]
pub struct SettingsError {
    /// Its name.
    pub variable: &'static str,
    /// What is wrong with it.
    #[source]
    pub problem: SettingsProblem,
}

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SettingsProblem {
    /// No URL that can be posted to.
    #[error("it is no URL such as http://localhost:4318")]
    NoUrl,
    /// A URL with a name and a password. They would be sent nowhere.
    #[error("it has a user name before the host; an authorization belongs to OTEL_EXPORTER_OTLP_HEADERS")]
    UserInfo,
    /// A part of a list that is not `name=value`.
    #[error("part {part} of the list is not `name=value`")]
    NoPair {
        /// Its place in the list, from 1.
        part: usize,
    },
    /// A percent sign that two hexadecimal digits do not follow, or bytes that are no text.
    #[error("part {part} of the list is not percent-encoded text")]
    Encoding {
        /// Its place in the list, from 1.
        part: usize,
    },
    /// Something that cannot be a header.
    #[error("part {part} of the list cannot be a header")]
    NoHeader {
        /// Its place in the list, from 1.
        part: usize,
    },
    /// No number, or one that is out of range.
    #[error("{value:?} is no number from {least} to {most}")]
    NoNumber {
        /// What was written.
        value: String,
        /// The least that is accepted.
        least: u32,
        /// The most.
        most: u32,
    },
    /// None of the words that are known here.
    #[error("{value:?} is none of {known}")]
    Unknown {
        /// What was written.
        value: String,
        /// The words.
        known: &'static str,
    },
}

impl Settings {
    /// What the environment says, which `lookup` reads. `service` and `version` describe the app where the
    /// environment does not. `None` where there shall be no tracing.
    ///
    /// # Errors
    /// [`SettingsError`] names the variable that cannot be understood.
    pub fn from_env(
        service: &str,
        version: &str,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, SettingsError> {
        let env = Environment(&lookup);
        if env.is_disabled()? {
            return Ok(None);
        }
        let Some(endpoint) = env.endpoint()? else {
            return Ok(None);
        };
        env.one_of(
            [
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
                "OTEL_EXPORTER_OTLP_PROTOCOL",
            ],
            "http/protobuf",
        )?;
        env.one_of(
            [
                "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
                "OTEL_EXPORTER_OTLP_COMPRESSION",
            ],
            "none",
        )?;
        Ok(Some(Self {
            endpoint,
            headers: env.headers()?,
            timeout: env.timeout()?,
            resource: env.resource(service, version)?,
            sampler: env.sampler()?,
        }))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("endpoint", &self.endpoint.authority())
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("timeout", &self.timeout)
            .field("resource", &self.resource)
            .field("sampler", &self.sampler)
            .finish()
    }
}

struct Environment<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Environment<'_> {
    /// The value without blanks around it, unless it is empty.
    fn get(&self, variable: &str) -> Option<String> {
        let value = (self.0)(variable)?;
        Some(value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The first variable that has a value.
    fn first(&self, variables: [&'static str; 2]) -> Option<(&'static str, String)> {
        variables
            .into_iter()
            .find_map(|variable| Some((variable, self.get(variable)?)))
    }

    fn is_disabled(&self) -> Result<bool, SettingsError> {
        const DISABLED: &str = "OTEL_SDK_DISABLED";
        const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
        let disabled = match self.get(DISABLED) {
            None => false,
            Some(value) if value.eq_ignore_ascii_case("false") => false,
            Some(value) if value.eq_ignore_ascii_case("true") => true,
            Some(value) => return Err(unknown(DISABLED, value, "`true` and `false`")),
        };
        match self.get(EXPORTER).as_deref() {
            None | Some("otlp") => Ok(disabled),
            Some("none") => Ok(true),
            Some(_) if disabled => Ok(true),
            Some(other) => Err(unknown(EXPORTER, other.to_owned(), "`otlp` and `none`")),
        }
    }

    fn endpoint(&self) -> Result<Option<Uri>, SettingsError> {
        const WHOLE: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        if let Some(value) = self.get(WHOLE) {
            return endpoint(&value, "").map(Some).map_err(invalid(WHOLE));
        }
        let base = self.get(BASE).map(|value| endpoint(&value, "/v1/traces"));
        base.transpose().map_err(invalid(BASE))
    }

    fn headers(&self) -> Result<HeaderMap, SettingsError> {
        let mut headers = HeaderMap::new();
        let variables = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
        let Some((variable, list)) = self.first(variables) else {
            return Ok(headers);
        };
        for (part, name, value) in pairs(&list).map_err(invalid(variable))? {
            let header = HeaderName::try_from(&name)
                .ok()
                .zip(HeaderValue::try_from(&value).ok());
            let Some((name, mut value)) = header else {
                return Err(invalid(variable)(SettingsProblem::NoHeader { part }));
            };
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(headers)
    }

    fn timeout(&self) -> Result<Duration, SettingsError> {
        let variables = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
        let Some((variable, value)) = self.first(variables) else {
            return Ok(DEFAULT_TIMEOUT);
        };
        let most = u32::try_from(MAX_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
        match value.parse::<u32>() {
            Ok(millis) if (1..=most).contains(&millis) => Ok(Duration::from_millis(millis.into())),
            _ => Err(invalid(variable)(SettingsProblem::NoNumber {
                value,
                least: 1,
                most,
            })),
        }
    }

    /// The only word that is known has no effect; any other would have had one.
    fn one_of(&self, variables: [&'static str; 2], known: &'static str) -> Result<(), SettingsError> {
        match self.first(variables) {
            Some((variable, value)) if value != known => Err(unknown(variable, value, known)),
            _ => Ok(()),
        }
    }

    fn resource(&self, service: &str, version: &str) -> Result<Vec<(String, String)>, SettingsError> {
        const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
        let mut resource = Vec::new();
        let mut set = |name: &str, value: &str| {
            if let Some((_, old)) = resource.iter_mut().find(|(known, _)| known == name) {
                value.clone_into(old);
            } else {
                resource.push((name.to_owned(), value.to_owned()));
            }
        };
        set("service.name", service);
        if !version.is_empty() {
            set("service.version", version);
        }
        set("telemetry.sdk.name", "midplane");
        set("telemetry.sdk.language", "rust");
        set("telemetry.sdk.version", env!("CARGO_PKG_VERSION"));
        if let Some(list) = self.get(ATTRIBUTES) {
            for (_, name, value) in pairs(&list).map_err(invalid(ATTRIBUTES))? {
                set(&name, &value);
            }
        }
        if let Some(name) = self.get("OTEL_SERVICE_NAME") {
            set("service.name", &name);
        }
        Ok(resource)
    }

    fn sampler(&self) -> Result<Sampler, SettingsError> {
        const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
        let Some(name) = self.get(SAMPLER) else {
            return Ok(Sampler::default());
        };
        let (caller, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (CallerDecision::Holds, root),
            None => (CallerDecision::Ignored, name.as_str()),
        };
        match root {
            "always_on" => Ok(Sampler::always(caller)),
            "always_off" => Ok(Sampler::never(caller)),
            "traceidratio" => Ok(Sampler::ratio(self.ratio()?, caller)),
            _ => Err(unknown(
                SAMPLER,
                name,
                "`always_on`, `always_off`, `traceidratio`, and these with `parentbased_` before them",
            )),
        }
    }

    fn ratio(&self) -> Result<f64, SettingsError> {
        const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
        let Some(value) = self.get(ARGUMENT) else {
            return Ok(1.0);
        };
        match value.parse() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
            _ => Err(invalid(ARGUMENT)(SettingsProblem::NoNumber {
                value,
                least: 0,
                most: 1,
            })),
        }
    }
}

fn invalid(variable: &'static str) -> impl Fn(SettingsProblem) -> SettingsError {
    move |problem| SettingsError { variable, problem }
}

fn unknown(variable: &'static str, value: String, known: &'static str) -> SettingsError {
    invalid(variable)(SettingsProblem::Unknown { value, known })
}

/// The URL with `path` behind its own.
fn endpoint(text: &str, path: &str) -> Result<Uri, SettingsProblem> {
    let uri: Uri = text.parse().map_err(|_| SettingsProblem::NoUrl)?;
    let mut parts = uri.into_parts();
    let is_web = parts
        .scheme
        .as_ref()
        .is_some_and(|scheme| matches!(scheme.as_str(), "http" | "https"));
    let Some(authority) = parts.authority.as_ref().filter(|_| is_web) else {
        return Err(SettingsProblem::NoUrl);
    };
    if authority.as_str().contains('@') {
        return Err(SettingsProblem::UserInfo);
    }
    let own = parts.path_and_query.as_ref();
    let whole = match (path, own.and_then(PathAndQuery::query)) {
        ("", _) => own.map_or("/", PathAndQuery::as_str).to_owned(),
        (_, Some(_)) => return Err(SettingsProblem::NoUrl),
        (path, None) => format!(
            "{}{path}",
            own.map_or("", PathAndQuery::path).trim_end_matches('/')
        ),
    };
    parts.path_and_query = Some(whole.parse().map_err(|_| SettingsProblem::NoUrl)?);
    Uri::from_parts(parts).map_err(|_| SettingsProblem::NoUrl)
}

/// The parts of `name=value,…`, numbered from 1, both decoded. Empty parts are left out.
fn pairs(list: &str) -> Result<Vec<(usize, String, String)>, SettingsProblem> {
    let parts = (1..).zip(list.split(',').map(str::trim));
    parts
        .filter(|(_, text)| !text.is_empty())
        .map(|(part, text)| {
            let (name, value) = text.split_once('=').ok_or(SettingsProblem::NoPair { part })?;
            if name.trim().is_empty() {
                return Err(SettingsProblem::NoPair { part });
            }
            let decoded = |text: &str| percent_decoded(text.trim()).ok_or(SettingsProblem::Encoding { part });
            Ok((part, decoded(name)?, decoded(value)?))
        })
        .collect()
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?].map(|digit| char::from(digit).to_digit(16));
                let [Some(high), Some(low)] = digits else {
                    return None;
                };
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests;
