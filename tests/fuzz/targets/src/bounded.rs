//! The bounded run: each target with its corpus, and with changes to it that are the same in every run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{TARGETS, Target};

/// Bytes that often matter.
const BYTES: [u8; 12] = [0, 1, 0x7f, 0x80, 0xff, b'\n', b'\r', b'/', b'.', b'"', b'{', b'%'];

/// Numbers that look like chance (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or_default()
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// A short part of something so long.
    fn part(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        start..length.min(start + 1 + self.below(16))
    }
}

fn change(data: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[&str], chance: &mut Chance) {
    match chance.below(8) {
        0 => {
            let at = chance.below(data.len());
            let bit = 1 << chance.below(8);
            if let Some(byte) = data.get_mut(at) {
                *byte ^= bit;
            }
        }
        1 => {
            let at = chance.below(data.len() + 1);
            data.insert(at, *chance.pick(&BYTES));
        }
        2 => drop(data.drain(chance.part(data.len()))),
        3 => {
            let copied = data[chance.part(data.len())].to_vec();
            let at = chance.below(data.len() + 1);
            data.splice(at..at, copied);
        }
        4 | 5 if !words.is_empty() => {
            let at = chance.below(data.len() + 1);
            data.splice(at..at, chance.pick(words).bytes());
        }
        6 => {
            let mut lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
            let (one, other) = (chance.below(lines.len()), chance.below(lines.len()));
            match chance.below(3) {
                0 => lines.swap(one, other),
                1 => drop(lines.remove(one)),
                _ => lines.insert(other, lines[one]),
            }
            *data = lines.join(&b'\n');
        }
        _ => {
            let other = chance.pick(seeds);
            let at = chance.below(data.len() + 1);
            data.truncate(at);
            data.extend_from_slice(&other[chance.below(other.len() + 1)..]);
        }
    }
}

fn corpus(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../corpus")
        .join(target.name)
}

fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let folder = corpus(target);
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("the folder is readable").path())
        .collect();
    paths.sort();
    let seeds = paths
        .iter()
        .map(|path| fs::read(path).expect("a seed is readable"));
    let seeds: Vec<_> = seeds.collect();
    assert!(!seeds.is_empty(), "{} has no corpus", target.name);
    seeds
}

/// `FUZZ_ROUNDS=100` makes a hundred times as many changes, for whoever has no nightly toolchain.
fn rounds() -> usize {
    let rounds = std::env::var("FUZZ_ROUNDS").ok();
    rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(1)
}

fn run(name: &str) {
    let target = TARGETS
        .iter()
        .find(|target| target.name == name)
        .expect("the target is in the table");
    let seeds = seeds(target);
    let check = |data: &[u8]| {
        let outcome = std::panic::catch_unwind(|| (target.run)(data));
        outcome.unwrap_or_else(|_| panic!("{name} with {:?}", String::from_utf8_lossy(data)))
    };
    check(b"");
    // A corpus that has gone stale finds nothing.
    let taken = seeds.iter().filter(|seed| check(seed)).count();
    assert!(
        2 * taken >= seeds.len(),
        "{name} takes {taken} of {} seeds",
        seeds.len()
    );
    let mut chance = Chance(name.bytes().map(u64::from).sum());
    for _ in 0..target.cases * rounds() {
        let mut data = chance.pick(&seeds).clone();
        for _ in 0..=chance.below(4) {
            change(&mut data, &seeds, target.words, &mut chance);
        }
        check(&data);
    }
}

macro_rules! bounded {
    ($($name:ident),+ $(,)?) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })+

        #[test]
        fn every_target_is_run_here_and_by_cargo_fuzz_and_has_a_corpus() {
            let here = [$(stringify!($name)),+];
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
            let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("the fuzz project is there");
            for target in &TARGETS {
                let name = target.name;
                assert!(here.contains(&name), "{name} has no test");
                assert!(corpus(target).is_dir(), "{name} has no corpus");
                let file = format!("fuzz_targets/{name}.rs");
                assert!(manifest.contains(&format!("path = \"{file}\"")), "{name} is no binary");
                let source = fs::read_to_string(folder.join(&file)).expect("the target is there");
                assert!(source.contains(&format!("midplane_fuzz_targets::{name}(")), "{file}");
            }
            assert_eq!(here.len(), TARGETS.len());
        }
    };
}

bounded!(
    access,
    admin,
    allowed_hosts,
    contract,
    headers,
    journal,
    manifest,
    quantity,
    router,
    runtime_config,
    sticky,
    template,
    value_bridge,
);
