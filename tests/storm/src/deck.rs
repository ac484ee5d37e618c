//! The components of a storm: the guests as they were built, and the revisions that are made of them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;

use crate::app;
use crate::record::Track;
use crate::stamp::{Condition, stamped, stripped};

/// The compiled guests.
#[derive(Debug, Clone)]
pub struct Guests {
    /// `storm-front-p2`.
    pub front_p2: PathBuf,
    /// `storm-back-p2`.
    pub back_p2: PathBuf,
    /// `storm-front-p3`.
    pub front_p3: PathBuf,
    /// `storm-back-p3`.
    pub back_p3: PathBuf,
    /// `storm-back-breaking`.
    pub breaking: PathBuf,
    /// `hello-p2`: a service that has no contract.
    pub bare: PathBuf,
}

/// A component that must be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bad {
    /// Bytes that are not Wasm.
    NotWasm,
    /// The front traps when it is instantiated.
    TrappingFront,
    /// The back traps when it is instantiated.
    TrappingBack,
    /// The back does not export the contract.
    MissingExport,
    /// The back exports it with other types.
    Breaking,
    /// The front does not pass its probe.
    Sick,
}

impl Bad {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::NotWasm,
        Self::TrappingFront,
        Self::TrappingBack,
        Self::MissingExport,
        Self::Breaking,
        Self::Sick,
    ];

    /// What the refusal says, one of these at least.
    pub fn says(self) -> &'static [&'static str] {
        match self {
            Self::NotWasm => &[
                "not a webassembly component",
                "no webassembly",
                "not wasm",
                "magic",
            ],
            Self::TrappingFront | Self::TrappingBack => &["trap", "unreachable", "instantiat"],
            Self::MissingExport | Self::Breaking => &["storm:contract/"],
            Self::Sick => &["probe", "/healthz"],
        }
    }
}

/// Makes revisions.
pub struct Deck {
    front_p2: Vec<u8>,
    back_p2: Vec<u8>,
    front_p3: Vec<u8>,
    back_p3: Vec<u8>,
    breaking: Bytes,
    bare: Bytes,
}

impl Deck {
    /// Reads the guests.
    ///
    /// # Errors
    /// For a file that cannot be read, is no component, or has no stamp.
    pub fn read(guests: &Guests) -> anyhow::Result<Self> {
        let read = |path: &Path| -> anyhow::Result<Vec<u8>> {
            let bytes = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
            stripped(&bytes).with_context(|| format!("{} cannot be stripped", path.display()))
        };
        Ok(Self {
            front_p2: read(&guests.front_p2)?,
            back_p2: read(&guests.back_p2)?,
            front_p3: read(&guests.front_p3)?,
            back_p3: read(&guests.back_p3)?,
            breaking: read(&guests.breaking)?.into(),
            bare: read(&guests.bare)?.into(),
        })
    }

    /// Writes the files that manifests name.
    ///
    /// # Errors
    /// Those of the folder.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let all = [&self.front_p2, &self.back_p2, &self.front_p3, &self.back_p3];
        for (name, bytes) in app::FILES.iter().zip(all) {
            let path = folder.join(name).with_extension("wasm");
            let bytes = stamped(bytes, Condition::Good, app::FIRST)?;
            fs::write(&path, bytes).with_context(|| format!("{} cannot be written", path.display()))?;
        }
        let path = folder.join(app::TEXT).with_extension("wasm");
        fs::write(&path, "no component").with_context(|| format!("{} cannot be written", path.display()))
    }

    /// The services of a set with their components, of a revision that is good.
    ///
    /// # Errors
    /// Never, once [`Self::write`] has worked.
    pub fn set(&self, track: Track, revision: u32) -> anyhow::Result<[(&'static str, Bytes); 2]> {
        self.conditions(track, revision, [Condition::Good; 2])
    }

    /// The same, with something in it for which all of it must be refused.
    ///
    /// # Errors
    /// Never, once [`Self::write`] has worked.
    pub fn bad_set(
        &self,
        track: Track,
        revision: u32,
        bad: Bad,
    ) -> anyhow::Result<[(&'static str, Bytes); 2]> {
        let conditions = match bad {
            Bad::TrappingFront => [Condition::Traps, Condition::Good],
            Bad::TrappingBack => [Condition::Good, Condition::Traps],
            Bad::Sick => [Condition::Sick, Condition::Good],
            Bad::NotWasm | Bad::MissingExport | Bad::Breaking => [Condition::Good; 2],
        };
        let [front, (back, component)] = self.conditions(track, revision, conditions)?;
        let component = match bad {
            // Of the revision too, so that no two are the same.
            Bad::NotWasm => Bytes::from(format!("not Wasm, but text {revision}").into_bytes()),
            Bad::MissingExport => self.bare.clone(),
            Bad::Breaking => self.breaking.clone(),
            Bad::TrappingFront | Bad::TrappingBack | Bad::Sick => component,
        };
        Ok([front, (back, component)])
    }

    fn conditions(
        &self,
        track: Track,
        revision: u32,
        [front, back]: [Condition; 2],
    ) -> anyhow::Result<[(&'static str, Bytes); 2]> {
        let (names, bytes) = match track {
            Track::P2 => (["front-p2", "back-p2"], [&self.front_p2, &self.back_p2]),
            _ => (["front-p3", "back-p3"], [&self.front_p3, &self.back_p3]),
        };
        Ok([
            (names[0], stamped(bytes[0], front, revision)?.into()),
            (names[1], stamped(bytes[1], back, revision)?.into()),
        ])
    }
}
