"""How does each site greet?"""

from datetime import datetime

from dfm.exec import Provider, Site


class GreetMe:
    """Greets by a format of the site's own."""

    def __init__(self, site: Site, provider: Provider | None) -> None:
        self._site = site

    async def body(self, name: str, greet_fmt: str) -> str:
        """`greet_fmt` has `{name}` where the name goes."""
        return greet_fmt.format(name=name)


class GreetMeReception:
    """Greets like a reception desk that says where one is, and when."""

    def __init__(self, site: Site, provider: Provider | None) -> None:
        # Fixed, so that the answer is the same on every day.
        self._now = datetime(2025, 4, 17, 10, 12)

    async def body(self, name: str, venue: str) -> str:
        """`venue` is the place's name."""
        return (
            f"Welcome to the reception desk at {venue}, {name}. "
            f"Today is {self._now:%A, %Y-%m-%d} and it is {self._now.hour} o'clock. "
            "We hope you are having a good experience."
        )
