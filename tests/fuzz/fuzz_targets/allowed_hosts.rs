//! Feeds the target `allowed_hosts`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    midplane_fuzz_targets::allowed_hosts(data);
});
