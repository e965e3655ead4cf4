use std::{collections::BTreeMap, path::PathBuf};

use proptest::{prelude::*, sample::Index};

use super::*;

/// The files of a target, by name.
fn files(kind: &str, target: &str) -> BTreeMap<String, Vec<u8>> {
    let root: PathBuf = [
        env!("CARGO_MANIFEST_DIR"),
        "..",
        "tests",
        "fuzz",
        kind,
        target,
    ]
    .iter()
    .collect();
    let Ok(folder) = root.read_dir() else {
        return BTreeMap::new();
    };
    let file = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        (name, std::fs::read(entry.path()).unwrap())
    };
    folder.map(file).collect()
}

fn target(name: &str) -> Target {
    TARGETS.iter().find(|(other, _)| *other == name).unwrap().1
}

/// A seed that is refused early leads a fuzzer nowhere.
#[test]
fn seeds_come_as_far_as_their_names_say() {
    for (name, target) in TARGETS {
        let seeds = files("seeds", name);
        let is = |kind: &str| seeds.keys().any(|seed| seed.starts_with(kind));
        assert!(is("yes-") && is("no-"), "{name} needs seeds of both kinds");
        for (seed, bytes) in seeds {
            let is_taken = target(&bytes);
            assert_eq!(is_taken, seed.starts_with("yes-"), "{name}/{seed}");
            assert!(is_taken || seed.starts_with("no-"), "{name}/{seed}");
        }
    }
}

#[test]
fn what_was_found_once_breaks_nothing_any_more() {
    for (name, target) in TARGETS {
        for (find, bytes) in files("finds", name) {
            // So that a failure says which.
            println!("{name}/{find}");
            target(&bytes);
        }
    }
}

#[test]
fn the_token_among_the_seeds_is_the_one_that_was_signed() {
    let seeds = files("seeds", "id_token");
    let seed = String::from_utf8(seeds["yes-signed"].clone()).unwrap();
    assert_eq!(seed, token::signed());
}

/// What a fuzzer does, without its eyes: cuts, doubles, moves and changes.
#[derive(Clone, Debug)]
enum Edit {
    Remove(Index, Index),
    Double(Index, Index),
    Put(Index, Vec<u8>),
    Change(Index, u8),
    Splice(Index, Index),
}

/// What the grammars here are made of.
const WORDS: [&str; 24] = [
    "\"", "\\", "{", "}", "[", "]", ",", ":", "null", "true", "1e999", "-1", "//", "/\\", "..",
    "%2e", "%00", "&", "=", ";", "\n", "\t", "\u{fffd}", "\"a\":1,",
];

fn edit() -> impl Strategy<Value = Edit> {
    let index = any::<Index>;
    prop_oneof![
        (index(), index()).prop_map(|(from, to)| Edit::Remove(from, to)),
        (index(), index()).prop_map(|(from, to)| Edit::Double(from, to)),
        (index(), proptest::sample::select(&WORDS[..]))
            .prop_map(|(at, word)| Edit::Put(at, word.into())),
        (index(), proptest::collection::vec(any::<u8>(), 1..8))
            .prop_map(|(at, bytes)| Edit::Put(at, bytes)),
        (index(), any::<u8>()).prop_map(|(at, byte)| Edit::Change(at, byte)),
        (index(), index()).prop_map(|(at, of)| Edit::Splice(at, of)),
    ]
}

fn edited(mut bytes: Vec<u8>, other: &[u8], edits: &[Edit]) -> Vec<u8> {
    for edit in edits {
        let place = |index: &Index| index.index(bytes.len() + 1);
        let range = |from: &Index, to: &Index| {
            let (from, to) = (place(from), place(to));
            from.min(to)..from.max(to)
        };
        match edit {
            Edit::Remove(from, to) => drop(bytes.drain(range(from, to))),
            Edit::Double(from, to) => {
                let range = range(from, to);
                let part = bytes[range.clone()].to_vec();
                bytes.splice(range.end..range.end, part);
            }
            Edit::Put(at, new) => {
                let at = place(at);
                bytes.splice(at..at, new.iter().copied());
            }
            Edit::Change(at, byte) => {
                let at = place(at);
                if let Some(place) = bytes.get_mut(at) {
                    *place = *byte;
                }
            }
            Edit::Splice(at, of) => {
                let at = place(at);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[of.index(other.len() + 1)..]);
            }
        }
    }
    bytes.truncate(32 * 1024);
    bytes
}

/// Tries a target on variations of its seeds and on bytes of any kind.
fn vary(name: &str) {
    let target = target(name);
    let seeds: Vec<Vec<u8>> = files("seeds", name).into_values().collect();
    let input = (
        proptest::sample::select(seeds.clone()),
        proptest::sample::select(seeds),
        proptest::collection::vec(edit(), 0..4),
        any::<Vec<u8>>(),
    );
    let mut runner = proptest::test_runner::TestRunner::default();
    runner
        .run(&input, |(seed, other, edits, bytes)| {
            target(&edited(seed, &other, &edits));
            target(&bytes);
            Ok(())
        })
        .unwrap();
}

macro_rules! variations {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                vary(stringify!($name));
            }
        )*

        #[test]
        fn every_target_has_its_variations() {
            let tried = [$(stringify!($name)),*];
            assert_eq!(tried, TARGETS.map(|(name, _)| name));
        }
    };
}

/// One test a target: no variation of its seeds breaks a promise.
mod no_variation_breaks {
    use super::*;

    variations! {
        api_path callback challenge claims cookies discovery id_token json jwks logout_response logout_token oauth1_answer record return_to settings
        token_answer userinfo
    }
}
