//! Tier 3: the operator's verbs.
