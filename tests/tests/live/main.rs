//! Clusters of real processes, on loopback (`process_`) and in network namespaces (`netns_`). One
//! program, so that two of them wait at the same time: most of what they do is waiting.

mod hanging;
mod netns;
mod netns_cables;
mod netns_cluster;
mod netns_faults;
mod netns_many;
mod netns_scenarios;
mod process;
mod process_apart;
mod process_bench;
mod process_churn;
mod process_commands;
mod process_cvm;
mod process_cvm_errors;
mod process_export;
mod process_fuse;
mod process_fuzz;
mod process_hanging;
mod process_kills;
mod process_lease;
mod process_plexes;
mod process_quorum;
mod process_relocation;
mod process_stats;
mod process_storm;
mod process_volumes;
mod process_vxsnap;
