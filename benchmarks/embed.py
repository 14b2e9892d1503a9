"""How fast profiles become vectors, how true to the original and in how much memory.

`python -m benchmarks.embed --texts 10000 [--pairs FILE.csv[.gz]]`

Our default path (int8 ONNX, `audience.embed.OnnxEmbedder`) beside plain sentence-transformers in float32
on the same weights, one thread each, each in a process of its own, the same texts in the same order.
Texts per second are of processor time, so that other work on the machine counts less. `--pairs` takes
labelled pairs (text_a, text_b or s1, s2; label or score; language) and says how well each path ranks them.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CHUNKS = 10  # paired measurements of each language
_NEIGHBOURS = 10
_QUERIES = 1000  # texts whose neighbours are compared
_PATHS = ("default", "plain")
_WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "ro": {
        "job": ("contabilă", "programator", "proprietar de florărie", "profesoară de engleză",
                "inginer constructor", "medic dentist", "studentă la drept", "fotograf de nuntă",
                "șef de depozit", "arhitectă", "bucătar", "agent imobiliar", "farmacistă", "lăcătuș",
                "consultant fiscal", "traducător"),
        "field": ("construcții", "comerț cu amănuntul", "sănătate", "turism", "învățământ", "logistică",
                  "servicii juridice", "agricultură ecologică", "producție de mobilă", "energie"),
        "want": ("facturare mai rapidă", "cursuri de seară", "reclame pe internet", "economii la energie",
                 "angajați noi", "credite pentru firme mici", "vânzări de sărbători", "limbi străine",
                 "digitalizarea arhivei", "programări fără telefon", "ambalaje reciclabile",
                 "contracte clare", "clienți din străinătate", "organizarea timpului"),
        "place": ("Cluj-Napoca", "Iași", "Timișoara", "Târgu Mureș", "Constanța", "Brașov", "Chișinău"),
        "more": ("are o echipă de {n} oameni", "lucrează de {n} ani în domeniu", "vinde în {n} orașe",
                 "caută o soluție până în primăvară", "a venit la ultimul nostru webinar"),
    },
    "en": {
        "job": ("accountant", "software developer", "flower shop owner", "English teacher",
                "civil engineer", "dentist", "law student", "wedding photographer", "warehouse manager",
                "architect", "chef", "estate agent", "pharmacist", "locksmith", "tax adviser",
                "translator"),
        "field": ("construction", "retail", "health care", "tourism", "education", "logistics",
                  "legal services", "organic farming", "furniture making", "energy"),
        "want": ("faster invoicing", "evening courses", "online advertising", "lower energy bills",
                 "new employees", "loans for small firms", "holiday sales", "foreign languages",
                 "digital archives", "bookings without phone calls", "recyclable packaging",
                 "clear contracts", "customers abroad", "time management"),
        "place": ("Dublin", "Leeds", "Toronto", "Austin", "Edinburgh", "Cork", "Manchester"),
        "more": ("has a team of {n}", "has been in the trade for {n} years", "sells in {n} towns",
                 "wants an answer before spring", "came to our last webinar"),
    },
}  # fmt: skip


def generate(count: int, language: str, seed: int) -> list[str]:
    """Distinct profile-like texts of about 30 tokens."""
    rng = random.Random(f"{language}{seed}")
    words = _WORDS[language]
    texts: dict[str, None] = {}
    while len(texts) < count:
        wants = rng.sample(words["want"], rng.randint(1, 3))
        parts = [rng.choice(words["job"]), rng.choice(words["field"]), ", ".join(wants)]
        if rng.random() < 0.7:
            parts.append(rng.choice(words["place"]))
        if rng.random() < 0.6:
            parts.append(rng.choice(words["more"]).format(n=rng.randint(2, 30)))
        texts["; ".join(parts)] = None
    return list(texts)


def run_path(
    path: str, folder: Path, texts: list[str], more: list[str]
) -> tuple[NDArray[np.float32], list[float]]:
    """Vectors of all, and the processor seconds of each chunk of `texts`."""
    encode: Any
    if path == "default":
        from audience.embed import OnnxEmbedder

        encode = OnnxEmbedder(folder, threads=1, batch=32).encode
    else:
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(1)
        model = SentenceTransformer(str(folder), device="cpu")

        def encode(part: list[str]) -> NDArray[np.float32]:
            return np.asarray(model.encode(part, batch_size=32, show_progress_bar=False))

    encode(texts[:32])  # first calls allocate
    size = max(1, -(-len(texts) // (2 * _CHUNKS)))
    vectors, seconds = [], []
    for start in range(0, len(texts), size):
        before = time.process_time()
        vectors.append(encode(texts[start : start + size]))
        seconds.append(time.process_time() - before)
    if more:
        vectors.append(encode(more))
    return np.vstack(vectors), seconds


def _child(path: str, folder: Path, job: Path) -> None:
    texts, more = json.loads(job.read_text(encoding="utf-8"))
    vectors, seconds = run_path(path, folder, texts, more)
    np.save(job.with_suffix(f".{path}.npy"), vectors)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "rss_mb": round(peak)}))


def _measure(
    path: str, folder: Path, texts: list[str], more: list[str]
) -> tuple[NDArray[np.float32], Any]:
    with tempfile.TemporaryDirectory() as name:
        job = Path(name) / "job.json"
        job.write_text(json.dumps([texts, more]), encoding="utf-8")
        run = subprocess.run(
            [sys.executable, "-m", "benchmarks.embed", "--child", path, str(folder), str(job)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false",
                 "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
        return np.load(job.with_suffix(f".{path}.npy")), json.loads(run.stdout.splitlines()[-1])


def agreement(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> dict[str, float]:
    """Cosine of each text's two vectors, and the share of its ten nearest that both paths name."""
    cosine = (ours * theirs).sum(axis=1)
    rows = np.random.default_rng(0).permutation(len(ours))[:_QUERIES]
    shared = []
    for row in rows:
        nearest = []
        for vectors in (ours, theirs):
            closeness = vectors @ vectors[row]
            closeness[row] = -np.inf
            nearest.append(set(np.argpartition(-closeness, _NEIGHBOURS)[:_NEIGHBOURS].tolist()))
        shared.append(len(nearest[0] & nearest[1]) / _NEIGHBOURS)
    return {
        "cosine_mean": round(float(cosine.mean()), 5),
        "cosine_p5": round(float(np.percentile(cosine, 5)), 5),
        "cosine_min": round(float(cosine.min()), 5),
        "top10_overlap": round(float(np.mean(shared)), 4),
    }


