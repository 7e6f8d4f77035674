"""Mean average precision beside published figures, on the features that these were published for.

    python -m benchmarks.published FOLDER [--out docs/published.md] [--seeds 5]

FOLDER holds the Wikipedia set of Rasiwasia et al. (ACM MM 2010): image.npy (2,866 x 128, SIFT), text.npy (2,866 x 10,
LDA), labels.txt and split.txt (2,173 train, 693 test). The features go through `huse store import` and `huse compare`
as anybody's would; the epoch is chosen on rows held out of the training rows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from huse.features.exchange.interchange import import_store
from huse.train.compare.compare import compare

PUBLISHED = {
    "CCA": (0.249, 0.195),
    "semantic matching": (0.300, 0.230),
    "JFSSL": (0.306, 0.228),
}
"""mAP from images and from texts over the whole ranking of the 693 test rows, from the paper of JFSSL (TPAMI 2016)."""

METHODS = ("cca", "posterior", "linear", "dscmr", "sdml", "huse-paper", "huse")
WAYS = ("image_to_text", "text_to_image")

PAGE = """# Published features

Made by `python -m benchmarks.published FOLDER --out docs/published.md --seeds {seeds}`: the first configuration of
each method, the spread over seeds behind ±.

## Wikipedia, SIFT and LDA

The set of Rasiwasia et al. (ACM MM 2010): 2,866 sections of articles in 10 classes, images as 128 bins of SIFT,
texts as 10 topics of LDA; 2,173 rows to train on, 693 to test. Mean average precision over the whole ranking. The
features are not ours to pass on.

| | i→t | t→i |
|---|---|---|
{rows}

{remarks}
"""

REMARKS = """`posterior` and `cca` are the methods of the first two lines made again (`cca` with all ten
components that the texts allow): they say how far the protocols agree.

## Deep features

The papers of DSCMR (CVPR 2019) and SDML (SIGIR 2019) train on features of deep networks for Wikipedia, Pascal
Sentences, NUS-WIDE-10k and XMediaNet, as `.mat` and `.h5` files. They could not be had here, so nothing of them was
run and no figure of theirs stands here. Who has the files puts them in by `huse store import` (the variables of one
`.mat` file, or one array a modality) and runs `huse compare`, in which `dscmr` and `sdml` are methods. Their
published code is not comparable line by line: DSCMR's keeps the weights of the epoch that did best on its test
rows."""


def measure(folder: Path, seeds: int) -> Mapping[str, Any]:
    """The summary of each method, by name."""
    with tempfile.TemporaryDirectory() as work:
        store = Path(work) / "features"
        import_store(
            store,
            image=str(folder / "image.npy"),
            text=str(folder / "text.npy"),
            labels=str(folder / "labels.txt"),
            split=str(folder / "split.txt"),
        )
        return compare(store, Path(work) / "tables", METHODS, seeds=seeds, trials=1)


def page(results: Mapping[str, Any], seeds: int) -> str:
    """The page: published figures, then ours."""
    lines = [f"| {name}, published | {i:.3f} | {t:.3f} |" for name, (i, t) in PUBLISHED.items()]
    for method, result in results.items():
        mean, std = (result["metrics"][name] for name in ("mean", "std"))
        paths = [f"retrieval.{way}.map" for way in WAYS]
        lines.append(f"| `{method}` | " + " | ".join(f"{mean[p]:.3f} ± {std[p]:.3f}" for p in paths) + " |")
    return PAGE.format(seeds=seeds, rows="\n".join(lines), remarks=REMARKS)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
@click.option("--out", type=click.Path(path_type=Path), help="Writes the page here too.")
@click.option("--seeds", default=5, show_default=True)
def main(folder: Path, out: Path | None, seeds: int) -> None:
    """Compare on the features in FOLDER, and print the page."""
    text = page(measure(folder, seeds), seeds)
    if out:
        out.write_text(text, encoding="utf-8")
    click.echo(text)


if __name__ == "__main__":
    main()
