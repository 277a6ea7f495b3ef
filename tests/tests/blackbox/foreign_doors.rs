//! Clients of Elasticsearch and Splunk at our doors, unmodified: rsyslog's omelasticsearch, the official Python client, and
//! two of Python's logging handlers for Splunk. And curl, with a token of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use canh_tests::{Process, Server, ServerOptions, wait_until};

use super::doors::{count_reaches, tool};

/// A Python in which this module can be imported: the one of `CANH_TEST_PYTHON`, of the clients' own directory, or of the
/// machine. Else a loud word that there is none.
pub(crate) fn python_with(module: &str) -> Option<PathBuf> {
    let named = std::env::var_os("CANH_TEST_PYTHON").map(PathBuf::from);
    let own = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/canh/clients/bin/python"));
    let candidates = named.into_iter().chain(own).chain([PathBuf::from("/usr/bin/python3")]);
    let found = candidates.filter(|path| path.is_file()).find(|path| {
        let import = Command::new(path).args(["-c", &format!("import {module}")]).output();
        import.is_ok_and(|output| output.status.success())
    });
    if found.is_none() {
        eprintln!("SKIPPED: no Python has the module `{module}`; `.ci/run` installs it");
    }
    found
}

pub(crate) fn run(python: &Path, script: &str, server: &Server) -> anyhow::Result<String> {
    let output = Command::new(python)
        .args(["-c", script])
        .env("PORT", server.ports.http.to_string())
        .env("TOKEN", server.ingest_token()?)
        // Python's requests would believe these and not the file that it is given.
        .env_remove("REQUESTS_CA_BUNDLE")
        .env_remove("CURL_CA_BUNDLE")
        .output()
        .context("cannot run Python")?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "the client failed: {said}");
    Ok(said)
}

#[test]
fn the_elasticsearch_client_for_python_sends_in_bulk() -> anyhow::Result<()> {
    let Some(python) = python_with("elasticsearch") else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path(), &ServerOptions::default())?;
    let script = r#"
import os
from elasticsearch import Elasticsearch, helpers
url = "http://127.0.0.1:" + os.environ["PORT"]
token = os.environ["TOKEN"]
for number, auth in enumerate([dict(basic_auth=("canh", token)), dict(api_key=("id", token)), dict(bearer_auth=token)]):
    client = Elasticsearch(url, http_compress=True, **auth)
    assert client.info()["version"]["number"] == "8.17.0"
    assert client.license.get()["license"]["type"] == "basic"
    assert client.indices.exists_index_template(name="logs")
    client.indices.put_index_template(name="logs", index_patterns=["logs-*"])
    assert client.ilm.get_lifecycle(name="days")["days"]
    def documents():
        for n in range(1000):
            yield {"_op_type": "create", "_index": f"logs-app-{number}", "@timestamp": "2026-11-22T08:00:00.250Z",
                   "message": f"canhbulk {n}", "host": {"name": "app1"}, "source": {"ip": "10.1.2.3"}}
    done, errors = helpers.bulk(client, documents(), chunk_size=300)
    assert (done, errors) == (1000, []), errors
# What cannot be done is said for each document, and the others are kept.
actions = [{"_op_type": "delete", "_index": "logs-app-0", "_id": "1"}, {"_index": "logs-kept", "message": "canhkept"}]
done, errors = helpers.bulk(client, actions, raise_on_error=False)
assert done == 1 and errors[0]["delete"]["status"] == 400, errors
try:
    Elasticsearch(url, basic_auth=("canh", "wrong")).info()
    raise SystemExit("a wrong password was taken")
except Exception as error:
    assert getattr(error, "status_code", 0) == 401, error
"#;
    run(&python, script, &server)?;
    count_reaches(&server, "canhbulk AND canh.index:logs-app-0", 1_000)?;
    count_reaches(&server, "canhbulk AND host.name:app1 AND source.ip:10.1.2.3", 3_000)?;
    count_reaches(&server, "canhkept AND canh.index:logs-kept", 1)?;
    let event = server.api()?.events("canhbulk AND canh.index:logs-app-1")?.into_iter().next().context("no event")?;
    assert!(event.to_string().contains("2026-11-22T08:00:00.25"), "the document's time is not kept: {event}");
    Ok(())
}

