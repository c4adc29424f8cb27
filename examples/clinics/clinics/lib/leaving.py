"""May it leave a clinic? A number may be a sum; a name that is no sum's is somebody's."""

from typing import Any, cast

from dfm.errors import RefusedError
from dfm.exec import Release, Request

SUMS = {"count", "sum", "squares", "bins", "edges", "gradient", "hessian", "loss"}


class Named(Release):
    """Lets dictionaries leave that name sums and nothing else: what is a key may be a record, too."""

    def release(self, value: Any, request: Request) -> Any:
        """The value as it is."""
        if isinstance(value, dict):
            named = cast("dict[str, Any]", value)
            if not named.keys() <= SUMS:
                raise RefusedError("a dictionary with a name that is no sum's")
            for part in named.values():
                self.release(part, request)
        return cast(Any, value)
