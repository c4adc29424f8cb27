"""What is an office whose process is killed while it learns?"""
# pyright: basic, reportMissingImports=false

import os
import signal

from offices.lib import images


class Train(images.Train):
    """A drill that ends before it begins kills the process in the round in which it begins."""

    def body(self, net, number, steps, drill):
        first, last = drill.get(self.site.name, (0, 0))
        if last < first == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().body(net, number, steps, drill)
