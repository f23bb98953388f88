"""Step: questions about the dev photos and about clips of them, and captions of real clips, as lines that `latentchat evaluate` reads.

The same rules make them as make the training's, from other photos and with a seed of their own. A clip is a list of scenes:
the photos that are shown one after the other, each for so many seconds, some with a slow zoom (the box of the photo, as shares
of its sides, that its last frame shows). Of each kind at most MOST are asked, balanced where chance would tell.
"""

import csv
import json
import random
from pathlib import Path

import numpy as np
import torch

from classes import class_names
from clips import FIRST, LAST, cut_scenes, moment_questions
from common import log
from concepts import kind_members
from data import ZOOM_SHARE, Captions, room_answer, room_question
from questions import SHORT
from sets import image_table

SEED = 20
MOST = 300  # questions of a kind
CLIPS = 200
KINDS = ("yes/no", "color", "number", "doing", "what", "where")
SECONDS_A_FRAME = (0.5, 3.0)
FRAMES = 8  # that a clip is thought of in: as many as a prompt shows


def photo_lines(captions, source, rng):
    """Questions with short answers, at most one of each kind a photo; as many yes as no."""
    lines, asked, told = [], {kind: 0 for kind in KINDS}, {"Yes.": 0, "No.": 0}
    photos = list(range(len(captions.sights)))
    rng.shuffle(photos)
    for photo in photos:
        seen = set()
        for question in captions.questions(photo, rng):
            kind = question.kind
            if kind not in asked or kind in seen or not question.accepted or asked[kind] == MOST:
                continue
            if kind == "yes/no":
                if told[question.accepted[0]] * 2 >= MOST:
                    continue
                told[question.accepted[0]] += 1
            seen.add(kind)
            asked[kind] += 1
            lines.append({"id": f"{kind} {asked[kind]}", "source": source(photo), "question": question.short_text,
                          "answers": list(question.accepted), "type": kind})
    return lines


def zoomed(scene, rng):
    """A box in the middle or towards a corner that a zoom ends with: [left, top, width, height]."""
    if scene.end - scene.start < 2 or rng.random() >= ZOOM_SHARE:
        return None
    side = rng.uniform(0.7, 0.95)
    return [round(rng.uniform(0, 1 - side), 3), round(rng.uniform(0, 1 - side), 3), round(side, 3), round(side, 3)]


def clip_lines(captions, source, rng):
    """Of each clip: which scene comes at a place in their order, told by captions, and when something appears."""
    lines = []
    for number in range(CLIPS):
        photos = rng.sample(range(len(captions.sights)), rng.choice([2, 3]))
        step = rng.uniform(*SECONDS_A_FRAME)
        scenes = cut_scenes(rng, photos, FRAMES)
        shown = []
        for scene in scenes:
            box = zoomed(scene, rng)
            shown.append({"source": source(scene.photo), "seconds": round((scene.end - scene.start) * step, 3), **({"zoom": box} if box else {})})
        told = [rng.choice(captions.sentences[scene.photo]) for scene in scenes]
        place = rng.choice([0, len(scenes) - 1])
        question = rng.choice(FIRST) if place == 0 else rng.choice(LAST)
        clip = {"source": f"clip {number}", "scenes": shown}
        lines.append({"id": f"order {number}", **clip, "question": question, "answers": [told[place]], "choices": told, "type": "order"})
        times = [round((i + 0.5) * step, 1) for i in range(FRAMES)]
        for question, answer, _, scene in moment_questions(rng, scenes, times, captions.questions, limit=1):
            lines.append({"id": f"moment {number}", **clip, "question": question, "answers": [answer], "type": "moment",
                          "moment": [round(scene.start * step, 3), round(scene.end * step, 3)]})
    return lines


CLIP_SECONDS = 2.0  # that each known frame of a real clip is shown


def scenes_of(sight):
    return [{"source": str(image.resolve()), "seconds": CLIP_SECONDS} for image in sight.images]


def real_clip_lines(sights):
    """The dev clips with their captions."""
    return [{"id": sight.name, "source": sight.name, "references": sight.captions,
             "scenes": scenes_of(sight)}
            for sight in sights if sight.source == "msrvtt"]


def room_lines(rooms, place, rng):
    """People's questions about dev rooms, at most two of a room, answered in a word or a few."""
    lines = []
    for sight in rng.sample(rooms, len(rooms)):
        for question, answer in rng.sample(sight.questions, min(2, len(sight.questions))):
            if len(lines) < MOST:
                lines.append({"id": f"room {len(lines)}", "source": place(sight), "question": room_question(question) + SHORT,
                              "answers": [room_answer(answer)], "type": "room"})
    return lines


CLASS_FRAMES, CLASS_SURE = 200, 0.5  # dev frames, and the published head's probability from which it is sure of one's class


def class_lines(dev, scores):
    """Dev frames of whose class the head is sure, with words that name it: its names, their last words, kinds it belongs to.

    scores (images, VIEWS, 1000): the published tower's.
    """
    kinds, names, lines = kind_members(), class_names(), []
    for sight in dev:
        for image, row in zip(sight.images, sight.rows):
            probable = torch.from_numpy(np.asarray(scores[row, 0], np.float32)).softmax(0)
            number = int(probable.argmax())
            if probable[number] < CLASS_SURE or len(lines) == CLASS_FRAMES:
                continue
            words = {word.lower() for name in names[number] for word in (name, name.split()[-1])}
            words |= {kind for kind, members in kinds.items() if number in members}
            lines.append({"id": f"class {len(lines)}", "source": str(image.resolve()), "references": sorted(words)})
    return lines


DIALOGUES = Path(__file__).resolve().parent / "dialogues.tsv"


def dialogue_lines(sights, source):
    """The conversations of dialogues.tsv, written by hand: what a last answer must match."""
    by_name, lines = {sight.name: sight for sight in sights}, []
    for number, row in enumerate(csv.DictReader(DIALOGUES.open(encoding="utf-8"), delimiter="\t", quoting=csv.QUOTE_NONE)):
        sight = by_name.get(row["sight"])
        if sight is None:
            continue
        shown = {"scenes": scenes_of(sight)} if sight.source == "msrvtt" else {}
        lines.append({"id": f"dialogue {number}", "source": sight.name if shown else source(sight.name), **shown,
                      "turns": row["turns"].split(" | "), "fits": row["fits"]})
    return lines


def write_lines(path, lines):
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    log(f"{len(lines)} lines in {path}")


def run(data, work):
    """Write questions.jsonl, clips.jsonl, classes.jsonl and dialogues.jsonl in the work folder."""
    folder = (data / "flickr8k").resolve()
    dev = image_table(data)[1]["dev"]
    photos = [sight for sight in dev if sight.source == "flickr8k"]
    captions = Captions(photos, np.load(work / "latents.npy")[:, 0])
    rng = random.Random(SEED)

    def place(name):
        return str(folder / "images" / name)

    def source(photo):
        return place(captions.sights[photo].name)

    write_lines(work / "questions.jsonl", photo_lines(captions, source, rng) + clip_lines(captions, source, rng)
                + room_lines([sight for sight in dev if sight.source == "daquar"], lambda sight: str(sight.images[0].resolve()), random.Random(SEED)))
    write_lines(work / "classes.jsonl", class_lines(dev, np.load(work / "scores.npy", mmap_mode="r")))
    write_lines(work / "dialogues.jsonl", dialogue_lines(dev, place))
    write_lines(work / "clips.jsonl", real_clip_lines(dev))
