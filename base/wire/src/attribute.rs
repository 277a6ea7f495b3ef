//! Names of attributes. Where OpenTelemetry or ECS has a name, it is theirs.

/// Resource: the host that a record comes from.
pub const HOST_NAME: &str = "host.name";
/// Resource: `linux`.
pub const OS_TYPE: &str = "os.type";
/// Resource: id of the agent installation, 32 hexadecimal digits.
pub const AGENT_ID: &str = "agent.id";
/// Resource: the agent's version.
pub const AGENT_VERSION: &str = "agent.version";
/// Resource: what made the records; `canh-agent`.
pub const SERVICE_NAME: &str = "service.name";

/// Record: path of the file that a line was read from.
pub const LOG_FILE_PATH: &str = "log.file.path";
/// Record: byte in the file at which the line starts.
pub const LOG_FILE_OFFSET: &str = "log.file.position";
/// Record: name of the format that the line is in, if the agent's configuration says so.
pub const FORMAT: &str = "canh.format";
/// Record: true if the line was longer than [`crate::limit::LINE_MAX`] and is cut off.
pub const TRUNCATED: &str = "canh.truncated";
/// Record: what kind of records these are, for example `canh.flow`.
pub const EVENT_DATASET: &str = "event.dataset";
/// Scope: first lines of the file that its records were read from, which say what their values are called.
pub const HEADER: &str = "canh.header";
