"""Does what a user sends forge an entry of a log that NVFlare itself writes, or act on a terminal that shows one?"""
# pyright: basic, reportMissingImports=false

import pytest
from eventually import until
from processes import read

pytest.importorskip("nvflare")
pytestmark = pytest.mark.flare

from dfm.flare._login import connected  # noqa: E402
from nvflare.fuel.f3.cellnet.utils import new_cell_message  # noqa: E402

FORGED = "2026-01-01 00:00:00,000 - Authenticator - INFO - all is well"
TEXT = f"n\x1b[31mred\u202e\r\n{FORGED}"
LOGS = ("log.txt", "error_log.txt", "poc.log")


@pytest.mark.parametrize("participant", ["server", "west"])
def test_what_a_user_sends_is_one_entry_of_nvflares_logs(federation, participant):
    kit = federation.kit("member@*")
    session = connected(kit.name, kit, 5.0)
    try:
        # Nobody serves such a topic, which NVFlare logs together with its name.
        cell = session.api.get_cell()
        assert cell is not None
        cell.core_cell.fire_and_forget(
            channel="dfm", topic=TEXT, targets=[participant], message=new_cell_message({}, b"")
        )
        logs = {name: federation.kit(participant) / name for name in LOGS}
        until(lambda: all(b"all is well" in read(path) for path in logs.values()))
    finally:
        session.close()
    for path in logs.values():
        text = path.read_text(encoding="utf-8")
        assert "\\x1b[31mred" in text and "\x1b" not in text and "\u202e" not in text
        assert not [line for line in text.split("\n") if line.startswith(FORGED)]
    entries = [line for line in (federation.kit(participant) / "log.json").read_text().split("\n") if FORGED in line]
    assert entries and all(line.startswith("{") for line in entries)
