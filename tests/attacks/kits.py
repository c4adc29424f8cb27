"""How do tests get startup kits of a federation that does not run, honest and other ones?

The certificates are made as NVFlare's provisioner makes them.
"""
# pyright: basic, reportMissingImports=false

import datetime
import json
from pathlib import Path
from typing import Any

from dfm.flare._identity import read_credentials
from nvflare.lighter.utils import Identity, generate_cert, generate_keys, serialize_cert, serialize_pri_key


def declare(kit: Path, own: dict[str, Any] | None = None, others: dict[str, Any] | None = None) -> None:
    """Writes what a kit says of direct connections."""
    (kit / "dfm").mkdir(exist_ok=True)
    said = {"format": 1, "own": own, "others": others or {}}
    (kit / "dfm" / "direct.json").write_text(json.dumps(said))


class Root:
    """A federation's root certificate, and the kits that it signs."""

    def __init__(self, folder: Path, name: str = "fed") -> None:
        self.folder, self.name = folder, name
        self.key, public = generate_keys()
        self.certificate = generate_cert(Identity(name), Identity(name), self.key, public, ca=True)

    def kit(self, name: str, role: Any = None, *, days=(0, 360), file="client", root=None, org="org"):
        """The credentials of a participant, valid from and to so many days from now; they check by `root`'s."""
        startup = self.folder / self.name / f"{name}-{role}-{days[0]}" / "startup"
        startup.mkdir(parents=True, exist_ok=True)
        key, public = generate_keys()
        now = datetime.datetime.now(datetime.UTC)
        begin, end = (now + datetime.timedelta(days=day) for day in days)
        certificate = generate_cert(
            Identity(name, org, role),
            Identity(self.name),
            self.key,
            public,
            not_valid_before=begin,
            not_valid_after=end,
        )
        (startup / f"{file}.key").write_bytes(serialize_pri_key(key))
        (startup / f"{file}.crt").write_bytes(serialize_cert(certificate))
        (startup / "rootCA.pem").write_bytes(serialize_cert((root or self).certificate))
        told = {"admin": {"server_identity": "server"}} if role else {"servers": [{"identity": "server"}]}
        if file == "client":
            (startup / ("fed_admin.json" if role else "fed_client.json")).write_text(json.dumps(told))
        return read_credentials(startup.parent)
