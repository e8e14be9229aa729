"""release_check.py TAG ADDRESS: may this tag be published from here?

The tag must name the version of pyproject.toml, the changelog's first section must be that version's, with its date,
and [project.urls], of which all that the package index shows is made, must lead to the repository at ADDRESS. A
sentence for each on stderr, and exit status 1, if not.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def objections(tag: str, address: str, root: Path = ROOT) -> list[str]:
    """Why not, a sentence each; empty: it may."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    version, found = project["version"], []
    if tag != f"v{version}":
        found.append(f"The tag {tag} is not the version of pyproject.toml, {version}.")
    first = re.search(r"^## (.*)$", (root / "CHANGELOG.md").read_text(), re.MULTILINE)
    if first is None or not re.fullmatch(re.escape(version) + r", \d{4}-\d\d-\d\d", first[1]):
        found.append(f"The first section of CHANGELOG.md must be '## {version}, ' and the day.")
    wrong = [url for url in project["urls"].values() if not f"{url}/".startswith(f"{address}/")]
    if wrong:
        found.append(f"[project.urls] in pyproject.toml leads to {wrong[0]}, and this is {address}.")
    return found


if __name__ == "__main__":
    told = objections(*sys.argv[1:])
    print(*told, sep="\n", end="\n" if told else "", file=sys.stderr)
    raise SystemExit(bool(told))
