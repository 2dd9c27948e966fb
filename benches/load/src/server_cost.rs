//! What the server under load spends: CPU time and memory of a process and all its children, read from /proc.

use std::collections::HashMap;
use std::fs;

/// CPU seconds (all threads, nanosecond counters) and resident bytes of a process tree.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cost {
    /// User and system time in seconds.
    pub(crate) cpu_s: f64,
    /// Resident set in bytes.
    pub(crate) resident: u64,
}

/// Reads the cost of `pid` and its descendants; a process that is gone counts nothing.
pub(crate) fn of_tree(pid: u32) -> Cost {
    let mut cost = Cost::default();
    for member in tree(pid) {
        cost.cpu_s += threads_ns(member) as f64 / 1e9;
        cost.resident += resident(member);
    }
    cost
}

fn tree(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        let parent = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.split(' ').nth(1))
            .and_then(|p| p.parse().ok());
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut all = vec![root];
    let mut next = 0;
    while next < all.len() {
        all.extend(children.remove(&all[next]).unwrap_or_default());
        next += 1;
    }
    all
}

fn threads_ns(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()))
        .sum()
}

fn resident(pid: u32) -> u64 {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok())
        .unwrap_or(0)
        * 4096
}
