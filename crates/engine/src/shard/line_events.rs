//! What a router tells about lines, layers and quality, in the boundary's values.

use roomtone_sfu::{self as sfu, FeedbackAction, QualitySubject, RouterEvent};

use crate::values::{
    CongestionState, DegradationReason, Event, FeedbackKind, FeedbackPriority, LineDirection,
    QualityLevel, QualitySubject as Subject, QualityTrend,
};

/// The event as control hears it; `None` for those that commands and statistics tell of.
pub(super) fn told(event: &RouterEvent) -> Option<Event> {
    Some(match *event {
        RouterEvent::LayersTargeted {
            consumer,
            spatial,
            temporal,
        } => Event::ConsumerLayersTargeted {
            consumer: consumer.0,
            spatial,
            temporal,
        },
        RouterEvent::ConsumerStarved { consumer } => Event::ConsumerStarved {
            consumer: consumer.0,
        },
        RouterEvent::ConsumerFed { consumer } => Event::ConsumerFed {
            consumer: consumer.0,
        },
        RouterEvent::EncodingsWanted {
            producer,
            ref wanted,
        } => Event::EncodingsWanted {
            producer: producer.0,
            wanted: wanted.clone(),
        },
        RouterEvent::EstimateChanged { transport, bps } => Event::EstimateChanged {
            transport: transport.0,
            bps,
        },
        RouterEvent::QualityChanged { subject, quality } => quality_changed(subject, quality),
        RouterEvent::CongestionChanged {
            transport,
            direction,
            state,
        } => Event::CongestionChanged {
            transport: transport.0,
            direction: match direction {
                sfu::Direction::Up => LineDirection::Up,
                sfu::Direction::Down => LineDirection::Down,
            },
            state: congestion(state),
        },
        RouterEvent::FeedbackActed {
            producer,
            encoding,
            action,
            reason,
            priority,
        } => {
            let (action, bps, confidence) = match action {
                FeedbackAction::Pli => (FeedbackKind::Pli, None, None),
                FeedbackAction::Fir => (FeedbackKind::Fir, None, None),
                FeedbackAction::Remb { bps, confidence } => (
                    FeedbackKind::Remb,
                    Some(bps),
                    Some(f64::from(confidence) / 100.0),
                ),
            };
            Event::FeedbackActed {
                producer: producer.0,
                encoding,
                action,
                bps,
                confidence,
                reason: degradation(reason),
                priority: urgency(priority),
            }
        }
        _ => return None,
    })
}

fn quality_changed(subject: QualitySubject, quality: sfu::Quality) -> Event {
    let (subject, id) = match subject {
        QualitySubject::Transport(id) => (Subject::Transport, id.0),
        QualitySubject::Producer(id) => (Subject::Producer, id.0),
        QualitySubject::Consumer(id) => (Subject::Consumer, id.0),
    };
    Event::QualityChanged {
        subject,
        id,
        score: quality.score.get(),
        level: level(quality.level),
        mos: quality.mos.map(sfu::Mos::get),
        trend: trend(quality.trend),
        reason: quality.degradation.map(degradation),
    }
}

fn level(level: sfu::QualityLevel) -> QualityLevel {
    match level {
        sfu::QualityLevel::Lost => QualityLevel::Lost,
        sfu::QualityLevel::Poor => QualityLevel::Poor,
        sfu::QualityLevel::Good => QualityLevel::Good,
        sfu::QualityLevel::Excellent => QualityLevel::Excellent,
    }
}

fn trend(trend: sfu::Trend) -> QualityTrend {
    match trend {
        sfu::Trend::Rising => QualityTrend::Rising,
        sfu::Trend::Steady => QualityTrend::Steady,
        sfu::Trend::Falling => QualityTrend::Falling,
    }
}

fn degradation(reason: sfu::Degradation) -> DegradationReason {
    match reason {
        sfu::Degradation::Loss => DegradationReason::Loss,
        sfu::Degradation::Jitter => DegradationReason::Jitter,
        sfu::Degradation::Bandwidth => DegradationReason::Bandwidth,
        sfu::Degradation::Corruption => DegradationReason::Corruption,
    }
}

fn congestion(state: sfu::CongestionState) -> CongestionState {
    match state {
        sfu::CongestionState::None => CongestionState::None,
        sfu::CongestionState::Light => CongestionState::Light,
        sfu::CongestionState::Moderate => CongestionState::Moderate,
        sfu::CongestionState::Severe => CongestionState::Severe,
        sfu::CongestionState::Critical => CongestionState::Critical,
    }
}

fn urgency(priority: sfu::FeedbackPriority) -> FeedbackPriority {
    match priority {
        sfu::FeedbackPriority::Low => FeedbackPriority::Low,
        sfu::FeedbackPriority::Normal => FeedbackPriority::Normal,
        sfu::FeedbackPriority::High => FeedbackPriority::High,
        sfu::FeedbackPriority::Critical => FeedbackPriority::Critical,
    }
}

/// A closed set's member as the boundary spells it.
fn name<T: serde::Serialize>(member: T) -> String {
    match serde_json::to_value(member) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}

pub(super) fn level_name(of: sfu::QualityLevel) -> String {
    name(level(of))
}

pub(super) fn trend_name(of: sfu::Trend) -> String {
    name(trend(of))
}

pub(super) fn degradation_name(of: sfu::Degradation) -> String {
    name(degradation(of))
}

pub(super) fn congestion_name(of: sfu::CongestionState) -> String {
    name(congestion(of))
}
