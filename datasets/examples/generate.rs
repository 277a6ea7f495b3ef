//! Writes the scenario into a directory: `cargo run -p canh-datasets --example generate -- DIR [SEED]`.

use std::path::Path;

use canh_datasets::{Options, generate};
use canh_schema::Timestamp;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().unwrap_or_else(|| "scenario".to_owned());
    let seed = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let manifest = generate(&Options::new(seed, Timestamp::now()), Path::new(&dir))?;
    for file in &manifest.files {
        println!("{:>8}  {:?}  {}", file.records, file.door, file.path);
    }
    Ok(())
}
