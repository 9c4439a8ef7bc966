//! The balancing brain, sans-IO: forwarding tables, selection policies, latency estimates, health and retry budget.
