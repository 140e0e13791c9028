//! The vocabulary of the Guardian suite: tenants, actors, scopes, clocks, ids, events, pages, store errors
