//! Creates and registers metrics, and records their descriptions.

use prometheus::core::Collector as _;
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    Result,
};

/// Common prefix of all names.
const PREFIX: &str = "wecom_gate";

/// A metric, with or without a value.
#[derive(Debug, Clone)]
pub struct Described {
    /// With the prefix.
    pub name: String,
    /// Its type.
    pub kind: MetricKind,
    /// Names of its labels.
    pub labels: Vec<String>,
    /// One sentence.
    pub help: String,
}

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations in buckets.
    Histogram,
}

#[derive(Default)]
pub(super) struct Registrar {
    registry: Registry,
    described: Vec<Described>,
}

/// Describes, creates and registers one metric.
macro_rules! make {
    ($registrar:ident, $kind:ident, $name:ident, $help:ident, $labels:expr, $metric:expr) => {{
        let labels: &[&str] = $labels;
        $registrar.described.push(Described {
            name: format!("{PREFIX}_{}", $name),
            kind: MetricKind::$kind,
            labels: labels.iter().map(|l| (*l).to_owned()).collect(),
            help: $help.to_owned(),
        });
        let metric = $metric?;
        $registrar.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }};
}

impl Registrar {
    pub(super) fn counter(&mut self, name: &str, help: &str) -> Result<IntCounter> {
        make!(self, Counter, name, help, &[], IntCounter::with_opts(opts(name, help)))
    }
    pub(super) fn counters(&mut self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
        make!(self, Counter, name, help, labels, IntCounterVec::new(opts(name, help), labels))
    }
    pub(super) fn gauge(&mut self, name: &str, help: &str) -> Result<IntGauge> {
        make!(self, Gauge, name, help, &[], IntGauge::with_opts(opts(name, help)))
    }
    pub(super) fn gauges(&mut self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec> {
        make!(self, Gauge, name, help, labels, IntGaugeVec::new(opts(name, help), labels))
    }
    pub(super) fn histogram(&mut self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram> {
        make!(self, Histogram, name, help, &[], Histogram::with_opts(buckets_of(name, help, buckets)))
    }
    pub(super) fn histograms(
        &mut self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec> {
        make!(self, Histogram, name, help, labels, HistogramVec::new(buckets_of(name, help, buckets), labels))
    }

    /// CPU, memory, file descriptors and start time of this process, which the crate reads from /proc.
    pub(super) fn process(&mut self) -> Result<()> {
        let pid = i32::try_from(std::process::id()).unwrap_or_default();
        let collector = ProcessCollector::new(pid, PREFIX);
        for d in collector.desc() {
            self.described.push(Described {
                name: d.fq_name.clone(),
                kind: if d.fq_name.ends_with("_total") { MetricKind::Counter } else { MetricKind::Gauge },
                labels: Vec::new(),
                help: d.help.clone(),
            });
        }
        self.registry.register(Box::new(collector))
    }

    pub(super) fn close(self) -> (Registry, Vec<Described>) {
        (self.registry, self.described)
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace(PREFIX)
}

fn buckets_of(name: &str, help: &str, buckets: &[f64]) -> HistogramOpts {
    HistogramOpts::new(name, help).namespace(PREFIX).buckets(buckets.to_vec())
}
