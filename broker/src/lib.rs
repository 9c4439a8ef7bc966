//! The brokers: edgerouter, the forwarding path, and the forwarding table service.
