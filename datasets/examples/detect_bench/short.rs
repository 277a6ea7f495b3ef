//! Short records that no shared file has: syslog lines of a server room, and traffic records of the agent.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// RFC 5424 lines of seven programs.
pub(crate) fn syslog(count: usize) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(1);
    let line = |number: usize| {
        let (pid, last): (u16, u8) = (random.random(), random.random());
        let (program, text) = match number % 7 {
            0 => (
                "sshd",
                format!("Accepted publickey for minh from 10.20.0.{last} port {pid} ssh2: ED25519 SHA256:{pid}"),
            ),
            1 => ("sshd", format!("Failed password for invalid user admin from 203.0.113.{last} port {pid} ssh2")),
            2 => (
                "sudo",
                format!("minh : TTY=pts/0 ; PWD=/home ; USER=root ; COMMAND=/usr/bin/systemctl status svc{last}"),
            ),
            3 => ("CRON", format!("(root) CMD (/usr/local/bin/dongbo --job {number})")),
            4 => ("mysqld", format!("{pid} Query SELECT ma, ten FROM danhmuc_donvi WHERE cap = {last}")),
            5 => (
                "kernel",
                format!(
                    "DROP IN=ens18 OUT= MAC=bc:24:11:00:00:01 SRC=203.0.113.{last} DST=10.10.1.4 LEN=60 TOS=0x00 PREC=0x00 TTL=51 ID={pid} DF PROTO=TCP SPT={pid} DPT=445 WINDOW=64240 RES=0x00 SYN URGP=0"
                ),
            ),
            _ => ("motcua", format!("hồ sơ H{number:07} đã tiếp nhận, thời gian xử lý {last} ms")),
        };
        let (minute, second) = (number / 60 % 60, number % 60);
        format!(
            "<38>1 2026-11-22T08:{minute:02}:{second:02}.000+07:00 may{:02} {program} {pid} - - {text}",
            number % 40
        )
    };
    (0..count).map(line).collect()
}

/// JSON lines: four connections for one question to a name server.
pub(crate) fn flows(count: usize) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(2);
    let line = |number: usize| {
        let (port, sent, last): (u16, u16, u8) = (random.random(), random.random(), random.random());
        let time = format!("2026-11-22T08:{:02}:{:02}.250Z", number / 60 % 60, number % 60);
        if number % 5 == 4 {
            return format!(
                r#"{{"event.dataset":"dns","@timestamp":"{time}","source.ip":"10.10.1.{last}","source.port":{port},"destination.ip":"10.10.0.4","destination.port":53,"network.transport":"udp","dns.question.name":"may{last}.tinh.example","dns.question.type":"A","dns.response_code":"NOERROR","dns.answers.data":["10.10.2.{last}"]}}"#
            );
        }
        let lasted = u32::from(sent) * 1_000;
        let service = [443, 80, 22, 3306][number % 4];
        format!(
            r#"{{"event.dataset":"flow","@timestamp":"{time}","event.duration":{lasted},"source.ip":"10.10.1.{last}","source.port":{port},"source.bytes":{sent},"source.packets":9,"destination.ip":"203.0.113.{last}","destination.port":{service},"destination.bytes":{port},"destination.packets":7,"network.transport":"tcp","network.connection.state":"SF","network.community_id":"1:{port}{sent}=","flow.final":true}}"#
        )
    };
    (0..count).map(line).collect()
}
