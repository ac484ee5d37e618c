//! A [`Piece`] among the services of its app: linked, granted, ready to run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use super::{DataPlace, Piece, Preparing, ServiceSummary, data_error, unresolved};
use crate::adapter::sqlite::{Kind, Scope, location};
use crate::capability::Grants;
use crate::capability::key_value::KeyValue;
use crate::capability::key_value::port::KeyValueStore;
use crate::capability::outbound_http::OutboundHttp;
use crate::capability::sqlite::Sqlite;
use crate::capability::sqlite::port::{Bounds, Database};
use crate::capability::variables::Variables;
use crate::engine::{Foreign, Origin, Program};
use crate::host::grants;
use crate::host::runtime_config::{KeyValueBackend, SqliteBackend};
use crate::host::{Error, limits, linking};
use crate::link::ResolvedLink;
use crate::model::outbound_host::AllowedHosts;
use crate::model::{DataScope, Label, Limits, RevisionId};
use crate::service::journal::Recorded;
use crate::service::{Identity, Revision};

/// A revision with what it was made of.
pub(in crate::host) struct Member {
    pub(in crate::host) piece: Arc<Piece>,
    pub(in crate::host) revision: Arc<Revision>,
    /// Its links to others.
    pub(in crate::host) links: Vec<ResolvedLink>,
    /// What it may touch.
    pub(in crate::host) touches: grants::Grants,
    pub(in crate::host) summary: ServiceSummary,
    /// When it was published.
    pub(in crate::host) published: OnceLock<SystemTime>,
}

impl Member {
    /// The same revision, as another piece has it: whose manifest entry says the same, in another manifest.
    pub(in crate::host) fn again(
        present: &Arc<Self>,
        piece: &Arc<Piece>,
        links: Vec<ResolvedLink>,
    ) -> Arc<Self> {
        Arc::new(Self {
            piece: piece.clone(),
            revision: present.revision.clone(),
            links,
            touches: present.touches.clone(),
            summary: present.summary.clone(),
            published: present.published.clone(),
        })
    }

    /// How to make it again.
    pub(in crate::host) fn recorded(&self) -> Recorded {
        Recorded {
            revision: self.revision.id(),
            component: self.piece.compiled.digest(),
            source: self.piece.source,
            files: self.piece.staged.as_ref().map(|staged| staged.digest),
            manifest: self.piece.edition.digest(),
            origin: self.piece.origin,
        }
    }
}

/// What the manifest entry of a piece resolves to.
pub(in crate::host) struct Parts {
    /// The identity of the revision.
    pub(in crate::host) id: RevisionId,
    grants: Grants,
    hosts: Vec<String>,
    foreign: Vec<Foreign>,
    data: Vec<DataPlace>,
    limits: Limits,
}

impl Preparing {
    /// Resolves the manifest entry of a piece whose own links are `links`.
    pub(in crate::host) fn parts(&self, piece: &Piece, links: &[ResolvedLink]) -> Result<Parts, Error> {
        let Piece { edition, service, .. } = piece;
        let config = &self.options.runtime_config;
        let mut identity = Identity::of(&piece.compiled.digest(), self.key);
        let limits = limits::of(service, config)?;
        identity.add("limits", format!("{limits:?}").as_bytes());
        identity.add("instances", format!("{:?}", service.instances).as_bytes());

        let values = edition
            .variables
            .service_variables(service)
            .map_err(|source| unresolved(service, source))?;
        for (name, template) in &service.variables {
            let Some(value) = values.get(name) else { continue };
            if edition.variables.is_secret(template) {
                identity.add_secret("variable", name, value);
            } else {
                identity.add_value("variable", name, value.expose());
            }
        }
        let mut environment = service.environment.clone();
        environment.extend(self.options.environment.clone());
        for (name, value) in &environment {
            identity.add_value("environment", name, value);
        }
        if let Some(staged) = &piece.staged {
            identity.add("files", staged.digest.as_bytes());
        }
        let (hosts, allowed) = self.allowed_hosts(piece, &mut identity)?;
        let (key_value, sqlite, data) = self.data(piece, limits.database_size, &mut identity)?;
        let foreign = linking::foreign(
            edition.app.name.as_str(),
            service,
            links,
            &self.metrics,
            &self.tracer,
            &mut identity,
        );
        let grants = Grants {
            environment: environment.into_iter().collect(),
            files: piece.staged.as_ref().map(|staged| staged.directory.clone()),
            variables: Variables::new(values),
            key_value,
            sqlite,
            outbound_http: Arc::new(OutboundHttp::new(allowed, config.block_networks.clone())),
            http_client: self.client.clone(),
            clock: None,
        };
        Ok(Parts {
            id: identity.finish(),
            grants,
            hosts,
            foreign,
            data,
            limits,
        })
    }

