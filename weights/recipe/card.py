"""Last step: MODEL_CARD.md and pack.json, written from the figures of the run and of the product's own evaluation.

Read from the work folder, each where it is there: training.json and refinements.json of the trainings; product.json of
`latentchat evaluate captions dev.tsv --rows latents --report product.json`; pack-report.json of `latentchat evaluate pack
--data FOLDER --videos FOLDER --report pack-report.json`. What is not there stays as the pack has it.
"""

import json

from common import PACK_FOLDER, log
from pack import told_by, write_manifest
from train import LATER_SHARE

REFINEMENTS = "refinements.json"  # [{"step": "selfcritical", ...what it tells of itself}], as the weights went through them
SIZE_LIMIT, FILE_LIMIT = 150e6, 45e6  # bytes

CARD = """# latentchat default pack

Answers questions about photos and short videos from small latents: 256 numbers a frame, 5 visual tokens each.

| part | what | trained here |
|---|---|---|
| vision tower | EfficientNet-Lite2 (ImageNet), batch norms folded, float16 + 8-bit residual | its later blocks |
| latent map | PCA of 5 x 1280 pooled features to 256 numbers, of the training images plain and mirrored | fitted |
| concepts | a linear map from a latent to the 1,000 classes that the tower's head tells apart; what is likely stands in the prompt as words | fitted |
| projector | 256 -> 5 x 576: a linear path plus one hidden layer of 1,024 (GELU) | yes |
| language model | SmolLM2-135M-Instruct, 4-bit blocks of 32 (GGUF Q4_1, bit for bit), 8-bit embedding | no |
| retrieval towers | a caption's hidden states of layers 8, 14 and 20, and a latent, to unit vectors of one space | yes |
| adapter | rank 32 beside each of the four fused linear layers of the 30 blocks | yes |

## Data

| set | what is learned from it | dev, for the figures below |
|---|---|---|
| Flickr8k (Hodosh, Young and Hockenmaier 2013) | 6,000 photos, five captions each | 1,000 photos |
| MSR-VTT (Xu et al. 2016) | 3,616 clips, one to three frames and up to twelve captions each | 243 clips |
| COCO (Lin et al. 2014) | 310 photos, five captions each | - |
| DAQUAR (Malinowski and Fritz 2014) | photos of rooms with questions and answers | a tenth of the rooms |

They are their owners'; research use. No picture and no caption is in this pack. Captions become sentences;
{data} Text-only prompts, answered by the unchanged model, are mixed in (`recipe/chat.py`).

## Training

`python weights/recipe/recipe.py --data FOLDER --work FOLDER`, in this order:

| step | minutes | steps | passes | what it learns from |
|---|---|---|---|---|
{trainings}

The base stays frozen; captions of and questions about one photo or clip share its prefix (token trees), the loss is on answer tokens only.
An image is seen plain, mirrored, and as two random crops, with noise of 0.15 deviations on its latents, and uniform noise of half a step of a
4-bit grid, which stands for their rounding in a container. What is recognized stands in the prompt in three of four examples, and is wrong in one of
seven, so that the model weighs it. {mixed}{notes}

## Measured

{figures}
{videos}
## Limits

- A small model. What it does not know is named with the nearest thing it knows. It often gets colours, counts and small objects wrong.
- It cannot read text, name people or places, judge distances, or follow motion finer than the difference between frames.
- English only. Questions unlike the trained ones may be answered with a caption.
- Do not use it where a wrong answer does harm.
"""


WAYS = {"text_to_photo": "text to picture", "photo_to_text": "picture to text"}


