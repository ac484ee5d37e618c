//! Feeds the target `journal`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    midplane_fuzz_targets::journal(data);
});
