"""What tests need of npm: fetched once, into build/, by the checksums of a package-lock.json."""

import fcntl
import pathlib
import shutil
import subprocess

from debian import need
from edge import ROOT


def install(here):
    """The packages that `here`/package-lock.json names, in a folder of build/ named like `here`,
    unless they are there already; that folder."""
    here = pathlib.Path(here)
    modules = ROOT / "build" / here.name
    modules.mkdir(parents=True, exist_ok=True)
    with open(modules / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs at once install once
        wanted, installed = here / "package-lock.json", modules / "installed.json"
        if installed.exists() and installed.read_bytes() == wanted.read_bytes():
            return modules
        for name in ("package.json", "package-lock.json"):
            shutil.copy(here / name, modules / name)
        done = subprocess.run([need("npm", "npm"), "ci", "--omit=dev", "--ignore-scripts",
                               "--no-audit", "--no-fund"], cwd=modules, capture_output=True,
                              text=True, check=False)
        assert done.returncode == 0, f"npm could not install {here.name}:\n{done.stderr}"
        shutil.copy(wanted, installed)
    return modules
