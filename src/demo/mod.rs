//! `wecom-gate demo`: the simulator, a real NocoBase and the gate on one machine.
//!
//! Must never: be part of a deployment.
