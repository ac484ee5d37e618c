//! `midplane deploy`: new components for services of a running host, all of them at the same instant.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use tokio::io::AsyncReadExt as _;

use super::change::{Asked, ChangeArgs, Format, Output, drain_timeout, interruptible, sticky, weight};
use super::client::Client;
use super::{Failure, build, wait, warn};
use crate::admin::api;
use crate::engine::MAX_COMPONENT_BYTES;
use crate::model::ServiceName;

/// Replace services of a running host.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  midplane deploy orders orders.wasm          replace `orders`; no request fails, and none that begins afterwards
                                              meets the old revision
  midplane deploy auth=a.wasm orders=o.wasm   both at the same instant: no request sees only one of them
  midplane deploy orders --build              run its build command, and deploy what comes out
  midplane deploy orders orders.wasm --canary 10% --wait
                                              for every tenth client, until it is decided what becomes of it
  midplane deploy orders orders.wasm --allow-new-grants
                                              it may touch more than the old one, and that is wanted

A component that is served already is no change. A failure leaves the old revision serving. What the manifest says of the
service (routes, grants, limits) stays: `midplane apply` changes that.

Exit codes: 0 done; 1 failed, or the candidate that `--wait` watched was taken back by somebody; 2 wrong usage; 3 the host
did not let it in, or is busy with another change; 4 the host took the candidate back.")]
pub(super) struct Deploy {
    /// SERVICE FILE, or SERVICE=FILE for each of several services, or with `--build` only their names.
    #[arg(required = true, value_name = "SERVICE FILE|SERVICE=FILE")]
    what: Vec<String>,
    /// Run the build commands of the services, and take the files that the manifest names.
    #[arg(long)]
    build: bool,
    /// Give the new revisions only a share of the requests, such as 10%.
    #[arg(long, value_name = "SHARE", value_parser = weight)]
    canary: Option<String>,
    /// What holds a client to its choice: client (its address), header:NAME or cookie:NAME [default: client].
    #[arg(long, value_name = "BY", value_parser = sticky, requires = "canary")]
    sticky: Option<String>,
    /// Wait until requests have left the old revisions; with `--canary`, until it is decided what becomes of it.
    #[arg(long)]
    wait: bool,
    /// Take revisions that may touch more than the old ones.
    #[arg(long)]
    allow_new_grants: bool,
    /// How long requests may take to leave the old revisions, in seconds [default: 300].
    #[arg(long, value_name = "SECONDS", value_parser = drain_timeout)]
    drain_timeout: Option<f64>,
    #[command(flatten)]
    change: ChangeArgs,
}

/// What is to be deployed.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// These files.
    Files(BTreeMap<ServiceName, PathBuf>),
    /// What the build commands of these services make.
    Built(Vec<ServiceName>),
}

impl Deploy {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let wanted = wanted(&self.what, self.build)?;
        // Before a build, which may take long.
        let client = self.change.connect().await?;
        let files = match wanted {
            Wanted::Files(files) => files,
            Wanted::Built(services) => self.built(&client, &services).await?,
        };
        interruptible(self.act(&client, &files, &mut Output::stdout())).await
    }

    /// Builds the services, and says where their components are.
    async fn built(
        &self,
        client: &Client,
        services: &[ServiceName],
    ) -> Result<BTreeMap<ServiceName, PathBuf>, Failure> {
        let app = crate::manifest::load(&self.change.host.app.from)?;
        warn(&app);
        client.must_serve(app.name.as_str())?;
        build::build(&app, Some(services), &mut std::io::stderr()).await?;
        let source = |name: &ServiceName| {
            let service = app.services.get(name)?;
            Some((name.clone(), service.source.clone()))
        };
        Ok(services.iter().filter_map(source).collect())
    }

    async fn act(
        &self,
        client: &Client,
        files: &BTreeMap<ServiceName, PathBuf>,
        output: &mut Output<'_>,
    ) -> Result<(), Failure> {
        let mut services = BTreeMap::new();
        for (service, file) in files {
            let component = read(file).await?;
            let stored = client.upload(component.into()).await?;
            services.insert(service.to_string(), api::Source::Component(stored.component));
        }
        let names: Vec<String> = services.keys().cloned().collect();
        let deploy = api::Deploy {
            services,
            canary: self.canary.clone().map(|weight| api::Canary {
                weight,
                sticky: self.sticky.clone(),
            }),
            allow_new_grants: self.allow_new_grants,
            drain_timeout: self.drain_timeout,
        };
        // What is there before a change that turns out to be none.
        let newest = match (&self.canary, self.wait) {
            (Some(_), true) => client.history(None, None, 1).await?,
            _ => Vec::new(),
        };
        let outcome = client.deploy(&deploy).await?;
        let asked = self.canary.as_deref().map_or(Asked::Publish, Asked::Share);
        output.outcome(&outcome, asked, &names, self.change.format)?;
        if !self.wait {
            return Ok(());
        }
        let told = if self.canary.is_some() {
            let newest = newest.first().map_or(0, |entry| entry.number);
            canary(client, &outcome, &names, newest).await?
        } else {
            let drained = wait::drained(client, &outcome).await?;
            drained.map_or_else(String::new, |drained| drained.told())
        };
        if self.change.format == Format::Text {
            output.put(&told)?;
        }
        Ok(())
    }
}

