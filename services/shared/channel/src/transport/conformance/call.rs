//! What a transport that calls promises.
