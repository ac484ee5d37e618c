//! The contracts of both ports over SQLite files, and what is particular to files: what a guest may not say, full
//! disks, damage, durability.

mod files;
mod refusals;

use super::*;
use crate::adapter::blocking::BlockingSettings;
use tempfile::TempDir;

/// A state directory, the data in it, and one file name.
struct Fixture {
    directory: TempDir,
    data: SqliteData,
}

impl Fixture {
    fn new(settings: SqliteSettings) -> Self {
        let pool = Blocking::new(BlockingSettings {
            threads: 4,
            queue: 256,
        });
        Self {
            directory: TempDir::new().unwrap(),
            data: SqliteData::new(settings, pool),
        }
    }

    fn path(&self) -> PathBuf {
        location(
            self.directory.path(),
            "shop",
            Scope::Service("catalog"),
            Kind::Sqlite,
            "default",
        )
    }

    fn database(&self) -> Arc<dyn Database> {
        self.data.database(&self.path(), None).unwrap()
    }

    fn key_value(&self) -> Arc<dyn KeyValueStore> {
        self.data
            .key_value(&self.directory.path().join("kv.db"), None)
            .unwrap()
    }
}

fn fast() -> SqliteSettings {
    SqliteSettings {
        synchronous: Synchronous::Normal,
        ..SqliteSettings::default()
    }
}

mod sqlite_file {
    use super::*;
    crate::capability::sqlite::port::contract::sqlite_contract!({
        let fixture = Fixture::new(fast());
        let database = fixture.database();
        (fixture, database)
    });
}

mod key_value_file {
    use super::*;
    crate::capability::key_value::port::contract::key_value_contract!({
        let fixture = Fixture::new(fast());
        let store = fixture.key_value();
        (fixture, store)
    });
}

/// Every commit synced, and as few threads and connections as there can be: whoever waits, waits for everybody.
mod sqlite_file_in_narrow_bounds {
    use super::*;
    crate::capability::sqlite::port::contract::sqlite_contract!({
        let pool = Blocking::new(BlockingSettings {
            threads: 1,
            queue: 64,
        });
        let directory = TempDir::new().unwrap();
        let settings = SqliteSettings {
            max_connections: 20,
            max_idle_connections: 1,
            ..SqliteSettings::default()
        };
        let data = SqliteData::new(settings, pool);
        let database = data.database(&directory.path().join("one.db"), None).unwrap();
        ((directory, data), database)
    });
}

mod key_value_file_in_narrow_bounds {
    use super::*;
    crate::capability::key_value::port::contract::key_value_contract!({
        let pool = Blocking::new(BlockingSettings {
            threads: 1,
            queue: 64,
        });
        let directory = TempDir::new().unwrap();
        let settings = SqliteSettings {
            max_connections: 1,
            max_idle_connections: 0,
            ..SqliteSettings::default()
        };
        let data = SqliteData::new(settings, pool);
        let store = data.key_value(&directory.path().join("one.db"), None).unwrap();
        ((directory, data), store)
    });
}
