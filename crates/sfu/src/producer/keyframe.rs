//! Keyframe requests of many consumers become few requests to the publisher.

use crate::{Degradation, FeedbackPriority, KeyframeConfig};

/// What a wish for a keyframe leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Ask now.
    Ask,
    /// Another request is on its way or will be at that time.
    Merged,
}

/// The requests for one stream.
#[derive(Debug, Default)]
pub(crate) struct KeyframeRequests {
    /// When to ask (again) if no keyframe comes before; `None`: nobody waits.
    next_us: Option<u64>,
    last_sent_us: Option<u64>,
    attempts: u8,
    /// The command sequence number of FIR (RFC 5104 section 4.3.1.1).
    fir_sequence: u8,
    /// Requests that went out since the last keyframe.
    unanswered: u8,
    /// The next one must not be overlooked.
    urgent: bool,
    /// Why the policy asked, and how urgently; `None`: a consumer did.
    policy: Option<(Degradation, FeedbackPriority)>,
}

impl KeyframeRequests {
    /// Somebody wants a keyframe.
    pub(crate) fn wish(&mut self, now_us: u64, config: &KeyframeConfig) -> Wish {
        self.attempts = 0;
        if self.next_us.is_some() {
            return Wish::Merged;
        }
        let earliest = self
            .last_sent_us
            .map_or(0, |last| last + config.min_interval.as_micros() as u64);
        if earliest > now_us {
            self.next_us = Some(earliest);
            return Wish::Merged;
        }
        self.sent(now_us, config);
        Wish::Ask
    }

    /// The policy wants a keyframe. A critical wish does not wait for the repetition of a request
    /// that is on its way, but keeps the least distance to it.
    pub(crate) fn wish_for(
        &mut self,
        reason: Degradation,
        priority: FeedbackPriority,
        now_us: u64,
        config: &KeyframeConfig,
    ) -> Wish {
        self.policy = Some((reason, priority));
        let urgent = priority == FeedbackPriority::Critical;
        self.urgent |= urgent;
        let earliest = self
            .last_sent_us
            .map_or(0, |last| last + config.min_interval.as_micros() as u64);
        if !urgent || self.next_us.is_none_or(|next| next <= earliest) {
            return self.wish(now_us, config);
        }
        self.attempts = 0;
        if earliest > now_us {
            self.next_us = Some(earliest);
            return Wish::Merged;
        }
        self.sent(now_us, config);
        Wish::Ask
    }

    /// Whether a request is due now (again).
    pub(crate) fn is_due(&mut self, now_us: u64, config: &KeyframeConfig) -> bool {
        if self.next_us.is_none_or(|next| next > now_us) {
            return false;
        }
        if self.attempts >= config.max_attempts {
            self.next_us = None;
            return false;
        }
        self.sent(now_us, config);
        true
    }

    fn sent(&mut self, now_us: u64, config: &KeyframeConfig) {
        self.attempts += 1;
        self.last_sent_us = Some(now_us);
        self.next_us = Some(now_us + config.retry_interval.as_micros() as u64);
        self.fir_sequence = self.fir_sequence.wrapping_add(1);
    }

    /// A keyframe came.
    pub(crate) fn on_keyframe(&mut self) {
        self.next_us = None;
        self.attempts = 0;
        self.unanswered = 0;
        self.urgent = false;
        self.policy = None;
    }

    /// A request leaves for the publisher; says whether it is to be one that must not be
    /// overlooked: it was wished so, or the last one came to nothing.
    pub(crate) fn on_leaving(&mut self) -> bool {
        let urgent = self.urgent || self.unanswered > 0;
        self.unanswered = self.unanswered.saturating_add(1);
        urgent
    }

    /// Whether the first request has waited too long for its answer.
    pub(crate) fn is_overdue(&self, now_us: u64, config: &KeyframeConfig) -> bool {
        let due = |last: u64| last + config.retry_interval.as_micros() as u64 <= now_us;
        self.unanswered == 1 && self.next_us.is_some() && self.last_sent_us.is_some_and(due)
    }

    /// Why the policy asked and how urgently, where it did.
    pub(crate) fn policy(&self) -> Option<(Degradation, FeedbackPriority)> {
        self.policy
    }

    /// When something is due next.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.next_us
    }

    /// The number of the newest request.
    pub(crate) fn fir_sequence(&self) -> u8 {
        self.fir_sequence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000;

    #[test]
    fn wishes_are_merged_until_a_keyframe_comes() {
        let config = KeyframeConfig::default();
        let mut requests = KeyframeRequests::default();
        assert_eq!(requests.wish(0, &config), Wish::Ask);
        for now in [0, 10 * MS, 900 * MS] {
            assert_eq!(requests.wish(now, &config), Wish::Merged);
        }
        assert!(!requests.is_due(999 * MS, &config));
        assert!(requests.is_due(1_000 * MS, &config), "unanswered: again");
        requests.on_keyframe();
        assert_eq!(requests.next_due(), None);
    }

    #[test]
    fn a_wish_right_after_an_answer_waits_for_the_interval() {
        let config = KeyframeConfig::default();
        let mut requests = KeyframeRequests::default();
        requests.wish(0, &config);
        requests.on_keyframe();
        assert_eq!(requests.wish(100 * MS, &config), Wish::Merged);
        assert_eq!(requests.next_due(), Some(500 * MS));
        assert!(requests.is_due(500 * MS, &config));
        requests.on_keyframe();
        assert_eq!(requests.wish(1_000 * MS, &config), Wish::Ask);
    }

    #[test]
    fn an_urgent_wish_overtakes_the_repetition_but_keeps_its_distance() {
        let config = KeyframeConfig::default();
        let mut requests = KeyframeRequests::default();
        let urgent = |requests: &mut KeyframeRequests, ms: u64| {
            requests.wish_for(
                Degradation::Loss,
                FeedbackPriority::Critical,
                ms * MS,
                &config,
            )
        };
        assert_eq!(requests.wish(0, &config), Wish::Ask);
        assert!(!requests.on_leaving(), "the first is an ordinary one");
        assert_eq!(urgent(&mut requests, 300), Wish::Merged);
        assert_eq!(
            requests.next_due(),
            Some(500 * MS),
            "not only after a second"
        );
        assert!(requests.is_due(500 * MS, &config) && requests.on_leaving());
        assert_eq!(urgent(&mut requests, 1_200), Wish::Ask);
        requests.on_keyframe();
        assert_eq!(requests.wish(2_000 * MS, &config), Wish::Ask);
        assert!(!requests.on_leaving(), "an answer makes it ordinary again");
        assert!(!requests.is_overdue(2_999 * MS, &config));
        assert!(requests.is_overdue(3_000 * MS, &config));
    }

    #[test]
    fn a_publisher_that_never_answers_is_left_alone_until_somebody_asks_again() {
        let config = KeyframeConfig {
            max_attempts: 3,
            ..KeyframeConfig::default()
        };
        let mut requests = KeyframeRequests::default();
        requests.wish(0, &config);
        let asked = (1..10)
            .filter(|second| requests.is_due(second * 1_000 * MS, &config))
            .count();
        assert_eq!(asked, 2);
        assert_eq!(requests.next_due(), None);
        assert_eq!(requests.wish(20_000 * MS, &config), Wish::Ask);
    }
}
