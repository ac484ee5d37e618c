//! What `midplane new` and `midplane add` write: an app, and services in it, from the templates in `host/templates`.
//!
//! Nothing is ever overwritten, and all is written or nothing: what would be written is known, and the manifest that comes
//! out of it was parsed, before the first file is made ([`write`]). Existing files are edited as text, so that comments,
//! order and blanks stay ([`edit`]).

mod contract;
mod edit;
mod error;
mod inherit;
mod name;
mod template;
mod write;

#[cfg(test)]
mod tests;

pub(super) use error::ScaffoldError;
pub(super) use name::{Kind, Word};
pub(super) use write::Written;

use std::path::{Path, PathBuf};

use self::contract::Contract;
use self::edit::Calls;
use self::template::Values;
use self::write::Changes;
use crate::manifest::{self, App, TriggerRoute};
use crate::model::ServiceName;
use crate::model::route::RoutePattern;

/// Where the services' crates are, from the manifest on.
const WORKSPACE: &str = "components/Cargo.toml";

/// An app that was made.
#[derive(Debug)]
pub(super) struct NewApp {
    pub(super) name: Word,
    pub(super) directory: PathBuf,
    pub(super) written: Written,
}

/// A service that was added.
#[derive(Debug)]
pub(super) struct NewService {
    pub(super) app: Word,
    pub(super) name: Word,
    /// Where the app is.
    pub(super) directory: PathBuf,
    /// The services that it calls.
    pub(super) uses: Vec<Word>,
    /// Those of them that call services themselves, which plain Spin cannot compose.
    pub(super) chained: Vec<Word>,
    /// A service that was there before, is made like this one, and could call it.
    pub(super) caller: Option<Word>,
}

/// Makes an app in `directory`, which must be empty or not exist.
///
/// # Errors
/// [`ScaffoldError`] says why nothing was made.
pub(super) fn new_app(name: &str, directory: &Path) -> Result<NewApp, ScaffoldError> {
    let name = Word::parse(Kind::App, name)?;
    write::check_empty(directory)?;
    let values = app_values(&name);
    let mut changes = Changes::new(directory);
    for (file, text) in template::render(template::APP, &values, &[]) {
        changes.create(file, text);
    }
    let written = changes.apply()?;
    Ok(NewApp {
        name,
        directory: directory.to_owned(),
        written,
    })
}

/// Adds the service `name`, which calls the services `uses`, to the app whose manifest is at `from`.
///
/// # Errors
/// [`ScaffoldError`] says why nothing was changed.
pub(super) fn add_service(from: &Path, name: &str, uses: &[String]) -> Result<NewService, ScaffoldError> {
    let service = Word::parse(Kind::Service, name)?;
    let app = manifest::load(from)?;
    let app_word = Word::parse(Kind::App, app.name.as_str())?;
    let manifest_text = read(&app.file)?;
    let workspace_file = app.dir.join(WORKSPACE);
    if !workspace_file.is_file() {
        return Err(ScaffoldError::NoWorkspace { file: workspace_file });
    }
    let workspace_text = read(&workspace_file)?;
    check_free(&app, &service)?;
    let used = used_services(&app, &app_word, &service, uses)?;

    let mut values = app_values(&app_word);
    values.set("service", service.as_str());
    values.set("service_snake", service.snake());
    let each: Vec<Values> = used.iter().map(Used::values).collect();

    let addition = template::fill(template::MANIFEST, &values, &each);
    let new_manifest = edit::append(&manifest_text, &addition);
    manifest::parse(&new_manifest, &app.file).map_err(|source| ScaffoldError::Manifest { source })?;
    let members = [service.as_str().to_owned(), format!("{service}/domain")];
    let new_workspace =
        edit::add_members(&workspace_text, &members).map_err(|reason| ScaffoldError::Members {
            file: workspace_file.clone(),
            reason,
        })?;
    let missing = inherit::missing(&workspace_text);
    if !missing.is_empty() {
        return Err(ScaffoldError::Inherit {
            file: workspace_file,
            missing,
        });
    }

    let mut changes = Changes::new(&app.dir);
    for (file, text) in template::render(template::SERVICE, &values, &each) {
        changes.create(file, text);
    }
    for other in &each {
        for (file, text) in template::render(template::LINK, &values.and(other), &[]) {
            changes.create(file, text);
        }
    }
    changes.replace(workspace_file, workspace_text, new_workspace);
    // The manifest comes last: what it names is there by then.
    changes.replace(app.file.clone(), manifest_text.clone(), new_manifest);
    changes.apply()?;

    let calls = edit::calls(&manifest_text);
    let uses: Vec<Word> = used.into_iter().map(|used| used.name).collect();
    Ok(NewService {
        chained: uses
            .iter()
            .filter(|other| calls.callers.contains(other.as_str()))
            .cloned()
            .collect(),
        // Plain Spin composes one step deep: who is called calls nobody.
        caller: if uses.is_empty() {
            caller(&app, &calls)
        } else {
            None
        },
        app: app_word,
        name: service,
        directory: app.dir,
        uses,
    })
}

