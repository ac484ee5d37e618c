//! The steps of a rollout, and the places where a test may end the process.

/// What a rollout has done, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Asked for; its turn has come.
    Received,
    /// The component was read, dependencies composed in, and files staged.
    Composed,
    /// The component and the manifest are stored by content.
    Stored,
    /// The component is compiled, or taken from the cache.
    Compiled,
    /// It is linked, and all contracts fit.
    Linked,
    /// An instance of it has lived.
    Warmed,
    /// Its probe was answered as declared.
    Probed,
    /// Nothing is left to be done but to say so.
    Committing,
    /// The journal has it, synced.
    Committed,
    /// Requests that enter meet it.
    Published,
    /// Nobody has the old revision any more.
    Drained,
    /// What the old revision alone needed is about to be removed.
    Retiring,
    /// It is removed.
    Retired,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 13] = [
        Self::Received,
        Self::Composed,
        Self::Stored,
        Self::Compiled,
        Self::Linked,
        Self::Warmed,
        Self::Probed,
        Self::Committing,
        Self::Committed,
        Self::Published,
        Self::Drained,
        Self::Retiring,
        Self::Retired,
    ];

    /// Its name, as a failpoint has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Composed => "composed",
            Self::Stored => "stored",
            Self::Compiled => "compiled",
            Self::Linked => "linked",
            Self::Warmed => "warmed",
            Self::Probed => "probed",
            Self::Committing => "committing",
            Self::Committed => "committed",
            Self::Published => "published",
            Self::Drained => "drained",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
        }
    }

    /// A rollout has come this far. In a debug build the process ends here, as if by `kill -9`, if the file that
    /// `MIDPLANE_FAILPOINT_FILE` names holds the step's name; a release build does not look.
    pub(in crate::host) fn reached(self) {
        #[cfg(debug_assertions)]
        failpoint(self);
    }
}

#[cfg(debug_assertions)]
fn failpoint(step: Step) {
    use std::sync::LazyLock;
    static FILE: LazyLock<Option<std::path::PathBuf>> =
        LazyLock::new(|| std::env::var_os("MIDPLANE_FAILPOINT_FILE").map(Into::into));
    let Some(file) = &*FILE else { return };
    if std::fs::read_to_string(file).is_ok_and(|named| named.trim() == step.as_str()) {
        let _sent = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        // The signal ends every thread; this one goes no further.
        loop {
            std::thread::park();
        }
    }
}
