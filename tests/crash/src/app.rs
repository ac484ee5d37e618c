//! The apps that are killed: four services with data, and one that is only there to be deployed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use midplane_storm::stamp;

/// The name of the app.
pub const NAME: &str = "crash-storm";

/// The services with data, and the fixture of each.
pub const SERVICES: [(&str, &str); 4] = [
    ("p2-a", "data-p2"),
    ("p2-b", "data-p2"),
    ("p3-a", "data-p3"),
    ("p3-b", "data-p3"),
];

/// The service that says which revision it is.
pub const VERSION: &str = "version";

/// The label of all data.
pub const LABEL: &str = "default";

/// The fixtures that are needed.
pub const FIXTURES: [&str; 3] = ["data-p2", "data-p3", "swap"];

/// So many revisions take turns in deploys.
const REVISIONS: u64 = 6;

/// To whom a data label belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// To each service on its own: eight files.
    PerService,
    /// To the app, as in Spin: two files, which all services write at the same time.
    App,
}

impl Sharing {
    /// Both.
    pub const ALL: [Self; 2] = [Self::PerService, Self::App];

    /// As the manifest says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PerService => "per-service",
            Self::App => "app",
        }
    }

    /// The store of a service.
    pub fn store(self, service: &str, kind: Kind) -> Store {
        let owner = match self {
            Self::PerService => service,
            Self::App => "_shared",
        };
        Store {
            owner: owner.to_owned(),
            kind,
        }
    }

    /// All stores, each once.
    pub fn stores(self) -> Vec<Store> {
        let services = match self {
            Self::PerService => &SERVICES[..],
            Self::App => &SERVICES[..1],
        };
        let all = services
            .iter()
            .flat_map(|(service, _)| Kind::ALL.map(|kind| self.store(service, kind)));
        all.collect()
    }
}

/// What kind of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A key-value store.
    KeyValue,
    /// A database.
    Sqlite,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::KeyValue, Self::Sqlite];

    /// The name of its directory.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeyValue => "key-value",
            Self::Sqlite => "sqlite",
        }
    }
}

/// A file with data.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Store {
    owner: String,
    /// What is in it.
    pub kind: Kind,
}

impl Store {
    /// As the record names it.
    pub fn name(&self) -> String {
        format!("{}/{}", self.owner, self.kind.as_str())
    }

    /// Where it is below a state directory, which is a promise to operators (`README.md`).
    pub fn path(&self, state: &Path) -> PathBuf {
        let folder = state.join("data").join(NAME).join(&self.owner);
        folder.join(self.kind.as_str()).join(LABEL).with_extension("db")
    }
}

/// The key of a register that one writer of a service writes, so that it is known which service wrote it.
pub fn key(service: &str, writer: usize, number: u64) -> String {
    format!("{service}-{writer}-{number}")
}

/// The components.
pub struct Components {
    version: Vec<u8>,
    data: Vec<(&'static str, Vec<u8>)>,
}

impl Components {
    /// Reads the fixtures from the folder that they were built into.
    ///
    /// # Errors
    /// For a file that is not there or no component.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let read = |name: &str| -> anyhow::Result<Vec<u8>> {
            let path = folder.join(name.replace('-', "_")).with_extension("wasm");
            let bytes = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
            stamp::stripped(&bytes).with_context(|| format!("{} cannot be stripped", path.display()))
        };
        let data = ["data-p2", "data-p3"].map(|name| read(name).map(|bytes| (name, bytes)));
        Ok(Self {
            version: read("swap")?,
            data: data.into_iter().collect::<anyhow::Result<_>>()?,
        })
    }

    /// Writes an app into a folder: its manifest, and the components that this names.
    ///
    /// # Errors
    /// Those of the folder.
    pub fn write(&self, folder: &Path, sharing: Sharing) -> anyhow::Result<()> {
        let put = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            fs::write(&path, bytes).with_context(|| format!("{} cannot be written", path.display()))
        };
        put("version.wasm", &self.version(0)?)?;
        for (name, bytes) in &self.data {
            put(&format!("{name}.wasm"), bytes)?;
        }
        put("spin.toml", manifest(sharing).as_bytes())
    }

    /// What a revision of [`VERSION`] says of itself; several deploys have the same.
    pub fn says(deploy: u64) -> String {
        format!("r{}", deploy % REVISIONS)
    }

    /// The component of [`VERSION`] in a deploy; 0 is what the manifest has.
    ///
    /// # Errors
    /// Never, for the fixture.
    pub fn version(&self, deploy: u64) -> anyhow::Result<Vec<u8>> {
        stamp::overwritten(
            &self.version,
            b"swap-stamp:",
            &format!("good_:{:_<16}", Self::says(deploy)),
        )
    }

    /// The component of a service with data in a deploy: the same code, and other bytes.
    pub fn data(&self, service: &str, deploy: u64) -> Vec<u8> {
        let fixture = SERVICES.iter().find(|(name, _)| *name == service);
        let found = fixture.and_then(|(_, fixture)| self.data.iter().find(|(name, _)| name == fixture));
        let mut bytes = found.map(|(_, bytes)| bytes.clone()).unwrap_or_default();
        // A custom section (id 0, size, name): "deploy-0" or "deploy-1".
        bytes.extend([0, 9, 8]);
        bytes.extend(format!("deploy-{}", deploy % 2).bytes());
        bytes
    }
}

fn manifest(sharing: Sharing) -> String {
    let mut text = format!(
        "spin_manifest_version = 2\n\n[application]\nname = {NAME:?}\nversion = \"1.0.0\"\n\n\
         [application.tool.midplane]\ndata = {:?}\n",
        sharing.as_str()
    );
    let mut add = |service: &str, file: &str, grants: &str| {
        text.push_str(&format!(
            "\n[[trigger.http]]\nroute = \"/{service}/...\"\ncomponent = {service:?}\n\n\
             [component.{service}]\nsource = \"{file}.wasm\"\n{grants}"
        ));
    };
    for (service, fixture) in SERVICES {
        let grants = format!("sqlite_databases = [{LABEL:?}]\nkey_value_stores = [{LABEL:?}]\n");
        add(service, fixture, &grants);
    }
    add(VERSION, VERSION, "");
    text
}
