//! libFuzzer over one of core's targets (`core/src/fuzzing`): the one that `TOKENKEEP_FUZZ` names. `run` beside this
//! package builds it, for it needs the flags of `rustc` there.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod fuzzer {
    use std::sync::OnceLock;

    use tokenkeep_core::fuzzing::{TARGETS, Target};

    fn target() -> Target {
        static TARGET: OnceLock<Target> = OnceLock::new();
        *TARGET.get_or_init(|| {
            let wanted = std::env::var("TOKENKEEP_FUZZ").unwrap_or_default();
            let found = TARGETS.iter().find(|(name, _)| *name == wanted);
            let Some((_, target)) = found else {
                let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
                eprintln!(
                    "TOKENKEEP_FUZZ names no target; there are: {}",
                    names.join(" ")
                );
                std::process::exit(2);
            };
            *target
        })
    }

    libfuzzer_sys::fuzz_target!(|data: &[u8]| {
        target()(data);
    });
}

/// Built like anything else it fuzzes nothing.
#[cfg(not(fuzzing))]
fn main() {
    eprintln!("start tests/fuzz/run instead");
    std::process::exit(2);
}
