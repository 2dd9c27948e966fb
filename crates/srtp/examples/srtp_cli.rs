//! Seals and opens packets given as lines on standard input, for cross-checks with other
//! implementations: `seal|open|seal_rtcp|open_rtcp PROFILE KEY PACKET` with the SDES name of the
//! profile, key and salt concatenated in hexadecimal, and the packet in hexadecimal. Each answer
//! is a line: the packet in hexadecimal, or `error: ` and why. One context is kept for each
//! profile and key, so roll-over and replay can be checked too.

use roomtone_srtp::{MasterKey, Opener, Profile, Sealer};
use std::collections::HashMap;
use std::io::{BufRead, Write};

#[derive(Default)]
struct Contexts {
    sealers: HashMap<String, Sealer>,
    openers: HashMap<String, Opener>,
}

fn main() -> std::io::Result<()> {
    let mut contexts = Contexts::default();
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        match contexts.answer(&line?) {
            Ok(packet) => {
                for byte in packet {
                    write!(out, "{byte:02x}")?;
                }
                writeln!(out)?;
            }
            Err(error) => writeln!(out, "error: {error}")?,
        }
        out.flush()?;
    }
    Ok(())
}

impl Contexts {
    fn answer(&mut self, line: &str) -> Result<Vec<u8>, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [verb, profile_name, key, packet] = words[..] else {
            return Err("four words wanted: verb, profile, key, packet".to_owned());
        };
        let profile = Profile::from_sdes_name(profile_name).ok_or("unknown profile")?;
        let master = MasterKey::from_concatenated(profile, &unhex(key)?)
            .map_err(|error| error.to_string())?;
        let name = format!("{profile_name} {key}");
        let mut buf = unhex(packet)?;
        let len = buf.len();
        let done = match verb {
            "seal" | "seal_rtcp" => {
                let sealer = match self.sealers.entry(name) {
                    std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                    std::collections::hash_map::Entry::Vacant(free) => free
                        .insert(Sealer::new(profile, &master).map_err(|error| error.to_string())?),
                };
                buf.resize(len + profile.rtcp_overhead(), 0);
                if verb == "seal" {
                    sealer.seal_rtp(&mut buf, len)
                } else {
                    sealer.seal_rtcp(&mut buf, len)
                }
            }
            "open" | "open_rtcp" => {
                let opener = match self.openers.entry(name) {
                    std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                    std::collections::hash_map::Entry::Vacant(free) => free
                        .insert(Opener::new(profile, &master).map_err(|error| error.to_string())?),
                };
                if verb == "open" {
                    opener.open_rtp(&mut buf)
                } else {
                    opener.open_rtcp(&mut buf)
                }
            }
            _ => return Err(format!("unknown verb {verb}")),
        };
        buf.truncate(done.map_err(|error| error.to_string())?);
        Ok(buf)
    }
}

fn unhex(text: &str) -> Result<Vec<u8>, String> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return Err("not hexadecimal".to_owned());
    }
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16))
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}
