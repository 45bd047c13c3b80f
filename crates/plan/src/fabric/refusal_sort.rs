//! What kind of answer a refusal is, for those who ask by a protocol.

/// What kind of answer a refusal is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RefusalSort {
    /// What is to be changed does not exist.
    NotFound,
    /// It contradicts what there is.
    Conflict,
    /// It contradicts itself, or names what does not exist.
    Invalid,
    /// The caller saw another revision.
    PreconditionFailed,
    /// The tenant has all that it may have.
    Quota,
    /// It is an operator's to do.
    Forbidden,
}
