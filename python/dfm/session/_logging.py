"""Where do a session's log messages go?"""

import logging
import sys


def configure_session_logging(force_enable: bool = False) -> None:
    """Shows dfm's log messages on stderr, unless the application has set up logging itself.

    Args:
        force_enable: shows them in any case, from level INFO on.
    """
    logger = logging.getLogger("dfm")
    if not force_enable and (logger.handlers or logging.getLogger().handlers):
        return
    if not any(getattr(handler, "dfm_session", False) for handler in logger.handlers):
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        vars(handler)["dfm_session"] = True
        logger.addHandler(handler)
    if force_enable:
        logger.setLevel(logging.INFO)
