"""How does a site's configuration describe its cache and its vault?"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class FsspecConfig(BaseModel, frozen=True):
    """An fsspec file system, as a site's `cache_config` describes it."""

    protocol: str = "file"
    storage_options: dict[str, Any] = {}
    base_path: str | None = None
    """Where it begins; `None` for the user's cache folder of this federation."""
    shared: bool = False
    """Whether all users find what the site's own runs have kept for `TryFromCache`."""
    groups: dict[str, list[str]] = {}
    """Groups by name, whose users find what each other's runs have kept for `TryFromCache`."""


class SecretsVaultConfig(BaseModel, frozen=True):
    """Where a site's secrets are, as its `secrets_vault` says it."""

    path: str | None = None
    """The dotted path of the vault's class; `None` for `SecretsVault`."""
    args: dict[str, Any] = {}
    """What it is constructed with."""
