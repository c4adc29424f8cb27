"""How does a test run the processes of a session on Flare in its own, and speak as any of them?

They are what a job runs, with real certificates, sealing and lanes; only NVFlare's cells are a dictionary here, and a
site notes what it is given.
"""
# pyright: basic, reportMissingImports=false

import json
import threading
from types import SimpleNamespace
from typing import Any

from dfm.flare import _told, client, server
from dfm.flare._cells import CellTransport, job_cell, serve_batches
from dfm.flare._channel import HELLO, Channel, Secret
from dfm.flare._identity import check_server
from dfm.flare._lane import Lane
from dfm.flare._packets import Packet
from dfm.flare._sealing import HomeSealing
from dfm.flare._signing import Signer
from eventually import until
from kits import Root
from nvflare.fuel.f3.cellnet.defs import MessageHeaderKey, ReturnCode
from nvflare.fuel.f3.cellnet.utils import make_reply
from nvflare.fuel.f3.message import Message

JOB = "job"


class Cell:
    """One of a network of cells."""

    def __init__(self, net: dict[str, "Cell"], name: str) -> None:
        self.net, self.name, self.takers = net, name, {}
        self.core_cell = self
        net[name] = self

    def get_fqcn(self) -> str:
        return self.name

    def register_request_cb(self, channel: str, topic: str, cb: Any) -> None:
        self.takers[channel, topic] = cb

    def send_request(self, channel, topic, target, request, timeout=None, optional=True) -> Any:
        return self._say(channel, topic, target, request, True)

    def fire_and_forget(self, channel, topic, targets, message, optional=True) -> dict[str, str]:
        if targets not in self.net:
            return {targets: "unreachable"}
        threading.Thread(target=self._say, args=(channel, topic, targets, message, False), daemon=True).start()
        return {}

    def _say(self, channel, topic, target, message, is_asked) -> Any:
        there = self.net.get(target)
        take = there.takers.get((channel, topic)) if there is not None else None
        if take is None:
            return make_reply(ReturnCode.TARGET_UNREACHABLE)
        said = Message(dict(message.headers), bytes(message.payload or b""))
        said.set_header(MessageHeaderKey.ORIGIN, self.name)
        said.set_header(MessageHeaderKey.REPLY_EXPECTED, is_asked)
        return take(said)


class Site:
    """Stands for a `Participant`."""

    def __init__(self, settings, homesite, session, others, carry, sealing, policy) -> None:
        self.carry, self.sealing, self.got, self.lost = carry, sealing, [], []

    def receive(self, packets) -> None:
        self.got += [(packet.sender, bytes(packet.content)) for packet in packets]

    def lose(self, site) -> None:
        self.lost.append(site)

    def close(self) -> None:
        pass


def context(cell: Cell, kit, name: str, clients=()) -> Any:
    """What NVFlare gives to a process of the job."""
    engine = SimpleNamespace(get_cell=lambda: cell, get_clients=lambda: clients, register_app_command=lambda *_: None)
    return SimpleNamespace(
        get_engine=lambda: engine,
        get_job_id=lambda: JOB,
        get_identity_name=lambda: name,
        get_workspace=lambda: SimpleNamespace(get_root_dir=lambda: str(kit)),
        get_prop=lambda _: {"submitter_name": "ann@x"},
    )


class Running:
    """A session's processes; the application is Ann's, at site `homesite`."""

    def __init__(self, folder, monkeypatch, names=("east", "west"), homesite="home", server_kit=None) -> None:
        for module in (client, server):
            monkeypatch.setattr(module, "Participant", Site)
        self.root, self.names, self.homesite = Root(folder), names, homesite
        self.net: dict[str, Cell] = {}
        self.kits = {name: self.root.kit(name) for name in names}
        self.kits |= {"ann@x": self.root.kit("ann@x", "lead"), "server": self.root.kit("server", file="server")}
        self.folders = {name: folder / "fed" / f"{name}-None-0" for name in (*names, "server")}
        for name in names:
            settings = self.folders[name] / "dfm" / "site.json"
            settings.parent.mkdir()
            settings.write_text(json.dumps({"site": name, "api_version": "1"}))
        self.got: list[Packet] = []
        self.lost: list[str] = []
        self.executors: dict[str, client.SessionExecutor] = {}

    def start(self) -> "Running":
        """All of them."""
        self.server = server.SessionController("app")
        clients = [SimpleNamespace(name=name) for name in self.names]
        cell = Cell(self.net, job_cell("server", JOB))
        app = Cell(self.net, "app")
        self.server.start_controller(context(cell, self.folders["server"], "server", clients))
        ann, signer = self.kits["ann@x"], Signer()
        secret = Secret(ann, JOB, signer.about)
        self.sealing = HomeSealing(ann, JOB, self.homesite, secret, signer)
        asked = {"hello": secret.hello, "escrow": self.sealing.escrow, "cell": "app", "keep": 0.0}
        answer = self.open({**asked, "homesite": self.homesite, "session": "s"})
        assert "error" not in answer, answer
        channel = Channel(secret, answer["hello"], check_server(ann, answer["hello"], HELLO, JOB))
        transport = CellTransport(app, job_cell("server", JOB))
        self.app = Lane("server", channel, transport, self.got.extend, self.lost.append)
        serve_batches(app, lambda _: self.app)
        for name in self.names:
            self.executors[name] = client.SessionExecutor()
            self.executors[name]._begin(context(Cell(self.net, job_cell(name, JOB)), self.folders[name], name))
        until(lambda: len(self.told("ready")) == len([name for name in self.names if name != self.homesite]))
        return self

    def open(self, request: dict[str, Any]) -> dict[str, Any]:
        """What an application is answered that asks to open the session."""
        context: Any = None
        return self.server._open("", request, context)

    def told(self, what: str) -> list[dict[str, Any]]:
        """What the server's process has told the application of this kind."""
        told = [_told.read(packet.content) for packet in list(self.got) if not packet.receiver]
        return [one for one in told if what in one]

    def lane(self, name: str) -> Lane:
        """A site's lane to the server's process, for what its process would never send."""
        return self.executors[name]._lanes[job_cell("server", JOB)]

    def says(self, name: str, content: bytes, receiver: str = "", body: bytes = b"") -> None:
        """Sends the server's process something in the name of a site whose key it is."""
        self.lane(name).push(Packet(name, receiver, content, body))

    def stop(self) -> None:
        """Ends them."""
        for executor in self.executors.values():
            executor._end()
        self.app.close()
        context: Any = None
        self.server.stop_controller(context)
