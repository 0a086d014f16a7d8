//! The status of the running gate, as plain data that `ops` shows. Makes no calls.

use std::sync::atomic::Ordering;

use crate::ops::{Degraded, Status};
use crate::proxy::Gate;
use crate::proxy::upstream::NodeState;

/// Name of the state of a node that responds.
const HEALTHY: &str = "ok";

/// The current status. Also sets the gauges of NocoBase's nodes.
pub(super) fn status(gate: &Gate) -> Status {
    let problem = |state: NodeState| Some(state.name()).filter(|name| *name != HEALTHY);
    let nodes: Vec<_> = gate.upstreams.nodes().iter().map(|n| (n.name.clone(), problem(n.state()))).collect();
    for (node, (_, problem)) in gate.nodes.iter().zip(&nodes) {
        node.set_healthy(problem.is_none());
    }
    for (node, known) in gate.nodes.iter().zip(gate.upstreams.nodes()) {
        node.set_requests(known.limiter.in_use(), known.limiter.limit(), known.limiter.queued());
    }
    let mut degraded = wecom(gate);
    let mismatches = gate.mismatches().into_iter();
    degraded
        .extend(mismatches.map(|m| Degraded::new("nocobase", m.about, &format!("{}; {}", m.what, m.remedy))));
    let redis = gate.sessions.shared().and_then(|shared| shared.trouble());
    degraded.extend(redis.map(|(address, why)| Degraded::new("redis", address, &why.to_string())));
    if let (Some(acme), Some(problem)) = (&gate.config.listen.acme, gate.acme.problem()) {
        degraded.push(Degraded::new("acme", &acme.domains.join(", "), &problem));
    }
    if gate.maintenance.is_on() {
        let file = gate.config.pages.maintenance_file.as_ref().map(|file| file.display().to_string());
        degraded.push(Degraded::new("maintenance", &file.unwrap_or_default(), "the file is there"));
    }
    Status {
        metrics: gate.metrics.clone(),
        stopping: gate.stopping.load(Ordering::Relaxed),
        nodes,
        degraded,
        sessions: gate.all_sessions().map(|sessions| sessions.count()).sum(),
        in_flight: gate.in_flight.load(Ordering::Relaxed),
    }
}

/// What the latest calls to WeCom found: while they fail no one can sign in; signed-in members can continue.
fn wecom(gate: &Gate) -> Vec<Degraded> {
    let mut all = Vec::new();
    // Applications with a host name have entries of their own; the others share the main one's clients.
    let own = gate.with_host().iter().flat_map(|app| app.sign_ins.wecom());
    let mut clients: Vec<_> = gate.sign_ins.wecom().chain(own).collect();
    clients.sort_by_key(|(entry, _)| *entry);
    for (entry, client) in clients {
        all.extend(client.troubles().into_iter().map(|(what, why)| Degraded::new(what, entry, &why)));
    }
    all
}
