//! Tests of the runner that replaces the kubelet, on a real control plane.

mod bed;
mod ended;
mod given;
