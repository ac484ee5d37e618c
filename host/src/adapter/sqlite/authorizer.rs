//! What SQL of a guest may do. Asked by SQLite itself for every action while a statement is compiled, so that no way
//! of writing a statement gets around it.
//!
//! A guest has its database and nothing else: no second file, no code to load, no setting that weakens durability,
//! fills memory or tells a path of the host. Pragmas are a list of the allowed; what is not on it is refused.

use rusqlite::hooks::AuthAction;

/// What becomes of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Allow,
    /// Allowed, but the connection is then no longer like a new one, and is not handed to anyone else.
    AllowOnce,
    /// Skipped without an error: a wish about tuning that the host decides itself.
    Ignore,
    /// Refused, for the reason that the guest reads.
    Refuse(String),
}

/// Decides about one action.
pub(super) fn decide(action: &AuthAction<'_>) -> Verdict {
    match action {
        AuthAction::Attach { .. } => refuse(
            "ATTACH, and VACUUM, which attaches a database: a service has its own database only; \
             VACUUM is the operator's to run",
        ),
        AuthAction::Detach { .. } => refuse("DETACH: a service has its own database only"),
        AuthAction::Function { function_name } => function(function_name),
        AuthAction::CreateVtable { module_name, .. } => module(module_name),
        AuthAction::Pragma {
            pragma_name,
            pragma_value,
        } => pragma(pragma_name, *pragma_value),
        AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::CreateTempView { .. } => Verdict::AllowOnce,
        AuthAction::Unknown { .. } => refuse("an action that this host does not know"),
        AuthAction::CreateIndex { .. }
        | AuthAction::CreateTable { .. }
        | AuthAction::CreateTrigger { .. }
        | AuthAction::CreateView { .. }
        | AuthAction::Delete { .. }
        | AuthAction::DropIndex { .. }
        | AuthAction::DropTable { .. }
        | AuthAction::DropTempIndex { .. }
        | AuthAction::DropTempTable { .. }
        | AuthAction::DropTempTrigger { .. }
        | AuthAction::DropTempView { .. }
        | AuthAction::DropTrigger { .. }
        | AuthAction::DropView { .. }
        | AuthAction::Insert { .. }
        | AuthAction::Read { .. }
        | AuthAction::Select
        | AuthAction::Transaction { .. }
        | AuthAction::Update { .. }
        | AuthAction::AlterTable { .. }
        | AuthAction::Reindex { .. }
        | AuthAction::Analyze { .. }
        | AuthAction::DropVtable { .. }
        | AuthAction::Savepoint { .. }
        | AuthAction::Recursive => Verdict::Allow,
        _ => refuse("an action that this host does not know"),
    }
}

fn refuse(reason: impl Into<String>) -> Verdict {
    Verdict::Refuse(reason.into())
}

fn function(name: &str) -> Verdict {
    // The last four are no part of this build of SQLite; a later one shall not open them by chance.
    const REFUSED: [&str; 6] = [
        "load_extension",
        "fts3_tokenizer",
        "readfile",
        "writefile",
        "edit",
        "sqlite_dbpage",
    ];
    if REFUSED.iter().any(|refused| refused.eq_ignore_ascii_case(name)) {
        return refuse(format!(
            "the function {name}: it loads code or reaches files of the host"
        ));
    }
    Verdict::Allow
}

fn module(name: &str) -> Verdict {
    const ALLOWED: [&str; 8] = [
        "fts3",
        "fts4",
        "fts4aux",
        "fts5",
        "fts5vocab",
        "rtree",
        "rtree_i32",
        "fts3tokenize",
    ];
    if ALLOWED.iter().any(|allowed| allowed.eq_ignore_ascii_case(name)) {
        Verdict::Allow
    } else {
        refuse(format!(
            "the virtual table module {name}: there are {}",
            ALLOWED.join(", ")
        ))
    }
}

