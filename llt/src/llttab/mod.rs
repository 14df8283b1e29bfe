//! `/etc/llttab` and `/etc/llthosts`.
