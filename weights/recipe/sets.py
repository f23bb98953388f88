"""The photos and clips that the recipe learns from, of every data set in one form.

A sight is a photo, or a clip of which one to three frames are known, with what people said of it. The data folder holds:

    flickr8k/{train,dev}.tsv, images/     photos, five captions each (Hodosh et al. 2013)
    msrvtt/{train,dev}.tsv, frames.tsv, frames/  frames of clips, up to twenty captions each (Xu et al. 2016)
    coco/photos.tsv, images/              photos, five captions each (Lin et al. 2014); all of them train
    daquar/qa.tsv, images/                rooms with questions and answers (Malinowski and Fritz 2014)

A folder that is not there is left out.
"""

import csv
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

SPLITS = ("train", "dev")
# Captions of a clip come with those first that most of the others agree with; the last ones are often wrong or misspelled.
CLIP_CAPTIONS = 12
DEV_ROOMS = 10  # every tenth room, by the hash of its name, is kept for choosing


@dataclass
class Sight:
    source: str  # the data set
    name: str
    images: list[Path]  # a photo, or a clip's frames in order of time
    captions: list[str] = field(default_factory=list)
    questions: list[tuple[str, str]] = field(default_factory=list)  # (question, answer)
    rows: range = range(0)  # of its images in the table of all of them


def rows(table):
    """The rows of a table with tabs between its columns, as dictionaries; none if there is no such file."""
    if not table.exists():
        return []
    with open(table, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def grouped(table, key, value):
    """{row[key]: [row[value]]}, in the table's order."""
    groups = {}
    for row in rows(table):
        groups.setdefault(row[key], []).append(row[value])
    return groups


def photos_of(folder, table, source):
    """Captioned photos."""
    return [Sight(source, name, [folder / "images" / name], captions)
            for name, captions in grouped(table, "image", "caption").items()]


def clips_of(folder, split):
    """Captioned clips; of dev clips all captions are references."""
    frames = grouped(folder / "frames.tsv", "clip", "image")
    most = CLIP_CAPTIONS if split == "train" else None
    return [Sight("msrvtt", clip, [folder / "frames" / image for image in frames[clip]], captions[:most])
            for clip, captions in grouped(folder / f"{split}.tsv", "clip", "caption").items() if clip in frames]


def rooms_of(folder, split):
    """Photos of rooms with questions."""
    found = {}
    for row in rows(folder / "qa.tsv"):
        found.setdefault(row["image"], []).append((row["question"], row["answer"]))

    def split_of(name):
        return "dev" if hashlib.sha256(name.encode()).digest()[0] % DEV_ROOMS == 0 else "train"

    return [Sight("daquar", name, [folder / "images" / name], questions=questions)
            for name, questions in found.items() if split_of(name) == split]


def sights(data, split):
    """[Sight] of one split, in an order that is always the same: photos, clips, rooms."""
    found = photos_of(data / "flickr8k", data / "flickr8k" / f"{split}.tsv", "flickr8k")
    if split == "train":
        found += photos_of(data / "coco", data / "coco" / "photos.tsv", "coco")
    return found + clips_of(data / "msrvtt", split) + rooms_of(data / "daquar", split)


def image_table(data):
    """Every image of both splits, and {split: [Sight]} whose `rows` say which of them are each sight's. The dev images come first."""
    images, found = [], {split: sights(data, split) for split in SPLITS}
    for split in ("dev", "train"):
        for sight in found[split]:
            sight.rows = range(len(images), len(images) + len(sight.images))
            images += sight.images
    return images, found
