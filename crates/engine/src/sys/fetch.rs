//! Asking for memory before it is needed.

/// Of a longer value only so much is fetched.
const MOST: usize = 2048;
/// What memory is fetched in.
const LINE: usize = 64;

/// Starts to bring a value into the caches and does not wait for it.
pub(crate) fn fetch<T>(value: &T) {
    let at = std::ptr::from_ref(value).cast::<i8>();
    for offset in (0..size_of::<T>().min(MOST)).step_by(LINE) {
        start(at.wrapping_add(offset));
    }
}

#[cfg(target_arch = "x86_64")]
fn start(at: *const i8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch changes nothing the program sees and faults on no address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(at) }
}

#[cfg(not(target_arch = "x86_64"))]
fn start(_at: *const i8) {}
