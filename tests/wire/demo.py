"""The origin of the demo (tools/demo), and its site."""

import re
import signal
import subprocess

from edge import ROOT

SITE = ROOT / "tools" / "demo" / "site"


class DemoOrigin:
    """tools/demo/origin on a free port; its standard output has a line for each request."""

    def __init__(self):
        self.process = subprocess.Popen([ROOT / "tools" / "demo" / "origin"], text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.url = re.search(r"http://[\d.:]+", self.process.stdout.readline())[0]

    def stop(self):
        """The lines of the requests it has seen."""
        self.process.send_signal(signal.SIGTERM)
        lines = self.process.stdout.read().splitlines()
        assert self.process.wait(10) == 0
        self.process.stdout.close()
        return lines
