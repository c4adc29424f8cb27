"""Does anybody, whatever their role, get code or a component of their own choice to run at a site?"""
# pyright: basic, reportMissingImports=false

import json

import pytest

pytest.importorskip("nvflare")
pytestmark = pytest.mark.flare

from dfm.flare._kit import find_kit  # noqa: E402
from dfm.flare._login import log_in  # noqa: E402
from eventually import until  # noqa: E402
from jobs import ended  # noqa: E402

CODE = """
open({mark!r}, "a").write("ran ")
from nvflare.apis.executor import Executor
from nvflare.apis.impl.controller import Controller


class Evil(Executor):
    def execute(self, *args): ...


class Rules(Controller):
    def start_controller(self, fl_ctx): ...
    def stop_controller(self, fl_ctx): ...
    def control_flow(self, abort_signal, fl_ctx): ...
"""


def job(folder, mark, workflow, executor, code):
    """Writes a job of these classes, with a package of the attacker's own if it says so."""
    config = folder / "dfm-evil" / "app" / "config"
    config.mkdir(parents=True)
    if code:
        custom = config.parent / "custom"
        custom.mkdir()
        (custom / "evil.py").write_text(CODE.format(mark=str(mark)))
    meta = {"name": "dfm-evil", "resource_spec": {}, "min_clients": 1, "deploy_map": {"app": ["@ALL"]}}
    server = {"format_version": 2, "workflows": [{"id": "s", "path": workflow, "args": {}}], "components": []}
    client = {"format_version": 2, "executors": [{"tasks": ["*"], "executor": {"path": executor, "args": {}}}]}
    (config.parents[1] / "meta.json").write_text(json.dumps(meta | {"byoc": False}))
    (config / "config_fed_server.json").write_text(json.dumps(server))
    (config / "config_fed_client.json").write_text(json.dumps(client | {"components": []}))
    return config.parents[1]


@pytest.mark.parametrize("user", ["admin@small.example", "home@small.example"])
def test_nobody_brings_code_to_a_site(federation, tmp_path, user):
    mark = tmp_path / "mark"
    flare = log_in(find_kit(str(federation.kit(user)), None, None))
    submitted = flare.submit_job(str(job(tmp_path, mark, "evil.Rules", "evil.Evil", code=True)))
    ended(flare, submitted)
    # NVFlare says why a moment after it has said that the job is over.
    until(lambda: "BYOC not permitted" in json.dumps(flare.get_job_meta(submitted).get("job_deploy_detail")))
    flare.close()
    assert not mark.exists()


@pytest.mark.parametrize(
    "path",
    ["small.adapters.Add", "subprocess.Popen", "dfm.flare._participant.Participant", "dfm.flare.server.os.system"],
)
def test_a_component_that_no_site_allows_is_not_made(federation, tmp_path, path):
    flare = log_in(find_kit(str(federation.kit("admin@*")), None, None))
    meta = ended(flare, flare.submit_job(str(job(tmp_path, tmp_path, path, path, code=False))))
    flare.close()
    assert meta["status"].startswith("FINISHED") and meta["status"] != "FINISHED:COMPLETED"
