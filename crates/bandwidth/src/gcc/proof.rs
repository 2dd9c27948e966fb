//! What probes have proven, and when one that shows less is believed.
//!
//! Not part of libwebrtc, which takes each result as it is: there an encoder fills the line again within
//! moments. Here a probe is often all that tells, and one that met a late packet or another sender's
//! burst would take a layer away for seconds.

use super::probe_results::Shown;

/// How long a probe that showed less waits for one that agrees.
const DOUBT_US: i64 = 5_000_000;

/// The last proof, and the doubt about it.
#[derive(Debug, Clone, Default)]
pub(super) struct Proof {
    /// What probes have shown.
    bps: f64,
    /// A probe that showed less, and when.
    doubt: Option<(Shown, i64)>,
}

impl Proof {
    /// A probe shows a rate while another is used; gives what is to be believed. Less than the one before
    /// takes a second probe to say so, and the better of the two counts. What no probe has shown is given
    /// up at once.
    pub(super) fn take(&mut self, shown: Shown, used_bps: f64, now_us: i64) -> f64 {
        let proven = self.bps.min(used_bps);
        if shown.bps >= proven {
            self.doubt = None;
            self.bps = shown.bps;
            return shown.bps;
        }
        match self.doubt {
            Some((before, at)) if before.id != shown.id && now_us - at < DOUBT_US => {
                self.doubt = None;
                self.bps = shown.bps.max(before.bps).min(proven);
            }
            Some((before, _)) if before.id == shown.id && before.bps > shown.bps => {}
            _ => self.doubt = Some((shown, now_us)),
        }
        self.bps.min(used_bps)
    }

    /// Whether a probe showed less, and no other one has agreed yet.
    pub(super) fn is_doubted(&self) -> bool {
        self.doubt.is_some()
    }

    /// The same on a clock that began so much later.
    pub(super) fn shift(&mut self, us: i64) {
        if let Some((_, at)) = &mut self.doubt {
            *at += us;
        }
    }

    /// The rate was lowered for another reason.
    pub(super) fn settle(&mut self) {
        self.doubt = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(id: u32, bps: f64) -> Shown {
        Shown {
            id,
            bps,
            sent_bps: bps,
            is_saturated: true,
            is_whole: false,
        }
    }

    #[test]
    fn one_probe_that_shows_less_is_not_believed_and_two_are() {
        let mut proof = Proof::default();
        assert!((proof.take(shown(1, 2e6), 1e6, 0) - 2e6).abs() < 1.0);
        assert!((proof.take(shown(2, 5e5), 2e6, 0) - 2e6).abs() < 1.0);
        assert!(proof.is_doubted());
        assert!(
            (proof.take(shown(2, 4e5), 2e6, 0) - 2e6).abs() < 1.0,
            "the same again is no second one"
        );
        assert!(
            (proof.take(shown(3, 4e5), 2e6, 1_000_000) - 5e5).abs() < 1.0,
            "the better of the two"
        );
        assert!(!proof.is_doubted());
    }

    #[test]
    fn what_no_probe_has_shown_is_given_up_at_once() {
        let mut proof = Proof::default();
        proof.take(shown(1, 2e6), 1e6, 0);
        assert!((proof.take(shown(2, 1.9e6), 2.7e6, 0) - 2e6).abs() < 1.0);
    }

    #[test]
    fn a_doubt_does_not_last_for_ever() {
        let mut proof = Proof::default();
        proof.take(shown(1, 2e6), 1e6, 0);
        proof.take(shown(2, 5e5), 2e6, 0);
        assert!((proof.take(shown(3, 5e5), 2e6, DOUBT_US) - 2e6).abs() < 1.0);
        assert!((proof.take(shown(4, 6e5), 2e6, DOUBT_US + 1) - 6e5).abs() < 1.0);
    }
}
