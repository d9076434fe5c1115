"""One reader under atheris: mutations are led by which lines of this package they reach.

    pip install atheris
    python tests/hostile/guided.py READER [--seconds 60] [--corpus DIR]

Without `--corpus` it begins with a small good file. What ends otherwise than read or refused in one
line stops the run, with the file kept as ``crash-...`` in the current folder.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from readers import READERS

PACKAGE = "sdcl_neuro"


def main() -> int:
    """Run from the command line; libFuzzer's exit code, or 2 where atheris is absent."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reader", choices=sorted(READERS))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, help="files to begin with, and where new ones go")
    args = parser.parse_args()
    try:
        import atheris
    except ImportError:
        print("guided.py needs atheris: pip install atheris (Linux and macOS)", file=sys.stderr)
        return 2
    warnings.simplefilter("ignore")
    reader = READERS[args.reader]
    with atheris.instrument_imports(include=[PACKAGE]):
        reader.warm()
        from worker import attempt
    with tempfile.TemporaryDirectory(prefix="guided_") as name:
        place = Path(name)
        corpus = args.corpus or place / "corpus"
        corpus.mkdir(parents=True, exist_ok=True)
        seed = place / "seed" / reader.name
        seed.parent.mkdir()
        reader.make(seed)
        (corpus / "seed").write_bytes(seed.read_bytes())

        def one_input(data: bytes) -> None:
            seed.write_bytes(data)
            outcome, detail = attempt(args.reader, seed)
            if outcome not in ("read", "refused"):
                raise AssertionError(f"{outcome}: {detail}")

        limits = [f"-max_total_time={args.seconds}", "-timeout=60", "-rss_limit_mb=8192"]
        atheris.Setup([sys.argv[0], *limits, str(corpus)], one_input)
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
