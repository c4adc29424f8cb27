"""Which policies are tried at sites that are processes of the application's own user?"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from dfm.errors import SessionError
from dfm.exec._policy import PolicyError, SitePolicy, read_file


def tried(files: Mapping[str, str | Path], homesite: str, sites: Collection[str]) -> dict[str, SitePolicy]:
    """The policy in each site's file.

    Raises:
        SessionError: there is no such site, it is the application's own, or the policy is not there, or broken.
    """
    policies: dict[str, SitePolicy] = {}
    for site, file in files.items():
        if site == homesite:
            raise SessionError(
                f"'{site}' has no policy of its own here, where it is the application's; have that at another site"
            )
        if site not in sites:
            raise SessionError(f"the federation has no site '{site}' to have a policy; it has: {', '.join(sites)}")
        path = Path(file).absolute()
        # A kit without the file has the defaults; who names a file to be tried means that file.
        if not path.exists():
            raise SessionError(
                f"cannot read the policy {path} of site '{site}': there is no such file; relative paths begin in the "
                f"current folder, {Path.cwd()}"
            )
        try:
            policies[site] = read_file(path)
        except PolicyError as error:
            raise SessionError(f"the policy of site '{site}' is broken:\n{error}") from None
    return policies
