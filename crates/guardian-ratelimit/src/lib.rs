//! Exact, hierarchical rate limits decided all-or-nothing, in memory or on Redis
