"""Does a site begin a job whose pipeline or parameters its user has not signed?"""
# pyright: basic, reportMissingImports=false

import json

import msgpack
import pytest
from dfm.api import PlaceParam, Yield
from dfm.flare._channel import HELLO, Secret
from dfm.flare._identity import Untrusted, check_user
from dfm.flare._sealing import HomeSealing
from dfm.flare._signing import Signed, Signer
from flare_federation import opened, written
from kits import Root

JOB = "job"


@pytest.fixture(scope="module")
def kits(tmp_path_factory):
    root = Root(tmp_path_factory.mktemp("kits"))
    return {"ann": root.kit("ann@x", "lead"), "east": root.kit("east")}


class Application:
    """An application of one session, and what a site knows of it."""

    def __init__(self, kits):
        self.signer = Signer()
        self.hello = Secret(kits["ann"], JOB, self.signer.about).hello
        self.content, self.user = check_user(kits["east"], self.hello, HELLO, JOB)

    def site(self, name="east"):
        return Signed(name, self.hello, self.content)

    def sign(self, *packets):
        """The statement for the only job that begins with these packets."""
        whole = [(site, [packet]) for site, packet in packets]
        (statement,) = set(self.signer.statements(self.hello, whole).values())
        return statement


@pytest.fixture
def application(kits):
    return Application(kits)


def net(job=1, value="net"):
    return bytes(msgpack.packb({"Open": [job, "job", value]}) or b"")


def params(job=1, number=0, value=1, size=1):
    return bytes(msgpack.packb({"Start": [job, [number], [["p", [bytes([value] * size), []]]], []]}) or b"")


def begin(site, *packets):
    for packet in packets:
        site.check(packet)


def test_a_site_begins_what_was_signed(application):
    sets = [params(number=number) for number in range(200)]
    packets = [("east", net()), ("west", net(value="other")), *(("east", one) for one in sets), ("west", params())]
    statement = application.sign(*packets)
    for name, own in (("east", [net(), *sets]), ("west", [net(value="other"), params()])):
        site = application.site(name)
        site.take(statement)
        begin(site, *own, params(number=200))
        assert not site._nets and not site._params


def test_jobs_that_begin_together_are_signed_each(application):
    packets = [("east", net(1)), ("east", params(1)), ("east", net(2)), ("east", params(2)), ("east", params(1, 1))]
    statements = application.signer.statements(application.hello, [(site, [packet]) for site, packet in packets])
    assert statements.keys() == {0, 2}
    site = application.site()
    for place, (_, packet) in enumerate(packets):
        if place in statements:
            site.take(statements[place])
        site.check(packet)


@pytest.mark.parametrize(
    ("signed", "sent"),
    [
        ([net(), params()], [net(value="another")]),
        ([net(), params()], [net(2)]),
        ([net(), params()], [net(), params(value=2)]),
        ([net(), params(), params(number=1)], [net(), params(number=1)]),
        ([net(), params()], [net(), params(), net()]),
    ],
    ids=["another net", "the net for another job", "other parameters", "parameters left out", "once more"],
)
def test_what_was_not_signed_does_not_begin(application, signed, sent):
    site = application.site()
    site.take(application.sign(*(("east", packet) for packet in signed)))
    with pytest.raises(Untrusted, match="has not signed the"):
        begin(site, *sent)


def test_only_a_large_parameter_set_may_come_without_its_digest(application, monkeypatch):
    monkeypatch.setattr("dfm.flare._signing._LARGE", 200)
    large, other, small = params(size=200), params(value=2, size=200), params()
    for sent, is_refused in ((other, False), (small, True)):
        site = application.site()
        site.take(application.sign(("east", net()), ("east", large)))
        site.check(net())
        if is_refused:
            with pytest.raises(Untrusted, match="has not signed the parameters"):
                site.check(sent)
        else:
            site.check(sent)


def test_nothing_begins_without_a_statement(application):
    with pytest.raises(Untrusted, match="has not signed the pipeline"):
        application.site().check(net())


def test_a_statement_is_of_its_own_session_and_user(kits, application):
    # The same user's other session, with its own key and with that of this one.
    other = Application(kits)
    for statement in (
        other.sign(("east", net())),
        next(iter(application.signer.statements(other.hello, [("east", [net()])]).values())),
    ):
        with pytest.raises(Untrusted):
            application.site().take(statement)


def test_a_statement_that_was_changed_or_says_nothing_is_none(application):
    statement = application.sign(("east", net()))
    for changed in (
        b"",
        statement[:64],
        statement[:70],
        statement.replace(b'"job": 1', b'"job": 2'),
        bytes([statement[0] ^ 1]) + statement[1:],
    ):
        with pytest.raises(Untrusted):
            application.site().take(changed)
    with pytest.raises(Untrusted):
        application.site("west").take(statement)
    good = {"format": 1, "application": json.loads(statement[64:])["application"], "job": 1}
    for said in (
        [],
        "[" * 100_000,
        good,
        good | {"sites": {"east": []}},
        good | {"sites": {"east": {"net": 1, "params": []}}},
        good | {"sites": {"east": {"net": "", "params": [""] * 101}}},
        good | {"sites": {"east": {"net": "", "params": {}}}},
        good | {"sites": {"east": {"net": "", "params": []}}, "job": [1]},
        good | {"sites": {"east": {"net": "", "params": []}}, "job": True},
    ):
        text = said.encode() if isinstance(said, str) else json.dumps(said).encode()
        with pytest.raises(Untrusted):
            application.site().take(application.signer._key.sign(text) + text)


def test_statements_of_jobs_that_never_begin_are_bounded(application):
    site = application.site()
    with pytest.raises(Untrusted, match="more than it has begun"):
        for job in range(2000):
            site.take(application.sign(("east", net(job))))


def test_an_application_that_says_no_key_to_sign_with_is_met_by_no_site(kits):
    hello = Secret(kits["ann"], JOB).hello
    content, _ = check_user(kits["east"], hello, HELLO, JOB)
    for wrong in (content, content | {"signs": 1}, content | {"signs": "AAAA"}):
        with pytest.raises(Untrusted, match="no key that it signs with"):
            Signed("east", hello, wrong)


@pytest.mark.flare
def test_a_job_that_is_not_the_signed_one_is_refused(federation, fed, monkeypatch):
    """The session's own keys are not enough: whoever has them, and not the one to sign with, begins nothing."""
    honest = HomeSealing.statements

    def echo():
        Yield(value=fed.Echo(site="east", value=PlaceParam(place="p")), place="echo")

    def of_another(sealing, packets):
        changed = [(site, [b"".join(packet)[:-1] + b"?"]) for site, packet in packets]
        return honest(sealing, changed)

    with opened(federation) as session:
        job = session.execute(written(echo), {"p": "told"})
        assert job.wait_until_finished(60)
        assert job.results("echo") == ["told"]
        monkeypatch.setattr(HomeSealing, "statements", of_another)
        job = session.execute(written(echo), {"p": "told"})
        assert job.wait_until_finished(60)
        assert "its user has not signed the" in str(job.errors), job.errors
