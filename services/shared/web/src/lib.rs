//! What both HTTP sides share: ids, problem details, cursors, health, ports, draining.
