//! Shows the frames of LLT as they pass.

fn main() -> std::process::ExitCode {
    tools::lltdump::main()
}
