"""What does an adapter's author need of dfm?"""

from typing import TYPE_CHECKING

from dfm._missing import missing
from dfm.exec._frame import Frame
from dfm.exec._release import Release, Request
from dfm.exec._site import DfmContext, Provider, SecretsVault, Site
from dfm.exec._span import Span
from dfm.exec._state import State

if TYPE_CHECKING:
    from dfm.exec._configs import FsspecConfig as FsspecConfig
    from dfm.exec._configs import SecretsVaultConfig as SecretsVaultConfig

__all__ = [
    "DfmContext",
    "Frame",
    "FsspecConfig",
    "Provider",
    "Release",
    "Request",
    "SecretsVault",
    "SecretsVaultConfig",
    "Site",
    "Span",
    "State",
]


def __getattr__(name: str) -> object:
    if name in ("FsspecConfig", "SecretsVaultConfig"):
        from dfm.exec import _configs  # pydantic's, which few adapters need

        return getattr(_configs, name)
    raise missing("dfm.exec", name)
