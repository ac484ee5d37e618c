//! Feeds the target `value_bridge`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    midplane_fuzz_targets::value_bridge(data);
});
