//! The command line.

use std::path::PathBuf;

/// What is asked for.
pub(crate) struct Arguments {
    /// Runs of each row.
    pub(crate) seeds: u64,
    /// Rows whose name has this in it.
    pub(crate) rows: String,
    /// The whole router.
    pub(crate) router: bool,
    /// Estimators alone, beside others'.
    pub(crate) estimators: bool,
    /// Where plots go.
    pub(crate) plots: Option<PathBuf>,
}

impl Arguments {
    /// Reads the command line; ends the program where it makes no sense.
    pub(crate) fn read() -> Self {
        let mut arguments = Self {
            seeds: 10,
            rows: String::new(),
            router: true,
            estimators: true,
            plots: None,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let value = words.next().unwrap_or_default();
            let taken = match word.as_str() {
                "--seeds" => value.parse().map(|seeds| arguments.seeds = seeds).is_ok(),
                "--rows" => {
                    arguments.rows = value;
                    true
                }
                "--what" => {
                    arguments.router = value == "router";
                    arguments.estimators = value == "estimators";
                    arguments.router || arguments.estimators
                }
                "--plots" => {
                    arguments.plots = Some(value.into());
                    true
                }
                _ => false,
            };
            if !taken {
                eprintln!(
                    "usage: roomtone-lines [--seeds N] [--rows WORD] [--what router|estimators] \
                     [--plots FOLDER]"
                );
                std::process::exit(2);
            }
        }
        arguments
    }
}
