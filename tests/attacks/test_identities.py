"""Can somebody pretend to be another participant of a session, or read or change what passes between two?

The attacker has a certificate of the federation or of another one, and all that travels goes through their hands.
"""
# pyright: basic, reportMissingImports=false

import json
import ssl

import pytest
from dfm.flare._channel import HELLO, NEWS, PIECE_HEAD, Batch, Channel, Forged, Piece, Secret
from dfm.flare._identity import Untrusted, check, check_client, check_server, check_user, may_submit, sign
from dfm.flare._lane import Lane
from dfm.flare._packets import Packet, Unreachable, pack
from hypothesis import given, settings
from hypothesis import strategies as st
from kits import Root

JOB = "job"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return Root(tmp_path_factory.mktemp("kits"))


@pytest.fixture(scope="module")
def west(root):
    return root.kit("west")


@pytest.fixture(scope="module")
def east(root):
    return root.kit("east")


@pytest.fixture(scope="module")
def pair(east, west):
    return paired(east, west)


def paired(one, other):
    """Both ends of a channel between two clients."""
    secrets = Secret(one, JOB), Secret(other, JOB)
    contents = [check(one, secret.hello, HELLO, JOB)[0] for secret in secrets]
    return (
        Channel(secrets[0], secrets[1].hello, contents[1]),
        Channel(secrets[1], secrets[0].hello, contents[0]),
    )


def sealed(channel, text):
    """The next batch of a channel."""
    return b"".join(channel.seal(pack([Packet("east", "west", text)]))[1])


def opened(channel, number, whole):
    """What a batch says, but for what others have sealed."""
    return bytes(channel.open(number, whole)[0])


def test_who_they_say_they_are_is_believed_of_those_who_are(root, west):
    hello = Secret(west, JOB).hello
    assert check_client(west, hello, HELLO, JOB, "west").keys() == {"key"}
    server = root.kit("server", file="server")
    assert server.server == west.server == "server"
    assert check_server(west, Secret(server, JOB).hello, HELLO, JOB).keys() == {"key"}
    _, who = check_user(west, Secret(root.kit("ann@x", "lead"), JOB).hello, HELLO, JOB)
    assert (who.name, who.organisation, who.role) == ("ann@x", "org", "lead")


@pytest.mark.parametrize("role", ["member", "lead", "project_admin"])
def test_a_users_certificate_is_neither_the_servers_nor_a_clients(root, west, role):
    for name in ("server", "west", "mallory"):
        hello = Secret(root.kit(name, role), JOB).hello
        with pytest.raises(Untrusted, match="should be by the server"):
            check_server(west, hello, HELLO, JOB)
        with pytest.raises(Untrusted, match="should be by the client"):
            check_client(west, hello, HELLO, JOB, name)


def test_a_client_is_neither_the_server_nor_another_client_nor_a_user(root, west, east):
    hello = Secret(east, JOB).hello
    with pytest.raises(Untrusted, match="should be by the server"):
        check_server(west, hello, HELLO, JOB)
    with pytest.raises(Untrusted, match="should be by the client 'north'"):
        check_client(west, hello, HELLO, JOB, "north")
    with pytest.raises(Untrusted, match="should be by a user"):
        check_user(west, hello, HELLO, JOB)
    with pytest.raises(Untrusted, match="should be by the client"):
        check_client(west, Secret(root.kit("server", file="server"), JOB).hello, HELLO, JOB, "server")


def test_certificates_that_are_over_or_not_yet_or_of_another_federation_are_refused(root, west, tmp_path):
    for days in ((-20, -1), (1, 20)):
        with pytest.raises(Untrusted, match="its certificate holds from"):
            check(west, Secret(root.kit("east", days=days), JOB).hello, HELLO, JOB)
    # The other federation is called the same.
    stranger = Root(tmp_path / "other", root.name).kit("east")
    with pytest.raises(Untrusted, match="not one of this federation"):
        check(west, Secret(stranger, JOB).hello, HELLO, JOB)


def test_a_participants_certificate_signs_no_others(root, west, tmp_path):
    """NVFlare's own certificates do not all say that they are no authority's."""
    sub = Root(tmp_path / "sub", "east")
    sub.key = root.kit("east").key
    forged = sub.kit("server", file="server", root=root)
    with pytest.raises(Untrusted, match="not one of this federation"):
        check_server(west, Secret(forged, JOB).hello, HELLO, JOB)