#[test]
fn rsyslog_sends_to_the_elasticsearch_door() -> anyhow::Result<()> {
    let Some(rsyslogd) = tool("rsyslogd") else { return Ok(()) };
    let modules = ["/usr/lib/x86_64-linux-gnu/rsyslog", "/usr/lib/aarch64-linux-gnu/rsyslog", "/usr/lib/rsyslog"];
    if !modules.iter().any(|folder| Path::new(folder).join("omelasticsearch.so").is_file()) {
        eprintln!("SKIPPED: `rsyslog-elasticsearch` is not installed");
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path(), &ServerOptions::default())?;
    let input = dir.path().join("input.log");
    fs::write(&input, (0..5_000).map(|number| format!("canhelastic n{number:05}\n")).collect::<String>())?;
    let config = format!(
        r#"
global(workDirectory="{work}")
module(load="imfile" mode="polling" pollingInterval="1")
module(load="omelasticsearch")
template(name="ecs" type="list" option.jsonf="on") {{
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host.name" name="hostname" format="jsonf")
  property(outname="process.name" name="programname" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
}}
input(type="imfile" file="{input}" tag="elastictest:" facility="local0" severity="info")
action(type="omelasticsearch" server="127.0.0.1" serverport="{port}" uid="canh" pwd="{token}"
       template="ecs" searchIndex="rsyslog" searchType="" bulkmode="on" maxbytes="1m"
       queue.type="linkedlist" queue.dequeuebatchsize="500" action.resumeretrycount="-1")
"#,
        work = dir.path().display(),
        input = input.display(),
        port = server.ports.http,
        token = server.ingest_token()?,
    );
    let path = dir.path().join("rsyslog.conf");
    fs::write(&path, config)?;
    let mut command = Command::new(rsyslogd);
    command.args(["-n", "-f"]).arg(&path).arg("-i").arg(dir.path().join("rsyslog.pid"));
    let rsyslog = Process::start(&mut command, &dir.path().join("rsyslog.log"))?;
    count_reaches(&server, "canhelastic AND process.name:elastictest AND canh.index:rsyslog", 5_000)
        .with_context(|| rsyslog.output())
}

#[test]
fn handlers_of_pythons_logging_send_to_the_splunk_door() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path(), &ServerOptions::default())?;
    if let Some(python) = python_with("splunk_handler") {
        let script = r#"
import logging, os
from splunk_handler import SplunkHandler
handler = SplunkHandler(host="127.0.0.1", port=os.environ["PORT"], token=os.environ["TOKEN"], index="main",
    protocol="http", verify=False, hostname="app1", source="shop", sourcetype="app", flush_interval=0.2, timeout=10)
logger = logging.getLogger("shop")
logger.addHandler(handler)
for n in range(500):
    logger.warning("canhhandler %d", n)
logging.shutdown()
"#;
        run(&python, script, &server)?;
        count_reaches(&server, "canhhandler AND host.name:app1 AND canh.index:main", 500)?;
    }
    if let Some(python) = python_with("splunk_hec_handler") {
        let script = r#"
import logging, os
from splunk_hec_handler import SplunkHecHandler
handler = SplunkHecHandler("127.0.0.1", os.environ["TOKEN"], port=int(os.environ["PORT"]), proto="http",
    ssl_verify=False, source="shop", sourcetype="_json", hostname="app2", index="main")
logger = logging.getLogger("shop")
logger.addHandler(handler)
for n in range(50):
    logger.error({"message": f"canhhec {n}", "fields": {"user.name": "an"}})
"#;
        run(&python, script, &server)?;
        count_reaches(&server, "canhhec AND host.name:app2", 50)?;
    }
    Ok(())
}

/// Sends with curl and answers status and body.
pub(crate) fn curl(curl: &Path, token: &str, url: &str, body: &str, more: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(curl)
        .args(["-sS", "-w", " %{http_code}", "-H", &format!("authorization: Bearer {token}"), "--data-binary", body])
        .args(more)
        .arg(url)
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_source_with_its_own_token_is_named_and_revoked() -> anyhow::Result<()> {
    let Some(program) = tool("curl") else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("firewall.token");
    fs::write(&file, "a-token-of-the-firewall\n")?;
    let config = format!("[[collector.token]]\nname = \"firewall\"\ntoken_file = {:?}\n", file.display().to_string());
    let server = Server::start(dir.path(), &ServerOptions { config, ..ServerOptions::default() })?;
    let base = format!("http://127.0.0.1:{}", server.ports.http);
    let ndjson = format!("{base}/ingest/ndjson");
    let own = "a-token-of-the-firewall";

    let array = r#"[{"message":"canharray 1"},{"message":"canharray 2"}]"#;
    let answer = curl(&program, own, &ndjson, array, &[])?;
    assert!(answer.contains(r#""accepted":2"#) && answer.ends_with(" 200"), "{answer}");
    let answer = curl(&program, &server.ingest_token()?, &ndjson, r#"{"message":"canharray 3"}"#, &[])?;
    assert!(answer.ends_with(" 200"), "{answer}");
    count_reaches(&server, "canharray AND canh.token:firewall", 2)?;
    count_reaches(&server, "canharray", 3)?;

    // The same token at Splunk's door, with an acknowledgement.
    let channel = "x-splunk-request-channel: 0c5f5ac0-0000-4000-8000-00000000000a";
    let event = format!("{base}/services/collector/event");
    let answer = curl(&program, own, &event, r#"{"event":"canhack"}{"event":"canhack"}"#, &["-H", channel])?;
    assert!(answer.contains(r#""ackId":0"#) && answer.ends_with(" 200"), "{answer}");
    let ack = format!("{base}/services/collector/ack");
    let answer = curl(&program, own, &ack, r#"{"acks":[0,1]}"#, &["-H", channel])?;
    assert!(answer.contains(r#"{"0":true,"1":false}"#), "{answer}");
    count_reaches(&server, "canhack AND canh.token:firewall", 2)?;
    let metrics = server.api()?.request("/metrics", &[])?.1;
    let line = r#"canh_token_records_total{door="ndjson",token="firewall"} 2"#;
    assert!(metrics.contains(line), "expected `{line}`: {metrics}");

    fs::remove_file(&file)?;
    wait_until("the token to be refused", Duration::from_secs(20), || {
        Ok(curl(&program, own, &ndjson, "{}", &[])?.ends_with(" 401"))
    })
}
