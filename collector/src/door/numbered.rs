//! A short body of lines that has the number of a batch in its headers, as our agents' batches have: it is kept once, however
//! often it is sent. That is how `canh import` sends files, each of which has a number of its own in place of a spool's.
//!
//! Unlike other bodies it is kept whole or not at all, because a part of it would take its number.

use axum::body::Body;
use canh_schema::ByteSize;
use canh_wire::BatchNumber;

use super::http::{App, Refusal, read_all};
use super::lines::LineSplitter;
use super::ndjson::{PIECE_LEN, Receipt, Sender};
use crate::envelope::Framing;
use crate::sources::{SourceAbout, SourceKey};

/// What the list of senders shows for those who name no host.
const NAMELESS: &str = "canh import";

pub(super) async fn receive(
    app: &App,
    sender: &Sender,
    number: BatchNumber,
    body: Body,
    receipt: &mut Receipt,
) -> Result<(), Refusal> {
    // One line of the greatest length, or a piece as long as those of other bodies.
    let len_max = ByteSize::new(app.config.line_max.bytes().saturating_add(PIECE_LEN as u64));
    let bytes = read_all(body.into_data_stream(), len_max).await?;
    let mut lines = LineSplitter::new(Framing::NdJson, app.config.line_max.as_len());
    lines.push(&bytes);
    lines.finish();
    let cut = lines.cut_total();
    for ready in lines.take() {
        // Lines that were cut are a batch of their own, so each body has two numbers in the journal.
        let part = u64::from(ready.framing == Framing::Records);
        let sequence = number.sequence.saturating_mul(2).saturating_add(part);
        let records = ready.records;
        let mut envelope = sender.envelope(ready);
        envelope.agent = Some(BatchNumber { sequence, ..number });
        let appended = app.intake.append(envelope, records).await.map_err(|error| Refusal::journal(&error))?;
        receipt.accepted += records;
        if part == 1 && !appended.duplicate {
            sender.count_cut(app, cut);
        }
    }
    receipt.truncated = cut;
    let mut about = SourceAbout::default();
    about.set_host(sender.host().unwrap_or(NAMELESS));
    app.intake.sources.describe(&SourceKey::Agent(number.agent), about);
    Ok(())
}
