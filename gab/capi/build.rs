//! Names the shared object: programs ask for `libgab.so` at run time, wherever it was built.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libgab.so");
}
