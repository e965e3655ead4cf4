//! store_faults
