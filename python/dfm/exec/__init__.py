"""What does an adapter's author need of dfm?"""

from dfm.exec._frame import Frame
from dfm.exec._release import Release, Request
from dfm.exec._site import DfmContext, FsspecConfig, Provider, SecretsVault, SecretsVaultConfig, Site
from dfm.exec._span import Span
from dfm.exec._state import State

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
