//! Lines of `wso2carbon.log`. The shape is the product's own pattern: tenant, application, local time, level, class.

use std::time::Duration;

use canh_schema::Timestamp;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::output::{Output, Stream};
use crate::world::{Clock, hex};

fn line(clock: &Clock, output: &mut Output, host: &'static str, at: Timestamp, level: &str, class: &str, text: &str) {
    let stamp = clock.local(at).strftime("%Y-%m-%d %H:%M:%S").to_string();
    let millis = at.millis().rem_euclid(1_000);
    let text = format!("TID: [-1234] [] [{stamp},{millis:03}] {level:>5} {{{class}}} - {text}");
    output.line(Stream::file(host, "wso2carbon.log"), at, text);
}

pub(crate) fn ordinary(clock: &Clock, random: &mut StdRng, output: &mut Output) {
    for at in clock.times(random, 5.0) {
        let id = format!(
            "urn:uuid:{}-{}-{}-{}-{}",
            hex(random, 8),
            hex(random, 4),
            hex(random, 4),
            hex(random, 4),
            hex(random, 12)
        );
        let text = format!(
            "To: /services/LienThongVanBan, MessageID: {id}, Direction: request, noiDung = Công văn liên thông"
        );
        line(clock, output, "ESB-Svr", at, "INFO", "org.apache.synapse.mediators.builtin.LogMediator", &text);
    }
    for at in clock.times_evenly(random, 0.02) {
        let class = "org.apache.synapse.endpoints.EndpointContext";
        line(
            clock,
            output,
            "ESB-Svr",
            at,
            "WARN",
            class,
            "Endpoint : BuuChinh_EP is marked as TIMEOUT because of a late answer",
        );
        let back = at + Duration::from_secs(30);
        line(
            clock,
            output,
            "ESB-Svr",
            back,
            "INFO",
            class,
            "Endpoint : BuuChinh_EP currently TIMEOUT will now be marked active since it processed its last message",
        );
    }
    for at in clock.times(random, 0.3) {
        let class = "org.wso2.carbon.apimgt.gateway.handlers.security.APIAuthenticationHandler";
        line(clock, output, "API-Svr", at, "ERROR", class, "API authentication failed with error 900901");
    }
    for at in clock.times(random, 0.5) {
        let class = "org.wso2.carbon.dataservices.core.DataService";
        let rows = random.random_range(1..400);
        line(clock, output, "DSS-Svr", at, "INFO", class, &format!("truyVan=DanhMucDonVi soDong={rows} tổng hợp"));
    }
    for at in clock.times_evenly(random, 0.2) {
        let class = "org.wso2.carbon.analytics.spark.core.AnalyticsTask";
        line(
            clock,
            output,
            "BAM-Svr",
            at,
            "INFO",
            class,
            "Executing the schedule task for: APIM_STAT_SCRIPT for tenant id: -1234",
        );
    }
}