fn pragma(name: &str, value: Option<&str>) -> Verdict {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        // They only read, with or without an argument.
        "table_info" | "table_xinfo" | "table_list" | "index_list" | "index_info" | "index_xinfo"
        | "foreign_key_list" | "foreign_key_check" | "integrity_check" | "quick_check" | "collation_list"
        | "compile_options" | "function_list" | "module_list" | "pragma_list" | "data_version"
        | "freelist_count" | "page_count" | "stats" => Verdict::Allow,
        // They write what is the guest's own: two numbers in the file, statistics, and free pages.
        "user_version" | "application_id" | "optimize" | "analysis_limit" | "incremental_vacuum"
        | "shrink_memory" | "wal_checkpoint" | "defer_foreign_keys" => Verdict::Allow,
        // They change how this connection behaves and nothing else.
        "foreign_keys"
        | "recursive_triggers"
        | "ignore_check_constraints"
        | "case_sensitive_like"
        | "reverse_unordered_selects"
        | "query_only"
        | "legacy_alter_table"
        | "automatic_index"
        | "count_changes"
        | "full_column_names"
        | "short_column_names"
        | "empty_result_callbacks"
        | "secure_delete"
        | "read_uncommitted"
        | "cell_size_check" => match value {
            None => Verdict::Allow,
            Some(_) => Verdict::AllowOnce,
        },
        // Tuning: to ask is allowed, to set has no effect, as with any pragma that SQLite does not know.
        "busy_timeout"
        | "cache_size"
        | "default_cache_size"
        | "cache_spill"
        | "mmap_size"
        | "temp_store"
        | "threads"
        | "soft_heap_limit"
        | "hard_heap_limit"
        | "wal_autocheckpoint"
        | "journal_size_limit"
        | "checkpoint_fullfsync"
        | "fullfsync" => match value {
            None => Verdict::Allow,
            Some(_) => Verdict::Ignore,
        },
        "synchronous" => match value.map(str::to_ascii_lowercase).as_deref() {
            None => Verdict::Allow,
            Some("normal" | "1" | "full" | "2" | "extra" | "3" | "on" | "yes" | "true") => Verdict::Ignore,
            Some(_) => refuse("PRAGMA synchronous = OFF: durability is the operator's to set"),
        },
        "journal_mode" => match value.map(str::to_ascii_lowercase).as_deref() {
            None | Some("wal") => Verdict::Allow,
            Some(_) => refuse("PRAGMA journal_mode other than WAL: the host keeps databases in WAL mode"),
        },
        // Facts of the file that may be asked for.
        "auto_vacuum" | "encoding" | "page_size" | "max_page_count" | "schema_version" | "locking_mode"
        | "trusted_schema" | "writable_schema" => match value {
            None => Verdict::Allow,
            Some(_) => refuse(format!("setting PRAGMA {name}: the host has set it")),
        },
        "database_list" => refuse("PRAGMA database_list: it tells paths of the host"),
        _ => refuse(format!(
            "PRAGMA {name}: it is none of those that a service may use"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: &str, value: Option<&str>) -> Verdict {
        decide(&AuthAction::Pragma {
            pragma_name: name,
            pragma_value: value,
        })
    }

    #[test]
    fn an_unknown_pragma_is_refused_by_name() {
        let Verdict::Refuse(reason) = asked("temp_store_directory", Some("/etc")) else {
            panic!("allowed");
        };
        assert!(reason.contains("temp_store_directory"), "{reason}");
    }

    #[test]
    fn spelling_gets_around_nothing() {
        assert!(matches!(asked("SYNCHRONOUS", Some("Off")), Verdict::Refuse(_)));
        assert!(matches!(
            asked("Journal_Mode", Some("Delete")),
            Verdict::Refuse(_)
        ));
        assert!(matches!(
            decide(&AuthAction::Function {
                function_name: "LOAD_Extension"
            }),
            Verdict::Refuse(_)
        ));
    }

    #[test]
    fn a_setting_of_the_connection_marks_it_and_a_question_does_not() {
        assert_eq!(asked("foreign_keys", None), Verdict::Allow);
        assert_eq!(asked("foreign_keys", Some("off")), Verdict::AllowOnce);
        assert_eq!(asked("busy_timeout", Some("0")), Verdict::Ignore);
    }
}
