//! Posts and reactions: accepts, stores, and sends an event for each.
