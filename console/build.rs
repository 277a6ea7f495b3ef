//! Builds the console again when the web client was built: the client's files become part of the program.

use std::fs;

const CLIENT: &str = "web/dist";

fn main() {
    // Cargo takes a path that is missing for one that changed, every time. An empty directory means no client.
    if let Err(error) = fs::create_dir_all(CLIENT) {
        println!("cargo:warning=cannot make console/{CLIENT}: {error}; every build will compile the console again");
    }
    println!("cargo:rerun-if-changed={CLIENT}");
}
