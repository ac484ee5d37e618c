//! Feeds the target `runtime_config`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    midplane_fuzz_targets::runtime_config(data);
});
