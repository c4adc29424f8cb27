"""What does an adapter's author need of dfm?"""

from dfm.exec._frame import Frame
from dfm.exec._site import DfmContext, Provider, Site

__all__ = ["DfmContext", "Frame", "Provider", "Site"]
