//! From what a test says of a service to the service: what preparing does for an app, for one service without a manifest.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt, ready};
use tempfile::TempDir;

use super::process::{self, MAX_MEMORY};
use super::stub::{Answer, Interface, Record, Respond};
use super::{Clock, Error, Service, contract};
use crate::adapter::blocking::{Blocking, BlockingSettings};
use crate::adapter::http_client::{self, PooledClient, Spawner};
use crate::adapter::sqlite::{Kind, Scope, SqliteData, SqliteSettings, Synchronous, location};
use crate::capability::Grants;
use crate::capability::key_value::KeyValue;
use crate::capability::outbound_http::{Body, ClientOptions, HttpClient, HttpClientError, OutboundHttp};
use crate::capability::sqlite::Sqlite;
use crate::capability::sqlite::port::Bounds;
use crate::capability::variables::Variables;
use crate::engine::{Compiled, Engines, Foreign, Program, Target, Value};
use crate::link::{self, Contract};
use crate::model::outbound_host::{AllowedHosts, BlockedNetworks};
use crate::model::route::RoutePattern;
use crate::model::{
    AppName, Instances, InterfaceName, Label, Limits, NameError, Secret, ServiceName, VariableName,
};
use crate::service::router::Router;
use crate::service::{self, Generation, Identity, Revision};
use crate::shutdown::Tasks;
use crate::telemetry::Metrics;

/// The app that every service under test belongs to.
const APP: &str = "testing";

/// A component, as a test has it: the path of its file, or its bytes.
#[derive(Debug, Clone)]
pub enum Component {
    /// The file.
    File(PathBuf),
    /// What would be in the file.
    Bytes(Vec<u8>),
}

macro_rules! component {
    ($($from:ty => $variant:ident),+ $(,)?) => {
        $(impl From<$from> for Component {
            fn from(component: $from) -> Self {
                Self::$variant(component.into())
            }
        })+
    };
}

component!(&str => File, String => File, &Path => File, &PathBuf => File, PathBuf => File, Vec<u8> => Bytes, &[u8] => Bytes);

/// What a service under test is given. Nothing is checked before [`start`](Self::start).
pub struct Builder {
    component: Component,
    name: String,
    route: String,
    stubs: Vec<Given>,
    variables: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    sqlite: Vec<String>,
    key_value: Vec<String>,
    outbound: Vec<String>,
    files: Option<PathBuf>,
    limits: Limits,
    instances: Instances,
    clock: Option<Clock>,
}

/// A stub, as it was given.
struct Given {
    interface: String,
    /// `None` for all of the interface.
    function: Option<String>,
    respond: Respond,
}

impl Builder {
    pub(super) fn new(component: Component) -> Self {
        Self {
            component,
            name: "service".to_owned(),
            route: "/...".to_owned(),
            stubs: Vec::new(),
            variables: BTreeMap::new(),
            environment: BTreeMap::new(),
            sqlite: Vec::new(),
            key_value: Vec::new(),
            outbound: Vec::new(),
            files: None,
            limits: Limits::default(),
            instances: Instances::default(),
            clock: None,
        }
    }

    /// The name of the service; `service` if none is given.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The route that leads to it, as in a manifest; `/...` if none is given.
    #[must_use]
    pub fn route(mut self, route: impl Into<String>) -> Self {
        self.route = route.into();
        self
    }