def test_a_statement_holds_for_its_job_its_purpose_and_its_words(west):
    said = sign(west, "ended", JOB, {"how": "it was ended"})
    for purpose, job in (("ended", "other"), (HELLO, JOB)):
        with pytest.raises(Untrusted, match="for another job or for something else"):
            check(west, said, purpose, job)
    changed = said.replace("it was", "it has")
    assert changed != said
    with pytest.raises(Untrusted, match="its signature is not by the key"):
        check(west, changed, "ended", JOB)


@pytest.mark.parametrize("part", ["text", "signature", "certificate"])
@pytest.mark.parametrize("odd", ["ü", "\U0001f600", "\ud800"])
def test_a_statement_with_letters_that_it_cannot_have_is_refused_as_any_other(west, part, odd):
    said = json.loads(sign(west, HELLO, JOB, {}))
    for forged in (said | {part: odd + said[part]}, said | {part: odd}):
        for text in (json.dumps(forged), json.dumps(forged, ensure_ascii=False)):
            with pytest.raises(Untrusted):
                check(west, text, HELLO, JOB)


def test_a_certificate_that_was_seen_is_of_no_use_without_its_key(west, east):
    mine = json.loads(Secret(east, JOB).hello)
    mine["certificate"] = json.loads(Secret(west, JOB).hello)["certificate"]
    with pytest.raises(Untrusted, match="its signature is not by the key"):
        check(east, json.dumps(mine), HELLO, JOB)


def test_a_text_that_cannot_be_written_is_no_statement(west):
    signed = json.loads(sign(west, HELLO, JOB, {}))
    with pytest.raises(Untrusted, match="no signed statement"):
        check(west, json.dumps(signed | {"text": "\ud800"}), HELLO, JOB)
    # Nor is one that says what was signed, and beside it what cannot be written: what it is known by is of the whole.
    with pytest.raises(Untrusted, match="no signed statement"):
        check(west, sign(west, HELLO, JOB, {})[:-1] + ', "\udcff": 1}', HELLO, JOB)


def test_a_key_of_a_kind_that_nobody_knows_is_no_participants(west):
    signed = json.loads(sign(west, HELLO, JOB, {}))
    rsa, unknown = bytes.fromhex("06092a864886f70d010101"), bytes.fromhex("06092a864886f70d010163")
    signature = bytes.fromhex("06092a864886f70d01010b"), bytes.fromhex("06092a864886f70d010173")
    der = ssl.PEM_cert_to_DER_cert(signed["certificate"])
    for old, new in ((rsa, unknown), signature):
        assert old in der
        pem = ssl.DER_cert_to_PEM_cert(der.replace(old, new))
        with pytest.raises(Untrusted):
            check(west, json.dumps(signed | {"certificate": pem}), HELLO, JOB)


def test_a_certificate_of_a_version_that_there_is_not_is_no_participants(west):
    signed = json.loads(sign(west, HELLO, JOB, {}))
    der = ssl.PEM_cert_to_DER_cert(signed["certificate"])
    third, none = bytes.fromhex("a003020102"), bytes.fromhex("a003020122")
    assert third in der
    pem = ssl.DER_cert_to_PEM_cert(der.replace(third, none, 1))
    with pytest.raises(Untrusted, match="no signed statement"):
        check(west, json.dumps(signed | {"certificate": pem}), HELLO, JOB)


def test_another_version_of_the_statements_says_so(west, monkeypatch):
    monkeypatch.setattr("dfm.flare._identity._FORMAT", 2)
    hello = Secret(west, JOB).hello
    monkeypatch.undo()
    with pytest.raises(Untrusted, match="this side runs dfm .*, that one dfm"):
        check(west, hello, HELLO, JOB)


@given(st.one_of(st.none(), st.text(), st.from_regex(r'\{"text": .{0,20}\}')))
def test_anything_is_a_statement_or_refused(west, said):
    with pytest.raises(Untrusted):
        check(west, said, HELLO, JOB)
    with pytest.raises(Untrusted):
        check(west, "[" * 100_000, HELLO, JOB)


@pytest.mark.parametrize("key", [None, 5, "", "AAAA", "A" * 43 + "=", "*" * 44])
def test_a_hello_without_a_key_that_can_be_used_is_refused(west, key):
    """Zeros are a point of small order, with which everybody would share the same secret."""
    secret = Secret(west, JOB)
    with pytest.raises(Untrusted, match="no key that can be used"):
        Channel(secret, "somebody's", {"key": key})
    with pytest.raises(Untrusted, match="own hello"):
        Channel(secret, secret.hello, check(west, secret.hello, HELLO, JOB)[0])


