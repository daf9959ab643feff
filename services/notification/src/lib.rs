//! The inboxes of post owners: applies each event once.