    /// Answers an imported function in place of the service that exports it. A stub of `1.2.0` serves an import of `1.0.0`,
    /// as a service would; of two stubs of one function the later one counts.
    ///
    /// ```
    /// # use midplane::testing::{Service, value};
    /// # let (interface, function) = ("shop:auth/tokens@1.0.0", "verify");
    /// # let builder = Service::builder("auth.wasm");
    /// builder.stub(interface, function, |arguments| async move {
    ///     match arguments.first().and_then(value::text) {
    ///         Some("a good one") => Ok(value::ok(value::record([("subject", value::string("me"))]))),
    ///         _ => Err("the service is away"),
    ///     }
    /// })
    /// # ;
    /// ```
    #[must_use]
    pub fn stub<F, R>(mut self, interface: impl Into<String>, function: impl Into<String>, respond: F) -> Self
    where
        F: Fn(Vec<Value>) -> R + Send + Sync + 'static,
        R: Future<Output: Into<Answer>> + Send + 'static,
    {
        self.stubs.push(Given {
            interface: interface.into(),
            function: Some(function.into()),
            respond: Arc::new(move |arguments| respond(arguments).map(Into::into).boxed()),
        });
        self
    }

    /// The same with a closure that has its answer at once.
    #[must_use]
    pub fn stub_sync<F, A>(
        self,
        interface: impl Into<String>,
        function: impl Into<String>,
        respond: F,
    ) -> Self
    where
        F: Fn(Vec<Value>) -> A + Send + Sync + 'static,
        A: Into<Answer>,
    {
        self.stub(interface, function, move |arguments| {
            ready(respond(arguments).into())
        })
    }

    /// Lets every call of an imported interface fail, as if the service that exports it were away.
    #[must_use]
    pub fn unavailable(mut self, interface: impl Into<String>) -> Self {
        self.stubs.push(Given {
            interface: interface.into(),
            function: None,
            respond: Arc::new(|_| ready(Answer::failure("it is away")).boxed()),
        });
        self
    }

