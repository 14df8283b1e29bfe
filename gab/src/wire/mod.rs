//! GAB's messages, inside LLT's. Drawn in `docs/wire.md`.