def _interval(ratios: NDArray[np.float64]) -> list[float]:
    """95 % bootstrap interval of the median."""
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(ratios, (2000, len(ratios))), axis=1)
    return [round(float(x), 3) for x in np.percentile(medians, [2.5, 97.5])]


def compare(
    folder: Path, count: int, seed: int, pairs: Sequence[dict[str, str]] = ()
) -> dict[str, Any]:
    """Both paths on `count` generated texts, half Romanian, half English, and on labelled pairs."""
    half = max(_NEIGHBOURS + 2, count // 2)
    sets = {language: generate(half, language, seed) for language in ("ro", "en")}
    texts = sets["ro"] + sets["en"]
    both = ("text_a", "text_b") if pairs and "text_a" in pairs[0] else ("s1", "s2")
    paired = [row[key] for row in pairs for key in both]
    results = {path: _measure(path, folder, texts, paired) for path in _PATHS}
    seconds = {path: np.array(results[path][1]["seconds"]) for path in _PATHS}
    sizes = np.full(len(seconds["default"]), max(1, -(-len(texts) // (2 * _CHUNKS))))
    sizes[-1] = len(texts) - sizes[:-1].sum()
    ratios = seconds["plain"] / seconds["default"]
    found: dict[str, Any] = {
        "texts": len(texts),
        "speedup": round(float(np.median(ratios)), 3),
        "speedup_interval": _interval(ratios),
    }
    for path in _PATHS:
        found[path] = {
            "texts_per_cpu_second": round(float(np.median(sizes / seconds[path])), 1),
            "rss_mb": results[path][1]["rss_mb"],
        }
    for place, language in enumerate(sets):
        rows = slice(place * half, (place + 1) * half)
        found[language] = agreement(results["default"][0][rows], results["plain"][0][rows])
    if pairs:
        vectors = {path: results[path][0][len(texts) :] for path in _PATHS}
        found["pairs"] = rank_pairs(pairs, vectors)
    return found


def read_pairs(file: Path) -> list[dict[str, str]]:
    data = file.read_bytes()
    text = (gzip.decompress(data) if file.suffix == ".gz" else data).decode("utf-8")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def rank_pairs(
    rows: Sequence[dict[str, str]], vectors_of: dict[str, NDArray[np.float32]]
) -> dict[str, Any]:
    """Spearman and AUC of the cosine of labelled pairs, for each language and path."""
    from scipy.stats import spearmanr
    from sklearn.metrics import roc_auc_score

    column = "label" if "label" in rows[0] else "score"
    wanted = np.array([float(row[column]) for row in rows])
    languages = np.array([row.get("language", "") for row in rows])
    found: dict[str, Any] = {}
    for path, vectors in vectors_of.items():
        cosine = (vectors[0::2] * vectors[1::2]).sum(axis=1)
        for language in sorted(set(languages)):
            here = languages == language
            values = {"spearman": float(spearmanr(cosine[here], wanted[here]).statistic)}
            if set(wanted[here].tolist()) == {0.0, 1.0}:
                values["auc"] = float(roc_auc_score(wanted[here], cosine[here]))
            entry = found.setdefault(language or "all", {"pairs": int(here.sum())})
            entry[path] = {name: round(value, 4) for name, value in values.items()}
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=10_000)
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.child:
        _child(given.child[0], Path(given.child[1]), Path(given.child[2]))
        return
    from pigeonry.config import load_home
    from pigeonry.service.models import fetch_models

    with tempfile.TemporaryDirectory() as name:
        home = load_home(Path(name), env={})
        fetch_models(home)
        folder = home.models / "e5-small"
        pairs = read_pairs(given.pairs) if given.pairs else []
        result = compare(folder, given.texts, given.seed, pairs)
    for path in _PATHS:
        row = result[path]
        print(f"{path:8} {row['texts_per_cpu_second']:8.1f} texts/CPU-s  {row['rss_mb']:5} MB")
    print(f"speed-up {result['speedup']:.2f} {result['speedup_interval']}")
    for language in ("ro", "en"):
        print(f"{language}  {result[language]}")
    for language, row in result.get("pairs", {}).items():
        print(f"pairs {language}  {row}")
    print(json.dumps({"benchmark": "embed", "seed": given.seed, **result}))


if __name__ == "__main__":
    main()
