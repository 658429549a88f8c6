//! The store's health and counters among the metrics, read when somebody asks.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use shacache_store::{Health, Store};

/// Shows a [`Store`] at each scrape.
#[derive(Debug)]
pub(super) struct Archive(pub(super) Store);

impl Collector for Archive {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let read_only = ConstGauge::new(match self.0.health() {
            Health::Healthy => 0_i64,
            Health::ReadOnly { .. } => 1,
        });
        read_only.encode(encoder.encode_descriptor(
            "store_read_only",
            "1 while writes are refused since a failure.",
            None,
            read_only.metric_type(),
        )?)?;
        if let Some(age) = self.0.oldest_check() {
            let age = ConstGauge::new(age.as_secs_f64());
            age.encode(encoder.encode_descriptor(
                "oldest_check",
                "Age of the oldest check; missing until every part of the archive was checked.",
                Some(&Unit::Seconds),
                age.metric_type(),
            )?)?;
        }
        let unclaimed = self.0.unclaimed();
        for (name, help, unit, value) in [
            ("unclaimed_blobs", "Blobs that no accepted entry names yet.", None, unclaimed.blobs),
            (
                "unclaimed",
                "What they and uploads without credentials count against their limit.",
                Some(&Unit::Bytes),
                unclaimed.bytes,
            ),
        ] {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, unit, gauge.metric_type())?)?;
        }
        let counters = self.0.counters();
        for (name, help, value) in [
            ("damaged_blobs", "Damaged blobs found.", counters.damaged_blobs),
            ("lost_blobs", "Blobs found to be missing that were here.", counters.lost_blobs),
            ("skipped_entries", "Files among the entries that are none.", counters.skipped_entries),
            ("index_failures", "Failures of the index.", counters.index_failures),
        ] {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(
                name,
                help,
                None,
                counter.metric_type(),
            )?)?;
        }
        Ok(())
    }
}
