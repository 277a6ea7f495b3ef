//! The errors that brokers answer with, and what is to be done about them.

/// The number of an error in an answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Code(pub i16);

impl Code {
    pub const NONE: Self = Self(0);
    pub const OFFSET_OUT_OF_RANGE: Self = Self(1);

    /// Another broker is the partition's leader by now, or will be soon: the cluster is to be asked again.
    pub const fn is_of_leadership(self) -> bool {
        matches!(self.0, 3 | 5 | 6 | 8 | 9 | 74 | 75 | 78 | 100)
    }

    /// The name in Kafka's protocol guide.
    pub const fn name(self) -> &'static str {
        match self.0 {
            0 => "none",
            1 => "offset_out_of_range",
            2 => "corrupt_message",
            3 => "unknown_topic_or_partition",
            5 => "leader_not_available",
            6 => "not_leader_or_follower",
            7 => "request_timed_out",
            8 => "broker_not_available",
            9 => "replica_not_available",
            17 => "invalid_topic",
            29 => "topic_authorization_failed",
            31 => "cluster_authorization_failed",
            33 => "unsupported_sasl_mechanism",
            34 => "illegal_sasl_state",
            35 => "unsupported_version",
            56 => "kafka_storage_error",
            58 => "sasl_authentication_failed",
            74 => "fenced_leader_epoch",
            75 => "unknown_leader_epoch",
            76 => "unsupported_compression_type",
            78 => "offset_not_available",
            100 => "unknown_topic_id",
            _ => "unknown",
        }
    }

    /// What to do, in words.
    pub const fn advice(self) -> &'static str {
        match self.0 {
            2 | 56 => "the broker has trouble with its disk; see its log",
            3 => "the topic is not there (yet); create it, or correct `topics`",
            5 | 6 | 8 | 9 | 74 | 75 | 78 | 100 => "the cluster is choosing a leader; this goes on by itself",
            17 => "this is no name of a topic; correct `topics`",
            29 => "the user may not read the topic; allow it the operations Describe and Read",
            31 => "the user may not ask for this; allow it the operation Describe on the cluster",
            33 => "the broker knows other mechanisms; correct `sasl`",
            34 => "the listener wants no user, or wants TLS first; correct `sasl` and `tls`",
            35 => "the broker is too old or too new; Kafka 1.0 and later are spoken",
            58 => "user or password is wrong; correct `user` or the file of `password_file`",
            76 => "the broker is older than the compression of the records; update it",
            _ => "see the broker's log",
        }
    }
}
