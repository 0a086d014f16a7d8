//! What people see of the gate: pages, their texts in people's languages, and the script for NocoBase's pages.
//!
//! Must never: contain anything that came from outside unescaped, or load anything from elsewhere.
