"""Do sites on Flare sign what they say in a secure sum, and come to what the local target does?"""
# pyright: basic, reportMissingImports=false

import pytest
from dfm.api import EachSite, ForEach, PlaceParam, SecureMean, SecureSum, Yield
from flare_federation import opened, written

pytest.importorskip("nvflare")
pytestmark = pytest.mark.flare


def test_a_sum_on_flare_is_that_of_the_local_target(federation, shared, fed):
    def build():
        with ForEach(seq=[1, -2]) as n:
            with EachSite(sites=["server", "east", "west"], at_least=3) as here:
                own = fed.Add(site=here, a=n, b=PlaceParam(place="base"))
                both = fed.Echo(site=here, value={"n": own, "half": 0.5})
            Yield(value=SecureSum(here, own, bound=1000), place="sum")
            Yield(value=SecureMean(here, both, bound=1000, precision=1e-3), place="mean")

    expected = shared.run(written(build), base=10)
    with opened(federation) as session:
        assert session.run(written(build), base=10) == expected
    assert expected["sum"] == [33, 24]