    /// Gives it a variable of the app.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Gives it an environment variable.
    #[must_use]
    pub fn environment(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Grants it a database, new and empty.
    #[must_use]
    pub fn sqlite(mut self, label: impl Into<String>) -> Self {
        self.sqlite.push(label.into());
        self
    }

    /// Grants it a key-value store, new and empty.
    #[must_use]
    pub fn key_value(mut self, label: impl Into<String>) -> Self {
        self.key_value.push(label.into());
        self
    }

    /// Lets it send requests there, as `allowed_outbound_hosts` of a manifest does. Without any, nothing goes out.
    #[must_use]
    pub fn allow_outbound(mut self, host: impl Into<String>) -> Self {
        self.outbound.push(host.into());
        self
    }

    /// Gives it a folder as its file system, read-only. Unlike the files of a manifest these are no copies.
    #[must_use]
    pub fn files(mut self, folder: impl Into<PathBuf>) -> Self {
        self.files = Some(folder.into());
        self
    }

    /// Its limits; those of a manifest that says nothing, if none are given.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How its instances serve; as those of a manifest that says nothing, if it is not said.
    #[must_use]
    pub fn instances(mut self, instances: Instances) -> Self {
        self.instances = instances;
        self
    }

    /// Tells it the time by this clock; by the system's, if none is given.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Loads the service: compiles its component (once for a process, and from a cache if an earlier run has), and links it.
    /// Nothing of it runs before the first request or call.
    ///
    /// # Errors
    /// [`Error`] says what is wrong with the component or with what it is given.
    ///
    /// # Panics
    /// Outside a Tokio runtime with time and I/O enabled.
    pub async fn start(self) -> Result<Service, Error> {
        let name = parse(&self.name, ServiceName::parse)?;
        let app = parse(APP, AppName::parse)?;
        let route = RoutePattern::parse(&self.route).map_err(|source| Error::Route {
            route: self.route.clone(),
            source,
        })?;
        self.check_limits()?;
        let tasks = Tasks::new();
        let (engines, compiled) = load(&tasks, self.component.clone()).await?;
        let component = compiled.component();
        let exports = link::exports(component).map_err(Error::Contracts)?.contracts;
        let record = Arc::new(Record::default());
        let foreign = self.foreign(&compiled, &record)?;
        let code = engines
            .link(&compiled, foreign)
            .map_err(|error| Error::Compile(Arc::new(error)))?;

        let folder = tempfile::Builder::new()
            .prefix("midplane-testing-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .map_err(Error::Folder)?;
        let data = data();
        let (grants, databases) = self.grants(&name, &folder, &data, &tasks)?;
        let id = Identity::of(&compiled.digest(), [0; 32]).finish();
        let metrics = Metrics::new().revision(APP, name.as_str(), &id.to_string());
        let program = Program::new(
            engines,
            name.clone(),
            id,
            code,
            &self.instances,
            self.limits.clone(),
            grants,
            metrics.clone(),
            tasks,
        );
        let revision = Arc::new(Revision::new(name.clone(), id, program, metrics));
        let routes = Router::new(vec![(route, service::Target::Service(name.clone()))]);
        let services = BTreeMap::from([(name, revision.clone())]);
        let generation = Arc::new(Generation::new(app, 1, routes, services));
        Ok(Service::new(
            revision, generation, exports, record, databases, data, folder,
        ))
    }

    /// The pools of a process are as large as they are.
    fn check_limits(&self) -> Result<(), Error> {
        let most = Limits::default().table_elements;
        let limits = [
            ("instance_memory", self.limits.instance_memory, MAX_MEMORY),
            ("table_elements", self.limits.table_elements.into(), most.into()),
        ];
        match limits.into_iter().find(|(_, given, most)| given > most) {
            Some((limit, given, most)) => Err(Error::Limit { limit, given, most }),
            None => Ok(()),
        }
    }

    /// The stubs, as the component is linked with them.
    fn foreign(&self, compiled: &Compiled, record: &Arc<Record>) -> Result<Vec<Foreign>, Error> {
        let imports = link::imports(compiled.component(), &contract::is_of_the_host)
            .map_err(Error::Contracts)?
            .contracts;
        let mut stubs = vec![BTreeMap::new(); imports.len()];
        for given in &self.stubs {
            let interface = contract::interface(&given.interface)?;
            let not_imported = |stub: String| Error::NotImported {
                stub,
                imports: contract::list(&imports),
            };
            let serves = |import: &InterfaceName| interface == *import || interface.serves(import);
            let mut found = false;
            for (import, stubs) in imports.iter().zip(&mut stubs) {
                if !serves(&import.interface) {
                    continue;
                }
                found = true;
                if let Some(function) = &given.function
                    && !import.functions.contains_key(function)
                {
                    return Err(not_imported(format!("`{function}` of `{interface}`")));
                }
                for function in import.functions.keys() {
                    if given.function.as_ref().is_none_or(|given| given == function) {
                        stubs.insert(function.clone(), given.respond.clone());
                    }
                }
            }
            if !found {
                return Err(not_imported(format!("`{interface}`")));
            }
        }
        // What has types only needs nobody who answers.
        let (stubbed, missing): (Vec<_>, Vec<_>) = imports
            .into_iter()
            .zip(stubs)
            .filter(|(import, _)| !import.functions.is_empty() || !import.items.is_empty())
            .partition(|(_, stubs)| !stubs.is_empty());
        if !missing.is_empty() {
            let missing: Vec<Contract> = missing.into_iter().map(|(import, _)| import).collect();
            return Err(Error::NotStubbed {
                imports: contract::list(&missing),
            });
        }
        stubbed
            .into_iter()
            .map(|(import, stubs)| {
                if let Some(refused) = link::unsupported(&import).first() {
                    return Err(Error::Unsupported {
                        reason: refused.to_string(),
                    });
                }
                Ok(Foreign {
                    interface: import.interface.clone(),
                    target: Target::Stub(Arc::new(Interface::new(import, stubs, record.clone()))),
                })
            })
            .collect()
    }

    fn grants(
        &self,
        name: &ServiceName,
        folder: &TempDir,
        data: &SqliteData,
        tasks: &Tasks,
    ) -> Result<(Grants, BTreeMap<String, PathBuf>), Error> {
        let place = |kind, label: &Label| {
            let scope = Scope::Service(name.as_str());
            location(folder.path(), APP, scope, kind, label.as_str())
        };
        let failed = |label: &Label| {
            let label = label.to_string();
            |source| Error::Data { label, source }
        };
        let mut stores = BTreeMap::new();
        for label in &self.key_value {
            let label = parse(label, Label::parse)?;
            let store = data
                .key_value(&place(Kind::KeyValue, &label), self.limits.database_size)
                .map_err(failed(&label))?;
            stores.insert(label, store);
        }
        let mut databases = BTreeMap::new();
        let mut paths = BTreeMap::new();
        for label in &self.sqlite {
            let label = parse(label, Label::parse)?;
            let path = place(Kind::Sqlite, &label);
            paths.insert(label.to_string(), path.clone());
            let database = data
                .database(&path, self.limits.database_size)
                .map_err(failed(&label))?;
            databases.insert(label, database);
        }
        let mut variables = BTreeMap::new();
        for (name, value) in &self.variables {
            parse(name, VariableName::parse)?;
            variables.insert(name.clone(), Secret::new(value.as_str()));
        }
        let hosts = AllowedHosts::parse(&self.outbound).map_err(Error::AllowedHost)?;
        let grants = Grants {
            environment: self
                .environment
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            files: self.files.clone(),
            variables: Variables::new(variables),
            key_value: KeyValue::new(stores),
            sqlite: Sqlite::new(databases, Bounds::default()),
            outbound_http: Arc::new(OutboundHttp::new(hosts, BlockedNetworks::default())),
            http_client: self.http_client(tasks)?,
            clock: self.clock.clone().map(|clock| {
                let clock: Arc<dyn crate::capability::Clock> = Arc::new(clock);
                clock
            }),
        };
        Ok((grants, paths))
    }

    /// Reading the system's certificates takes a while, so only who may send something has a client.
    fn http_client(&self, tasks: &Tasks) -> Result<Arc<dyn HttpClient>, Error> {
        if self.outbound.is_empty() {
            return Ok(Arc::new(Nobody));
        }
        let tasks = tasks.clone();
        // Dropping the handle detaches the task; it ends with the runtime.
        let spawner = Spawner::new(move |task| drop(tasks.background("outbound", task)));
        let client =
            PooledClient::load(http_client::Settings::default(), spawner).map_err(Error::HttpClient)?;
        Ok(Arc::new(client))
    }
}

/// The client of a service that may send nothing; it is never asked.
struct Nobody;

impl HttpClient for Nobody {
    fn send(
        &self,
        _: http::Request<Body>,
        _: ClientOptions,
    ) -> BoxFuture<'static, Result<http::Response<Body>, HttpClientError>> {
        ready(Err(HttpClientError::DestinationNotFound)).boxed()
    }
}

fn parse<T>(name: &str, parse: impl FnOnce(&str) -> Result<T, NameError>) -> Result<T, Error> {
    parse(name).map_err(|source| Error::Name {
        name: name.to_owned(),
        source,
    })
}

/// The engines, and the component compiled for one of them.
async fn load(tasks: &Tasks, component: Component) -> Result<(Arc<Engines>, Arc<Compiled>), Error> {
    let loaded = tasks.blocking("prepare", move || {
        let bytes = match component {
            Component::Bytes(bytes) => bytes,
            Component::File(path) => match std::fs::read(&path) {
                Ok(bytes) => bytes,
                Err(source) => return Err(Error::Read { path, source }),
            },
        };
        let engines = process::engines()?;
        let compiled = process::compiled(&engines, &bytes)?;
        Ok((engines, compiled))
    });
    loaded.await.map_err(|_| Error::Interrupted)?
}

/// Data that need not outlive a failure of the machine.
fn data() -> SqliteData {
    let settings = SqliteSettings {
        synchronous: Synchronous::Normal,
        ..SqliteSettings::default()
    };
    SqliteData::new(settings, Blocking::new(BlockingSettings::default()))
}
