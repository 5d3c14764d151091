//! The runner that stands in for the kubelet, on a real control plane.

mod bed;
mod ended;
mod given;
