//! Who sends: the resource of every message.

use canh_schema::{AgentId, Value};
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::{attribute, to_any};

/// The agent and the host that it runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub agent: AgentId,
    pub agent_version: String,
    pub host_name: String,
}

impl Origin {
    pub(crate) fn resource(&self) -> Resource {
        let attributes = vec![
            key_value(attribute::SERVICE_NAME, &Value::from("canh-agent")),
            key_value(attribute::HOST_NAME, &Value::from(self.host_name.as_str())),
            key_value(attribute::OS_TYPE, &Value::from("linux")),
            key_value(attribute::AGENT_ID, &Value::from(self.agent.to_string())),
            key_value(attribute::AGENT_VERSION, &Value::from(self.agent_version.as_str())),
        ];
        Resource { attributes, ..Resource::default() }
    }

    pub(crate) fn scope(&self) -> InstrumentationScope {
        InstrumentationScope {
            name: "canh-agent".to_owned(),
            version: self.agent_version.clone(),
            ..InstrumentationScope::default()
        }
    }
}

pub(crate) fn key_value(key: &str, value: &Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(to_any(value)), ..KeyValue::default() }
}
