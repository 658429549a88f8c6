//! The listener's counters among the metrics, read when somebody asks.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::listen::Counters;

/// Shows [`Counters`] at each scrape.
#[derive(Debug)]
pub(super) struct Connections(pub(super) Arc<Counters>);

impl Collector for Connections {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counters = &*self.0;
        let open = ConstGauge::new(i64::try_from(counters.open()).unwrap_or(i64::MAX));
        open.encode(encoder.encode_descriptor(
            "connections_open",
            "Connections open now.",
            None,
            open.metric_type(),
        )?)?;
        for (name, help, value) in [
            ("connections", "Connections accepted.", counters.accepted()),
            (
                "connections_refused",
                "Connections closed because their address held too many.",
                counters.refused_by_address(),
            ),
            ("accept_errors", "Failed accepts.", counters.accept_errors()),
            ("tls_handshakes", "TLS handshakes completed.", counters.handshakes()),
            (
                "tls_handshakes_failed",
                "TLS handshakes failed: nothing in common, no TLS, or the client went away.",
                counters.handshakes_failed(),
            ),
            (
                "tls_handshake_timeouts",
                "A TLS handshake took too long.",
                counters.handshake_timeouts(),
            ),
            (
                "tls_handshakes_given_up",
                "A slow TLS handshake gave way to others.",
                counters.handshakes_given_up(),
            ),
            ("request_lines_too_long", "Requests answered 414.", counters.lines_too_long()),
            ("first_byte_timeouts", "No request line came.", counters.first_byte_timeouts()),
            ("header_timeouts", "Headers took too long.", counters.header_timeouts()),
            ("idle_timeouts", "No further request came.", counters.idle_timeouts()),
            ("body_timeouts", "A body stalled or came too slowly.", counters.body_timeouts()),
            ("response_timeouts", "An answer was not read.", counters.response_timeouts()),
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