fn app_values(app: &Word) -> Values {
    let mut values = Values::default();
    values.set("app", app.as_str());
    values.set("app_snake", app.snake());
    values
}

/// Refuses a service that the app has, by its name, its route or its directories.
fn check_free(app: &App, service: &Word) -> Result<(), ScaffoldError> {
    let taken = |what: String| {
        Err(ScaffoldError::Taken {
            service: service.clone(),
            what,
        })
    };
    if app.services.keys().any(|name| name.as_str() == service.as_str()) {
        return taken(format!("the app has a component `{service}`"));
    }
    let route = format!("/{service}/...");
    for trigger in &app.triggers {
        if let TriggerRoute::Path(pattern) = &trigger.route
            && RoutePattern::parse(&route).is_ok_and(|route| route == *pattern)
        {
            return taken(format!("the route {route} is taken at {}", trigger.location));
        }
    }
    let contract = format!("wit/{}-{service}", app.name);
    for directory in [format!("components/{service}"), contract] {
        // A link that leads nowhere is something, too.
        if app.dir.join(&directory).symlink_metadata().is_ok() {
            return taken(format!("{directory} exists"));
        }
    }
    Ok(())
}

/// A service that the new one calls.
struct Used {
    name: Word,
    contract: Contract,
    /// Its component file, from the manifest on.
    source: String,
}

impl Used {
    fn values(&self) -> Values {
        let mut values = Values::default();
        values.set("other", self.name.as_str());
        values.set("other_snake", self.name.snake());
        values.set("other_camel", self.name.camel());
        values.set("other_version", self.contract.version.to_string());
        values.set("other_source", self.source.clone());
        values
    }
}

/// The services of `names`, in alphabetical order, each once.
fn used_services(
    app: &App,
    app_word: &Word,
    service: &Word,
    names: &[String],
) -> Result<Vec<Used>, ScaffoldError> {
    let mut names: Vec<&String> = names.iter().collect();
    names.sort_unstable();
    names.dedup();
    let mut used = Vec::with_capacity(names.len());
    for name in names {
        if name == service.as_str() {
            return Err(ScaffoldError::UsesItself {
                service: service.clone(),
            });
        }
        let declared = ServiceName::parse(name)
            .ok()
            .and_then(|name| app.services.get(&name));
        let Some(declared) = declared else {
            return Err(ScaffoldError::UnknownUsed {
                name: name.clone(),
                known: app.services.keys().cloned().collect(),
            });
        };
        let word = Word::parse(Kind::Service, name)?;
        let directory = app.dir.join(format!("wit/{app_word}-{word}"));
        let source = declared.source.strip_prefix(&app.dir).unwrap_or(&declared.source);
        used.push(Used {
            contract: contract::read(&directory, app_word, &word)?,
            source: source.to_string_lossy().into_owned(),
            name: word,
        });
    }
    Ok(used)
}

/// The first service, by name, that has the bindings file of the templates and is called by none.
fn caller(app: &App, calls: &Calls) -> Option<Word> {
    app.services
        .keys()
        .filter(|name| !calls.callees.contains(name.as_str()))
        .filter_map(|name| Word::parse(Kind::Service, name.as_str()).ok())
        .find(|name| app.dir.join(bindings_file(name)).is_file())
}

/// Where the contracts of a service become Rust.
pub(super) fn bindings_file(service: &Word) -> String {
    format!("components/{service}/src/bindings.rs")
}

/// A file that will be edited.
fn read(file: &Path) -> Result<String, ScaffoldError> {
    std::fs::read_to_string(file).map_err(|source| ScaffoldError::Read {
        file: file.to_owned(),
        source,
    })
}
