//! The Channel document: its type, its rules, and its conversion into the protocol's settings.
