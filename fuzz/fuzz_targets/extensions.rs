//! Invariant: every extension value that is read encodes to bytes that read as the same value, and elements
//! written into a header are the elements read from it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomtone_rtp::extensions::{
    AbsCaptureTime, AbsSendTime, AudioLevel, DependencyDescriptorBytes, ExtensionValue,
    FrameMarking, Mid, MixerLevels, PlayoutDelay, RepairedRid, Rid, TransportSequence,
    VideoLayersAllocation, VideoOrientation,
};
use roomtone_rtp::{ExtensionForm, ExtensionWriter, RtpHeader, RtpPacket, write_header};

/// Reads `value` as the type of `$name` and writes it back. A macro because the value borrows.
macro_rules! reads_back {
    ($value:expr, $($name:ident),*) => {$(
        if let Ok(read) = $name::decode($value) {
            let mut out = [0; 1024];
            let len = read.encode(&mut out).expect("a read value can be written");
            assert_eq!($name::decode(&out[..len]), Ok(read));
        }
    )*};
}

fn values(value: &[u8]) {
    reads_back!(
        value,
        Mid,
        Rid,
        RepairedRid,
        AudioLevel,
        MixerLevels,
        VideoOrientation
    );
    reads_back!(
        value,
        TransportSequence,
        AbsSendTime,
        AbsCaptureTime,
        PlayoutDelay,
        FrameMarking
    );
    reads_back!(value, DependencyDescriptorBytes, VideoLayersAllocation);
}

/// Writes the elements of a packet anew in each form that carries them.
fn rewrite(packet: &RtpPacket<'_>) {
    for form in [
        ExtensionForm::OneByte,
        ExtensionForm::TwoByte,
        ExtensionForm::Mixed,
    ] {
        let mut out = vec![0; packet.bytes().len() + 0x1_0000];
        let at = write_header(&mut out, &RtpHeader::default());
        let mut writer = ExtensionWriter::new(&mut out, at, form);
        let written: Vec<_> = packet
            .extensions()
            .filter(|(id, value)| writer.push(*id, value).is_ok())
            .collect();
        let Ok(len) = writer.finish() else { continue };
        let again = RtpPacket::parse(&out[..len]).expect("a written header is a packet");
        assert_eq!(again.extensions().collect::<Vec<_>>(), written);
        if form != ExtensionForm::OneByte {
            assert_eq!(written.len(), packet.extensions().count());
        }
    }
}

fuzz_target!(|data: &[u8]| {
    values(data);
    if let Ok(packet) = RtpPacket::parse(data) {
        packet.extensions().for_each(|(_, value)| values(value));
        rewrite(&packet);
    }
});
