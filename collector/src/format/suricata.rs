//! Suricata's EVE: one JSON object per line, `event_type` names the kind.

use canh_schema::Event;

use super::json::{Json, mark};
use super::{Context, Fit, Format, Text};
use crate::source::suricata;

/// EVE of Suricata.
pub(super) struct Suricata;

impl Format for Suricata {
    fn name(&self) -> &'static str {
        "suricata"
    }

    fn about(&self) -> &'static str {
        "EVE JSON of Suricata, also behind a head of syslog"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            r#"{"timestamp":"2026-11-22T15:31:48.250000+0700","flow_id":1805461738637437,"in_iface":"eth0","event_type":"alert","src_ip":"203.0.113.9","src_port":40022,"dest_ip":"10.10.1.2","dest_port":80,"proto":"TCP","community_id":"1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0=","alert":{"action":"allowed","gid":1,"signature_id":2900001,"rev":2,"signature":"WEB shell upload","category":"Web Application Attack","severity":1},"http":{"hostname":"dichvu.example","url":"/upload.php?x=1","http_user_agent":"curl/8","http_method":"POST","protocol":"HTTP/1.1","status":200,"length":12},"app_proto":"http"}"#,
            r#"{"timestamp":"2026-11-22T15:31:48.250000+0700","flow_id":2,"event_type":"dns","src_ip":"10.10.1.6","src_port":54243,"dest_ip":"10.10.0.4","dest_port":53,"proto":"UDP","dns":{"version":2,"type":"answer","id":16,"rcode":"NOERROR","rrname":"www.example","rrtype":"A","answers":[{"rrname":"www.example","rrtype":"A","ttl":30,"rdata":"192.0.2.80"}]}}"#,
            r#"{"timestamp":"2026-11-22T15:31:48.250000+0700","flow_id":3,"event_type":"http","src_ip":"10.10.1.6","src_port":54243,"dest_ip":"192.0.2.80","dest_port":80,"proto":"TCP","http":{"hostname":"www.example","url":"/a.php?x=1","http_user_agent":"curl/8","http_method":"GET","protocol":"HTTP/1.1","status":404,"length":512}}"#,
            r#"{"timestamp":"2026-11-22T15:31:48.250000+0700","flow_id":4,"event_type":"tls","src_ip":"10.10.1.6","src_port":54243,"dest_ip":"192.0.2.80","dest_port":443,"proto":"TCP","tls":{"sni":"www.example","version":"TLS 1.3","ja3":{"hash":"e7d705a3286e19ea42f587b344ee6865"}}}"#,
            r#"{"timestamp":"2026-11-22T15:31:48.250000+0700","flow_id":5,"event_type":"flow","src_ip":"10.10.1.6","src_port":54243,"dest_ip":"192.0.2.80","dest_port":443,"proto":"TCP","app_proto":"tls","flow":{"pkts_toserver":6,"pkts_toclient":5,"bytes_toserver":812,"bytes_toclient":4100,"start":"2026-11-22T15:31:40.000000+0700","end":"2026-11-22T15:31:48.000000+0700","age":8,"state":"closed","reason":"timeout"}}"#,
            r#"{"timestamp":"2026-11-22T15:31:48.250000+0700","flow_id":6,"event_type":"ssh","src_ip":"203.0.113.9","src_port":40022,"dest_ip":"10.10.1.2","dest_port":22,"proto":"TCP","ssh":{"client":{"proto_version":"2.0","software_version":"libssh-0.9"},"server":{"software_version":"OpenSSH_9.6"}}}"#,
            r#"{"timestamp":"2026-11-22T15:31:48.250000+0700","flow_id":7,"event_type":"fileinfo","src_ip":"192.0.2.80","src_port":80,"dest_ip":"10.10.1.6","dest_port":54243,"proto":"TCP","fileinfo":{"filename":"/files/a.exe","state":"CLOSED","size":73802,"sha256":"44d88612fea8a8f36de82e1278abb02f44d88612fea8a8f36de82e1278abb02f"},"app_proto":"http"}"#,
            r#"{"timestamp":"2026-11-22T15:31:48.250000+0700","flow_id":8,"event_type":"anomaly","src_ip":"10.10.1.6","dest_ip":"192.0.2.80","proto":"TCP","anomaly":{"type":"stream","event":"stream.pkt_invalid_ack"}}"#,
            r#"{"timestamp":"2026-11-22T15:31:48.250000+0700","event_type":"stats","stats":{"uptime":8,"capture":{"kernel_packets":1000,"kernel_drops":0}}}"#,
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        match text.json(context) {
            Some(json) if is_eve(json) => (),
            _ => return Fit::No,
        }
        let Some(json) = text.take_json(context) else { return Fit::No };
        json.into_event(event);
        suricata::apply(event, context);
        Fit::Yes
    }
}

pub(crate) fn is_eve(json: &Json) -> bool {
    json.has(mark::EVE_TYPE) && json.has_any(mark::EVE_FLOW | mark::EVE_STATS)
}