def test_what_is_sealed_cannot_be_read_on_its_way(pair):
    secret = b"the rows of a hospital" * 100_000
    there, here = paired_again(pair)
    whole = sealed(there, secret)
    assert secret[:16] not in whole and b"east" not in whole
    assert secret in opened(here, 1, whole)


def paired_again(pair):
    """The same two ends, as if nothing had been sent yet."""
    for channel in pair:
        channel._sealed, channel._stamp, channel._heard = [0, 0], 0, 0
    return pair


@settings(deadline=None)
@given(st.binary(max_size=200), st.data())
def test_whatever_is_changed_on_its_way_is_refused(pair, text, data):
    there, here = paired_again(pair)
    whole = bytearray(sealed(there, text))
    assert text in opened(here, 1, bytes(whole))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Forged):
        here.open(1, bytes(whole))
    with pytest.raises(Forged):
        here.open(1, bytes(whole[: data.draw(st.integers(0, len(whole) - 1))]))


def test_what_is_repeated_or_put_elsewhere_or_sent_back_is_refused(pair, east):
    there, here = paired_again(pair)
    first, second = sealed(there, b"one"), sealed(there, b"two")
    for number, whole in ((2, first), (1, second), (0, first), (-1, first), (1 << 64, first), (None, first)):
        with pytest.raises(Forged):
            here.open(number, whole)
    with pytest.raises(Forged):
        there.open(1, first)
    # The same two, in another session or with another third one.
    for other in (paired(east, east)[1], paired(east, east)[0]):
        with pytest.raises(Forged):
            other.open(1, first)
    lane, taken = getter(here)
    for number, whole in ((1, first), (1, first), (2, second), (1, first)):
        lane.receive("batch", number, there.news(0, 0, 0)[1] + whole)
    lane.close()
    assert taken == [b"one", b"two"]


class NoWay:
    """Nothing gets through here."""

    def fire(self, kind, number, message):
        raise Unreachable("nobody is there")

    def ask(self, kind, number, parts, seconds):
        raise Unreachable("nobody is there")

    def takes_at_once(self):
        return False


def getter(channel):
    """A lane that only gets, and what it has got."""
    taken = []
    lane = Lane(
        "there",
        channel,
        NoWay(),
        lambda packets: taken.extend(bytes(packet.content) for packet in packets),
        print,
        heartbeat=False,
    )
    return lane, taken


def test_a_batch_that_was_dropped_is_missed(pair):
    there, here = paired_again(pair)
    first, second = sealed(there, b"one"), sealed(there, b"two")
    lane, taken = getter(here)
    lane.receive("batch", 2, there.news(0, 0, 0)[1] + second)
    assert not taken
    told, _, _ = there.heed(lane.answer())
    assert (told.taken, told.ahead) == (0, 1)
    lane.receive("batch", 1, there.news(0, 0, 0)[1] + first)
    lane.close()
    assert taken == [b"one", b"two"]


def test_no_number_seals_two_batches(pair):
    """Nor a batch and a large one, which have numbers of their own."""
    there, here = paired_again(pair)
    batch = pack([Packet("east", "west", b"text")])
    made = [there.seal(batch), there.seal(batch), there.seal_large(batch, 0), there.seal_large(batch, 2)]
    assert [number for number, _ in made] == [1, 2, 1, 2]
    wholes = [b"".join(parts) for _, parts in made]
    bodies = {wholes[0], wholes[1], wholes[2][8:], wholes[3][8:]}
    assert len(bodies) == 4
    assert here.open_large(2, wholes[3])[0] == 2
    for forged in (wholes[3][:7] + b"\1" + wholes[3][8:], wholes[2], wholes[1], b""):
        with pytest.raises(Forged):
            here.open_large(2, forged)
    with pytest.raises(Forged):
        here.open(1, wholes[2][8:])


def test_who_relays_can_acknowledge_nothing_and_keep_nobody_alive(pair):
    there, here = paired_again(pair)
    lane, _ = getter(there)
    before = lane._alive
    _, first = here.news(0, 0, 0)
    here.heed(lane.answer())
    _, second = here.news(0, 0, 0)
    for at in range(NEWS):
        forged = bytearray(second)
        forged[at] ^= 1
        with pytest.raises(Forged):
            lane.receive("beat", 0, bytes(forged))
    for forged in (b"", second[:-1], bytes(NEWS), lane.answer()):
        with pytest.raises(Forged):
            lane.receive("beat", 0, forged)
    heard = lane.heard
    lane.receive("beat", 0, first)
    assert lane.heard > heard and lane._alive == before, "it has not heard anything of this end yet"
    lane.receive("beat", 0, second)
    alive, heard = lane._alive, lane.heard
    assert alive > before
    # Whoever keeps what the other end said, and says it later, or again, keeps nobody alive.
    for said in (second, first):
        lane.receive("beat", 0, said)
    assert (lane._alive, lane.heard) == (alive, heard)
    lane.close()


