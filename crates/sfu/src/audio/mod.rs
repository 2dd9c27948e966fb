//! Audio on bad lines: redundancy (RFC 2198) taken apart, used to fill holes, and made.

mod loudest;
mod made;
mod opus;
mod recovery;
mod shape;

pub(crate) use loudest::Loudest;
pub(crate) use made::{MOST_BLOCKS, write_redundant};
pub(crate) use recovery::{Before, Recovered, missing_blocks};
pub(crate) use shape::{Shape, shape_of};
