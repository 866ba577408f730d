"""What of a service's containers counts."""

from __future__ import annotations

import pytest
from google.cloud.run_v2 import types

from diagnostics.sources.cloud_run import cores, settings_of


def test_beside_sidecars_the_container_with_the_port_is_the_service() -> None:
    proxy = {"name": "proxy", "image": "envoy", "resources": {"limits": {"cpu": "100m"}}}
    app = {
        "name": "app",
        "image": "worker",
        "ports": [{"container_port": 8080}],
        "resources": {"limits": {"cpu": "2000m"}},
    }
    found = types.Service(template={"containers": [proxy, app]})
    template = settings_of(types.Service.pb(found), "w", "r").template
    assert (template.image, template.cpu) == ("worker", "2")


@pytest.mark.parametrize(("written", "means"), [("1", "1"), ("1000m", "1"), ("500m", "0.5"), ("4", "4"), ("", "")])
def test_cores_are_told_one_way(written: str, means: str) -> None:
    assert cores(written) == means
