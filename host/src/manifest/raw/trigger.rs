//! `[[trigger.http]]` as it is written, and the refusal of every other type of trigger.

use toml::Spanned;

use super::Component;
use crate::manifest::error::{Fault, shorten};
use crate::manifest::nearest::nearest;
use crate::manifest::read::{Entries, Item, Owner, Read, Result, Table, fail};

const NO_MIDDLEWARE: &str = "compose the middleware into the component at build time (`wac plug`)";
const ONLY_HTTP: &str = "an app has `[[trigger.http]]` triggers only; remove this one, or serve it with Spin";

/// `[[trigger.http]]`.
pub(in crate::manifest) struct HttpTrigger {
    pub(in crate::manifest) id: Option<String>,
    pub(in crate::manifest) route: Spanned<Route>,
    pub(in crate::manifest) component: Option<Spanned<ComponentRef>>,
    pub(in crate::manifest) static_response: Option<Spanned<StaticResponse>>,
}

/// `route` of a trigger.
pub(in crate::manifest) enum Route {
    Path(String),
    Private,
}

/// `component` of a trigger.
pub(in crate::manifest) enum ComponentRef {
    Id(String),
    Inline(Box<Component>),
}

/// `static_response` of a trigger.
pub(in crate::manifest) struct StaticResponse {
    pub(in crate::manifest) status_code: Option<Spanned<u16>>,
    pub(in crate::manifest) headers: Entries<Spanned<String>>,
    pub(in crate::manifest) body: Option<String>,
}

/// `[[trigger.http]]`; every other type of trigger is refused by name.
pub(super) fn all(item: &Item<'_>) -> Result<Vec<Spanned<HttpTrigger>>> {
    let mut table = Table::open(item)?;
    let http = match table.item("http") {
        Some(http) if http.is_table() => {
            return http.wrong_type("a list of tables, written `[[trigger.http]]`");
        }
        Some(http) => Vec::read(&http)?,
        None => Vec::new(),
    };
    refuse_other_types(&table)?;
    Ok(http)
}

/// Refuses all keys of a `trigger` table but `http`.
pub(super) fn refuse_other_types(table: &Table<'_>) -> Result<()> {
    for (kind, _) in table.entries() {
        if kind.get_ref() != "http" {
            if nearest(kind.get_ref(), std::iter::once("http")).is_some() {
                let (key, table) = (kind.get_ref().clone(), table.name());
                return fail(
                    Fault::UnknownKey {
                        key,
                        table,
                        known: vec!["http"],
                    },
                    kind.span(),
                );
            }
            let what = format!("the trigger type `{}`", shorten(kind.get_ref()));
            return fail(
                Fault::Unsupported {
                    what,
                    instead: ONLY_HTTP.to_owned(),
                },
                kind.span(),
            );
        }
    }
    Ok(())
}

impl Read for HttpTrigger {
    fn read(item: &Item<'_>) -> Result<Self> {
        let mut table = Table::open(item)?;
        let id = table.optional("id")?;
        let component = table.optional("component")?;
        let static_response = table.optional("static_response")?;
        table.refuse("components", "name one component with `component = \"…\"`")?;
        table.refuse("dependencies", NO_MIDDLEWARE)?;
        if let Some(executor) = table.item("executor") {
            check_executor(&executor)?;
        }
        let route = table.required("route", "route = \"/...\"")?;
        table.close(Owner::Spin)?;
        Ok(Self {
            id,
            route,
            component,
            static_response,
        })
    }
}

/// `executor`: `http` and `spin` are what every component gets anyway.
fn check_executor(item: &Item<'_>) -> Result<()> {
    let mut table = Table::open(item)?;
    let kind: Spanned<String> = table.required("type", "executor = { type = \"http\" }")?;
    match kind.get_ref().as_str() {
        "http" | "spin" => table.close(Owner::Spin),
        other => {
            let what = format!("the executor {:?}", shorten(other));
            let instead = "remove `executor`; a component that exports `wasi:http/incoming-handler@0.2` or \
                           `wasi:http/handler@0.3` needs none";
            fail(
                Fault::Unsupported {
                    what,
                    instead: instead.to_owned(),
                },
                kind.span(),
            )
        }
    }
}

impl Read for Route {
    fn read(item: &Item<'_>) -> Result<Self> {
        if item.is_string() {
            return String::read(item).map(Self::Path);
        }
        if !item.is_table() {
            return item.wrong_type("a path or `{ private = true }`");
        }
        let mut table = Table::open(item)?;
        let private: Spanned<bool> = table.required("private", "route = { private = true }")?;
        table.close(Owner::Spin)?;
        if *private.get_ref() {
            return Ok(Self::Private);
        }
        let what = "the route".to_owned();
        let reason = "`private = false` says nothing about the path".to_owned();
        fail(
            Fault::Invalid {
                what,
                reason,
                hint: Some("write the path: `route = \"/...\"`".to_owned()),
            },
            private.span(),
        )
    }
}

impl Read for ComponentRef {
    fn read(item: &Item<'_>) -> Result<Self> {
        if item.is_string() {
            return String::read(item).map(Self::Id);
        }
        if item.is_table() {
            return Component::read(item).map(|component| Self::Inline(Box::new(component)));
        }
        item.wrong_type("the id of a component or a table")
    }
}

impl Read for StaticResponse {
    fn read(item: &Item<'_>) -> Result<Self> {
        let mut table = Table::open(item)?;
        let response = Self {
            status_code: table.optional("status_code")?,
            headers: table.or_default("headers")?,
            body: table.optional("body")?,
        };
        table.close(Owner::Spin)?;
        Ok(response)
    }
}
