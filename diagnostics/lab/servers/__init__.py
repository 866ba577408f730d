"""The lab's Google Cloud on loopback: one gRPC port for all APIs, one HTTP port for service URLs and control."""
