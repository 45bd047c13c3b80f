//! What is kept: a transactional store with revisions and watches.
