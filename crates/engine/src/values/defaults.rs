//! What a command has where it does not say.

pub(super) fn default_rebind_silence() -> u32 {
    1000
}

pub(super) fn default_latency() -> u32 {
    120
}

pub(super) fn default_window() -> u64 {
    120_000
}

pub(super) fn default_press() -> u32 {
    100
}

pub(super) fn default_tick() -> u32 {
    20
}

pub(super) fn default_ptime() -> u32 {
    20
}

pub(super) fn yes() -> bool {
    true
}

pub(super) fn default_message_size() -> u32 {
    262_144
}

pub(super) fn default_listen_ip() -> String {
    "127.0.0.1".to_owned()
}

pub(super) fn default_interval() -> u32 {
    400
}

pub(super) fn default_threshold() -> i32 {
    -50
}

pub(super) fn default_percentile() -> u8 {
    40
}

pub(super) fn default_smoothing() -> f64 {
    0.3
}

pub(super) fn default_hold() -> u32 {
    1000
}

pub(super) fn default_entries() -> usize {
    3
}
