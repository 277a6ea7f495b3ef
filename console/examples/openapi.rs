//! Prints the description of the API: `cargo run -p canh-console --example openapi > console/openapi.json`.

fn main() {
    print!("{}", canh_console::openapi_json());
}
