//! Identifiers, given by the driver and unique in one run of the process.

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// One peer's transport, or one end of a pipe between routers.
    TransportId
}
id! {
    /// Media in: one track with all its encodings.
    ProducerId
}
id! {
    /// Media out: one track to one subscriber.
    ConsumerId
}
