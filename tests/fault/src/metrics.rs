//! The samples of a host's `/metrics`, read twice and compared.

use std::collections::BTreeMap;

use anyhow::ensure;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use midplane_storm::host::Target;
use tokio::net::TcpStream;

/// All samples at one moment.
#[derive(Debug, Clone, Default)]
pub struct Samples(BTreeMap<String, f64>);

impl Samples {
    /// Asks a host.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn of(target: &Target) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(target.admin).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = Request::get("/metrics")
            .header("host", target.admin.to_string())
            .header("authorization", format!("Bearer {}", target.token))
            .body(Empty::<Bytes>::new())?;
        let answer = sender.send_request(request).await?;
        ensure!(answer.status() == 200, "/metrics answers {}", answer.status());
        let text = answer.into_body().collect().await?.to_bytes();
        connection.abort();
        Ok(Self::parse(&String::from_utf8_lossy(&text)))
    }

    /// Lines of the text format: a name with labels, and a number.
    pub fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let samples = samples.filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Self(samples.collect())
    }

    /// The sum of the samples with this name and all of these labels, `label="value"` each.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let samples = self.0.iter().filter(|(key, _)| {
            key.strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
                && labels.iter().all(|label| key.contains(label))
        });
        samples.map(|(_, value)| value).sum()
    }

    /// Requests and calls that are under way, those of every service.
    pub fn in_flight(&self) -> f64 {
        self.sum("midplane_requests_in_flight", &[]) + self.sum("midplane_link_calls_in_flight", &[])
    }
}
