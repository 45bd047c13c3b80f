//! End to end, one file a story.
