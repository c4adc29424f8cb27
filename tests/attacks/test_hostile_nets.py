"""What does a site make of a net that no planner has made?"""
# pyright: basic, reportMissingImports=false

import pytest
from dfm.api import Pipeline, PlaceParam, Yield
from flare_federation import opened
from hostile import changed, opened_with

pytest.importorskip("nvflare")
pytestmark = pytest.mark.flare


def test_no_file_is_written_where_a_net_says(federation, fed, tmp_path):
    """A `store` whose key is a parameter would write the parameter's value to any path."""
    target = tmp_path / "written"
    store = ["east", [[None, False]], [[0, 0, 0, {"param": "v"}], [0, 1, 0, {"param": "k"}]], [[{"store": [0]}, 0, []]]]
    with Pipeline() as pipeline:
        fed.Echo(value=PlaceParam(place="k"), site="east")
        Yield(value=fed.Echo(value=PlaceParam(place="v"), site="east"), place="out")
    with opened(federation) as session, changed(opened_with(store)):
        job = session.execute(pipeline, {"v": "written by an attacker", "k": str(target)})
        job.wait_until_finished(30)
        assert [error.type for error in job.errors] == ["PlanRefusedError"]
    assert not target.exists()