def figures(measured):
    """A table of the figures that were taken, and how."""
    training, rows = measured["training"], []
    rows.append(("loss a caption token, 120 dev photos, rounded latents", training["dev_loss"]))
    rows.append(("the same with another photo's latents", training["dev_loss_with_other_photos"]))
    if product := measured.get("product"):
        about = f"{product['photos']} dev photos, beam {product['beams']}, of what it finds the one most like the photo, latents read back from containers, 8-bit engine"
        names = {"bleu4": "BLEU-4", "cider_d": "CIDEr-D", "rouge_l": "ROUGE-L", "bleu1": "BLEU-1"}
        rows += [(f"{label}: {about} (`latentchat evaluate captions dev.tsv --rows latents`)", product[name]) for name, label in names.items()]
    if retrieval := measured.get("retrieval"):
        for source, found in retrieval.items():
            for way, label in WAYS.items() if isinstance(found, dict) and "sights" in found else ():
                recalls = " / ".join(f"{found[way][key]:.1f}" for key in ("r1", "r5", "r10"))
                rows.append((f"retrieval among {found['sights']} of {source}, {label}: R@1 / R@5 / R@10, float32, latents rounded as in a container", recalls))
        if areas := retrieval.get("areas"):
            rows.append(("things by their names, and noun phrases of captions, against the same photos: mean area under the curve", f"{areas['things']:.3f}, {areas['phrases']:.3f}"))
            if "classes" in areas:
                rows.append(("names and definitions of the vision tower's classes, against photos in which its head sees them: the same", f"{areas['classes']:.3f}"))
        if read := retrieval.get("class_scores"):
            rows.append(("the head's 1,000 scores read from the latents by a linear map: share of their variance; photos whose likeliest class is the same", f"{read['variance']:.3f}; {read['same']:.3f}, {read['same_where_sure']:.3f} of those {read['sure']} where the head is sure"))
    return "\n".join(["| figure | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


TRAINED_ON = {
    "tower": "captions and the words in them, contrastively; the head's classes kept by distillation (`recipe/tower.py`)",
    "train": "captions, questions, dialogues, clips, text-only prompts: AdamW, rate 8e-4 (`recipe/train.py`)",
    "selfcritical": "rewards of its own captions, CIDEr-D (Rennie et al. 2017, baseline of Luo 2020), and what `train` learns from (`recipe/selfcritical.py`)",
}


def trainings(measured):
    """A line of the table for each training, in the order the weights went through them."""
    runs = [{"step": "tower", **measured["tower"]}] if "tower" in measured else []
    runs += [{"step": "train", **measured["training"]}, *measured.get("refinements", [])]
    return "\n".join(f"| {run['step']} | {run['minutes']} | {run['steps']} | {run.get('passes', '-')} | {TRAINED_ON.get(run['step'], 'a step of an earlier recipe')} |" for run in runs)


def mixed_text(training):
    """What the weights are a mean of, or nothing."""
    if "later_weight" not in training:
        return ""
    # Of a trained.pt alone it is not known how it was trained.
    earlier = " ({minutes} minutes, {steps} steps, about {passes} passes)".format(**training["earlier"]) if training["earlier"] else ""
    return (f"That run went on from an earlier one's weights{earlier} at {LATER_SHARE:g} of the rate, and the pack holds a mean of both, "
            f"{training['later_weight']:.0%} of it the later. ")


def retrieval_text(retrieval):
    """What the retrieval towers have learned from, or nothing."""
    return "" if retrieval is None else f"The retrieval towers were trained contrastively (`recipe/retrieval.py`) on {retrieval['trained_on']}."


def pack_rows(report):
    """The table of `latentchat evaluate pack`."""
    def shown(value):
        return "-" if value is None else f"{value:.1f}" if value >= 10 else f"{value:.3f}"

    lines = [f"| {row['what']} ({row['count']}) | {shown(row['value'])} | {shown(row['blind'])} | {row['reach'] or '-'} |" for row in report["rows"]]
    limit = f" --limit {report['limit']}" if "limit" in report else ""
    return "\n".join(["", "", f"`latentchat evaluate pack --data FOLDER{limit}`:", "", "| what (items) | figure | no video | to reach |", "|---|---|---|---|", *lines])


def videos_text(report):
    """What the pack says about real videos, unedited."""
    questions = report["video_questions"]
    rows = [f"| {said['video']} | {said['caption']} | {' | '.join(said['answers'])} |" for said in report["videos"]]
    return "\n".join(["", "## What it says about real videos", "", "Unedited, good and bad (`latentchat evaluate pack --videos FOLDER`); captions as `latentchat caption` writes them, answers word by word.", "",
                      f"| video | caption | {' | '.join(questions)} |", f"|---|---|{'---|' * len(questions)}", *rows, ""])


def write_card(measured):
    """Write MODEL_CARD.md from the figures of pack.json's `measured`."""
    training, pack = measured["training"], measured.get("pack", {})
    text = CARD.format(
        data=training["data"], trainings=trainings(measured), mixed=mixed_text(training),
        notes=training.get("notes", "") + retrieval_text(measured.get("retrieval")),
        videos=videos_text(pack) if pack.get("videos") else "",
        figures=figures(measured) + (pack_rows(pack) if pack.get("rows") else ""))
    (PACK_FOLDER / "MODEL_CARD.md").write_text(text.replace(". \n", ".\n"), encoding="utf-8")


def finish(work, measured):
    """MODEL_CARD.md and pack.json. measured: figures of the pack's weights that are known already; the work folder's go before them."""
    def read(name):
        path = work / name
        return json.loads(path.read_text()) if path.exists() else None

    measured = dict(measured)
    for name, file in (("tower", "tower.json"), ("training", "training.json"), ("refinements", REFINEMENTS), ("pack", "pack-report.json")):
        if found := read(file):
            measured[name] = found
    if product := read("product.json"):
        names = ("bleu1", "bleu2", "bleu3", "bleu4", "rouge_l", "cider_d")
        measured["product"] = {"photos": product["count"], "beams": product["beams"], **{name: round(product["rows"]["latents"][name], 4) for name in names}}
    measured.setdefault("training", known().get("training"))
    write_pack(read("language.json") or manifest()["language"], measured)


def refresh():
    """pack.json and the card anew after a part was retrained; the figures of the other parts stay as the pack has them."""
    write_pack(manifest()["language"], known())


def write_pack(language, measured):
    """MODEL_CARD.md and pack.json. language: the numbers of language.json."""
    if retrieval := told_by("retrieval", "measured"):
        measured["retrieval"] = retrieval
    write_card(measured)
    write_manifest(language, measured)
    sizes = {path.name: path.stat().st_size for path in PACK_FOLDER.iterdir()}
    if sum(sizes.values()) > SIZE_LIMIT or max(sizes.values()) > FILE_LIMIT:
        raise SystemExit(f"the pack is too large: {sizes}")
    log(f"pack of {sum(sizes.values()) / 1e6:.1f} MB written")


def manifest():
    return json.loads((PACK_FOLDER / "pack.json").read_text())


def known():
    """The figures that the pack has of itself."""
    return manifest()["measured"] if (PACK_FOLDER / "pack.json").exists() else {}


def run(data, work):
    """Write card and manifest again with the figures that the work folder has."""
    finish(work, known())
