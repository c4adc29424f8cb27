"""Which federation is written as people write them who come from another tool of this format?

Its package is `moved`; sites and providers have classes of their own, whose constructors take what they name.
"""

import subprocess
from pathlib import Path

CONFIG = """\
dfm: 1.0.0
info: {api-version: 1.0.0, code-package: moved}
schemas:
  geo.Point: {type: object, properties: {x: {type: number}}, required: [x]}
operations:
  users.Greet:
    properties:
      name: {type: string}
      greeting: {type: string}
      times: {type: integer, default: 1}
    required: [name, greeting, nobody]
    returns: string
  users.Seen:
    description: What the adapter was constructed with
    returns: object
  geo.Move:
    parameters:
      point: {$ref: "#/schemas/geo.Point"}
      by: {type: [moved.lib.Step, "null"]}
    required: [point]
    returns: number
sites:
  home:
    impl: {path: moved.lib.Desk, args: {floor: 3}}
    secrets_vault: {path: moved.lib.Safe, args: {word: sesame}}
    interface:
      "#/operations/users.Greet":
        adapter: moved.lib.Greet
        is-async: false
        args:
          name: name
          greeting: {const: Hello, expose-as: greeting}
          times: {const: 2, expose-as: {param: times, type: integer}}
          mark: {const: "!", expose-as: ending}
      "#/operations/users.Seen": {adapter: {path: moved.lib.InAnyOrder, args: {size: 4}}, is-async: false}
      "#/operations/geo.Move": {adapter: moved.lib.Move, is-async: false, args: from-operation}
    providers:
      alone:
        impl: moved.lib.Alone
        interface:
          "#/operations/users.Seen": {adapter: moved.lib.ProviderOnly, is-async: false}
      named:
        impl: {path: moved.lib.Named, args: {colour: red}}
        interface:
          "#/operations/users.Seen": {adapter: moved.lib.Everything, is-async: false}
  away:
    impl: moved.lib.Positional
    interface:
      "#/operations/users.Greet": {adapter: moved.lib.Greet, is-async: false, args: from-operation}
      "#/operations/users.Seen": {adapter: moved.lib.Nothing, is-async: false}
"""

LIB = """\
from dfm.exec import FsspecConfig, Provider, SecretsVault, Site


class Safe(SecretsVault):
    def __init__(self, word):
        super().__init__(prefix="MOVED_")
        self.word = word

    def secret_for_key(self, key):
        if key == "sesame":
            return self.word
        if key == "broken":
            raise ValueError("the safe is shut")
        return super().secret_for_key(key)


class Desk(Site):
    def __init__(self, secrets_vault_config, dfm_context, cache_config, floor):
        super().__init__(dfm_context, cache_config, secrets_vault_config)
        self.floor = floor
        self.told = (cache_config, secrets_vault_config)


class Positional(Site):
    def __init__(self, context, cache, vault):
        super().__init__(context, FsspecConfig(protocol="memory", base_path="/moved"), vault)


class Alone(Provider):
    def __init__(self, site):
        super().__init__(site)


class Named(Provider):
    def __init__(self, site, name, colour):
        super().__init__(site, name)
        self.colour = colour


class Step:
    width = 1.5


class Greet:
    def body(self, name, greeting, times=1, mark="."):
        return f"{greeting}, {name}{mark}" * times


class InAnyOrder:
    def __init__(self, size, *, provider, site):
        self.seen = {"size": size, "provider": provider, "site": str(site), "floor": site.floor}
        self.site = site

    def body(self):
        with self.site.telemetry_span("seen", {"a": 1}) as span:
            span.set_attribute("b", 2)
        errors = []
        for key in ("nothing", "broken"):
            for kind in (KeyError, ValueError):
                try:
                    self.site.secret_for_key(key)
                except kind as error:
                    errors.append(str(error))
        return self.seen | {
            "secret": len(self.site.secret_for_key("sesame")),
            "errors": errors,
            "itself": self.site.site is self.site,
            "name": self.site.name,
        }


class ProviderOnly:
    def __init__(self, provider):
        self.provider = provider

    def body(self):
        return {"provider": str(self.provider), "site": self.provider.site.name, "floor": self.provider.site.floor}


class Everything:
    def __init__(self, *args, **kwargs):
        self.seen = {"args": len(args), "kwargs": sorted(kwargs), "colour": kwargs["provider"].colour}

    def body(self):
        return self.seen


class Nothing:
    def body(self):
        return {}


class Move:
    def __init__(self, where):
        self.where = where

    def body(self, point, by=None):
        return point.x + (by.width if by else 0)
"""


def write(folder: Path, command: Path) -> None:
    """Writes it into a folder, and generates its package there."""
    (folder / "moved/configs").mkdir(parents=True)
    (folder / "moved/__init__.py").write_text("")
    (folder / "moved/lib.py").write_text(LIB)
    (folder / "moved/configs/federation.dfm.yaml").write_text(CONFIG)
    config = ["--config", str(folder / "federations.yaml"), "--quiet", "fed"]
    words = [
        "moved",
        "--federation-dir",
        "moved",
        "--config-path",
        "configs/federation.dfm.yaml",
        "--project-path",
        "None",
    ]
    subprocess.run([command, *config, "config", "set", *words], cwd=folder, check=True)
    subprocess.run([command, *config, "gen", "code", "moved"], cwd=folder, check=True)
