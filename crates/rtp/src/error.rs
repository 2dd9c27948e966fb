//! Why bytes were not an RTP packet, or could not be written as one.

/// What is wrong with an RTP packet or its extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RtpError {
    /// Fewer bytes than the header itself announces.
    #[error("the packet ends inside its header")]
    Truncated,
    /// The version field is not 2.
    #[error("the RTP version is not 2")]
    Version,
    /// The padding count is zero or larger than what follows the header.
    #[error("the padding count does not fit the packet")]
    Padding,
    /// The caller's buffer is too small.
    #[error("the output buffer is too small")]
    NoSpace,
    /// An extension id that the chosen form cannot carry.
    #[error("the extension id cannot be carried in this form")]
    ExtensionId,
    /// An extension value that the chosen form cannot carry, or whose length differs from the
    /// value it should replace.
    #[error("the extension value has a length that cannot be carried")]
    ExtensionLength,
    /// The packet carries no extension of that id.
    #[error("the packet has no such extension")]
    NoSuchExtension,
}