    /// Links a piece and makes it a revision.
    pub(in crate::host) fn member(
        &self,
        piece: &Arc<Piece>,
        parts: Parts,
        links: Vec<ResolvedLink>,
    ) -> Result<Arc<Member>, Error> {
        let Piece { edition, service, .. } = piece.as_ref();
        let touches = grants::grants(
            &edition.app,
            service,
            &piece.compiled.imports(),
            &parts.hosts,
            &links,
        );
        let code = self.engines.link(&piece.compiled, parts.foreign);
        let code = code
            .and_then(|code| code.check(&parts.limits, &service.instances).map(|()| code))
            .map_err(|source| Error::Compile {
                service: service.name.clone(),
                component: piece.label.clone(),
                source,
            })?;
        let id = parts.id;
        let metrics =
            self.metrics
                .revision(edition.app.name.as_str(), service.name.as_str(), &id.to_string());
        let program = Program::new(
            self.engines.clone(),
            service.name.clone(),
            id,
            code,
            &service.instances,
            parts.limits,
            parts.grants,
            metrics.clone(),
            self.tasks.clone(),
        );
        let summary = ServiceSummary {
            service: service.name.clone(),
            revision: id,
            compiled: match piece.compiled.origin() {
                Origin::Cached => None,
                Origin::Compiled(took) => Some(took),
            },
            data: parts.data,
            links: links.clone(),
        };
        Ok(Arc::new(Member {
            revision: Arc::new(Revision::new(service.name.clone(), id, program, metrics)),
            piece: piece.clone(),
            links,
            touches,
            summary,
            published: OnceLock::new(),
        }))
    }

    /// The allowed hosts as texts, and as what requests are held against.
    fn allowed_hosts(
        &self,
        piece: &Piece,
        identity: &mut Identity,
    ) -> Result<(Vec<String>, AllowedHosts), Error> {
        let Piece { edition, service, .. } = piece;
        let mut entries = Vec::new();
        for host in &service.allowed_outbound_hosts {
            if edition.variables.is_secret(&host.template) {
                // Denials and errors show hosts.
                return Err(Error::SecretHost {
                    location: host.location.clone(),
                });
            }
            let entry = edition
                .variables
                .resolve_template(&host.template)
                .map_err(|source| unresolved(service, source))?;
            // Each alone first, so that an error has its place.
            AllowedHosts::parse([&entry]).map_err(|source| Error::AllowedHost {
                location: host.location.clone(),
                source,
            })?;
            identity.add("allowed host", entry.as_bytes());
            entries.push(entry);
        }
        let location = service.location.clone();
        let allowed =
            AllowedHosts::parse(&entries).map_err(|source| Error::AllowedHost { location, source })?;
        Ok((entries, allowed))
    }

    fn data(
        &self,
        piece: &Piece,
        size: Option<u64>,
        identity: &mut Identity,
    ) -> Result<(KeyValue, Sqlite, Vec<DataPlace>), Error> {
        let Piece { edition, service, .. } = piece;
        let config = &self.options.runtime_config;
        let max_bytes = size.unwrap_or(config.midplane.sqlite.max_database_bytes);
        identity.add("data", edition.app.data.to_string().as_bytes());
        let mut places = Vec::new();
        let mut stores: BTreeMap<Label, Arc<dyn KeyValueStore>> = BTreeMap::new();
        for label in &service.key_value_stores {
            identity.add("key-value store", label.as_str().as_bytes());
            let fixed = config
                .key_value_stores
                .get(label)
                .map(|KeyValueBackend::Spin { path }| path.as_path());
            let path = self.place(piece, Kind::KeyValue, label, fixed);
            let store = self
                .sqlite
                .key_value(&path, size)
                .map_err(|source| data_error(service, label, source))?;
            stores.insert(label.clone(), store);
            places.push(DataPlace {
                kind: "key-value",
                label: label.clone(),
                path,
                max_bytes,
            });
        }
        let mut databases: BTreeMap<Label, Arc<dyn Database>> = BTreeMap::new();
        for label in &service.sqlite_databases {
            identity.add("database", label.as_str().as_bytes());
            let fixed = config
                .sqlite_databases
                .get(label)
                .map(|SqliteBackend::Spin { path }| path.as_path());
            let path = self.place(piece, Kind::Sqlite, label, fixed);
            let database = self
                .sqlite
                .database(&path, size)
                .map_err(|source| data_error(service, label, source))?;
            databases.insert(label.clone(), database);
            places.push(DataPlace {
                kind: "sqlite",
                label: label.clone(),
                path,
                max_bytes,
            });
        }
        let key_value = KeyValue::new(stores);
        let sqlite = Sqlite::new(databases, Bounds::default());
        Ok((key_value, sqlite, places))
    }

    /// A path of the runtime configuration is one file for everyone who has the label, as in Spin.
    fn place(&self, piece: &Piece, kind: Kind, label: &Label, fixed: Option<&Path>) -> PathBuf {
        let app = &piece.edition.app;
        let scope = match app.data {
            DataScope::App => Scope::App,
            DataScope::PerService => Scope::Service(piece.service.name.as_str()),
        };
        match fixed {
            Some(path) => path.to_owned(),
            None => location(&self.state_dir, app.name.as_str(), scope, kind, label.as_str()),
        }
    }
}
