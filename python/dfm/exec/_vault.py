"""How does a site remember the secrets that its vault has given out?"""

from __future__ import annotations

from typing import Any

from dfm.errors import SecretError
from dfm.exec._secrets import Secrets
from dfm.exec._site import SecretsVault


class RememberingVault(SecretsVault):
    """A site's vault, whose secrets are masked in what leaves the site from when they were given out."""

    def __init__(self, vault: SecretsVault, secrets: Secrets) -> None:
        self._vault = vault
        self._secrets = secrets

    def secret_for_key(self, key: str) -> str:
        """As the vault's own, whose errors all become the same."""
        try:
            secret = self._vault.secret_for_key(key)
        except SecretError:
            raise
        except KeyError as error:
            raise SecretError(str(error.args[0]) if error.args else f"the secret '{key}' is not there") from error
        except ValueError as error:
            # Python's own say what could not be read, which nobody has noted yet.
            kind = type(error).__name__
            raise SecretError(f"the vault cannot read its secret '{key}': it raised {kind}") from None
        self._secrets.note(secret)
        return secret

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vault, name)
