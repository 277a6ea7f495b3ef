//! The first page: is everything all right?

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::event::HistogramView;
use super::{LevelName, Time};

/// Leaving both out means the last 24 hours.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct OverviewQuery {
    #[param(value_type = Option<String>, format = DateTime)]
    pub(crate) from: Option<Time>,
    #[param(value_type = Option<String>, format = DateTime)]
    pub(crate) to: Option<Time>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Overview {
    /// Events in the range, by time of the event.
    pub(crate) events: HistogramView,
    /// Events received per second, over the last ten seconds.
    pub(crate) events_per_second: f64,
    pub(crate) alerts: AlertCounts,
    pub(crate) agents: AgentCounts,
    /// Everything that was received and is not kept, since the server started; not only this range.
    pub(crate) dropped: Vec<DroppedCount>,
    pub(crate) store: StoreStatsView,
}

/// Alerts that wait for a decision, whatever their age.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertCounts {
    pub(crate) open: u64,
    pub(crate) acknowledged: u64,
    /// Open ones by level, worst first; every level is listed.
    pub(crate) open_by_level: Vec<LevelCount>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LevelCount {
    pub(crate) level: LevelName,
    pub(crate) count: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentCounts {
    pub(crate) total: u64,
    /// Not heard of for longer than they should be.
    pub(crate) silent: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DroppedCount {
    /// Where, for example `collector.syslog_udp`.
    pub(crate) stage: String,
    /// Why, for example `queue_full`.
    pub(crate) reason: String,
    pub(crate) count: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StoreStatsView {
    pub(crate) events: u64,
    /// Bytes on disk.
    pub(crate) bytes: u64,
    /// Partitions that could not be opened and were moved aside; not 0 means that somebody must look.
    pub(crate) damaged: u64,
    /// Time of the oldest event; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) oldest: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) newest: Option<Time>,
}
