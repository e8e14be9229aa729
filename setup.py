"""Only what pyproject.toml cannot say: which part of the one source tree is in which distribution, the Cython
extensions, their directives, the checked build, and the README as a package index shows it, where a link that is
relative leads nowhere.

`fastbridge` is what answers calls, `fastbridge-sim` the workshop: this file serves both, and the pyproject.toml beside
it (./ or sim/, where this is a link) says for which.

FASTBRIDGE_DEBUG=1 builds with bounds checks, asserts and, where FASTBRIDGE_SANITIZE names sanitizers
(address,undefined), with those. Each kind of build has its own folder under build/, so that none takes another's
objects, a second build compiles only what changed, and no generated file lands in src/.
"""

import os
import re
import sys
import time
import tomllib
from pathlib import Path

if sys.platform == "win32":
    raise SystemExit(
        "fastbridge runs on Linux and macOS. On Windows install it in WSL: uvloop, its event loop, has no Windows."
    )

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

PROJECT = tomllib.loads(Path("pyproject.toml").read_text())["project"]
IS_WORKSHOP = PROJECT["name"] == "fastbridge-sim"
DEBUG = os.environ.get("FASTBRIDGE_DEBUG") == "1"
SANITIZE = os.environ.get("FASTBRIDGE_SANITIZE", "")
MODULES = ["_answering", "_assistant", "_bargein", "_caller", "_dsp", "_framing", "_jitter", "_livegate", "_measure"]
MODULES += ["_mulaw", "_pacing", "_pcm", "_playout", "_tape", "_ticker", "_websocket", "_wire"]
if sys.platform == "linux":
    MODULES += ["_load", "_loadlive", "_loadmodel", "_peer", "_reactor"]  # epoll, and the kernel's time stamps
WORKSHOP = re.compile(r"(^|/)src/fastbridge/((_load|_loadlive|_loadmodel|_measure|_peer)\.|sim/(?!__init__\.py$))")
"""Of the workshop; sim/__init__.py is the product's: it tells who lacks the rest."""

BUILD_BASE = "build/sanitized" if SANITIZE else "build/debug" if DEBUG else "build/release"

compile_args = ["-O1", "-g"] if DEBUG else ["-O3"]
# No fused operations: the detector counts on the same doubles everywhere.
compile_args += ["-ffp-contract=off"]
link_args: list[str] = []
if SANITIZE:
    compile_args += [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer", "-fno-sanitize-recover=undefined"]
    link_args += [f"-fsanitize={SANITIZE}"]

# boundscheck is off because every entry point checks its lengths once; the checked build puts it back. Overflow is the
# sanitizer's to find: Cython's own overflowcheck cannot compile an enum whose value is an expression.
directives = {
    "language_level": 3,
    "binding": False,
    "boundscheck": DEBUG,
    "initializedcheck": DEBUG,
    "cdivision": True,
    "embedsignature": True,
    "embedsignature.format": "clinic",  # the one that stubtest can read
}


def ours(path: str) -> bool:
    """Whether this distribution has it."""
    return bool(WORKSHOP.search(path)) == IS_WORKSHOP


class BuildPy(build_py):
    """Takes this distribution's part of the tree."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        return [each for each in super().find_package_modules(package, package_dir) if ours(each[2])]

    def find_data_files(self, package: str, src_dir: str) -> list[str]:
        return [path for path in super().find_data_files(package, src_dir) if ours(path)]


class BuildExt(build_ext):
    """Says which module was compiled: pip hides it unless it is told -v, the Makefile shows it."""

    def build_extension(self, ext: Extension) -> None:
        made = Path(self.get_ext_fullpath(ext.name))
        before = made.stat().st_mtime if made.exists() else 0.0
        began = time.monotonic()
        super().build_extension(ext)
        if made.stat().st_mtime != before:
            print(f"  compiled {ext.name} in {time.monotonic() - began:.0f} s", flush=True)


def readme() -> str:
    """README.md with absolute links."""
    text = Path("README.md").read_text()
    if IS_WORKSHOP:
        return text  # it has no links
    repository = PROJECT["urls"]["Repository"]
    text = re.sub(r"(!\[[^]]*\]\()(?!https?:)", rf"\1{repository}/raw/main/", text)
    return re.sub(r"(?<!!)(\[[^]]*\]\()(?!https?:|#)", rf"\1{repository}/blob/main/", text)


setup(
    long_description=readme(),
    long_description_content_type="text/markdown",
    ext_modules=cythonize(
        [
            Extension(
                f"fastbridge.{name}",
                [f"src/fastbridge/{name}.pyx"],
                extra_compile_args=compile_args,
                extra_link_args=link_args,
                depends=["setup.py"],
            )
            for name in MODULES
            if ours(f"src/fastbridge/{name}.pyx")
        ],
        build_dir=f"{BUILD_BASE}/cython",
        compiler_directives=directives,
    ),
    cmdclass={"build_ext": BuildExt, "build_py": BuildPy},
    options={"build": {"build_base": BUILD_BASE}, "build_ext": {"parallel": os.cpu_count() or 1}},
)
