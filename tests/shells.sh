#!/usr/bin/env bash
# Do zsh and fish complete what is written after `dfm`, as bash does in `make test`?
#
# Needs the two shells, or Debian and root to install them; exits with 77, and says why, where it cannot be tried.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

missing=()
for shell in zsh fish; do
    command -v "$shell" >/dev/null || missing+=("$shell")
done
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" != 0 ] || ! grep -qx 'ID=debian' /etc/os-release; then
        echo "NOT RUN: completion in zsh and fish: ${missing[*]} is missing, and only root of a Debian installs it" >&2
        exit 77
    fi
    echo "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
fi
exec .venv/bin/python -m pytest -m shells
