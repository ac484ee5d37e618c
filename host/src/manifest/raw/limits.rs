//! `limits` and `instances`, of `[component.<id>.tool.midplane]` and of `[application.tool.midplane]`, as they are written.

use toml::Spanned;

use crate::manifest::read::{Item, Owner, Read, Result, Table};

/// The keys of `limits`. Each has a default, an error and a test of its effect: an architecture test holds the table of
/// them in the README against this list.
pub const LIMIT_KEYS: [&str; 11] = [
    "memory",
    "instance_memory",
    "cpu_time",
    "timeout",
    "concurrency",
    "queue",
    "queue_timeout",
    "request_body",
    "response_body",
    "database_size",
    "call_depth",
];

/// The keys of `instances`, which are held likewise.
pub const INSTANCE_KEYS: [&str; 4] = ["policy", "max_requests", "concurrency", "idle"];

const SIZE: &str = "a size as text, such as \"64MiB\"";
const SIZE_OR_UNLIMITED: &str = "a size as text, such as \"64MiB\", or \"unlimited\"";
const TIME: &str = "a time as text, such as \"500ms\"";

/// `limits`.
#[derive(Default)]
pub(in crate::manifest) struct Limits {
    pub(in crate::manifest) memory: Option<Spanned<String>>,
    pub(in crate::manifest) instance_memory: Option<Spanned<String>>,
    pub(in crate::manifest) cpu_time: Option<Spanned<String>>,
    pub(in crate::manifest) timeout: Option<Spanned<String>>,
    pub(in crate::manifest) concurrency: Option<Spanned<u32>>,
    pub(in crate::manifest) queue: Option<Spanned<u32>>,
    pub(in crate::manifest) queue_timeout: Option<Spanned<String>>,
    pub(in crate::manifest) request_body: Option<Spanned<String>>,
    pub(in crate::manifest) response_body: Option<Spanned<String>>,
    pub(in crate::manifest) database_size: Option<Spanned<String>>,
    pub(in crate::manifest) call_depth: Option<Spanned<u32>>,
}

/// `instances`.
#[derive(Default)]
pub(in crate::manifest) struct Instances {
    pub(in crate::manifest) policy: Option<Spanned<String>>,
    pub(in crate::manifest) max_requests: Option<Spanned<u32>>,
    pub(in crate::manifest) concurrency: Option<Spanned<u32>>,
    pub(in crate::manifest) idle: Option<Spanned<String>>,
}

impl Read for Limits {
    fn read(item: &Item<'_>) -> Result<Self> {
        if !item.is_table() {
            return item.wrong_type("a table such as `{ memory = \"256MiB\", timeout = \"5s\" }`");
        }
        let mut table = Table::open(item)?;
        let limits = Self {
            memory: text(&mut table, "memory", SIZE)?,
            instance_memory: text(&mut table, "instance_memory", SIZE)?,
            cpu_time: text(&mut table, "cpu_time", TIME)?,
            timeout: text(&mut table, "timeout", TIME)?,
            concurrency: table.optional("concurrency")?,
            queue: table.optional("queue")?,
            queue_timeout: text(&mut table, "queue_timeout", TIME)?,
            request_body: text(&mut table, "request_body", SIZE)?,
            response_body: text(&mut table, "response_body", SIZE_OR_UNLIMITED)?,
            database_size: text(&mut table, "database_size", SIZE)?,
            call_depth: table.optional("call_depth")?,
        };
        table.close(Owner::Midplane)?;
        Ok(limits)
    }
}

impl Read for Instances {
    fn read(item: &Item<'_>) -> Result<Self> {
        if !item.is_table() {
            return item.wrong_type("a table such as `{ policy = \"reuse\", max_requests = 100 }`");
        }
        let mut table = Table::open(item)?;
        let instances = Self {
            policy: text(&mut table, "policy", "\"fresh\" or \"reuse\"")?,
            max_requests: table.optional("max_requests")?,
            concurrency: table.optional("concurrency")?,
            idle: text(&mut table, "idle", TIME)?,
        };
        table.close(Owner::Midplane)?;
        Ok(instances)
    }
}

/// A quantity, which is a text: a number alone has no unit.
fn text(table: &mut Table<'_>, key: &'static str, expected: &'static str) -> Result<Option<Spanned<String>>> {
    match table.item(key) {
        Some(item) if !item.is_string() => item.wrong_type(expected),
        item => item.map(|item| Spanned::read(&item)).transpose(),
    }
}

#[cfg(test)]
mod tests {
    use toml::de::DeTable;

    use super::*;
    use crate::manifest::error::Fault;

    /// The keys that a reader knows, as it tells of them when one is not among them.
    fn known<T: Read>(table: &str) -> Vec<&'static str> {
        let text = format!("{table} = {{ qqqqqqqqqqqqqqqq = 1 }}");
        let document = DeTable::parse(&text).unwrap();
        let item = Table::root(&document).item("t").unwrap();
        match T::read(&item).err().map(|fault| fault.into_inner()) {
            Some(Fault::UnknownSetting { known, .. }) => known,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_lists_of_keys_are_what_is_read() {
        assert_eq!(known::<Limits>("t"), LIMIT_KEYS);
        assert_eq!(known::<Instances>("t"), INSTANCE_KEYS);
    }
}
