"""Whose are the values that a site keeps for somebody, and whose may be found?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfm.exec._site import Asker

if TYPE_CHECKING:
    from dfm.exec._configs import FsspecConfig

Owner = tuple[str, ...]
"""A user's name alone; or an empty text, which names nobody, and what else it is."""


def owners_for(asker: Asker, cache: FsspecConfig, restricted: bool) -> list[Owner]:
    """The owners whose entries are found for somebody, in this order; the first one's are made.

    A group owns its entries as it was declared: once a user joins or leaves, its values are made again, so that nobody
    finds what was kept before they belonged, and nothing stays of somebody who does not belong any longer.

    Args:
        asker: for whom the site works.
        cache: who shares it, as the site's configuration says.
        restricted: whether the site refuses some calls of some users, who then may not find their results either.
    """
    if cache.shared and asker.is_own:
        return [("", "shared")]
    if restricted:
        return [(asker.user,)]
    groups = [("", "group", name, *sorted(set(users))) for name, users in cache.groups.items() if asker.user in users]
    own = groups[0] if groups else (asker.user,)
    return [own, ("", "shared")] if cache.shared else [own]
