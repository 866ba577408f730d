"""Cloud Run in the lab: front end, instances, scaling, and what of it becomes telemetry."""

from diagnostics.lab.cloud_run.service import CloudRun

__all__ = ["CloudRun"]