/// Waits for the candidates of `outcome`. They are of one rollout, so that one of them tells of all.
async fn canary(
    client: &Client,
    outcome: &api::Outcome,
    services: &[String],
    newest: u64,
) -> Result<String, Failure> {
    let changed = |change: &api::Change| Some((change.service.clone(), change.to.clone()?));
    let candidate = match outcome.changes.iter().find_map(changed) {
        Some(candidate) => Some(candidate),
        // It was there already.
        None => {
            let status = client.status().await?;
            let of = |service: api::Service| {
                let candidate = service
                    .candidate
                    .filter(|_| services.contains(&service.service))?;
                Some((service.service, candidate.revision.revision))
            };
            status.services.into_iter().find_map(of)
        }
    };
    match candidate {
        None => Ok(String::new()),
        Some((service, revision)) => {
            let after = outcome.entry.unwrap_or(newest);
            let end = wait::decided(client, &service, &revision, after).await?;
            end.verdict(&service, &revision)
        }
    }
}

/// What was typed becomes what is meant.
fn wanted(what: &[String], build: bool) -> Result<Wanted, Failure> {
    let hint = "type `midplane deploy SERVICE FILE`, `midplane deploy SERVICE=FILE…` or `midplane deploy SERVICE… --build`";
    let name = |text: &str| {
        ServiceName::parse(text)
            .map_err(|error| Failure::usage(format!("`{text}` is no name of a service: {error}"), hint))
    };
    let twice = |name: &ServiceName| Failure::usage(format!("`{name}` is named twice"), hint);
    if build {
        let mut names = Vec::new();
        for text in what {
            let name = name(text)?;
            if names.contains(&name) {
                return Err(twice(&name));
            }
            names.push(name);
        }
        return Ok(Wanted::Built(names));
    }
    let mut files = BTreeMap::new();
    match what {
        [service, file] if !service.contains('=') => {
            files.insert(name(service)?, PathBuf::from(file));
        }
        pairs => {
            for pair in pairs {
                let (service, file) = pair
                    .split_once('=')
                    .filter(|(_, file)| !file.is_empty())
                    .ok_or_else(|| Failure::usage(format!("no file is named for `{pair}`"), hint))?;
                let service = name(service)?;
                if files.contains_key(&service) {
                    return Err(twice(&service));
                }
                files.insert(service, PathBuf::from(file));
            }
        }
    }
    Ok(Wanted::Files(files))
}

/// Reads a component, which has a size that a host takes.
async fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let cannot = || format!("cannot read {}", file.display());
    let mut component = Vec::new();
    let limit = u64::try_from(MAX_COMPONENT_BYTES).unwrap_or(u64::MAX);
    let opened = tokio::fs::File::open(file).await.with_context(cannot)?;
    let mut opened = opened.take(limit.saturating_add(1));
    opened.read_to_end(&mut component).await.with_context(cannot)?;
    if component.len() > MAX_COMPONENT_BYTES {
        let message = format!(
            "{} has more than {MAX_COMPONENT_BYTES} bytes, which no host takes",
            file.display()
        );
        return Err(anyhow::Error::msg(message).into());
    }
    Ok(component)
}

#[cfg(test)]
mod tests;