def test_a_piece_is_its_senders_and_the_whole_is_what_was_sealed(pair):
    """What a forger says of pieces is refused at once; what a relay puts into one, when the whole is there."""
    there, here = paired_again(pair)
    lane, arrived = getter(here)
    _, parts = there.seal_large(pack([Packet("east", "west", b"x" * 1000)]), 0)
    whole = b"".join(parts)
    half = len(whole) // 2
    cuts = [(0, half), (half, len(whole) - half)]
    pieces = [Piece(1, len(whole), offset, length) for offset, length in cuts]
    messages = [there.head_of(piece) + whole[piece.offset :][: piece.length] for piece in pieces]

    def take(number, message):
        lane.receive("piece", number, there.news(0, 0, 0)[1] + message)
        return there.heed(lane.answer())[0].large

    for forged in (
        bytes(len(messages[0])),
        here.head_of(pieces[0]) + whole[:half],
        messages[0][:8] + bytes(8) + messages[0][16:],
        messages[0][: PIECE_HEAD - 1],
        b"",
    ):
        with pytest.raises(Forged):
            take(1, forged)
    with pytest.raises(Forged):
        take(2, messages[0])
    assert not take(1, messages[0])
    with pytest.raises(Forged):
        take(1, messages[1][:-1] + bytes([messages[1][-1] ^ 1]))
    assert not arrived
    assert [take(1, message) for message in messages] == [0, 1]
    assert arrived == [b"x" * 1000]
    assert take(1, messages[0]) == 1 and len(arrived) == 1
    with pytest.raises(ValueError, match="large batch 3 came after 1"):
        take(3, there.head_of(Piece(3, 1 << 30, 0, 1)) + b"x")
    lane.close()


def test_a_large_batch_waits_for_what_was_sent_before_it(pair):
    there, here = paired_again(pair)
    lane, arrived = getter(here)
    first = sealed(there, b"one")
    _, parts = there.seal_large(pack([Packet("east", "west", b"large")]), 1)
    whole = b"".join(parts)
    message = there.head_of(Piece(1, len(whole), 0, len(whole))) + whole
    for _ in range(2):
        lane.receive("piece", 1, there.news(0, 0, 0)[1] + message)
        assert not arrived
    lane.receive("batch", 1, there.news(0, 0, 0)[1] + first)
    lane.close()
    assert arrived == [b"one", b"large"]


def test_a_large_packet_is_sealed_and_opened_in_its_own_memory_where_it_may_be(pair):
    there, here = paired_again(pair)
    content = bytes(range(256)) * 8192
    for number, own in ((1, bytearray(content)), (2, content)):
        _, (_, size, head, into, tag, body) = there.seal_large(Batch([b"head", own], [b"body"]), 0)
        assert (memoryview(into).obj is own) == isinstance(own, bytearray)
        assert body == b"body", "it is sealed already, and not once more"
        _, found, bodies = here.open_large(number, bytearray(b"".join((bytes(8), size, head, into, tag, body))))
        assert (bytes(found), bytes(bodies)) == (b"head" + content, b"body")


def test_a_kits_own_policy_says_whose_sessions_it_serves(tmp_path):
    local = tmp_path / "local"
    local.mkdir()
    permissions = {"project_admin": "any", "lead": {"submit_job": "any"}, "org_admin": {"submit_job": "none"}}
    permissions |= {"member": {"view": "any"}}
    (local / "authorization.json.default").write_text(json.dumps({"permissions": permissions}))
    roles = ("project_admin", "lead", "org_admin", "member", "invented")
    assert [may_submit(tmp_path, role) for role in roles] == [True, True, False, False, False]
    permissions["lead"] = {"submit_job": "none"}
    (local / "authorization.json").write_text(json.dumps({"permissions": permissions}))
    assert not may_submit(tmp_path, "lead")
    for broken in (b"", b"[]", b'{"permissions": 5}', b"\xff", b"[" * 100_000):
        (local / "authorization.json").write_bytes(broken)
        assert not may_submit(tmp_path, "lead")
